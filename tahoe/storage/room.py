"""How much room a store has: what it holds, what uploads have set aside, and what the disk has left.

Two limits apply at once. ``sizelimit`` bounds what we keep, so it is compared with *kept + reserved*.
The disk's free bytes already know what was written, so they are compared with the *pending* part of
the reservations, which is still to come::

    kept | reserved by uploads = written + pending |                    <= sizelimit
    ---- all that is on the disk, ours or not ---- | pending | reserved_space <= size of the disk

What is kept the lease index knows. The trash counts last: it is room like any other until somebody wants it, and then
the oldest of it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from tahoe.codec.container import UPLOAD_OWNER
from tahoe.errors import NoSpace
from tahoe.protocol import Space
from tahoe.storage.books import Books
from tahoe.storage.filesystem import DiskSpace
from tahoe.storage.store import CONTAINER_ROOM, StoreOptions


def nothing_to_purge(_missing: int) -> None:
    """Leave the trash alone."""


class Room:
    """The room of one store. May be used from several threads at once.

    Args:
        options: the operator's limits.
        disk: tells the room on the disk now.
        books: say what is kept, and ration it.

    Attributes:
        books: of the same store.
        purge: is told how many bytes of the trash must go.
    """

    def __init__(self, options: StoreOptions, disk: Callable[[], DiskSpace], books: Books) -> None:
        self.purge: Callable[[int], None] = nothing_to_purge
        self._options = options
        self._frozen = options.readonly
        self._disk = disk
        self.books = books
        self._lock = Lock()
        self._reserved = 0
        self._pending = 0

    def freeze(self) -> None:
        """Take nothing new from now on: the disk is read-only."""
        self._frozen = True

    def reserve(self, size: int, owner: int = UPLOAD_OWNER) -> None:
        """Set bytes aside for shares to come, containers included; purge the trash as far as need be.

        Raises:
            NoSpace: there is not so much room.
            Refused: ``over-quota``.
        """
        if self._frozen:
            raise NoSpace("this server is read-only")
        self.books.reserve(owner, size)
        disk = self._disk()
        with self._lock:
            available = self._available(disk)
            missing = self._missing(disk, size)
            if size <= available:
                self._reserved += size
                self._pending += size
        if size > available:
            self.books.release(owner, size)
            self._refuse(size, available)
        if missing > 0:
            self.purge(missing)

    def written(self, size: int) -> None:
        """So many of the reserved bytes are on the disk now."""
        with self._lock:
            self._pending -= size

    def settle(self, reserved: int, pending: int, owner: int = UPLOAD_OWNER) -> None:
        """End a reservation, of which ``pending`` bytes were never written; what stays of it is in the index."""
        with self._lock:
            self._reserved -= reserved
            self._pending -= pending
        self.books.release(owner, reserved)

    def space(self) -> Space:
        """The room now."""
        disk = self._disk()
        with self._lock:
            available = max(self._available(disk), 0)
            limit = self._options.sizelimit
            capacity = disk.total if limit is None else min(limit, disk.total)
            accepts = 0 if self._frozen else max(available - CONTAINER_ROOM, 0)
            live = self.books.index.live()
            return Space(capacity, available, accepts, 0 if live is None else live.shares)

    def on_disk(self) -> int:
        """Bytes that are ours and written, by these accounts."""
        live = self.books.index.live()
        kept = 0 if live is None else live.bytes
        return kept + self.books.index.trash().bytes + self._reserved - self._pending

    def _available(self, disk: DiskSpace) -> int:
        """Bytes that may be reserved, those of the trash included."""
        available = disk.free + self.books.index.trash().bytes - self._pending - self._options.reserved_space
        if self._options.sizelimit is None:
            return available
        live = self.books.index.live()
        if live is None:
            return 0
        return min(available, self._options.sizelimit - live.bytes - self._reserved)

    def _missing(self, disk: DiskSpace, size: int) -> int:
        """Bytes of the trash that must go for so many to be reserved."""
        trash = self.books.index.trash().bytes
        return min(trash, size - (self._available(disk) - trash)) if trash else 0

    def _refuse(self, size: int, available: int) -> None:
        if self._options.sizelimit is not None and self.books.index.live() is None:
            raise NoSpace("this server is still counting what it keeps; try again in some minutes")
        raise NoSpace(f"{size} bytes are asked for, {max(available, 0)} are available")
