"""How much room a store has: what it holds, what uploads have set aside, and what the disk has left.

Two limits apply at once. ``sizelimit`` bounds what we keep, so it is compared with *used + reserved*.
The disk's free bytes already know what was written, so they are compared with the *pending* part of
the reservations, which is still to come::

    used | reserved by uploads = written + pending |                    <= sizelimit
    ---- all that is on the disk, ours or not ---- | pending | reserved_space <= size of the disk
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

from tahoe.errors import NoSpace
from tahoe.protocol import Space
from tahoe.storage.store import CONTAINER_ROOM, StoreOptions


class DiskSpace(NamedTuple):
    """Size of a disk and what is free on it, in bytes."""

    total: int
    free: int


class Room:
    """The accounts of one store. May be used from several threads at once.

    Args:
        options: the operator's limits.
        disk: tells the room on the disk now.
    """

    __slots__ = ("_disk", "_frozen", "_lock", "_options", "_pending", "_reserved", "_shares", "_used")

    def __init__(self, options: StoreOptions, disk: Callable[[], DiskSpace]) -> None:
        self._options = options
        self._frozen = options.readonly
        self._disk = disk
        self._lock = Lock()
        self._used = 0
        self._reserved = 0
        self._pending = 0
        self._shares = 0

    def freeze(self) -> None:
        """Take nothing new from now on: the disk is read-only."""
        self._frozen = True

    def reserve(self, size: int) -> None:
        """Set bytes aside for shares to come, containers included.

        Raises:
            NoSpace: there is not so much room.
        """
        if self._frozen:
            raise NoSpace("this server is read-only")
        disk = self._disk()
        with self._lock:
            available = self._available(disk)
            if size > available:
                raise NoSpace(f"{size} bytes are asked for, {max(available, 0)} are available")
            self._reserved += size
            self._pending += size

    def written(self, size: int) -> None:
        """So many of the reserved bytes are on the disk now."""
        with self._lock:
            self._pending -= size

    def settle(self, reserved: int, pending: int, used: int, shares: int) -> None:
        """End a reservation, of which ``pending`` bytes were never written; ``used`` bytes of it stay."""
        with self._lock:
            self._reserved -= reserved
            self._pending -= pending
            self._used += used
            self._shares += shares

    def grow(self, used: int, shares: int = 0) -> None:
        """Bytes (and shares) came or went outside any reservation."""
        with self._lock:
            self._used += used
            self._shares += shares

    def space(self) -> Space:
        """The room now."""
        disk = self._disk()
        with self._lock:
            available = max(self._available(disk), 0)
            limit = self._options.sizelimit
            capacity = disk.total if limit is None else min(limit, disk.total)
            accepts = 0 if self._frozen else max(available - CONTAINER_ROOM, 0)
            return Space(capacity, available, accepts, self._shares)

    def on_disk(self) -> int:
        """Bytes that are ours and written, by these accounts."""
        return self._used + self._reserved - self._pending

    def _available(self, disk: DiskSpace) -> int:
        available = disk.free - self._pending - self._options.reserved_space
        if self._options.sizelimit is None:
            return available
        return min(available, self._options.sizelimit - self._used - self._reserved)
