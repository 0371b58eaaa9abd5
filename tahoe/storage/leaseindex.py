"""The lease index: what a server keeps of whom and until when, answered at once.

The truth stands in the containers, where a crawl over a million shares takes hours. This is a copy, disposable at any time::

    stores ──put, remove──► index ──► whose leases end this week?   what is in the trash?
      ▲                       │       who keeps how much?           how much is kept in all?
      └──── rebuild: walk ────┘

Each entry is one share with what its leases come down to. Stores report every change, and never ask the index what is
true of a share before they change it.

*Trust.* At a clean end, store and index are given the same *mark*. A start that finds the same mark on both trusts the
index; after a crash, or with an index that is lost, damaged or of another day, the store walks over all shares and
reports each while it serves already (``DiskStore.catch_up``). Such a *count* begins a new generation: what has not been
reported by its end is not there. Until then totals are those that the index remembers, or not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, NamedTuple, Protocol

from tahoe.codec.container import RELEASED_OWNER

FILE: Final = 0
"""Kind of a share of an immutable file."""

SLOT: Final = 1
"""Kind of a share of a slot."""

NEVER: Final = 2**32 - 1
"""When the leases end of a share whose container can't be read: somebody has to look at it first."""


class ShareName(NamedTuple):
    """Which share."""

    kind: int
    storage_index: bytes
    number: int


class Entry(NamedTuple):
    """One share.

    Args:
        name: which.
        size: bytes of its container.
        leases: when the last lease of each owner ends (seconds since the epoch), by owner number.
        discarded: when it came to the trash; 0: it is not there.
    """

    name: ShareName
    size: int
    leases: Mapping[int, int]
    discarded: int = 0

    @property
    def expires(self) -> int:
        """When the last of its leases ends."""
        return max(self.leases.values(), default=NEVER)

    @property
    def released(self) -> Entry:
        """The same share when its last lease has ended: it goes as it would have, and is charged to nobody."""
        return self._replace(leases={RELEASED_OWNER: self.expires})

    def charged(self, now: float) -> Entry:
        """The same share without leases that have ended while others last: their owners keep it no more."""
        lasting = {owner: expires for owner, expires in self.leases.items() if expires >= now}
        return self._replace(leases=lasting) if lasting else self


class Kept(NamedTuple):
    """Bytes of containers, and how many there are."""

    bytes: int = 0
    shares: int = 0


NOTHING: Final = Kept()


@dataclass(slots=True)
class Tally:
    """Sums over entries, kept up as they come and go."""

    live: Kept = NOTHING
    trash: Kept = NOTHING
    owners: dict[int, Kept] = field(default_factory=dict)

    def add(self, entry: Entry, sign: int = 1) -> None:
        """Count an entry in (or, with -1, out). What is in the trash is nobody's."""
        size = sign * entry.size
        if entry.discarded:
            self.trash = Kept(self.trash.bytes + size, self.trash.shares + sign)
            return
        self.live = Kept(self.live.bytes + size, self.live.shares + sign)
        for owner in entry.leases:
            if owner == RELEASED_OWNER:
                continue
            kept = self.owners.get(owner, Kept())
            self.owners[owner] = Kept(kept.bytes + size, kept.shares + sign)
            if not self.owners[owner].shares:
                del self.owners[owner]


class LeaseIndex(Protocol):
    """The interface of every index; ``tests/storage`` has one conformance suite for all. Methods may be called from several threads."""

    def begin(self, mark: int) -> bool:
        """Begin, and tell whether what is in it can be trusted: it was given the same ``mark`` at its end (0: none)."""

    def end(self) -> int:
        """Make everything durable and end; return a mark that no end before has had. 0: it is not complete."""

    def put(self, entry: Entry) -> None:
        """A share is as this says."""

    def remove(self, name: ShareName) -> None:
        """A share is gone, from the trash too."""

    def release(self, name: ShareName, expires: int) -> None:
        """A share whose last lease ended at ``expires`` is nobody's from now on; one that ends later, or is trash, stays."""

    def find(self, name: ShareName) -> Entry | None:
        """What is known of a share."""

    def count_anew(self) -> None:
        """From now on every share is going to be reported; what is not by ``counted`` is not there."""

    def counted(self) -> None:
        """Every share has been reported."""

    @property
    def complete(self) -> bool:
        """Whether every share is known."""

    def live(self) -> Kept | None:
        """What is kept, trash excluded; None: not known yet."""

    def trash(self) -> Kept:
        """What is in the trash, as far as known."""

    def owners(self) -> dict[int, Kept]:
        """What is kept by owner number, as far as known."""

    def ending(self, first: float, last: float) -> Kept:
        """How much it is whose leases end in this time, both ends included; trash excluded."""

    def expiring(self, first: float, last: float, most: int) -> list[Entry]:
        """Shares whose leases end in this time, both ends included, ascending; at most so many, the first."""

    def discarded(self, most: int) -> list[Entry]:
        """Shares in the trash, in the order in which they came there; at most so many, the first."""

    def flush(self) -> None:
        """Put what has been reported where the next start finds it. Nothing needs it."""


