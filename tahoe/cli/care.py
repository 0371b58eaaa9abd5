"""``care``: what the node's caretaker looks after; ``server``: what it should know of servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from tahoe.cli.checkjobs import run_job
from tahoe.cli.durations import DurationText
from tahoe.cli.gateway import Gateway, with_gateway
from tahoe.cli.health import STATUS, describe
from tahoe.cli.locations import ROOT, Locations
from tahoe.cli.nodes import look
from tahoe.cli.values import CapabilityText, default_node_directory, json_option, node_option


@click.group()
def care() -> None:
    """What is looked after unasked: the node's own root, the grid's, and what you name here."""


@care.command("add")
@click.argument("name")
@click.argument("path", type=CapabilityText())
@click.option("--manifest", is_flag=True, help="PATH is the read cap of a manifest that somebody keeps (care publish).")
@click.option(
    "--delegation",
    type=CapabilityText(),
    help="Lease what it leads to for its owner's account, who made this by care delegate; - or @FILE read it.",
)
@with_gateway
def add(gateway: Gateway, name: str, path: str, *, manifest: bool, delegation: str | None) -> None:
    """Look after PATH and everything below it, and call it NAME. A verify capability is enough for one object."""
    location = Locations(gateway.directory).find(path)
    is_bare = not location.names and not location.start.startswith(ROOT)
    capability = location.start if is_bare else look(gateway, location).cap
    query = {"t": "add", "name": name} | ({"manifest": "true"} if manifest else {})
    query |= {"delegation": delegation} if delegation else {}
    gateway.text("POST", f"/care?{urlencode(query)}", capability.encode())


@care.command("remove")
@click.argument("name")
@with_gateway
def remove(gateway: Gateway, name: str) -> None:
    """Look after NAME no more. Its leases run out by themselves; those made by a delegation are cancelled."""
    gateway.text("POST", f"/care?{urlencode({'t': 'remove', 'name': name})}", b"")


@care.command("list")
@json_option
@with_gateway
def show(gateway: Gateway, *, as_json: bool) -> None:
    """List what is looked after."""
    roots = gateway.json("/health")["roots"]
    if as_json:
        click.echo(json.dumps(roots))
        return
    for root in roots:
        note = " (published)" if root["published"] else ""
        click.echo(f"{root['name']}: {sum(root['objects'].values())} objects{note}")


@care.command("publish")
@click.argument("name")
@with_gateway
def publish(gateway: Gateway, name: str) -> None:
    """Keep a manifest of NAME for a friend's caretaker, and print its read cap: it shows what there is, not what is in it."""
    click.echo(gateway.text("POST", f"/care?{urlencode({'t': 'publish', 'name': name})}", b""))


@care.command("delegate")
@click.argument("node")
@click.option("--for", "duration", type=DurationText(), default="365d", show_default=True, help="How long it holds.")
@click.option(
    "--grid-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Let NODE lease for the account of the grid's named roots; takes the grid's key.",
)
@node_option
def delegate(node: str, duration: float, grid_key: Path | None, node_directory: Path | None) -> None:
    """Let the caretaker of a friend's NODE (an id, see tahoe status) keep leases for your account; print what shows it.

    It gives no power over what you store, and is of use to that node only; it adds leases that count as yours, and can
    cancel those that it made. The friend gives it to tahoe care add --delegation.
    """
    from tahoe.cli.delegating import signed_delegation  # noqa: PLC0415  # start-up time

    click.echo(signed_delegation(node_directory or default_node_directory(), node, duration, grid_key))


@care.command("now")
@json_option
@with_gateway
@click.pass_context
def now(ctx: click.Context, gateway: Gateway, *, as_json: bool) -> None:
    """Look at everything now rather than when it is due, mend what can be mended, and tell."""
    facts: dict[str, Any] = run_job(
        gateway, "/care?t=start-round", "objects", lambda progress: progress.get("objects", 0)
    )
    click.echo(json.dumps(facts) if as_json else "\n".join(describe(facts)))
    ctx.exit(STATUS[facts["state"]])


@click.group()
def server() -> None:
    """What the node's caretaker should know of other people's servers."""


@server.command("gone")
@click.argument("node")
@click.option("--back", is_flag=True, help="It is not gone after all.")
@with_gateway
def gone(gateway: Gateway, node: str, *, back: bool) -> None:
    """Say that the server NODE (its id, the beginning of it, or its nickname) is gone for good: repair around it at once."""
    query = {"t": "server-gone", "node": _find(gateway, node)} | ({"back": "true"} if back else {})
    gateway.text("POST", f"/care?{urlencode(query)}", b"")
    if not back:
        run_job(gateway, "/care?t=start-round", "objects", lambda progress: progress.get("objects", 0))


def _find(gateway: Gateway, name: str) -> str:
    """The id of the one server that a name names."""
    servers = gateway.json("/status")["servers"]
    found = [each["node"] for each in servers if name == each["nickname"] or each["node"].startswith(name)]
    if len(found) != 1:
        what = "no server is" if not found else f"{len(found)} servers are"
        raise click.ClickException(f"{what} called {name}; tahoe status lists them")
    return str(found[0])
