"""Where a copy comes from and goes to, as its user has written it: in the grid, on this machine, or ``-``.

As with ``scp``, what has a colon in front of its first slash is in the grid, and everything else here; ``./a:b`` is a file.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import click

from tahoe.cli.gateway import Gateway
from tahoe.cli.gridtree import GridFile, GridFolder, GridTarget
from tahoe.cli.localtree import LocalFile, LocalFolder, LocalTarget, blocks
from tahoe.cli.locations import Location, Locations, is_in_grid, names_a_file
from tahoe.cli.names import shown
from tahoe.cli.nodes import Node, look, look_if_there
from tahoe.cli.transfer import store
from tahoe.cli.trees import SourceFile, TargetFolder

STREAM: Final = "-"


class Destination(Protocol):
    """Where a copy goes.

    Attributes:
        label: how people call it.
        is_directory: there is a directory now.
        is_there: there is something now.
        slash: the user says that it is a directory.
    """

    label: str
    is_directory: bool
    is_there: bool
    slash: bool

    def folder(self) -> TargetFolder:
        """It, as a directory that things are copied into."""

    def parent(self) -> tuple[TargetFolder, str]:
        """The directory that it is in, and its name there.

        Raises:
            ClickException: there is none.
        """

    def stream(self) -> Callable[[SourceFile], None] | None:
        """What writes a file straight into it, if it is no child of a directory, or one that stays what it is."""


class LocalDestination:
    """A place on this machine.

    Args:
        text: its path.
        durable: what is copied there has to be on the disk at the end.
    """

    def __init__(self, text: str, *, durable: bool = False) -> None:
        self._path = Path(text)
        self._durable = durable
        self.label = shown(text)
        self.slash = text.endswith(("/", os.sep))
        self.is_directory = self._path.is_dir()
        self.is_there = os.path.lexists(self._path)

    def folder(self) -> LocalTarget:
        """See ``Destination``."""
        return LocalTarget(self._path, durable=self._durable, given=True)

    def parent(self) -> tuple[LocalTarget, str]:
        """See ``Destination``."""
        if not self._path.parent.is_dir():
            raise click.ClickException(f"{shown(str(self._path.parent))}: there is no such directory")
        return LocalTarget(self._path.parent, durable=self._durable, given=True), self._path.name

    def stream(self) -> Callable[[SourceFile], None] | None:
        """See ``Destination``."""
        is_special = self._path.exists() and not (self._path.is_file() or self._path.is_dir())
        return self._write if is_special else None

    def _write(self, file: SourceFile) -> None:
        with file.open() as (contents, _), self._path.open("wb") as special:
            special.writelines(contents)


class GridDestination:
    """A place in the grid.

    Args:
        gateway: of the local node.
        location: of it.
    """

    def __init__(self, gateway: Gateway, location: Location) -> None:
        self._gateway = gateway
        self.location = location
        self.label = str(location)
        self.slash = location.slash
        self.is_slot = not location.names and names_a_file(location.start)
        there = None if self.is_slot else look_if_there(gateway, location)
        self.is_directory = there is not None and there.is_directory
        self.is_there = self.is_slot or there is not None

    def folder(self) -> GridTarget:
        """See ``Destination``."""
        return GridTarget(self._gateway, self.location)

    def parent(self) -> tuple[GridTarget, str]:
        """See ``Destination``."""
        return GridTarget(self._gateway, self.location.parent), self.location.name

    def stream(self) -> Callable[[SourceFile], None] | None:
        """See ``Destination``."""
        return self._write if self.is_slot else None

    def _write(self, file: SourceFile) -> None:
        with file.open() as (contents, size):
            store(self._gateway, self.location, contents, size)


class StandardOutput:
    """Standard output, which takes one file."""

    label = "standard output"
    is_directory = False
    is_there = True
    slash = False

    def folder(self) -> TargetFolder:
        """See ``Destination``."""
        raise click.UsageError("a directory can't go to standard output")

    def parent(self) -> tuple[TargetFolder, str]:
        """See ``Destination``."""
        raise AssertionError("it is written straight to")

    def stream(self) -> Callable[[SourceFile], None]:
        """See ``Destination``."""
        return self._write

    def _write(self, file: SourceFile) -> None:
        with file.open() as (contents, _):
            sys.stdout.buffer.writelines(contents)
        sys.stdout.buffer.flush()


class StandardInput:
    """Standard input, as a file without a name."""

    name = ""
    size: int | None = None
    changed: float | None = None
    node: Node | None = None

    @contextmanager
    def open(self) -> Iterator[tuple[Iterator[bytes], int | None]]:
        """See ``SourceFile``."""
        yield blocks(sys.stdin.buffer, None), None


Folder: TypeAlias = LocalFolder | GridFolder
Thing: TypeAlias = Folder | LocalFile | GridFile | StandardInput


def source_of(gateway: Gateway, locations: Locations, text: str) -> Thing:
    """Return what a word names that is to be copied. A directory named by dots has no name: its contents are meant.

    Raises:
        ClickException: there is no such thing.
    """
    if text == STREAM:
        return StandardInput()
    nameless = os.path.basename(text.rstrip("/")) in {".", ".."}  # noqa: PTH119  # pathlib drops a dot
    if is_in_grid(text):
        location = locations.find(text.removesuffix("/.") + "/" if text.endswith("/.") else text)
        node = look(gateway, location)
        if node.read_cap is None:
            raise click.ClickException(f"{location}: its capability does not read")
        if node.is_directory:
            return GridFolder(gateway, "" if nameless else location.name, node)
        return GridFile(gateway, location.name, node)
    path = Path(text)
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        folder = LocalFolder(path)
        folder.name = "" if nameless else folder.name
        return folder
    return LocalFile(path, status)


def destination_of(gateway: Gateway, locations: Locations, text: str, *, durable: bool = False) -> Destination:
    """Return the place that a word names."""
    if text == STREAM:
        return StandardOutput()
    if is_in_grid(text):
        return GridDestination(gateway, locations.find(text))
    return LocalDestination(text, durable=durable)
