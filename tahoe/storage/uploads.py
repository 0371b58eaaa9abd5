"""Shares on their way to a disk: a file in ``incoming`` each, written piece by piece in any order.

The file is a container from the start: header and first lease stand before a byte of the share comes,
and what was not written yet is a hole. The bytes written are remembered as spans; a piece that comes
again must be equal to what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from threading import Lock
from typing import Final

from tahoe.codec.container import HEADER_SIZE, WRITTEN_VERSION, Container, Lease
from tahoe.errors import Refused
from tahoe.protocol import ShareFacts
from tahoe.storage.filesystem import File, FileSystem
from tahoe.storage.pool import Pool
from tahoe.storage.room import Room
from tahoe.storage.sharefile import ShareFile
from tahoe.storage.spans import Spans
from tahoe.storage.store import CONTAINER_ROOM, no_such_upload

WRITTEN_AT_ONCE: Final = 2**20
"""Bytes of an upload that are gathered before the disk is told to write them."""

RELEASED_AGAIN: Final = 8 * WRITTEN_AT_ONCE
"""Bytes before those that are told of once more, for most have reached the disk by then.

Shares may not be read for years, and the machine is a friend's: what he works with should stay in its memory, not they.
A machine that would take new pages for every upload has less to do, too: where a hypervisor backs pages as they are first
used, a GB of new ones costs 2 s of processor time to write, a GB of used ones 0.4 s.
"""

Key = tuple[bytes, int, bytes]
"""Storage index, share number, upload secret."""


class Upload:
    """One upload of one share. Its ``lock`` is held while it is written, finished or forgotten.

    Args:
        key: whose.
        size: bytes of the share.
        path: of the file.
        now: when it began.
        lease: that the share is going to have.
    """

    __slots__ = ("ended", "key", "lease", "lock", "path", "released", "size", "spans", "touched")

    def __init__(self, key: Key, size: int, path: str, now: float, lease: Lease) -> None:
        self.key = key
        self.size = size
        self.path = path
        self.lease = lease
        self.touched = now
        self.lock = Lock()
        self.ended = False
        self.spans = Spans()
        self.released = 0  # bytes, from the first on, that were told to go to the disk

    @property
    def number(self) -> int:
        """Of the share."""
        return self.key[1]

    @property
    def missing(self) -> int:
        """Bytes not yet written."""
        return self.size - len(self.spans)

    @property
    def reserved(self) -> int:
        """Bytes set aside for it, container included."""
        return self.size + CONTAINER_ROOM


class Uploads:
    """The uploads of one store. May be used from several threads at once.

    Args:
        filesystem: the disk.
        room: in which each has reserved ``upload.reserved`` before it begins.
        open_files: how many to keep open for writing.
    """

    def __init__(self, filesystem: FileSystem, room: Room, open_files: int) -> None:
        self._filesystem = filesystem
        self._room = room
        self._uploads: dict[Key, Upload] = {}
        self._open: Pool[str, File] = Pool(filesystem.edit, open_files)

    def find(self, key: Key) -> Upload | None:
        """The upload, or None."""
        return self._uploads.get(key)

    def idle_since(self, time: float) -> list[Key]:
        """Uploads that saw no write after ``time``."""
        return [key for key, upload in list(self._uploads.items()) if upload.touched <= time]

    def begin(self, uploads: Sequence[Upload]) -> None:
        """Make the files of new uploads; all of them or none."""
        try:
            for upload in uploads:
                self._make_file(upload)
        except OSError:
            for upload in uploads:
                with suppress(OSError):
                    self._filesystem.unlink(upload.path)
            raise
        self._uploads.update((upload.key, upload) for upload in uploads)

    def write(self, upload: Upload, offset: int, data: bytes, now: float) -> None:
        """Write bytes, which may have been written before.

        Raises:
            Refused: ``no-such-upload``; ``conflict``.
        """
        stop = offset + len(data)
        with upload.lock:
            if upload.ended:
                raise no_such_upload(upload.number)
            if offset < 0 or stop > upload.size:
                raise Refused("conflict", f"share {upload.number} was announced with {upload.size} bytes")
            upload.touched = now
            with self._open.use(upload.path) as file:
                known = _equal_bytes(file, upload.spans.overlaps(offset, stop), offset, data)
                if known < len(data):
                    file.write(HEADER_SIZE + offset, data)
                    upload.spans.add(offset, stop)
                    self._room.written(len(data) - known)
                    _release(file, upload)

    def facts(self, upload: Upload) -> ShareFacts:
        """Facts of the share as written so far. The upload's lock is held."""
        with self._open.use(upload.path) as file:
            return ShareFacts(upload.number, upload.size, ShareFile(file).ueb_hash())

    def sync(self, upload: Upload) -> None:
        """Make the bytes durable and close the file, to be renamed. The upload's lock is held."""
        with self._open.use(upload.path) as file:
            file.sync()
            file.release(0, file.size())
        self._open.forget(upload.path)

    def end(self, upload: Upload) -> None:
        """Strike it off the list and give back its room. The upload's lock is held."""
        upload.ended = True
        self._uploads.pop(upload.key, None)
        self._room.settle(upload.reserved, upload.missing + CONTAINER_ROOM, upload.lease.owner)

    def drop(self, upload: Upload) -> None:
        """Forget an upload and its file; nothing happens if it has ended. The upload's lock is held."""
        if not upload.ended:
            self._open.forget(upload.path)
            with suppress(OSError):  # what a failing disk keeps, the next start sweeps
                self._filesystem.unlink(upload.path)
            self.end(upload)

    def close(self) -> None:
        """Close all files."""
        self._open.clear()

    def _make_file(self, upload: Upload) -> None:
        file = self._filesystem.create(upload.path)
        try:
            for offset, data in Container(WRITTEN_VERSION, upload.size, (upload.lease,)).create():
                file.write(offset, data)
        finally:
            file.close()


def _release(file: File, upload: Upload) -> None:
    """Keep the disk busy while an upload lasts, or else the sync at its end has all of it to write."""
    waiting = upload.spans.prefix - upload.released
    if waiting >= WRITTEN_AT_ONCE:
        again = min(upload.released, RELEASED_AGAIN)
        file.release(HEADER_SIZE + upload.released - again, again + waiting)
        upload.released += waiting


def _equal_bytes(file: File, spans: list[tuple[int, int]], offset: int, data: bytes) -> int:
    """How many bytes of ``data`` were written before; they must be equal.

    Raises:
        Refused: ``conflict``: they are not.
    """
    for start, stop in spans:
        if file.read(HEADER_SIZE + start, stop - start) != data[start - offset : stop - offset]:
            raise Refused("conflict", f"bytes {start} to {stop} were written before and differ")
    return sum(stop - start for start, stop in spans)
