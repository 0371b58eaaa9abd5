"""``tahoe undelete``: for the operator of a storage server, what is in its trash and back from there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tahoe.cli.report import ask_for_report
from tahoe.cli.values import default_node_directory, human_size, json_option, node_option
from tahoe.codec import base32


@click.command()
@click.argument("storage_index", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Everything that is in the trash.")
@node_option
@json_option
def undelete(storage_index: tuple[str, ...], node_directory: Path | None, *, everything: bool, as_json: bool) -> None:
    """Bring shares back from the trash of a storage server; without arguments, show what is in it.

    Shares whose leases have ended go to the trash when room is short or after some months. What comes back is kept for
    another lease period, in which its owners can renew. Owners don't need this: a renewal (tahoe check --add-lease) brings
    their shares back, too.
    """
    if everything and storage_index:
        raise click.UsageError("give storage indexes or --all")
    for name in storage_index:
        _check(name)
    directory = node_directory or default_node_directory()
    words = ("undelete", "all") if everything else ("undelete", *storage_index) if storage_index else ("trash",)
    report = ask_for_report(directory, *words)
    if report is None:
        raise click.ClickException(
            f"no node runs in {directory}, or it does not answer; start it: tahoe start {directory}"
        )
    if None in report.values():
        raise click.ClickException(f"the node in {directory} is no storage server")
    if as_json:
        click.echo(json.dumps(report))
    elif "restored" in report:
        click.echo(f"{report['restored']} shares are back.")
    else:
        _show(report)


def _check(name: str) -> None:
    try:
        base32.decode_strict(name)
    except ValueError as error:
        raise click.UsageError(f"{name!r} is no storage index: {error}") from error


def _show(report: dict[str, Any]) -> None:
    for share in report["shares"]:
        click.echo(f"{share['storage_index']} {share['number']:3}  {share['kind']:4}  {human_size(share['bytes']):>10}")
    hidden = report["count"] - len(report["shares"])
    more = f", {hidden} of them not shown" if hidden else ""
    click.echo(f"{report['count']} shares in the trash{more}, {human_size(report['bytes'])}.")
