"""The redo log: changes of files, each wholly or not at all, for one sync.

What is going to be done is written to the log first. Once the log is synced the change is decided; then the files
are changed, and nobody waits for that to reach the disk::

    log: what is to be done ── sync ──► files changed          … much later: files synced, log begun anew
       a crash …       … here: not done       … from here on: done (again) at the next start

Doing a change again does no harm: a change says what bytes are to stand where, however the file was left. So the
next start does everything that the log holds, in its order, and every file is as the last change left it.

The log is one for many files, and several changes decided at the same moment share a sync. It begins anew once
it is long: after a *checkpoint*, which waits until no change is half way and all files touched are synced.
A change that was decided but could not be done, because the disk failed, is done before anybody looks at its files.

::

    0       16      24        512
    magic | epoch | zeros … | record | record | …         record: length 4 | check 32 | payload

    check of a record = SHA-256(check of the one before ‖ payload); before the first: SHA-256 of the first 24 bytes.
    payload: msgpack of [[path, end or nil, is new, [[offset, bytes], …]], …]

A record is part of the log if its check is right, and so are all before it: whatever lies behind a torn record, or
is left of an earlier epoch, means nothing.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from itertools import chain
from threading import Condition, Lock
from typing import Final, NamedTuple

import msgspec

from tahoe.storage.filesystem import File, FileSystem
from tahoe.storage.folders import Folders

MAGIC: Final = b"tahoe redo 1\n\0\0\0"
FIRST_RECORD: Final = 512

MOST_BYTES: Final = 2 * 2**20
"""A log longer than this is begun anew."""

MOST_FILES: Final = 32
"""If more files than this are to be synced, the system is asked to write everything: that is quicker."""

_HEADER: Final = struct.Struct(">16sQ")
_RECORD: Final = struct.Struct(">L32s")


class FileChange(msgspec.Struct, frozen=True, array_like=True):
    """What is to become of one file.

    Args:
        path: its.
        end: bytes it is to have; None: it is to go, and its directory if that is empty then.
        is_new: nothing is kept of a file that may be there; it and two directories above it are made if need be.
        patches: bytes to stand at offsets.
    """

    path: str
    end: int | None
    is_new: bool = False
    patches: tuple[tuple[int, bytes], ...] = ()


Record = tuple[FileChange, ...]

_decode: Final = msgspec.msgpack.Decoder(Record).decode


class RedoLog:
    """A log for files of one file system. May be used from several threads at once. Errors are ``OSError``.

    Whoever changes or reads a file sees to it that nobody else does meanwhile, and calls :meth:`mend` before.

    Args:
        filesystem: of the log and the files.
        folders: of the same.
        path: of the log; its directory must be there.
        most_bytes: a log longer than this is begun anew.
    """

    def __init__(self, filesystem: FileSystem, folders: Folders, path: str, most_bytes: int = MOST_BYTES) -> None:
        self._filesystem = filesystem
        self._folders = folders
        self._most_bytes = most_bytes
        self._tape = _Tape(filesystem, folders, path)
        self._gate = _Gate()
        self._mending = Lock()
        self._undone: dict[str, list[FileChange]] = {}  # decided and not done, by directory
        self._touched: dict[str, None] = {}  # files that may not be durable
        self._recorded: set[str] = set()  # files of which the log may hold something
        self._failed = False

    def recover(self) -> None:
        """Do all that the log holds, and begin it anew.

        What can't be done for an error is left to :meth:`mend`: other files may be used none the less.
        """
        for change in chain.from_iterable(self._tape.load()):
            self._undone.setdefault(_folder(change.path), []).append(change)
            self._recorded.add(change.path)
        if self._undone:
            self.checkpoint()

    def owes(self, folder: str) -> bool:
        """Whether something is decided and not done to files of a directory, or may be."""
        return self._tape.is_doubtful or folder in self._undone

    def mend(self, folder: str) -> None:
        """Do what is decided and not done to files of a directory. Until this succeeds nobody may look at them."""
        if self.owes(folder):
            with self._gate.passage():
                self._tape.settle()
                self._do(folder)

    def change(self, record: Record) -> None:
        """Change files: durably when this returns; if it raises, not at all, or wholly once that is mended."""
        if self._failed:
            raise OSError(errno.EIO, "it did not keep what was written; check it and start the node again")
        if self._tape.size > self._most_bytes:
            self.checkpoint()
        with self._gate.passage():
            self._recorded.update(change.path for change in record)
            self._tape.append(msgspec.msgpack.encode(record))
            for done, change in enumerate(record):
                try:
                    self._carry_out(change)
                except OSError:
                    for each in record[done:]:
                        self._undone.setdefault(_folder(each.path), []).append(each)
                    raise

    def checkpoint(self) -> None:
        """Return when all files are durable and the log is empty. They may then be changed by other means, too."""
        with self._gate.closed():
            for folder in list(self._undone):
                self._do(folder)
            self._sync_all()
            self._tape.begin_anew()
            self._recorded.clear()

    def holds(self, path: str) -> bool:
        """Whether a crash now would do something again to this file. Who asks sees to it that nobody changes it."""
        return path in self._recorded

    def close(self) -> None:
        """Give the descriptor back."""
        self._tape.close()

    # --- helpers ------------------------------------------------------------------------------------------

    def _do(self, folder: str) -> None:
        with self._mending:
            changes = self._undone.get(folder, [])
            while changes:
                with suppress(FileNotFoundError):  # it goes by a later change, and has gone already
                    self._carry_out(changes[0])
                changes.pop(0)
            self._undone.pop(folder, None)

    def _carry_out(self, change: FileChange) -> None:
        self._touched[change.path] = None
        if change.end is None:
            self._remove(change.path)
            return
        file = self._create(change.path) if change.is_new else self._filesystem.edit(change.path)
        try:
            for offset, data in change.patches:
                file.write(offset, data)
            if file.size() != change.end:
                file.truncate(change.end)
        finally:
            file.close()

    def _create(self, path: str) -> File:
        """An empty file, in directories that may have to be made."""
        folder = _folder(path)
        self._folders.make(_folder(folder))
        self._folders.make(folder)
        try:
            file = self._filesystem.create(path)
        except FileExistsError:
            file = self._filesystem.edit(path)
            file.truncate(0)
        self._folders.changed(folder)
        return file

    def _remove(self, path: str) -> None:
        folder = _folder(path)
        with suppress(FileNotFoundError):
            self._filesystem.unlink(path)
            self._folders.changed(folder)
        self._folders.remove_if_empty(folder)

    def _sync_all(self) -> None:
        """Make all files touched, and their names, durable.

        After a sync that failed a system may take for written what it has not: only the log knows. So no
        checkpoint succeeds any more, and the next start does again what the log holds.
        """
        if self._failed:
            raise OSError(errno.EIO, "it did not keep what was written; check it and start the node again")
        try:
            if len(self._touched) > MOST_FILES:
                self._filesystem.sync()
            else:
                for path in self._touched:
                    self._sync(path)
        except OSError:
            self._failed = True
            raise
        for folder in dict.fromkeys(map(_folder, self._touched)):
            self._folders.settle(folder)
        self._touched.clear()

    def _sync(self, path: str) -> None:
        try:
            file = self._filesystem.edit(path)
        except FileNotFoundError:
            return
        try:
            file.sync()
        finally:
            file.close()


class _Mark(NamedTuple):
    """A place in the log: the ticket of the record before it, bytes before it, that record's check."""

    ticket: int
    end: int
    check: bytes


