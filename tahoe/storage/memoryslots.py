"""A store of slots in memory: the twin of the one on disk, for the simulator and for tests.

It promises what ``slots.py`` says, but for what happens when the process ends, and keeps the same account of room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import RLock
from typing import NamedTuple

from tahoe.codec.container import UPLOAD_OWNER
from tahoe.codec.container import Lease as LeaseRecord
from tahoe.codec.slot import SparseTree
from tahoe.protocol import Lease
from tahoe.storage.books import owner_of
from tahoe.storage.filesystem import VolatileFileSystem
from tahoe.storage.leaseindex import SLOT, Entry, ShareName
from tahoe.storage.room import Room
from tahoe.storage.slotcheck import check_slot_share
from tahoe.storage.slotfile import SlotContainer
from tahoe.storage.slotleases import Leases, count_of, ends_of, facts_of, granted, with_lease, without_lease
from tahoe.storage.slotparts import PartsShelf
from tahoe.storage.slots import SlotChange, SlotHead, SlotRecord
from tahoe.storage.slottree import apply
from tahoe.storage.store import (
    MOST_ADVISORIES,
    LeaseFacts,
    StoreOptions,
    Verdict,
    check_names,
    check_secrets,
    no_such_share,
)
from tahoe.storage.trash import MemoryTrash


class SlotAdvisory(NamedTuple):
    """A reader's report of a corrupt share."""

    storage_index: bytes
    number: int
    reason: str
    time: float


@dataclass(slots=True)
class _Share:
    container: SlotContainer
    records: dict[int, SlotRecord]
    tree: SparseTree


