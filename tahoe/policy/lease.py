"""Which shares a storage server lets go, and when.

A share whose last lease has run out is not garbage, it is only *collectable*: its owner may be a laptop that has been
dead for months, and that is the very case for which backups exist. So it stays as long as it stands in nobody's way::

    leased ──── the last lease ends ────► collectable ──── room is short, or the grace is over ────► trash ──► gone
       ▲                                       │                                                       │
       └──────────────── a renewal, or ────────┴──────────────── an operator who undeletes ────────────┘

Collectable shares go when room is short, those first whose leases ended first. They go through the trash, which counts as
free room: whoever needs it gets it, and the oldest trash is lost. Where room lasts, trash is kept for the whole window.

Time is the server's own (``servertime.py``). A server that has no record of its time, because it is new to these shares,
gives everybody a whole period to renew before any lease counts as run out: ``since``.

These are facts in and decisions out: the storage server and the simulator's years of Monte Carlo run the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Protocol, TypeVar

DAY: Final = 86_400.0

GRACE: Final = 180 * DAY
"""How long a collectable share stays if room is never short."""

TRASH_WINDOW: Final = 14 * DAY
"""How long the trash keeps what nobody's room depends on."""

HEADROOM: Final = 0.05
"""Part of a store's capacity that is kept free by collecting ahead of need."""


class Collectable(Protocol):
    """What decisions need to know of a share."""

    @property
    def size(self) -> int:
        """Bytes that it takes."""

    @property
    def expires(self) -> float:
        """When the last of its leases ends, in the server's time."""


class Discarded(Protocol):
    """What decisions need to know of a share in the trash."""

    @property
    def size(self) -> int:
        """Bytes that it takes."""

    @property
    def discarded(self) -> float:
        """When it came there, in the server's time."""


C = TypeVar("C", bound=Collectable)
D = TypeVar("D", bound=Discarded)


@dataclass(frozen=True, slots=True)
class CollectionTerms:
    """What an operator lets a server do with shares that nobody leases.

    Args:
        grace: seconds that a collectable share stays if room is not short.
        window: seconds that the trash keeps it if room is not short.
        headroom: part of the capacity to keep free.
    """

    grace: float = GRACE
    window: float = TRASH_WINDOW
    headroom: float = HEADROOM


@dataclass(frozen=True, slots=True)
class Room:
    """The room on a server, in bytes. What is in the trash counts as available."""

    capacity: int
    available: int


class Collection:
    """The decisions of one server.

    Args:
        terms: the operator's.
        since: since when the server has known what time it is; no lease counts as run out within a period of this.
        period: seconds that a lease lasts.
    """

    def __init__(self, terms: CollectionTerms, since: float, period: float) -> None:
        self._terms = terms
        self._floor = since + period

    def shortage(self, room: Room, wanted: int = 0) -> int:
        """Bytes that ought to become free: for somebody who wants so many now, and for the headroom."""
        return max(0, wanted + int(self._terms.headroom * room.capacity) - room.available)

    def horizon(self, now: float) -> float:
        """Shares whose leases end at this time or earlier are collectable. None is before everybody had time to renew."""
        return now if now > self._floor else float("-inf")

    def grace_ends(self, now: float) -> float:
        """Collectable shares whose leases ended by this time go, be there room or not."""
        return now - self._terms.grace if now - self._terms.grace > self._floor else float("-inf")

    def collect(self, shares: Iterable[C], now: float, shortage: int) -> list[C]:
        """The shares to go to the trash.

        Args:
            shares: by the end of their leases, ascending; they are looked at only as far as need be.
            now: the server's time.
            shortage: bytes that ought to become free.
        """
        chosen = []
        for share in takewhile(lambda share: share.expires <= self.horizon(now), shares):
            if shortage <= 0 and share.expires > self.grace_ends(now):
                break
            chosen.append(share)
            shortage -= share.size
        return chosen

    def forget(self, trash: Iterable[D], now: float) -> list[D]:
        """What has been in the trash for its whole window, of trash in the order in which it came."""
        return list(takewhile(lambda share: share.discarded <= now - self._terms.window, trash))


def purge(trash: Iterable[D], missing: int) -> list[D]:
    """What must go from the trash for so many bytes to become free, of trash in the order in which it came."""
    chosen = []
    for share in trash:
        if missing <= 0:
            break
        chosen.append(share)
        missing -= share.size
    return chosen
