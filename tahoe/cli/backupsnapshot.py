"""Taking a snapshot: everything in a tree becomes immutable files and directories, children before their parents.

::

    look ──► known and unchanged? ─ yes ──────────────────────────────┐
               no: read and store (several at once), remember ──► cap ┴─► parent has one child less to wait for
    a directory that waits for nothing: pack ──► known? ─ yes ─► cap
                                                   no: store, remember ─► cap

A directory's table is packed here and stored like a file, so that the same names with the same contents, times and
modes are the same capability whenever and wherever they are packed: what did not change is not sent again even if the
database is lost. Interrupted at any moment, a backup loses at most what was under way.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import IO, NamedTuple, Protocol

from tahoe.cli.backupdatabase import BackupDatabase, Stamp
from tahoe.cli.backuptree import Exclusion, Found, contents
from tahoe.cli.errands import Errands
from tahoe.codec.capability import Directory, parse
from tahoe.codec.directory import BadName, Child, check_name, pack_immutable

SMALL = 1 << 20
"""Bytes of a file that is read whole."""


class Store(Protocol):
    """Where files go."""

    def store(self, body: bytes | IO[bytes], size: int) -> str:
        """Store an immutable file with the root's encoding; its capability. Called by several threads at once.

        Raises:
            UnreadableError: the file can't be read to its end.
        """


class UnreadableError(Exception):
    """A file can't be read to its end; the message says why."""


@dataclass(slots=True)
class Tally:
    """What came of a backup.

    Args:
        files: in the snapshot.
        sent: of those, read and stored this time.
        bytes_sent: in them.
        directories: in the snapshot.
        made: of those, stored this time.
        left_out: what is no file or directory, and the local node's own directory: path and why, in order.
        missing: what should be in the snapshot and could not be read: path and why.
    """

    files: int = 0
    sent: int = 0
    bytes_sent: int = 0
    directories: int = 0
    made: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)


class _Read(NamedTuple):
    """A file that was read and stored. ``steady``: it did not change meanwhile, nor just before."""

    capability: str
    found: Found
    steady: bool


_COMING = Child("", {})
"""Keeps a name's place in a directory."""


@dataclass(slots=True)
class _Folder:
    """A directory whose children are coming in."""

    found: Found
    parent: _Folder | None
    name: str
    waits_for: int = 1
    children: dict[str, Child] = field(default_factory=dict)


