"""``tahoe usage``: what this node keeps on the servers, and on its own server what everybody keeps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from tahoe.cli.account import words_of
from tahoe.cli.report import ask_for_report
from tahoe.cli.values import default_node_directory, human_size, json_option, node_option

Facts = Mapping[str, Any]


@click.command()
@node_option
@json_option
def usage(node_directory: Path | None, *, as_json: bool) -> None:
    """Show what is kept: mine by server and, where this node is a server, here by account."""
    directory = node_directory or default_node_directory()
    report = ask_for_report(directory, "usage")
    if report is None:
        raise click.ClickException(
            f"no node runs in {directory}, or it does not answer; start it: tahoe start {directory}"
        )
    click.echo(json.dumps(report) if as_json else "\n".join(_page(report)))


def _page(report: Facts) -> Iterable[str]:
    if report["mine"] is not None:
        yield "What this node keeps, by server:"
        yield from _mine(report["mine"])
    if report["here"] is not None:
        yield from _here(report["here"])


def _mine(servers: list[Facts]) -> Iterable[str]:
    width = max((len(server["server"]) for server in servers), default=0)
    for server in servers:
        if server["problem"]:
            yield f"  {server['server']:{width}}  not known: {server['problem']}"
        else:
            yield f"  {server['server']:{width}}  {_kept(server)}"
    told = [server for server in servers if not server["problem"]]
    total = human_size(sum(server["bytes"] for server in told))
    yield f"  in all {total} on {len(told)} of {len(servers)} servers"


def _here(here: Facts) -> Iterable[str]:
    yield "What is kept here, by account:"
    width = max((len(_name(each)) for each in here["accounts"]), default=0)
    for each in here["accounts"]:
        yield f"  {_name(each):{width}}  {_kept(each)}"
    space, trash = here["space"], here["trash"]
    yield f"  {space['shares']} shares in all; room for {human_size(space['available'])} of {human_size(space['capacity'])}"
    for words, kept in (
        ("whose leases end this week", here.get("week")),
        ("that nobody leases", here.get("collectable")),
    ):
        if kept:
            yield f"  {kept['shares']} of them, {human_size(kept['bytes'])}, {words}"
    yield f"  trash: {trash['shares']} shares, {human_size(trash['bytes'])}, which give way when room is short"
    if not here["counted"]:
        yield "  These are the figures of the last count; a new one is under way."


def _name(usage: Facts) -> str:
    nickname = f" ({usage['nickname']})" if usage.get("nickname") else ""  # older nodes don't say
    return (usage["account"] or "nobody's") + nickname


def _kept(usage: Facts) -> str:
    text = f"{human_size(usage['bytes']):>10} in {usage['shares']} shares"
    if usage["quota"] is None:
        return text
    if usage["pooled"]:
        return f"{text}; all who are not named keep {human_size(usage['pool_bytes'])} of {words_of(usage['quota'])}"
    return f"{text}, of {words_of(usage['quota'])}"
