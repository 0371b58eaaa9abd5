"""``ls``: what is in a directory."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import click

from tahoe.cli.gateway import Gateway, with_gateway
from tahoe.cli.locations import Locations
from tahoe.cli.names import shown
from tahoe.cli.nodes import Node, look
from tahoe.cli.values import CapabilityText, human_size, json_option

HALF_A_YEAR: Final = 182 * 86400.0


class Style(NamedTuple):
    """How a list looks."""

    long: bool
    classify: bool
    human: bool
    caps: bool
    read_caps: bool


@click.command(context_settings={"help_option_names": ["--help"]})
@click.argument("path", type=CapabilityText(), default=":")
@click.option("-l", "long", is_flag=True, help="One a line with kind and rights, size, and time of the last change.")
@click.option("-F", "classify", is_flag=True, help="A slash behind directories.")
@click.option("-h", "human", is_flag=True, help="Sizes such as 1.5 MB.")
@click.option("--uri", "caps", is_flag=True, help="With capabilities, each with all the power there is. Secrets!")
@click.option("--readonly-uri", "read_caps", is_flag=True, help="With capabilities that only read.")
@click.option("--itself", is_flag=True, help="The directory PATH itself, not what is in it.")
@json_option
@with_gateway
def ls(gateway: Gateway, path: str, *, as_json: bool, itself: bool, **style: bool) -> None:
    """List the directory PATH, or show the file PATH. Sorted by name.

    Names with control characters and the like are shown in quotes, with escapes.
    """
    location = Locations(gateway.directory).find(path)
    node = look(gateway, location)
    if as_json:
        click.echo(json.dumps([node.kind, node.facts]))
        return
    is_list = node.is_directory and not itself
    nodes = sorted(node.children.items()) if is_list else [(location.name or str(location), node)]
    for line in table(nodes, Style(**style)):
        click.echo(line)


def table(nodes: Iterable[tuple[str, Node]], style: Style) -> Iterator[str]:
    """Yield a line for each node; columns are as wide as they have to be."""
    rows = [_row(name, node, style) for name, node in nodes]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.rjust(width) if number == 1 and style.long else cell.ljust(width) for number, (cell, width) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
        yield " ".join(cells).rstrip()


def _row(name: str, node: Node, style: Style) -> list[str]:
    row = [_rights(node), _size(node, style), _time(node.changed)] if style.long else []
    if style.caps:
        row.append(node.cap)
    if style.read_caps:
        row.append(node.read_cap or "-")
    return [*row, shown(name) + ("/" if style.classify and node.is_directory else "")]


def _rights(node: Node) -> str:
    """Return kind and rights: ``d`` or ``-`` (``?`` for what is not known here), ``r``, ``w``."""
    kind = {"dirnode": "d", "filenode": "-"}.get(node.kind, "?")
    return kind + ("r" if node.read_cap else "-") + ("w" if node.write_cap else "-")


def _size(node: Node, style: Style) -> str:
    if node.size is None:
        return "-" if node.is_directory else "?"
    return human_size(node.size) if style.human else str(node.size)


def _time(seconds: float | None) -> str:
    """Return a time as ``ls`` does: with the hour if it was lately, else with the year."""
    if seconds is None:
        return "-"
    try:
        when = time.localtime(seconds)
    except (OverflowError, ValueError, OSError):
        return "?"
    lately = abs(time.time() - seconds) < HALF_A_YEAR
    return time.strftime("%b %d %H:%M" if lately else "%b %d  %Y", when)
