"""Folders and files of this machine, as sources and targets of a copy.

What comes from the grid may have been named by an enemy. So nothing is written but direct children, by names that are
names, of directories that this copy has made or that were directories (not symbolic links to such) when it came there.
"""

from __future__ import annotations

import itertools
import os
import re
import stat
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

import click

from tahoe.cli.gateway import BLOCK
from tahoe.cli.names import local_name, same_file_key, shown
from tahoe.cli.nodes import Node
from tahoe.cli.trees import Contents, SourceFile, Unfit, has_same_contents, is_same_file

_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

_DRAFT: Final = re.compile(r"\.tahoe-([0-9]+)-[0-9]+\.part")
_draft_numbers = itertools.count()


class LocalFile:
    """A regular file.

    Args:
        path: of the file.
        status: of it.
    """

    node: Node | None = None

    def __init__(self, path: Path, status: os.stat_result) -> None:
        self.path = path
        self.name = path.name
        self.size: int | None = status.st_size
        self.changed: float | None = status.st_mtime

    @contextmanager
    def open(self) -> Iterator[tuple[Iterator[bytes], int | None]]:
        """See ``SourceFile``. As many bytes come as the file had when it was opened."""
        with self.path.open("rb") as file:
            status = os.fstat(file.fileno())
            size = status.st_size if stat.S_ISREG(status.st_mode) else None
            yield blocks(file, size), size


class LocalFolder:
    """A directory.

    Args:
        path: of it.
        above: identities of the folders that it was found through.
    """

    def __init__(self, path: Path, above: tuple[Hashable, ...] = ()) -> None:
        status = path.stat()
        self.path = path
        self.name = path.name
        self.identity: Hashable = (status.st_dev, status.st_ino)
        self.above = above

    def read(self) -> Contents:
        """See ``SourceFolder``. Symbolic links are not followed."""
        found = Contents([], [], [])
        with os.scandir(self.path) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                self._sort_in(found, entry)
        return found

    def _sort_in(self, found: Contents, entry: os.DirEntry[str]) -> None:
        path = self.path / entry.name
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            found.folders.append(LocalFolder(path, (*self.above, self.identity)))
        elif stat.S_ISREG(status.st_mode):
            found.files.append(LocalFile(path, status))
        else:
            found.unfit.append(Unfit(entry.name, _KINDS.get(stat.S_IFMT(status.st_mode), "nothing that is known")))


class LocalTarget:
    """A directory that things are copied into.

    Args:
        path: of it.
        durable: files are on the disk, not only in the system's memory, when they are written.
        given: the user has named it himself, so it may be a symbolic link to a directory.
    """

    def __init__(self, path: Path, *, durable: bool = False, given: bool = False) -> None:
        self.path = path
        self.label = shown(str(path))
        self._durable = durable
        self._given = given
        self._taken: dict[str, str] = {}

    @property
    def identity(self) -> Hashable:
        """See ``TargetFolder``."""
        status = self.path.stat()
        return (status.st_dev, status.st_ino)

    def open(self) -> None:
        """See ``TargetFolder``."""
        try:
            self.path.mkdir()
        except FileExistsError:
            mode = (self.path.stat() if self._given else self.path.lstat()).st_mode
            if not stat.S_ISDIR(mode):
                raise click.ClickException(
                    f"{self.label}: there is something of this name that is no directory"
                ) from None
            sweep(self.path)

    def folder(self, name: str) -> LocalTarget:
        """See ``TargetFolder``."""
        return LocalTarget(self._path(name), durable=self._durable)

    def is_unchanged(self, name: str, file: SourceFile) -> bool:
        """See ``TargetFolder``."""
        path = self.path / local_name(name)
        try:
            status = path.lstat()
        except OSError:
            return False
        if not stat.S_ISREG(status.st_mode):
            return False
        if file.node is not None and file.node.is_mutable:
            return has_same_contents(LocalFile(path, status), file)
        return is_same_file(file, status.st_size, status.st_mtime)

    def write(self, name: str, file: SourceFile) -> None:
        """See ``TargetFolder``. The file appears whole, with the time that the other one has."""
        path = self._path(name)
        with file.open() as (contents, _), draft_of(path) as draft:
            for block in contents:
                draft.write(block)
            draft.flush()
            if file.changed is not None:
                with suppress(OverflowError, ValueError, OSError):  # a time that somebody else has chosen
                    os.utime(draft.fileno() if os.utime in os.supports_fd else draft.name, (file.changed,) * 2)
            if self._durable:
                os.fsync(draft.fileno())

    def flush(self, *, last: bool) -> None:
        """See ``TargetFolder``. All is there already."""

    def _path(self, name: str) -> Path:
        """Return the path of a child.

        Raises:
            ClickException: there can be none, or another one has the name in this copy.
        """
        other = self._taken.setdefault(same_file_key(name), name)
        if other != name:
            raise click.ClickException(f"{shown(name)} and {shown(other)} are one name here")
        return self.path / local_name(name)


@contextmanager
def draft_of(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of ``path`` when all is well.

    What is there stays as it is otherwise. A directory is never replaced, and neither is a device or a pipe.

    Raises:
        ClickException: there is such a thing.
    """
    with suppress(OSError):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            raise click.ClickException(f"{shown(str(path))}: there is something of this name that is no file")
    draft = path.with_name(f".tahoe-{os.getpid()}-{next(_draft_numbers)}.part")  # whatever its name, not too long
    try:
        with draft.open("xb") as file:
            yield file
        draft.replace(path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def sweep(directory: Path) -> None:
    """Remove drafts of commands that were killed."""
    for path in directory.glob(".tahoe-*-*.part"):
        match = _DRAFT.fullmatch(path.name)
        if match and not _lives(int(match[1])):
            path.unlink(missing_ok=True)


def _lives(process_id: int) -> bool:
    """Whether there is such a process; where that can't be asked, all are left in peace."""
    if os.name != "posix":
        return True
    try:
        os.kill(process_id, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    return True


def blocks(file: IO[bytes], size: int | None) -> Iterator[bytes]:
    """Read a file in blocks; one that grows meanwhile counts as long as it was.

    Raises:
        ClickException: it became shorter.
    """
    left = size
    while block := file.read(BLOCK if left is None else min(BLOCK, left)):
        if left is not None:
            left -= len(block)
        yield block
    if left:
        raise click.ClickException(f"the file became {left} bytes shorter while it was read; nothing was stored")