class MemoryLeaseIndex:
    """The twin in memory: for the simulator, for tests, and for servers that have no disk to spare."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: dict[ShareName, Entry] = {}
        self._tally = Tally()
        self._reported: set[ShareName] | None = None
        self._complete = False
        self._known = False
        self._ends = 0
        self._mark = 0

    def begin(self, mark: int) -> bool:
        """See ``LeaseIndex``."""
        with self._lock:
            self._complete = mark > 0 and mark == self._mark
            self._known = self._complete or bool(self._entries)
            self._mark = 0
            return self._complete

    def end(self) -> int:
        """See ``LeaseIndex``."""
        self._ends += 1
        self._mark = self._ends if self._complete else 0
        return self._mark

    def put(self, entry: Entry) -> None:
        """See ``LeaseIndex``."""
        with self._lock:
            self._drop(entry.name)
            self._entries[entry.name] = entry
            self._tally.add(entry)
            if self._reported is not None:
                self._reported.add(entry.name)

    def remove(self, name: ShareName) -> None:
        """See ``LeaseIndex``."""
        with self._lock:
            self._drop(name)

    def release(self, name: ShareName, expires: int) -> None:
        """See ``LeaseIndex``."""
        with self._lock:
            known = self._entries.get(name)
            if known is not None and known.expires == expires and not known.discarded:
                self._drop(name)
                self._entries[name] = known.released
                self._tally.add(known.released)

    def find(self, name: ShareName) -> Entry | None:
        """See ``LeaseIndex``."""
        return self._entries.get(name)

    def count_anew(self) -> None:
        """See ``LeaseIndex``."""
        with self._lock:
            self._reported = set()
            self._complete = False

    def counted(self) -> None:
        """See ``LeaseIndex``."""
        with self._lock:
            reported = self._reported or set()
            for name in [name for name in self._entries if name not in reported]:
                self._drop(name)
            self._reported = None
            self._complete = self._known = True

    @property
    def complete(self) -> bool:
        """See ``LeaseIndex``."""
        return self._complete

    def live(self) -> Kept | None:
        """See ``LeaseIndex``."""
        return self._tally.live if self._known else None

    def trash(self) -> Kept:
        """See ``LeaseIndex``."""
        return self._tally.trash

    def owners(self) -> dict[int, Kept]:
        """See ``LeaseIndex``."""
        with self._lock:
            return dict(self._tally.owners)

    def ending(self, first: float, last: float) -> Kept:
        """See ``LeaseIndex``."""
        found = self.expiring(first, last, len(self._entries))
        return Kept(sum(entry.size for entry in found), len(found))

    def expiring(self, first: float, last: float, most: int) -> list[Entry]:
        """See ``LeaseIndex``."""
        with self._lock:
            found = [entry for entry in self._entries.values() if not entry.discarded]
        within = [entry for entry in found if first <= entry.expires <= last]
        return sorted(within, key=lambda entry: (entry.expires, *_order(entry)))[:most]

    def discarded(self, most: int) -> list[Entry]:
        """See ``LeaseIndex``."""
        with self._lock:
            found = [entry for entry in self._entries.values() if entry.discarded]
        return sorted(found, key=lambda entry: (entry.discarded, *_order(entry)))[:most]

    def flush(self) -> None:
        """See ``LeaseIndex``."""

    def __iter__(self) -> Iterator[Entry]:
        """All entries, in no order."""
        with self._lock:
            return iter(list(self._entries.values()))

    def _drop(self, name: ShareName) -> None:
        known = self._entries.pop(name, None)
        if known is not None:
            self._tally.add(known, -1)


def _order(entry: Entry) -> tuple[bytes, int, int]:
    return entry.name.storage_index, entry.name.kind, entry.name.number
