"""The few calls a store needs of a disk, the real ones, and a twin that loses what was not synced.

A program that never syncs passes every test that kills processes: the kernel writes its pages later, as
if nothing had been. Only a power cut tells, and ``VolatileFileSystem`` plays it as unkindly as POSIX
allows. It knows for every file and every directory what is *now* and what is *kept*::

    write, truncate       change the file now; kept once the file is synced
    create, rename,       change a directory now; kept once that directory is synced
    unlink, mkdir, rmdir

``crash(choose)`` goes back to what is kept, plus a choice of what was under way: each write survives
whole, torn at sector borders, as mere growth full of zeros, or not; of each directory's changes a prefix
or any selection. A name may thus survive without its content, the content without its name, and a file
that was renamed between two directories may be found in both or neither.

Paths are relative to a root, with ``/`` between names; ``""`` is the root itself. Errors are ``OSError``.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Final, NamedTuple, Protocol, TypeAlias

SECTOR: Final = 512
"""Bytes that a disk writes whole or not at all, where they are aligned."""


class DiskSpace(NamedTuple):
    """Size of a disk and what is free on it, in bytes."""

    total: int
    free: int


class File(Protocol):
    """An open file."""

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from ``offset`` on; shorter where the file ends."""

    def write(self, offset: int, data: bytes) -> None:
        """Write all of ``data``; a gap before it reads as zeros."""

    def truncate(self, size: int) -> None:
        """Cut the file to a size."""

    def release(self, offset: int, length: int) -> None:
        """Let these bytes go to the disk now, unwaited for, and out of memory if they are there already. Promises nothing."""

    def sync(self) -> None:
        """Return when the content is durable (the name is not: see ``FileSystem.sync_directory``)."""

    def size(self) -> int:
        """Bytes of the file."""

    def close(self) -> None:
        """Give the descriptor back."""


class FileSystem(Protocol):
    """What a store may do to a disk."""

    def open(self, path: str) -> File:
        """Open for reading."""

    def edit(self, path: str) -> File:
        """Open for reading and writing."""

    def create(self, path: str) -> File:
        """Make a new, empty file, readable and writable by us alone; ``FileExistsError`` if the name is taken."""

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, at once and in place of whatever bore it."""

    def unlink(self, path: str) -> None:
        """Remove a file's name."""

    def mkdir(self, path: str) -> None:
        """Make a directory; ``FileExistsError`` if the name is taken."""

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""

    def listdir(self, path: str) -> list[str]:
        """Names in a directory, in no order."""

    def size(self, path: str) -> int:
        """Bytes of a file."""

    def sync_directory(self, path: str) -> None:
        """Return when the names in a directory are durable."""

    def sync(self) -> None:
        """Return when everything written so far, by whomever, is durable."""

    def space(self) -> DiskSpace:
        """Size of the disk and what is free for us."""


# --- the real one -------------------------------------------------------------------------------------

if sys.platform == "darwin":
    from fcntl import F_FULLFSYNC, fcntl

    def _sync(descriptor: int) -> None:
        """What fsync does here stops at the drive's cache."""
        fcntl(descriptor, F_FULLFSYNC)

    _sync_content = _sync
else:
    _sync = os.fsync
    _sync_content = os.fdatasync  # not the time of the last change, which nobody asks for and may cost a second write

if sys.platform == "linux":

    def _release(descriptor: int, offset: int, length: int) -> None:
        """To say that pages won't be needed makes Linux drop them, or write those that are dirty and keep them meanwhile."""
        os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)
else:

    def _release(descriptor: int, offset: int, length: int) -> None:
        """Other systems write when they see fit."""


