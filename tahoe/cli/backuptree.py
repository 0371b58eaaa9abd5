"""What lies in a directory that is to be backed up: regular files and directories; all else is named, and left out."""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

VERSION_CONTROL: Final = (
    "CVS",
    "RCS",
    "SCCS",
    ".git",
    ".gitignore",
    ".gitmodules",
    ".gitattributes",
    ".cvsignore",
    ".svn",
    ".arch-ids",
    "{arch}",
    "=RELEASE-ID",
    "=meta-update",
    "=update",
    ".bzr",
    ".bzrignore",
    ".bzrtags",
    ".hg",
    ".hgignore",
    ".hgtags",
    "_darcs",
)
"""What version control keeps among other people's files: the list of GNU tar's ``--exclude-vcs``."""

_ODD: Final = (
    (stat.S_ISLNK, "symbolic link"),
    (stat.S_ISFIFO, "named pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)


class Found(NamedTuple):
    """One name in a directory.

    Args:
        path: where it lies.
        status: of it, or, of a symbolic link, of the link.
    """

    path: str
    status: os.stat_result

    @property
    def name(self) -> str:
        """The last part of its path."""
        return os.path.basename(self.path)  # noqa: PTH119  # these paths are text with undecodable bytes in it

    @property
    def is_directory(self) -> bool:
        """Whether it has names in it."""
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def oddity(self) -> str | None:
        """What it is if it is neither a file nor a directory."""
        if stat.S_ISREG(self.status.st_mode) or self.is_directory:
            return None
        return next((name for is_kind, name in _ODD if is_kind(self.status.st_mode)), "thing of an unknown kind")

    @property
    def metadata(self) -> dict[str, Any]:
        """What the link to it keeps: when it was changed (in seconds, and exactly), and who may do what."""
        modified = self.status.st_mtime_ns
        return {"mtime": modified / 1e9, "mtime_ns": modified, "mode": stat.S_IMODE(self.status.st_mode)}


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What is left out.

    Args:
        root: of the backup.
        patterns: globs. With a slash they are matched against the path below the root, without one against any name.
        own: device and inode of the local node's directory, which is left out wherever it is.
    """

    root: str
    patterns: tuple[str, ...] = ()
    own: tuple[int, int] | None = None

    def covers(self, found: Found) -> bool:
        """Whether it is to be left out by a pattern."""
        below = os.path.relpath(found.path, self.root)
        return any(
            fnmatch.fnmatchcase(below if "/" in pattern.rstrip("/") else found.name, pattern.strip("/"))
            for pattern in self.patterns
        )

    def is_own(self, found: Found) -> bool:
        """Whether it is the local node's directory."""
        return (found.status.st_dev, found.status.st_ino) == self.own


def place_of(path: Path) -> tuple[int, int] | None:
    """Device and inode of what is at a path; None if there is nothing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def look(path: str) -> Found:
    """What a path leads to, a symbolic link followed.

    Raises:
        OSError: nowhere.
    """
    return Found(path, os.stat(path))  # noqa: PTH116  # as above


def contents(path: str) -> Iterator[Found]:
    """What is in a directory, by name.

    Raises:
        OSError: it can't be read.
    """
    with os.scandir(path) as entries:
        names = sorted(entries, key=lambda entry: entry.name)
    return _examined(names)


def _examined(entries: Iterable[os.DirEntry[str]]) -> Iterator[Found]:
    for entry in entries:
        try:
            yield Found(entry.path, entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            continue  # gone between two looks
