"""The undo journal: files changed in place, each wholly or not at all, for the price of one sync more.

Before bytes of a file are overwritten, what stood there is written to the journal. Only two things wait for the
disk, and no directory is touched::

    journal: old bytes, where, and the hash of the new ones ── sync ──► files: new bytes ── sync ──► done
    a crash …      … here: journal unreadable or            … here: bytes differ       … here: bytes have
                   files as they were: nothing to undo       from the hash: put back     the hash: all is done

So the journal need not be emptied after a change: what it tells of files that were changed wholly undoes nothing.
It must be, durably, before a file that it names is replaced or removed by other means (:meth:`UndoJournal.release`),
because an old journal would put old bytes into the new file. And no two journals may name one file.

::

    0       16       20                    52
    magic | length | SHA-256 of payload | payload: msgpack of [[path, end, SHA-256 of new bytes,
                                                               [[offset, new length, old bytes], …]], …]
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from tahoe.storage.filesystem import File, FileSystem
from tahoe.storage.folders import Folders

MAGIC: Final = b"tahoe undo 1\n\0\0\0"

_HEAD: Final = struct.Struct(">16sL32s")


class Patch(NamedTuple):
    """Bytes to stand at an offset."""

    offset: int
    data: bytes


class Edit(NamedTuple):
    """Patches to one file. Bytes from ``end`` on mean nothing beforehand."""

    path: str
    end: int
    patches: tuple[Patch, ...]


class _Span(msgspec.Struct, frozen=True, array_like=True):
    offset: int
    length: int
    old: bytes


class _Undo(msgspec.Struct, frozen=True, array_like=True):
    """How to take an edit back, and how to tell whether that is needed."""

    path: str
    end: int
    digest: bytes
    spans: tuple[_Span, ...]


_decode_undos: Final = msgspec.msgpack.Decoder(tuple[_Undo, ...]).decode


class UndoJournal:
    """One journal; whoever uses it sees to it that nobody else uses it or its files meanwhile. Errors are ``OSError``.

    Args:
        filesystem: of the journal and the files.
        folders: of the same.
        path: of the journal; its directory must be there.
    """

    def __init__(self, filesystem: FileSystem, folders: Folders, path: str) -> None:
        self._filesystem = filesystem
        self._folders = folders
        self._path = path
        self._named: set[str] = set()  # files that the journal, as it is on the disk, may name
        self._unfinished: tuple[_Undo, ...] = ()

    @property
    def is_settled(self) -> bool:
        """Whether no change hangs half way."""
        return not self._unfinished

    def load(self) -> None:
        """See what the last run left unfinished, to be put right by :meth:`mend`."""
        undos = self._read()
        self._named = {undo.path for undo in undos}
        self._unfinished = tuple(undo for undo in undos if not self._is_done(undo))

    def mend(self) -> None:
        """Take back what hangs half way. Until this succeeds none of the files may be looked at."""
        for undo in self._unfinished:
            self._take_back(undo)
        self._unfinished = ()

    def change(self, edits: Sequence[Edit]) -> None:
        """Make edits durable, all of them or (after an error, once that is mended) none."""
        self.mend()
        undos = tuple(map(self._undo, edits))
        self._write(undos)
        self._unfinished = undos
        for edit in edits:
            self._carry_out(edit)
        self._unfinished = ()

    def release(self, paths: Iterable[str]) -> None:
        """Return when the journal names none of these files."""
        self.mend()
        if self._named.isdisjoint(paths):
            return
        file = self._filesystem.edit(self._path)
        try:
            file.write(0, bytes(len(MAGIC)))
            file.sync()
        finally:
            file.close()
        self._named.clear()

    # --- helpers ------------------------------------------------------------------------------------------

    def _undo(self, edit: Edit) -> _Undo:
        file = self._filesystem.open(edit.path)
        try:
            spans = tuple(
                _Span(offset, len(data), file.read(offset, max(min(len(data), edit.end - offset), 0)))
                for offset, data in edit.patches
            )
        finally:
            file.close()
        return _Undo(edit.path, edit.end, _digest(data for _, data in edit.patches), spans)

    def _write(self, undos: tuple[_Undo, ...]) -> None:
        """Make the journal durable, its name included."""
        payload = msgspec.msgpack.encode(undos)
        named = {undo.path for undo in undos}
        self._named |= named
        file = self._open()
        try:
            file.write(0, _HEAD.pack(MAGIC, len(payload), sha256(payload).digest()) + payload)
            file.sync()
        finally:
            file.close()
        self._folders.settle(self._path.rpartition("/")[0])
        self._named = named

    def _open(self) -> File:
        try:
            return self._filesystem.edit(self._path)
        except FileNotFoundError:
            self._folders.changed(self._path.rpartition("/")[0])
            return self._filesystem.create(self._path)

    def _carry_out(self, edit: Edit) -> None:
        file = self._filesystem.edit(edit.path)
        try:
            for patch in edit.patches:
                file.write(*patch)
            file.sync()
        finally:
            file.close()

    def _take_back(self, undo: _Undo) -> None:
        file = self._filesystem.edit(undo.path)
        try:
            for span in undo.spans:
                if span.old:
                    file.write(span.offset, span.old)
            file.truncate(undo.end)
            file.sync()
        finally:
            file.close()

    def _is_done(self, undo: _Undo) -> bool:
        """Whether a file has all its new bytes, or is gone."""
        try:
            file = self._filesystem.open(undo.path)
        except FileNotFoundError:
            return True
        try:
            return _digest(file.read(span.offset, span.length) for span in undo.spans) == undo.digest
        finally:
            file.close()

    def _read(self) -> tuple[_Undo, ...]:
        """What the journal says; nothing if it is torn or not there."""
        try:
            file = self._filesystem.open(self._path)
        except FileNotFoundError:
            return ()
        try:
            head = file.read(0, _HEAD.size)
            if len(head) < _HEAD.size or not head.startswith(MAGIC):
                return ()
            _, length, digest = _HEAD.unpack(head)
            if _HEAD.size + length > file.size():
                return ()
            payload = file.read(_HEAD.size, length)
        finally:
            file.close()
        return _decode_undos(payload) if sha256(payload).digest() == digest else ()


def _digest(parts: Iterable[bytes]) -> bytes:
    hasher = sha256()
    for part in parts:
        hasher.update(part)
    return hasher.digest()