class RealFile:
    """An open file descriptor."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, offset: int, length: int) -> bytes:
        """See ``File``."""
        data = os.pread(self._descriptor, length, offset)
        if len(data) == length or not data:
            return data
        rest = self.read(offset + len(data), length - len(data))
        return data + rest

    def write(self, offset: int, data: bytes) -> None:
        """See ``File``."""
        written = os.pwrite(self._descriptor, data, offset)
        while written < len(data):
            written += os.pwrite(self._descriptor, memoryview(data)[written:], offset + written)

    def truncate(self, size: int) -> None:
        """See ``File``."""
        os.ftruncate(self._descriptor, size)

    def release(self, offset: int, length: int) -> None:
        """See ``File``."""
        _release(self._descriptor, offset, length)

    def sync(self) -> None:
        """See ``File``."""
        _sync_content(self._descriptor)

    def size(self) -> int:
        """See ``File``."""
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """See ``File``."""
        os.close(self._descriptor)


class RealFileSystem:
    """A directory of a POSIX system (``pread`` and syncing of directories are not to be had on Windows).

    Args:
        root: the directory; made if it is not there.
    """

    def __init__(self, root: str | Path) -> None:
        self._root = str(root)
        if not Path(root).is_dir():
            Path(root).mkdir(parents=True, mode=0o700)
            self._sync_path(str(Path(root).parent))

    def open(self, path: str) -> RealFile:
        """See ``FileSystem``."""
        return RealFile(os.open(self._path(path), os.O_RDONLY | os.O_CLOEXEC))

    def edit(self, path: str) -> RealFile:
        """See ``FileSystem``."""
        return RealFile(os.open(self._path(path), os.O_RDWR | os.O_CLOEXEC))

    def create(self, path: str) -> RealFile:
        """See ``FileSystem``."""
        return RealFile(os.open(self._path(path), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    def rename(self, old: str, new: str) -> None:
        """See ``FileSystem``."""
        os.rename(self._path(old), self._path(new))  # noqa: PTH104 - one system call; Path costs more than the call

    def unlink(self, path: str) -> None:
        """See ``FileSystem``."""
        os.unlink(self._path(path))  # noqa: PTH108 - as above

    def mkdir(self, path: str) -> None:
        """See ``FileSystem``."""
        os.mkdir(self._path(path), 0o700)  # noqa: PTH102 - as above

    def rmdir(self, path: str) -> None:
        """See ``FileSystem``."""
        os.rmdir(self._path(path))  # noqa: PTH106 - as above

    def listdir(self, path: str) -> list[str]:
        """See ``FileSystem``."""
        return os.listdir(self._path(path))  # noqa: PTH208 - as above

    def size(self, path: str) -> int:
        """See ``FileSystem``."""
        return os.stat(self._path(path)).st_size  # noqa: PTH116 - as above

    def sync_directory(self, path: str) -> None:
        """See ``FileSystem``."""
        self._sync_path(self._path(path))

    def sync(self) -> None:
        """See ``FileSystem``. Linux waits for the disk; POSIX does not ask for it."""
        os.sync()

    def space(self) -> DiskSpace:
        """See ``FileSystem``."""
        facts = os.statvfs(self._root)
        return DiskSpace(facts.f_blocks * facts.f_frsize, facts.f_bavail * facts.f_frsize)

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}"

    @staticmethod
    def _sync_path(path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _sync(descriptor)
        finally:
            os.close(descriptor)


# --- its twin -----------------------------------------------------------------------------------------


class PowerLoss(BaseException):
    """The machine is dead: no handler of errors may go on, and no call gets through until ``crash``."""


class _Write(NamedTuple):
    offset: int
    data: bytes


class _Truncate(NamedTuple):
    size: int


class _Content:
    """A file, named or not."""

    __slots__ = ("kept", "now", "unsynced")

    def __init__(self) -> None:
        self.now = bytearray()
        self.kept = b""
        self.unsynced: list[_Write | _Truncate] = []

    def sync(self) -> None:
        self.kept = bytes(self.now)
        self.unsynced.clear()

    def crash(self, choose: Random) -> None:
        survivor = bytearray(self.kept)
        for change in self.unsynced:
            if isinstance(change, _Truncate):
                if choose.random() < 0.5:
                    _truncate(survivor, change.size)
            else:
                _tear(survivor, change, choose)
        self.now = survivor
        self.sync()


class _Folder:
    """A directory."""

    __slots__ = ("kept", "now", "unsynced")

    def __init__(self) -> None:
        self.now: dict[str, _Entry] = {}
        self.kept: dict[str, _Entry] = {}
        self.unsynced: list[dict[str, _Entry | None]] = []

    def change(self, names: dict[str, _Entry | None]) -> None:
        """Names come (or, where None, go), all at once."""
        _apply(self.now, names)
        self.unsynced.append(names)

    def sync(self) -> None:
        self.kept = dict(self.now)
        self.unsynced.clear()

    def crash(self, choose: Random) -> None:
        if choose.random() < 0.5:
            survivors = self.unsynced[: choose.randint(0, len(self.unsynced))]
        else:
            survivors = [change for change in self.unsynced if choose.random() < 0.5]
        self.now = dict(self.kept)
        for change in survivors:
            _apply(self.now, change)
        self.sync()


_Entry: TypeAlias = _Content | _Folder


def _apply(names: dict[str, _Entry], change: dict[str, _Entry | None]) -> None:
    for name, entry in change.items():
        if entry is None:
            names.pop(name, None)
        else:
            names[name] = entry


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _truncate(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


def _tear(content: bytearray, write: _Write, choose: Random) -> None:
    """Let a write happen wholly, sector by sector as it pleases, as growth only, or not at all."""
    fate = choose.choice(("whole", "torn", "growth", "lost"))
    if fate == "whole":
        _put(content, *write)
    elif fate == "growth":
        _truncate(content, max(len(content), write.offset + len(write.data)))
    elif fate == "torn":
        for offset, data in sectors(write.offset, write.data):
            if choose.random() < 0.5:
                _put(content, offset, data)


def sectors(offset: int, data: bytes) -> list[tuple[int, bytes]]:
    """Cut a write into the parts that a disk writes whole or not at all, ascending."""
    end = offset + len(data)
    borders = [offset, *range(offset - offset % SECTOR + SECTOR, end, SECTOR), end]
    return [(start, data[start - offset : stop - offset]) for start, stop in pairwise(borders)]


class VolatileFile:
    """An open file of the twin. A crash closes it."""

    __slots__ = ("_content", "_disk", "_life")

    def __init__(self, disk: VolatileFileSystem, content: _Content) -> None:
        self._disk = disk
        self._content = content
        self._life = disk.life

    def read(self, offset: int, length: int) -> bytes:
        """See ``File``."""
        self._call("read")
        return bytes(self._content.now[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        """See ``File``."""
        self._call("write")
        self._disk.claim(max(offset + len(data) - len(self._content.now), 0))
        _put(self._content.now, offset, data)
        self._content.unsynced.append(_Write(offset, bytes(data)))

    def truncate(self, size: int) -> None:
        """See ``File``."""
        self._call("truncate")
        self._disk.claim(size - len(self._content.now))
        _truncate(self._content.now, size)
        self._content.unsynced.append(_Truncate(size))

    def release(self, offset: int, length: int) -> None:
        """See ``File``; what survives a crash is for chance to say anyway."""

    def sync(self) -> None:
        """See ``File``."""
        self._call("sync")
        self._content.sync()

    def size(self) -> int:
        """See ``File``."""
        self._call("size")
        return len(self._content.now)

    def close(self) -> None:
        """See ``File``."""

    def _call(self, verb: str) -> None:
        if self._life != self._disk.life:
            raise OSError(errno.EBADF, "the file was open before the crash")
        self._disk.call(verb)


class VolatileFileSystem:
    """A disk in memory that can lose power.

    Args:
        capacity: bytes of file content that it holds.

    Attributes:
        calls: how many calls there were.
        verbs: how many of each.
        trouble: asked before each call with its count and verb; what it returns is raised (``PowerLoss``, ``OSError``).
        life: counts crashes.
    """

    def __init__(self, capacity: int = 2**40) -> None:
        self.calls = 0
        self.verbs: dict[str, int] = {}
        self.trouble: Callable[[int, str], BaseException | None] = lambda _call, _verb: None
        self.life = 0
        self._capacity = capacity
        self._free = capacity
        self._root = _Folder()
        self._dead = False

    # --- the twin's own verbs ---------------------------------------------------------------------------

    def crash(self, choose: Random) -> None:
        """Cut the power and come back with a choice of what had not been synced."""
        self.kill()
        _crash(self._root, choose, set())
        self._free = self._capacity - sum(len(entry.now) for entry in _below(self._root) if isinstance(entry, _Content))

    def kill(self) -> None:
        """End the process: open files are gone, everything written is still there, if not yet durable."""
        self.life += 1
        self._dead = False

    def call(self, verb: str) -> None:
        """Count a call, or fail it."""
        if self._dead:
            raise PowerLoss
        self.calls += 1
        self.verbs[verb] = self.verbs.get(verb, 0) + 1
        trouble = self.trouble(self.calls, verb)
        if trouble is not None:
            self._dead = isinstance(trouble, PowerLoss)
            raise trouble

    def claim(self, growth: int) -> None:
        """Account for a file that grows (or shrinks); fail if there is no room."""
        if growth > max(self._free, 0):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._free -= growth

    # --- FileSystem -------------------------------------------------------------------------------------

    def open(self, path: str) -> VolatileFile:
        """See ``FileSystem``."""
        self.call("open")
        return self._opened(path)

    def edit(self, path: str) -> VolatileFile:
        """See ``FileSystem``."""
        self.call("edit")
        return self._opened(path)

    def create(self, path: str) -> VolatileFile:
        """See ``FileSystem``."""
        self.call("create")
        content = _Content()
        self._add(path, content)
        return VolatileFile(self, content)

    def rename(self, old: str, new: str) -> None:
        """See ``FileSystem``."""
        self.call("rename")
        source, old_name = self._parent(old)
        target, new_name = self._parent(new)
        entry = self._entry(old)
        replaced = target.now.get(new_name)
        if isinstance(replaced, _Content):
            self._free += len(replaced.now)
        if source is target:
            source.change({old_name: None, new_name: entry})
        else:
            target.change({new_name: entry})
            source.change({old_name: None})

    def unlink(self, path: str) -> None:
        """See ``FileSystem``."""
        self.call("unlink")
        entry = self._entry(path)
        if isinstance(entry, _Folder):
            raise _error(errno.EISDIR, path)
        self._free += len(entry.now)
        folder, name = self._parent(path)
        folder.change({name: None})

    def mkdir(self, path: str) -> None:
        """See ``FileSystem``."""
        self.call("mkdir")
        self._add(path, _Folder())

    def rmdir(self, path: str) -> None:
        """See ``FileSystem``."""
        self.call("rmdir")
        if self._folder(path).now:
            raise _error(errno.ENOTEMPTY, path)
        folder, name = self._parent(path)
        folder.change({name: None})

    def listdir(self, path: str) -> list[str]:
        """See ``FileSystem``."""
        self.call("listdir")
        return list(self._folder(path).now)

    def size(self, path: str) -> int:
        """See ``FileSystem``."""
        self.call("stat")
        entry = self._entry(path)
        return len(entry.now) if isinstance(entry, _Content) else 0

    def sync_directory(self, path: str) -> None:
        """See ``FileSystem``."""
        self.call("sync_directory")
        self._folder(path).sync()

    def sync(self) -> None:
        """See ``FileSystem``."""
        self.call("sync_all")
        for entry in _below(self._root):
            entry.sync()

    def space(self) -> DiskSpace:
        """See ``FileSystem``."""
        self.call("space")
        return DiskSpace(self._capacity, self._free)

    # --- helpers ------------------------------------------------------------------------------------------

    def _opened(self, path: str) -> VolatileFile:
        entry = self._entry(path)
        if isinstance(entry, _Folder):
            raise _error(errno.EISDIR, path)
        return VolatileFile(self, entry)

    def _add(self, path: str, entry: _Entry) -> None:
        folder, name = self._parent(path)
        if name in folder.now:
            raise _error(errno.EEXIST, path)
        folder.change({name: entry})

    def _parent(self, path: str) -> tuple[_Folder, str]:
        above, _, name = path.rpartition("/")
        return self._folder(above), name

    def _folder(self, path: str) -> _Folder:
        entry = self._entry(path)
        if not isinstance(entry, _Folder):
            raise _error(errno.ENOTDIR, path)
        return entry

    def _entry(self, path: str) -> _Entry:
        entry: _Entry = self._root
        for name in path.split("/") if path else ():
            if not isinstance(entry, _Folder):
                raise _error(errno.ENOTDIR, path)
            found = entry.now.get(name)
            if found is None:
                raise _error(errno.ENOENT, path)
            entry = found
        return entry


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)


def _below(folder: _Folder) -> list[_Entry]:
    """The directory and everything in it, at any depth; a file with two names counts once."""
    found: dict[int, _Entry] = {id(folder): folder}
    for entry in folder.now.values():
        for each in _below(entry) if isinstance(entry, _Folder) else (entry,):
            found[id(each)] = each
    return list(found.values())


def _crash(entry: _Entry, choose: Random, seen: set[int]) -> None:
    if id(entry) in seen:
        return
    seen.add(id(entry))
    entry.crash(choose)
    if isinstance(entry, _Folder):
        for each in entry.now.values():
            _crash(each, choose, seen)
