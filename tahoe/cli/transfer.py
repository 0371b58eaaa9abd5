"""``put`` and ``get``: files in and out, through the local node's gateway."""

from __future__ import annotations

import http.client
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

import click

from tahoe.cli.gateway import BLOCK, Gateway, gateway_options
from tahoe.cli.progress import progress
from tahoe.cli.values import CapabilityText


@click.command()
@click.argument("file", default="-", type=click.File("rb"))
@click.option(
    "--convergence",
    type=click.Choice(["node", "none"]),
    default="node",
    help="none: a random key, so that equal files get different capabilities.",
)
@gateway_options
def put(
    file: BinaryIO, convergence: str, node_directory: Path | None, node_url: str | None, token_file: Path | None
) -> None:
    """Store FILE (or standard input) and print its capability.

    Whoever has the capability can read the file, and nobody else can: keep it.
    """
    gateway = Gateway(node_directory, node_url, token_file)
    size = _size_of(file)
    headers = {} if size is None else {"Content-Length": str(size)}
    query = "" if convergence == "node" else f"?convergence={convergence}"
    with progress("put", size) as advance:
        response = gateway.request("PUT", f"/uri{query}", _blocks(file, size, advance), headers)
    click.echo(response.read().decode().strip())


@click.command()
@click.argument("cap", type=CapabilityText())
@click.argument("file", default="-", type=click.Path(path_type=Path, allow_dash=True))
@gateway_options
def get(cap: str, file: Path, node_directory: Path | None, node_url: str | None, token_file: Path | None) -> None:
    """Fetch the file that CAP names into FILE (or to standard output).

    CAP may be - (a line of standard input) or @FILE (the first line of a file), so that lists of processes don't
    show it. FILE appears when all of it has come and was found right.
    """
    if not cap.isascii() or "/" in cap or any(character.isspace() for character in cap):
        raise click.ClickException("this is no capability: those begin with URI: and have no blanks")
    response = Gateway(node_directory, node_url, token_file).request("GET", f"/uri/{cap}")
    with output_file(file) as output:
        _receive(response, output)


def _size_of(file: BinaryIO) -> int | None:
    """Return how much of a regular file is still to be read; None for a pipe."""
    try:
        status = os.fstat(file.fileno())
        return max(0, status.st_size - file.tell()) if stat.S_ISREG(status.st_mode) else None
    except (OSError, AttributeError):
        return None


def _blocks(file: BinaryIO, size: int | None, advance: Callable[[int], None]) -> Iterator[bytes]:
    """Read a file in blocks; one that grows meanwhile is stored as long as it was announced."""
    left = size
    while block := file.read(BLOCK if left is None else min(BLOCK, left)):
        if left is not None:
            left -= len(block)
        yield block
        advance(len(block))
    if left:
        raise click.ClickException(f"the file became {left} bytes shorter while it was read; nothing was stored")


def _receive(response: http.client.HTTPResponse, output: IO[bytes]) -> None:
    """Copy the answer's body.

    Raises:
        ClickException: it ends too early.
    """
    size = response.length or 0
    buffer = memoryview(bytearray(BLOCK))
    received = 0
    with progress("get", size) as advance:
        while count := _read_into(buffer, response):
            output.write(buffer[:count])
            received += count
            advance(count)
    output.flush()
    if received < size:
        raise click.ClickException(
            f"the file broke off after {received} of {size} bytes; the node's logs/node.log says why"
        )


def _read_into(buffer: memoryview, response: http.client.HTTPResponse) -> int:
    """Read some bytes; none at the end, whether it was reached or the connection broke."""
    try:
        return response.readinto(buffer)
    except (OSError, http.client.HTTPException):
        return 0


@contextmanager
def output_file(path: Path) -> Iterator[IO[bytes]]:
    """Open where a file goes. A regular file is replaced when all is well, and stays as it was otherwise."""
    if str(path) == "-":
        yield sys.stdout.buffer
        return
    if path.exists() and not path.is_file():
        with path.open("wb") as special:
            yield special
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("wb") as file:
            yield file
        draft.replace(path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()
