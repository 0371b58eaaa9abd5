"""``manifest`` and ``stats``: whole trees, each object once, as a stream that nobody has to hold in memory."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import click

from tahoe.cli.gateway import Gateway, with_gateway
from tahoe.cli.locations import Locations
from tahoe.cli.names import shown_path
from tahoe.cli.nodes import ask
from tahoe.cli.progress import counting
from tahoe.cli.values import CapabilityText, human_size, json_option

STATISTICS: Final = "stats"


@click.command()
@click.argument("path", type=CapabilityText(), default=":")
@click.option("--verify-cap", is_flag=True, help="Print only verify capabilities: what a caretaker needs.")
@click.option("--storage-index", is_flag=True, help="Print only storage indexes.")
@json_option
@with_gateway
def manifest(gateway: Gateway, path: str, *, verify_cap: bool, storage_index: bool, as_json: bool) -> None:
    """Print everything below PATH, each object once: its capability (a secret!) and its path.

    With --json a line is an object for everything, and the last one holds statistics.
    """
    wanted = "verifycap" if verify_cap else "storage-index" if storage_index else None
    for unit in walk(gateway, path, watched=not sys.stdout.isatty()):
        if as_json:
            click.echo(json.dumps(unit))
        elif unit["type"] == STATISTICS:
            continue
        elif wanted is None:
            click.echo(f"{unit['cap']} {shown_path(unit['path'])}".rstrip())
        elif unit.get(wanted):
            click.echo(unit[wanted])


@click.command()
@click.argument("path", type=CapabilityText(), default=":")
@json_option
@with_gateway
def stats(gateway: Gateway, path: str, *, as_json: bool) -> None:
    """Count what is below PATH, each object once: files, directories, bytes."""
    found: Mapping[str, Any] = {}
    for unit in walk(gateway, path):
        found = unit.get(STATISTICS, found)
    if as_json:
        click.echo(json.dumps(found))
        return
    for name, value in found.items():
        if isinstance(value, (int, float)):
            size = f" ({human_size(value)})" if name.startswith("size-") and value >= 1000 else ""
            click.echo(f"{name}: {value}{size}")
    for smallest, largest, count in found.get("size-files-histogram", ()):
        click.echo(f"  files of {smallest} to {largest} bytes: {count}")


def walk(gateway: Gateway, path: str, *, watched: bool = True) -> Iterator[dict[str, Any]]:
    """Yield everything below a path, statistics last.

    Args:
        gateway: of the local node.
        path: where to begin.
        watched: count for whoever waits; what prints all that comes needs no counter.

    Raises:
        ClickException: the walk broke off or, at the end, there were directories that could not be read.
    """
    location = Locations(gateway.directory).find(path)
    unreadable: list[str] = []
    complete = False
    with (
        ask(gateway, "GET", location, t="stream-manifest") as response,
        counting("objects", watched=watched) as advance,
    ):
        for unit in map(json.loads, _lines(response)):
            complete = unit["type"] == STATISTICS
            if "error" in unit:
                unreadable.append(f"{location.child(*unit['path'])}: {unit['error']}")
            advance(1)
            yield unit
    if not complete:
        raise click.ClickException(f"{location}: the walk broke off; the node's logs/node.log says why")
    if unreadable:
        raise click.ClickException("what is below these could not be seen:\n" + "\n".join(unreadable))


def _lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield whole lines, as long as there are such."""
    with suppress(OSError, http.client.HTTPException):
        for line in response:
            if line.endswith(b"\n"):
                yield line
