"""What a copy goes from and to, whether it is in the grid or on this machine: folders, and files in them.

::

    SourceFolder.read() ------> files,  folders
                                  |        |
     TargetFolder.write(name, file)    TargetFolder.folder(name)

What waits (``read``, ``open``, ``write``, what ``flush`` returns) is called in worker threads, all else in one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

from tahoe.cli.nodes import Node

TIME_TOLERANCE: Final = 2e-6
"""Seconds by which one time may differ from itself after it went through a file system and JSON."""


class Unfit(NamedTuple):
    """Something that is not copied: a symbolic link, a socket, a capability of an unknown kind.

    Args:
        name: in its folder.
        what: it is.
    """

    name: str
    what: str


class SourceFile(Protocol):
    """A file that is to be copied.

    Attributes:
        name: in its folder.
        size: in bytes; None if that is not known.
        changed: when its contents last changed, in seconds since the epoch.
        node: what the gateway says of it; None if it is no file in the grid.
    """

    name: str
    size: int | None
    changed: float | None
    node: Node | None

    def open(self) -> AbstractContextManager[tuple[Iterator[bytes], int | None]]:
        """Give its contents in blocks, and how many bytes they are, if that is known.

        Raises:
            ClickException, OSError: they can't be read, or not to their end.
        """


class SourceFolder(Protocol):
    """A directory that is to be copied.

    Attributes:
        name: in its own folder.
        identity: what tells it from all others.
        above: identities of the folders that it was found through.
    """

    name: str
    identity: Hashable
    above: tuple[Hashable, ...]

    def read(self) -> Contents:
        """Return what is in it."""


class Contents(NamedTuple):
    """What is in a folder."""

    files: list[SourceFile]
    folders: list[SourceFolder]
    unfit: list[Unfit]


class TargetFolder(Protocol):
    """A directory that things are copied into."""

    label: str

    @property
    def identity(self) -> Hashable:
        """What tells it from all others; after ``open``."""

    def open(self) -> None:
        """Make it, if it is not there, and see what is in it.

        Raises:
            ClickException, OSError: that can't be done.
        """

    def folder(self, name: str) -> TargetFolder:
        """Return the folder of this name in it.

        Raises:
            ClickException: there can be none of this name.
        """

    def is_unchanged(self, name: str, file: SourceFile) -> bool:
        """Whether there is a file of this name, size and time already; of slots, which know no time, one of these contents."""

    def write(self, name: str, file: SourceFile) -> None:
        """Make a file of this name; everybody sees it after ``flush``.

        Raises:
            ClickException, OSError: that can't be done.
        """

    def flush(self, *, last: bool) -> Callable[[], None] | None:
        """Return the work that shows what has been written, if there is such and it is time for it.

        Args:
            last: nothing more is to come.
        """


def is_same_file(file: SourceFile, size: int | None, changed: float | None) -> bool:
    """Whether size and time are known and equal."""
    if file.size is None or file.changed is None or changed is None:
        return False
    return file.size == size and abs(file.changed - changed) <= TIME_TOLERANCE


def has_same_contents(file: SourceFile, other: SourceFile) -> bool:
    """Whether two files are equal byte by byte. Both are read, unless their sizes are known and differ.

    Raises:
        ClickException, OSError: one can't be read.
    """
    if file.size is not None and other.size is not None and file.size != other.size:
        return False
    return _digest(file) == _digest(other)


def _digest(file: SourceFile) -> bytes:
    hasher = sha256()
    with file.open() as (contents, _):
        for block in contents:
            hasher.update(block)
    return hasher.digest()
