"""The directory that a snapshot is brought back into, which nothing in the snapshot gets out of.

A snapshot may be anybody's, so its names are an enemy's: ``..``, slashes, links planted beforehand. Every step goes by
the descriptor of the directory before it and follows no link, so there is no path that could lead elsewhere.

What is there already is not touched unless its owner says so. A file comes under another name and takes its own when
it is whole, with its times; so one that is there with size and time of the snapshot's is one that was brought back
before. A directory under way carries the mode ``01700``, which nobody else gives to one: an interrupted restoration
knows its own by it, and gives it its times and mode in the end.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

UNDER_WAY: Final = stat.S_ISVTX | stat.S_IRWXU
PERMISSIONS: Final = 0o777
"""What is brought back of a mode. Bits that lend the owner's power to others are not."""

_STEP: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_DRAFT: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW

Steps = tuple[str, ...]
"""Names from the target down."""


class RefusedError(Exception):
    """Something is not brought back; the message says why."""


class Target:
    """The directory.

    Args:
        path: of it.
        overwrite: files that are there are replaced, and directories get the snapshot's times and modes.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self._path = path
        self._overwrite = overwrite
        self._umask = _umask()

    def make_root(self) -> bool:
        """Make the target; whether it is to be settled in the end, as one that was there is not."""
        with suppress(FileExistsError):
            self._path.mkdir(parents=True)
            self._path.chmod(UNDER_WAY)
            return True
        return self._overwrite or stat.S_IMODE(self._path.stat().st_mode) == UNDER_WAY

    def make_directory(self, steps: Steps) -> bool:
        """Make a directory, or use the one that is there; whether it is to be settled in the end.

        Raises:
            RefusedError: something else has its name, or nothing may have it.
            OSError: the disk does not allow it.
        """
        with self._parent(steps) as parent:
            try:
                os.mkdir(steps[-1], stat.S_IRWXU, dir_fd=parent)
            except FileExistsError:
                found = os.stat(steps[-1], dir_fd=parent, follow_symlinks=False)
                if not stat.S_ISDIR(found.st_mode):
                    raise RefusedError("something that is no directory has this name already") from None
                return self._overwrite or stat.S_IMODE(found.st_mode) == UNDER_WAY
            with _opened(steps[-1], parent) as made:
                os.fchmod(made, UNDER_WAY)
            return True

    def settle(self, steps: Steps, metadata: Mapping[str, Any]) -> None:
        """Give a directory its times and mode."""
        with self._open(steps) as directory:
            mode = _mode(metadata)
            os.fchmod(directory, PERMISSIONS & ~self._umask if mode is None else mode)
            _set_time(directory, metadata)

    def write(
        self, steps: Steps, size: int | None, metadata: Mapping[str, Any], fill: Callable[[IO[bytes]], None]
    ) -> bool:
        """Bring a file back; False if it was there already, as the snapshot has it.

        Args:
            steps: where.
            size: of it in bytes, if known.
            metadata: of the link to it.
            fill: writes its contents.

        Raises:
            RefusedError: another has its name, or nothing may have it.
            OSError: the disk does not allow it.
        """
        with self._parent(steps) as parent:
            name = steps[-1]
            if self._has(parent, name, size, metadata):
                return False
            draft = _draft_name(name)
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=parent)
            try:
                self._fill(parent, draft, metadata, fill)
                if self._has(parent, name, size, metadata):
                    return False
                os.rename(draft, name, src_dir_fd=parent, dst_dir_fd=parent)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(draft, dir_fd=parent)
        return True

    def _has(self, parent: int, name: str, size: int | None, metadata: Mapping[str, Any]) -> bool:
        """Whether a file is there as the snapshot has it.

        Raises:
            RefusedError: something else is, and is not to be replaced.
        """
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return False
        time = _time(metadata)
        if stat.S_ISREG(found.st_mode) and time is not None and (found.st_size, found.st_mtime_ns) == (size, time):
            return True
        if stat.S_ISDIR(found.st_mode):
            raise RefusedError("a directory has this name already")
        if not self._overwrite:
            raise RefusedError("another file has this name already")
        return False

    def _fill(self, parent: int, draft: str, metadata: Mapping[str, Any], fill: Callable[[IO[bytes]], None]) -> None:
        mode = _mode(metadata)
        handle = os.open(draft, _DRAFT, stat.S_IRUSR | stat.S_IWUSR, dir_fd=parent)
        with open(handle, "wb") as file:  # noqa: PTH123  # of a descriptor
            fill(file)
            file.flush()
            os.fchmod(handle, 0o666 & ~self._umask if mode is None else mode)
            _set_time(handle, metadata)

    @contextmanager
    def _parent(self, steps: Steps) -> Iterator[int]:
        check_local_name(steps[-1])
        with self._open(steps[:-1]) as parent:
            yield parent

    @contextmanager
    def _open(self, steps: Steps) -> Iterator[int]:
        """Go down step by step; the descriptor of the last."""
        here = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for step in steps:
                there = os.open(step, _STEP, dir_fd=here)
                os.close(here)
                here = there
            yield here
        finally:
            os.close(here)


def check_local_name(name: str) -> None:
    """Refuse a name that is none of a file in a directory here.

    Raises:
        RefusedError: says why.
    """
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise RefusedError("no file of this machine can have this name")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise RefusedError("its name is no valid Unicode") from None


@contextmanager
def _opened(name: str, parent: int) -> Iterator[int]:
    handle = os.open(name, _STEP, dir_fd=parent)
    try:
        yield handle
    finally:
        os.close(handle)


def _draft_name(name: str) -> str:
    """What a file is called until it is whole: the same at every attempt, so that none leaves anything behind."""
    return f".{hashlib.sha256(name.encode()).hexdigest()[:16]}.tahoe-restore"


def _mode(metadata: Mapping[str, Any]) -> int | None:
    mode = metadata.get("mode")
    return mode & PERMISSIONS if isinstance(mode, int) else None


def _time(metadata: Mapping[str, Any]) -> int | None:
    """When it was changed, in nanoseconds since the epoch: exactly, or as others' backups say it."""
    exact, seconds = metadata.get("mtime_ns"), metadata.get("mtime")
    if isinstance(exact, int):
        return exact
    return int(seconds * 1e9) if isinstance(seconds, (int, float)) and abs(seconds) < 1e11 else None


def _set_time(handle: int, metadata: Mapping[str, Any]) -> None:
    time = _time(metadata)
    if time is not None:
        with suppress(OverflowError, OSError):  # a time that this file system does not know is none
            os.utime(handle, ns=(time, time))


def _umask() -> int:
    """The process's; it can only be read by setting it, so not when other threads make files."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