class MemorySlotStore:
    """Slots in dictionaries.

    Args:
        room: that slots take theirs from.
        options: the operator's limits.
    """

    def __init__(self, room: Room, options: StoreOptions) -> None:
        self.advisories: deque[SlotAdvisory] = deque(maxlen=MOST_ADVISORIES)
        self._room = room
        self._books = room.books
        self._options = options
        self._slots: dict[bytes, dict[int, _Share]] = {}
        self._trash = MemoryTrash(self._slots, self._books, SLOT, _entry_of)
        self._lock = RLock()
        self.parts = PartsShelf(VolatileFileSystem(), "", room)

    # --- reading ----------------------------------------------------------------------------------------

    def lock(self, storage_index: bytes) -> AbstractContextManager[object]:
        """See ``SlotStore``; one for all."""
        return self._lock

    def numbers(self, storage_index: bytes) -> tuple[int, ...]:
        """See ``SlotStore``."""
        check_names(storage_index, ())
        return tuple(sorted(self._slots.get(storage_index, ())))

    def head(self, storage_index: bytes, number: int) -> SlotHead:
        """See ``SlotStore``."""
        return self._share(storage_index, number).container.head

    def tree(self, storage_index: bytes, number: int) -> SparseTree:
        """See ``SlotStore``."""
        return self._share(storage_index, number).tree

    def read(self, storage_index: bytes, number: int, segments: Iterable[int]) -> list[SlotRecord]:
        """See ``SlotStore``."""
        with self._lock:
            records = self._share(storage_index, number).records
            return [records[segment] for segment in segments]

    def storage_indexes(self, after: bytes = b"") -> Iterator[bytes]:
        """See ``SlotStore``; what comes or goes meanwhile may be missed."""
        with self._lock:
            return iter(sorted(index for index in self._slots if index > after))

    def scrub(self, storage_index: bytes, number: int) -> Verdict:
        """See ``SlotStore``."""
        return check_slot_share(self, storage_index, number)

    # --- writing ----------------------------------------------------------------------------------------

    def write(self, storage_index: bytes, changes: Mapping[int, SlotChange], lease: Lease, now: float) -> None:
        """See ``SlotStore``."""
        check_names(storage_index, changes)
        owner = owner_of(lease)
        wanted = granted(lease, owner, now + self._options.lease_seconds)
        with self._lock:
            held = self._slots.get(storage_index, {})
            after = {number: _after(held.get(number), change, wanted) for number, change in changes.items()}
            new = sum(number not in held for number in changes)
            growth = sum(container.end for container in after.values())
            growth -= sum(held[number].container.end for number in changes if number in held)
            reserved = max(growth, 0) if new or growth > 0 else None
            if reserved is not None:
                self._room.reserve(reserved, owner)
            for number, change in changes.items():
                self._put(storage_index, number, change, after[number])
            if reserved is not None:
                self._room.settle(reserved, reserved, owner)

    # --- leases and advice --------------------------------------------------------------------------------

    def add_lease(self, storage_index: bytes, lease: Lease, owner: int, now: float) -> int:
        """See ``SlotStore``."""
        check_names(storage_index, ())
        wanted = granted(lease, owner, now + self._options.lease_seconds)
        with self._lock:
            self.restore(storage_index)
            held = self._slots.get(storage_index, {})
            after = {number: with_lease(share.container.leases, wanted) for number, share in held.items()}
            containers = [share.container for number, share in held.items() if share.container.leases != after[number]]
            new = [container.end for container in containers if owner not in ends_of(container.leases)]
            if new and owner > UPLOAD_OWNER:
                self._books.check(owner, sum(new))
            for number, leases in after.items():
                self._set_leases(storage_index, number, leases)
            return len(held)

    def cancel_lease(self, storage_index: bytes, cancel_secret: bytes, now: float) -> int:
        """See ``SlotStore``."""
        check_names(storage_index, ())
        check_secrets(cancel_secret)
        with self._lock:
            numbers = self.numbers(storage_index)
            return sum(self._cancel(storage_index, number, cancel_secret, now) for number in numbers)

    def leases(self, storage_index: bytes, number: int) -> tuple[LeaseFacts, ...]:
        """See ``SlotStore``."""
        return facts_of(self._share(storage_index, number).container.leases)

    def advise_corrupt(self, storage_index: bytes, number: int, reason: str, now: float) -> None:
        """See ``SlotStore``; kept in ``advisories``."""
        self._share(storage_index, number)
        self.advisories.append(SlotAdvisory(storage_index, number, reason, now))

    # --- what nobody leases -------------------------------------------------------------------------------

    def discard(self, storage_index: bytes, number: int, expires: int, now: float) -> bool:
        """See ``SlotStore``."""
        with self._lock:
            share = self._slots.get(storage_index, {}).get(number)
            if share is None or max(ends_of(share.container.leases).values()) != expires:
                return False
            self._trash.put(storage_index, number, max(1, int(now)))
            return True

    def purge(self, storage_index: bytes, number: int) -> bool:
        """See ``SlotStore``."""
        with self._lock:
            return self._trash.purge(storage_index, number)

    def restore(self, storage_index: bytes) -> int:
        """See ``SlotStore``."""
        with self._lock:
            return self._trash.restore(storage_index)

    # --- helpers ------------------------------------------------------------------------------------------

    def _share(self, storage_index: bytes, number: int) -> _Share:
        try:
            return self._slots[storage_index][number]
        except KeyError:
            raise no_such_share(number) from None

    def _put(self, storage_index: bytes, number: int, change: SlotChange, container: SlotContainer) -> None:
        held = self._slots.setdefault(storage_index, {})
        count = change.head.version.shape.segment_count
        if change.whole or number not in held:
            held[number] = _Share(container, {}, SparseTree(0))
        share = held[number]
        for segment in range(count, share.tree.leaf_count):
            del share.records[segment]
        share.container = container
        self._enter(storage_index, number, share)
        share.records.update(change.records)
        apply(share.tree, change.nodes, count)

    def _enter(self, storage_index: bytes, number: int, share: _Share) -> None:
        """Tell the books of a share."""
        self._books.enter(_entry_of(storage_index, number, share))

    def _set_leases(self, storage_index: bytes, number: int, leases: Leases) -> None:
        share = self._share(storage_index, number)
        share.container = share.container.leased(leases)
        self._enter(storage_index, number, share)

    def _cancel(self, storage_index: bytes, number: int, cancel_secret: bytes, now: float) -> int:
        before = self._share(storage_index, number).container.leases
        after = without_lease(before, cancel_secret, now)
        self._set_leases(storage_index, number, after)
        return count_of(before) - count_of(after)


def _entry_of(storage_index: bytes, number: int, share: _Share, stamp: int = 0) -> Entry:
    """What the books are told of a share."""
    name, ends = ShareName(SLOT, storage_index, number), ends_of(share.container.leases)
    return Entry(name, share.container.end, ends, discarded=stamp)


def _after(share: _Share | None, change: SlotChange, lease: LeaseRecord) -> SlotContainer:
    """A share's container after a change."""
    before = SlotContainer(change.head, ()) if share is None else share.container.with_head(change.head)
    return before.leased(with_lease(before.leases, lease))