class Snapshot:
    """One snapshot being taken.

    Args:
        store: where files go.
        database: what is known.
        exclusion: what is left out.
        errands: that send.
        watch: called with bytes as they are dealt with.
    """

    def __init__(
        self,
        store: Store,
        database: BackupDatabase,
        exclusion: Exclusion,
        errands: Errands,
        watch: Callable[[int], None],
    ) -> None:
        self.tally = Tally()
        self._store = store
        self._database = database
        self._exclusion = exclusion
        self._errands = errands
        self._watch = watch
        self._root: str | None = None

    def take(self, root: Found) -> str:
        """Store a whole tree; the capability of its root.

        Raises:
            OSError: the root can't be read.
        """
        folder = _Folder(root, None, "")
        stack = [(folder, contents(root.path))]
        while stack:
            folder, rest = stack[-1]
            found = next(rest, None)
            if found is None:
                stack.pop()
                self._one_less(folder)
            elif (inner := self._look_at(folder, found)) is not None:
                stack.append(inner)
        self._errands.finish()
        assert self._root is not None, "a root that waits for nothing has been stored"
        return self._root

    # --- what is found --------------------------------------------------------------------------------------

    def _look_at(self, folder: _Folder, found: Found) -> tuple[_Folder, Iterator[Found]] | None:
        """Deal with a name; a directory is to be entered."""
        if self._exclusion.covers(found):
            return None
        oddity = "the node's own directory" if self._exclusion.is_own(found) else found.oddity
        if oddity is not None:
            self.tally.left_out.append((found.path, oddity))
            return None
        try:
            name = self._new_name(folder, found)
            if found.is_directory:
                return self._enter(folder, found, name)
        except (BadName, OSError) as error:
            self._miss(found, error)
            return None
        self._file(folder, found, name)
        return None

    def _new_name(self, folder: _Folder, found: Found) -> str:
        name = check_name(found.name)
        if name in folder.children:
            raise BadName("its name is another's here after normalisation (NFC)")
        return name

    def _enter(self, folder: _Folder, found: Found, name: str) -> tuple[_Folder, Iterator[Found]]:
        inner = contents(found.path)
        self._errands.breathe()
        self._expect(folder, name)
        return _Folder(found, folder, name), inner

    def _file(self, folder: _Folder, found: Found, name: str) -> None:
        known = self._database.file(os.fsencode(found.path), Stamp.of(found.status))
        self._expect(folder, name)
        if known is not None:
            self._watch(found.status.st_size)
            self._add_file(folder, name, Child(known, found.metadata))
            return
        self._errands.breathe()
        self._errands.start(
            partial(read_and_store, self._store, found.path), partial(self._stored, folder, found, name)
        )

    def _stored(self, folder: _Folder, found: Found, name: str, future: Future[_Read]) -> None:
        try:
            read = future.result()
        except (OSError, UnreadableError) as error:
            self._miss(found, error)
            del folder.children[name]
            self._one_less(folder)
            return
        stamp = Stamp.of(read.found.status)
        if read.steady:
            self._database.remember_file(os.fsencode(found.path), stamp, read.capability)
        self.tally.sent += 1
        self.tally.bytes_sent += stamp.size
        self._watch(stamp.size)
        self._add_file(folder, name, Child(read.capability, read.found.metadata))

    def _add_file(self, folder: _Folder, name: str, child: Child) -> None:
        self.tally.files += 1
        folder.children[name] = child
        self._one_less(folder)

    def _miss(self, found: Found, error: Exception) -> None:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        self.tally.missing.append((found.path, reason or type(error).__name__))

    # --- directories ------------------------------------------------------------------------------------------

    def _expect(self, folder: _Folder, name: str) -> None:
        """Take a place in a directory for a child that is coming."""
        folder.waits_for += 1
        folder.children[name] = _COMING

    def _one_less(self, folder: _Folder | None) -> None:
        """A directory waits for one thing less; if for nothing, it is stored, and so on upwards."""
        while folder is not None:
            folder.waits_for -= 1
            if folder.waits_for:
                return
            table = pack_immutable(folder.children)
            digest = hashlib.sha256(table).digest()
            known = self._database.directory(digest)
            if known is None:
                work = partial(self._store.store, table, len(table))
                self._errands.start(work, partial(self._made, folder, digest))
                return
            folder = self._conclude(folder, known)

    def _made(self, folder: _Folder, digest: bytes, future: Future[str]) -> None:
        capability = directory_of(future.result())
        self._database.remember_directory(digest, capability)
        self.tally.made += 1
        self._one_less(self._conclude(folder, capability))

    def _conclude(self, folder: _Folder, capability: str) -> _Folder | None:
        """Hand a directory's capability on to its parent, which is returned."""
        self.tally.directories += 1
        if folder.parent is None:
            self._root = capability
        else:
            folder.parent.children[folder.name] = Child(capability, folder.found.metadata)
        return folder.parent


def directory_of(file: str) -> str:
    """The capability of the directory whose table a file is."""
    capability = parse(file)
    capability.check_served()
    return str(Directory(capability))


def read_and_store(store: Store, path: str) -> _Read:
    """Store a regular file.

    Raises:
        OSError: it can't be read, or is none any more.
        UnreadableError: it can't be read to its end.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # it may have become a link or a pipe
    with open(handle, "rb", buffering=0) as file:  # noqa: PTH123  # of a descriptor
        began = time.time_ns()
        found = Found(path, os.fstat(handle))
        if found.oddity is not None or found.is_directory:
            raise OSError(0, "it is no regular file any more")
        stamp = Stamp.of(found.status)
        capability = store.store(whole(file, stamp.size) if stamp.size <= SMALL else file, stamp.size)
        steady = stamp.is_settled(began) and Stamp.of(os.fstat(handle)) == stamp
    return _Read(capability, found, steady)


def whole(file: IO[bytes], size: int) -> bytes:
    """The first bytes of a file.

    Raises:
        UnreadableError: it has fewer.
    """
    data = file.read(size) if size else b""
    if len(data) < size:
        raise UnreadableError("it became shorter while it was read")
    return data
