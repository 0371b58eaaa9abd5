"""Parts of shares that are larger than a message: set aside until the last has come, then written at one stroke.

::

    StageSlot   segments 0 … 41     set aside
    StageSlot   segments 42 … 83    set aside
    WriteSlot   segments 84 … 99    all are there: proven together, and committed as any other change

What is set aside is not durable, shown to nobody, and part of no share. It bears the name of who sent it, so that nobody's
junk gets among another's blocks; that all of it is the share that was signed is found out when it is written. What
has not grown for a while is dropped, and so is everything when the server starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from threading import RLock
from typing import Final, NamedTuple

from tahoe.codec import base32
from tahoe.codec.slot import SlotShape, VersionId
from tahoe.errors import NoSpace
from tahoe.storage.diskerrors import as_store_errors
from tahoe.storage.filesystem import File, FileSystem
from tahoe.storage.room import Room
from tahoe.storage.slotfile import parse_record, record_span
from tahoe.storage.slots import SlotRecord

MOST: Final = 64
"""Shares that parts are set aside of at a time."""

LONGEST_PAUSE: Final = 3600.0
"""Seconds without another part after which those that came are dropped."""


class PartsName(NamedTuple):
    """Whose parts: share ``number`` of a version of a slot, from ``sender``."""

    storage_index: bytes
    number: int
    version: VersionId
    sender: str


class Parts(Mapping[int, SlotRecord]):
    """The records that have come of one share, each read when it is looked at.

    Args:
        file: that they stand in, where they would in a share of nothing else.
        path: its.
        shape: of the version.
        owner: whose room they take.

    Attributes:
        leaves: of the same segments.
        size: bytes set aside.
        touched: when the last one came.
    """

    def __init__(self, file: File, path: str, shape: SlotShape, owner: int) -> None:
        self.path = path
        self.owner = owner
        self.leaves: dict[int, bytes] = {}
        self.size = 0
        self.touched = 0.0
        self._file = file
        self._shape = shape

    def __getitem__(self, segment: int) -> SlotRecord:
        if segment not in self.leaves:
            raise KeyError(segment)
        return parse_record(self._file.read(*record_span(self._shape, segment)))

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self.leaves))

    def __len__(self) -> int:
        return len(self.leaves)

    def add(self, segment: int, record: SlotRecord) -> None:
        """Set a record aside."""
        self._file.write(record_span(self._shape, segment)[0], b"".join(record))
        self.leaves[segment] = record.leaf

    def close(self) -> None:
        """Give the descriptor back."""
        self._file.close()


class PartsShelf:
    """What is set aside in one store. May be used from several threads at once.

    Args:
        filesystem: where.
        folder: an existing directory, emptied at the start.
        room: that it takes from.
    """

    def __init__(self, filesystem: FileSystem, folder: str, room: Room) -> None:
        self._filesystem = filesystem
        self._folder = folder
        self._room = room
        self._shelf: dict[PartsName, Parts] = {}
        self._serial = count()
        self._lock = RLock()

    @as_store_errors()
    def put(self, name: PartsName, shape: SlotShape, records: Mapping[int, SlotRecord], owner: int, now: float) -> int:
        """Set records aside, those that are not yet.

        Args:
            name: whose they are.
            shape: of the version.
            records: by segment.
            owner: whose room they take, as long as they are set aside.
            now: seconds on the server's own clock.

        Returns:
            How many segments of the share are set aside now.

        Raises:
            NoSpace: what was set aside before is still there.
            StorageFailed: it is not.
        """
        with self._lock:
            self._drop_idle(now)
            parts = self._shelf.get(name) or self._begin(name, shape, owner)
            parts.touched = now
            new = {segment: record for segment, record in records.items() if segment not in parts}
            size = sum(sum(map(len, record)) for record in new.values())
            self._room.reserve(size, owner)
            self._room.written(size)
            parts.size += size
            try:
                for segment, record in new.items():
                    parts.add(segment, record)
            except OSError:
                self.drop(name)
                raise
            return len(parts)

    def find(self, name: PartsName) -> Parts | None:
        """What is set aside of a share."""
        with self._lock:
            return self._shelf.get(name)

    def names(self) -> list[PartsName]:
        """All shares that something is set aside of."""
        with self._lock:
            return list(self._shelf)

    def drop(self, name: PartsName) -> None:
        """It has been written, or will never be."""
        with self._lock:
            parts = self._shelf.pop(name, None)
            if parts is None:
                return
            self._room.settle(parts.size, 0, parts.owner)
            parts.close()
            with as_store_errors():
                self._filesystem.unlink(parts.path)

    # --- helpers ------------------------------------------------------------------------------------------

    def _begin(self, name: PartsName, shape: SlotShape, owner: int) -> Parts:
        if len(self._shelf) >= MOST:
            raise NoSpace("parts of too many shares are coming in at the moment; try again later")
        path = f"{self._folder}/" if self._folder else ""
        path += f"{base32.encode(name.storage_index)}.{name.number}.part-{next(self._serial)}"
        self._shelf[name] = Parts(self._filesystem.create(path), path, shape, owner)
        return self._shelf[name]

    def _drop_idle(self, now: float) -> None:
        for name in [name for name, parts in self._shelf.items() if now - parts.touched > LONGEST_PAUSE]:
            self.drop(name)
