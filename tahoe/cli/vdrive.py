"""``tahoe vdrive``: the grid's named roots, which its owner publishes and everybody sees."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from tahoe.cli.gateway import Gateway, with_gateway
from tahoe.cli.locations import Locations
from tahoe.cli.names import shown
from tahoe.cli.nodes import ask_text
from tahoe.cli.values import CapabilityText, json_option
from tahoe.errors import BadConfiguration

if TYPE_CHECKING:
    from tahoe.codec.capability import Directory
    from tahoe.session.identity import GridKey

OWN_ROOT = "private"
"""Of each node for itself; nobody publishes it."""

_grid_key_option = click.option(
    "--grid-key",
    metavar="FILE",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The grid's key, which only its owner has.",
)


@click.group()
def vdrive() -> None:
    """The grid's named roots: directories that its owner publishes, found by everybody under NAME:path.

    `global` is the one that all share. No vdrive node is needed to go on once a node has heard of a root.
    """


@vdrive.command()
@click.argument("name")
@click.argument("cap", type=CapabilityText(), required=False)
@click.option("--read-only", is_flag=True, help="Let everybody read, but only you change what is in it.")
@_grid_key_option
@with_gateway
def publish(gateway: Gateway, name: str, cap: str | None, grid_key: Path, *, read_only: bool) -> None:
    """Make the directory CAP (a path will do, too), or a new one, the root NAME, for every holder of the grid card.

    Whatever the capability allows, everybody may do: with one that writes they may change what is in the directory.
    """
    key = load_grid_key(grid_key)
    if cap is not None:
        cap = ask_text(gateway, "GET", Locations(gateway.directory).find(cap), t="uri")
    root = publish_root(gateway, key, name, None if cap is None else _directory(cap), read_only=read_only)
    click.echo(f"Published {shown(name)}: everybody in the grid finds it as {shown(name)}:")
    if read_only and cap is None:
        click.echo(f"You alone can change it, with this capability (keep it, or: tahoe add-alias NAME CAP):\n{root}")


@vdrive.command()
@click.argument("name")
@_grid_key_option
@with_gateway
def retract(gateway: Gateway, name: str, grid_key: Path) -> None:
    """Take the root NAME back. Who has the directory's capability keeps it, and with it the directory."""
    if name not in _roots(gateway):
        raise click.ClickException(f"there is no root named {shown(name)}; see tahoe vdrive list")
    _spread(gateway, load_grid_key(grid_key), name, None)
    click.echo(f"Retracted {shown(name)}.")


@vdrive.command(name="list")
@json_option
@with_gateway
def list_roots(gateway: Gateway, *, as_json: bool) -> None:
    """List the roots that are known here, after asking the vdrives that can be reached."""
    roots = _roots(gateway)
    if as_json:
        click.echo(json.dumps({"roots": roots}))
        return
    for name, facts in sorted(roots.items()):
        click.echo(f"{shown(name)}:  {_rights(name, facts)}")


def publish_root(
    gateway: Gateway, key: GridKey, name: str, root: Directory | None = None, *, read_only: bool = False
) -> Directory:
    """Publish a directory under a name; without one, a new directory.

    Returns:
        The directory, with all the power that its publisher has over it.

    Raises:
        ClickException: the gateway could not spread it.
        UsageError: nobody could find a root of this name.
    """
    if name == OWN_ROOT or not name or set(name) & set(":/\0"):
        raise click.UsageError(
            f"{shown(name)} can't be a root's name: it needs letters without : and /, and not 'private'"
        )
    root = root or _directory(gateway.text("POST", "/uri?t=mkdir"))
    _spread(gateway, key, name, _reading(root) if read_only else root)
    return root


def load_grid_key(path: Path) -> GridKey:
    """Return the grid's key.

    Raises:
        BadConfiguration: the file is none, or open to others.
    """
    from tahoe.net.keys import load_secret  # noqa: PLC0415  # start-up time
    from tahoe.session.identity import GridKey  # noqa: PLC0415  # start-up time

    return GridKey.from_seed(load_secret(path))


def _spread(gateway: Gateway, key: GridKey, name: str, root: Directory | None) -> None:
    """Sign what holds from now on and hand it to the gateway.

    The sequence number is the time in microseconds: it beats whatever was signed before, wherever that was.
    """
    from tahoe.actors.roots import publish_root as signed_root  # noqa: PLC0415  # start-up time

    signed = signed_root(key, name, time.time_ns() // 1000, root)
    gateway.text("PUT", f"/vdrive/{quote(name, safe='')}?t=statement", signed)


def _roots(gateway: Gateway) -> dict[str, Mapping[str, Any]]:
    return dict(gateway.json("/vdrive?t=json&refresh=true")["roots"])


def _rights(name: str, facts: Mapping[str, Any]) -> str:
    if name == OWN_ROOT:
        return "this node's own, seen by nobody else"
    return "everybody reads and writes" if facts["writable"] else "everybody reads"


def _directory(text: str) -> Directory:
    """Return the capability of a directory that can be a root."""
    from tahoe.codec.capability import Directory, parse  # noqa: PLC0415  # start-up time

    cap = parse(text)
    cap.check_served()
    if not isinstance(cap, Directory):
        raise BadConfiguration("a root is a directory, and this is no capability of one; make one: tahoe mkdir")
    return cap


def _reading(root: Directory) -> Directory:
    from tahoe.codec.capability import Directory  # noqa: PLC0415  # start-up time

    weak = root.read_only()
    assert isinstance(weak, Directory), "what reads a directory is a directory's capability"
    return weak