class _Tape:
    """The log's file: records one after the other, several decided by one sync.

    A sync that fails decides nothing: the records that waited for it are lost. (To sync once more would not do:
    systems forget what they failed to write.) Until they are cut off, the next start might find them all the same.
    """

    def __init__(self, filesystem: FileSystem, folders: Folders, path: str) -> None:
        self._filesystem = filesystem
        self._folders = folders
        self._path = path
        self._file: File | None = None
        self._epoch = 0
        self._writing = Lock()
        self._syncing = Lock()
        self._written = self._durable = _Mark(0, 0, b"")
        self._lost: set[int] = set()
        self._is_empty = True
        self.is_doubtful = False

    @property
    def size(self) -> int:
        """Bytes of the log."""
        return self._written.end

    def load(self) -> list[Record]:
        """What the log holds; nothing if there is none."""
        try:
            file = self._filesystem.open(self._path)
        except FileNotFoundError:
            return []
        try:
            found = self._read(file)
        finally:
            file.close()
        self._is_empty = not found
        return found

    def append(self, payload: bytes) -> None:
        """Write a record; durable on return."""
        with self._writing:
            if self._file is None:
                self._begin(self._epoch + 1)
            ticket = self._write(payload)
        with self._syncing:
            if ticket in self._lost:
                self._lost.discard(ticket)
                raise OSError(errno.EIO, "the log could not be synced")
            if self._durable.ticket < ticket:
                self._sync(ticket)

    def settle(self) -> None:
        """Cut off what an error has left behind the last record, durably."""
        with self._syncing:
            if not self.is_doubtful or self._file is None:
                return
            self.is_doubtful = False
            try:
                with self._writing:
                    self._file.truncate(self._written.end)
                self._sync(0)
            except OSError:
                self.is_doubtful = True
                raise

    def begin_anew(self) -> None:
        """Forget all records, durably."""
        if not self._is_empty:
            self._begin(self._epoch + 1)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    # --- helpers ------------------------------------------------------------------------------------------

    def _begin(self, epoch: int) -> None:
        """Write the header of an epoch, durably: it makes all records of another one void.

        If that fails nobody knows which epoch it is, and the next record begins one more.
        """
        header = _HEADER.pack(MAGIC, epoch)
        self._epoch, self._is_empty = epoch, False
        file = self._file or self._open()
        self._file = None
        try:
            file.write(0, header.ljust(FIRST_RECORD, b"\0"))
            file.sync()
            self._folders.settle(_folder(self._path))
        except OSError:
            file.close()
            raise
        self._file, self._is_empty = file, True
        self._written = self._durable = _Mark(self._written.ticket, FIRST_RECORD, sha256(header).digest())

    def _open(self) -> File:
        try:
            return self._filesystem.edit(self._path)
        except FileNotFoundError:
            self._folders.changed(_folder(self._path))
            return self._filesystem.create(self._path)

    def _read(self, file: File) -> list[Record]:
        header, size = file.read(0, _HEADER.size), file.size()
        if len(header) < _HEADER.size or not header.startswith(MAGIC):
            return []
        self._epoch = _HEADER.unpack(header)[1]
        check, offset, found = sha256(header).digest(), FIRST_RECORD, []
        while offset + _RECORD.size <= size:
            length, expected = _RECORD.unpack(file.read(offset, _RECORD.size))
            offset += _RECORD.size
            payload = file.read(offset, length) if offset + length <= size else b""
            check = sha256(check + payload).digest()
            if check != expected:
                break
            found.append(_decode(payload))
            offset += length
        return found

    def _write(self, payload: bytes) -> int:
        """Write a record behind the last one and return its ticket."""
        assert self._file is not None
        ticket, end, check = self._written
        check = sha256(check + payload).digest()
        data = _RECORD.pack(len(payload), check) + payload
        try:
            self._file.write(end, data)
        except OSError as error:
            self.is_doubtful |= error.errno != errno.EROFS
            raise
        self._written = _Mark(ticket + 1, end + len(data), check)
        self._is_empty = False
        return ticket + 1

    def _sync(self, ticket: int) -> None:
        assert self._file is not None
        written = self._written
        try:
            self._file.sync()
        except OSError:
            with self._writing:
                self._lost.update(range(self._durable.ticket + 1, self._written.ticket + 1))
                self._lost.discard(ticket)
                self._written = self._durable = self._durable._replace(ticket=self._written.ticket)
                self.is_doubtful = True
            raise
        self._durable = written


class _Gate:
    """Lets changes pass, many at a time, and now and then a checkpoint, alone."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._passing = 0
        self._is_closed = False

    @contextmanager
    def passage(self) -> Iterator[None]:
        """Let no checkpoint happen meanwhile."""
        with self._condition:
            self._condition.wait_for(lambda: not self._is_closed)
            self._passing += 1
        try:
            yield
        finally:
            with self._condition:
                self._passing -= 1
                self._condition.notify_all()

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Let no change be half way meanwhile."""
        with self._condition:
            self._condition.wait_for(lambda: not self._is_closed)
            self._is_closed = True
            self._condition.wait_for(lambda: not self._passing)
        try:
            yield
        finally:
            with self._condition:
                self._is_closed = False
                self._condition.notify_all()


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
