"""``put`` and ``get``: one file in or out, through the local node's gateway."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO
from urllib.parse import urlencode

import click

from tahoe.cli.gateway import Body, Gateway, GatewayError, with_gateway
from tahoe.cli.gridtree import received
from tahoe.cli.localtree import blocks, draft_of
from tahoe.cli.locations import Location, Locations, names_a_file
from tahoe.cli.names import grid_name, local_name
from tahoe.cli.nodes import ask, is_taken, look
from tahoe.cli.progress import counted, progress
from tahoe.cli.values import CapabilityText


@click.command()
@click.argument("file", default="-", type=click.File("rb"))
@click.argument("path", required=False, type=CapabilityText())
@click.option("--mutable", is_flag=True, help="As a slot, whose contents can be replaced under the same capability.")
@click.option(
    "--convergence",
    type=click.Choice(["node", "none"]),
    default="node",
    help="none: a random key, so that equal files get different capabilities.",
)
@with_gateway
def put(gateway: Gateway, file: BinaryIO, path: str | None, convergence: str, *, mutable: bool) -> None:
    """Store FILE (or standard input) and print its capability.

    Whoever has the capability can read the file, and nobody else can. Without PATH nothing in the grid leads to it: keep
    the capability. PATH is where to link it, such as global:letters/to-eve; parents are made, a slash at its end means
    "under its own name". A slot at PATH, or one whose write capability PATH is, keeps its capability and gets new contents.
    """
    options = {"format": "SLOT"} if mutable else {}
    if convergence != "node":
        options["convergence"] = convergence
    location = None if path is None else place_for(Locations(gateway.directory).find(path), _name_of(file))
    size = size_of(file)
    with progress("put", size) as advance:
        click.echo(store(gateway, location, counted(blocks(file, size), advance), size, **options))


def store(gateway: Gateway, location: Location | None, body: Body, size: int | None, **options: str) -> str:
    """Store contents at a location, or unlinked; returns the capability.

    Raises:
        GatewayError: they could not be stored, or there is a directory.
    """
    headers = {} if size is None else {"Content-Length": str(size)}
    if location is None:
        return gateway.text("PUT", f"/uri?{urlencode(options)}" if options else "/uri", body, headers)
    try:
        return gateway.text("PUT", location.request(replace="only-files", **options), body, headers)
    except GatewayError as error:
        hint = "; a slash at the end of the path puts the file into it" if is_taken(error) else ""
        raise GatewayError(f"{location}: {error.message}{hint}", error.status, error.kind) from error


@click.command()
@click.argument("path", type=CapabilityText())
@click.argument("file", default="-", type=click.Path(path_type=Path, allow_dash=True))
@with_gateway
def get(gateway: Gateway, path: str, file: Path) -> None:
    """Fetch the file at PATH (or that a capability names) into FILE, or to standard output.

    PATH may be - (a line of standard input) or @FILE (the first line of a file), so that lists of processes don't show a
    capability. FILE appears when all of it has come and was found right.
    """
    location = Locations(gateway.directory).find(path)
    name = location.name
    if location.names or not names_a_file(location.start):
        node = look(gateway, location)
        if node.is_directory:
            raise click.ClickException(f"{location} is a directory; tahoe ls lists it, tahoe cp -r fetches all of it")
        location = Location(str(node.read_cap), (), str(location))
    if file.is_dir():
        file /= local_name(name)
    response = ask(gateway, "GET", location)
    with output_file(file) as output, progress("get", response.length) as advance:
        output.writelines(counted(received(response), advance))
        output.flush()


def place_for(location: Location, name: str) -> Location:
    """Return where a file goes: below a start, or what ends in a slash, it needs a name.

    Raises:
        UsageError: it has none.
    """
    if location.names and not location.slash:
        return location
    if not location.names and names_a_file(location.start):
        return location
    if not name:
        raise click.UsageError(f"say under which name: {location}{'/' * location.slash}NAME")
    return location.child(grid_name(name))


def _name_of(file: BinaryIO) -> str:
    name = getattr(file, "name", "")
    return Path(name).name if isinstance(name, str) and name != "<stdin>" else ""


def size_of(file: IO[bytes]) -> int | None:
    """Return how much of a regular file is still to be read; None for a pipe."""
    try:
        status = os.fstat(file.fileno())
        return max(0, status.st_size - file.tell()) if stat.S_ISREG(status.st_mode) else None
    except (OSError, AttributeError):
        return None


@contextmanager
def output_file(path: Path) -> Iterator[IO[bytes]]:
    """Open where a file goes. A regular file is replaced when all is well, and stays as it was otherwise."""
    if str(path) == "-":
        yield sys.stdout.buffer
    elif path.exists() and not path.is_file():
        with path.open("wb") as special:
            yield special
    else:
        with draft_of(path) as draft:
            yield draft
