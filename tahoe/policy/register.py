"""One register, one rule: which version of a slot counts, when some homes are silent and writers may have raced.

Every share position (share number i on its home) is a register that takes a version only on top of exactly the
one it carries, and only with a higher sequence number. So of two writers of sequence n + 1 each position takes
one, and since any two quorums of Q = ceil((N + k) / 2) positions have k in common, at most one of them reaches Q.
A write is done when Q positions have it.

From what was heard this follows::

    a version may have won     if the positions that carry it, those that carry a newer one (which may have
                               replaced it) and those not heard of make a quorum together
    one covers an older one    if the older can have won only where the newer replaced it in k positions: then its
                               writer had seen k of it, and built on it
    the one that counts        the newest that may have won, if it has won or covers all others that may have, and
                               newer ones are in too few positions to hide one that won and is seen nowhere any more
    a write is lost            when the positions left to it make no quorum

A writer who changes what is there must build on more than the version that counts: a rival seen on k positions or more
may still win by messages that are under way, and so may an older one as long as his base is not known to have won. He
merges all these ``heads``. One seen on fewer than k positions can't win any more once he has reached a quorum
himself: he overwrote it in at most k - 1 places, and it has at most N - Q others.

Homes that crash, lose and forget are reckoned with, and homes that lie about what they carry are not, but for this: where
a version has been acknowledged by no more than Q, one of them that shows an older one may make that the one that counts.
A reader who can't rule that out is given the newest version in reach with the warning below. Several liars at once
can still pass an older version off as certain on a reader who has never seen the newer one; on one who has, none can.

Where too few homes are in reach, the newest version that can be recovered is still given, with the warning that it
may be stale. A version that won nowhere is mended by the next writer, who writes on top of whatever each position
carries, with a number above all he has seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tahoe.codec.slot import SlotVersion, VersionId


class Position(NamedTuple):
    """A share number and the public key of the node that is its home."""

    number: int
    home: bytes


def positions_of(version: SlotVersion) -> tuple[Position, ...]:
    """The positions that vote on a version."""
    return tuple(Position(number, home) for number, home in enumerate(version.homes))


class Choice(NamedTuple):
    """What a reader may give: the version, and whether a newer one may exist that was out of reach."""

    version: SlotVersion
    may_be_stale: bool


@dataclass(slots=True)
class Register:
    """What has been heard of one slot.

    Attributes:
        heard: what every server that answered carries, share number to version.
        versions: all versions seen, by their identity.
    """

    heard: dict[bytes, dict[int, VersionId]] = field(default_factory=dict)
    versions: dict[VersionId, SlotVersion] = field(default_factory=dict)

    def learn(self, home: bytes, shares: Mapping[int, SlotVersion]) -> None:
        """A server has answered: these shares it has, and no others."""
        self.heard[home] = {number: version.identity for number, version in shares.items()}
        for version in shares.values():
            self.versions[version.identity] = version

    def carried(self, position: Position) -> VersionId | None:
        """What a position carries, as last heard; None for nothing or not heard of."""
        return self.heard.get(position.home, {}).get(position.number)

    def holders(self, version: VersionId) -> dict[int, list[bytes]]:
        """Who has which share of a version, extra copies included."""
        found: dict[int, list[bytes]] = {}
        for home, shares in self.heard.items():
            for number, carried in shares.items():
                if carried == version:
                    found.setdefault(number, []).append(home)
        return dict(sorted(found.items()))

    def can_recover(self, version: SlotVersion) -> bool:
        """Whether k different shares of it are in reach."""
        return len(self.holders(version.identity)) >= version.shape.needed

    def may_have_won(self, version: SlotVersion) -> bool:
        """Whether a quorum may carry it, or may have done before a newer one came."""
        speaking = sum(self._speaks_for(version, place) for place in positions_of(version))
        return speaking >= version.shape.quorum

    def may_yet_win(self, version: SlotVersion) -> bool:
        """Whether it may reach a quorum by messages that are under way: they replace only what is older."""
        places = positions_of(version)
        open_places = sum(self._is_open_to(version, place) for place in places)
        return open_places >= version.shape.quorum

    def has_won(self, version: SlotVersion) -> bool:
        """Whether a quorum is known to carry it."""
        return sum(self.carried(place) == version.identity for place in positions_of(version)) >= version.shape.quorum

    def highest_sequence(self) -> int:
        """Of all versions seen; 0 for none."""
        return max((identity.sequence for identity in self.versions), default=0)

    def missing(self) -> list[bytes]:
        """Homes of the versions seen that have not been heard, newest version's first."""
        found: dict[bytes, None] = {}
        for identity in sorted(self.versions, reverse=True):
            found.update(dict.fromkeys(home for home in self.versions[identity].homes if home not in self.heard))
        return list(found)

    def is_quorum_heard(self) -> bool:
        """Whether a quorum of the newest version's homes has answered."""
        if not self.versions:
            return False
        newest = self.versions[max(self.versions)]
        return sum(place.home in self.heard for place in positions_of(newest)) >= newest.shape.quorum

    def choice(self) -> Choice | None:
        """The version that counts, once what was heard suffices for certainty; None: ask on."""
        if not self.is_quorum_heard():
            return None
        candidates = [version for version in self._newest_first() if self.may_have_won(version)]
        if not candidates or not self.can_recover(candidates[0]):
            return None
        newest, others = candidates[0], candidates[1:]
        is_certain = self.has_won(newest) or (
            not self._may_hide_another(newest) and all(self._covers(newest, other) for other in others)
        )
        return Choice(newest, may_be_stale=False) if is_certain else None

    def best_effort(self) -> Choice | None:
        """The version to give when nobody is left to ask: the newest that can be recovered; None if none can."""
        return self.choice() or self._newest_in_reach()

    def wary_effort(self) -> Choice | None:
        """The same for a reader who does not believe every home: if one lie may have made the choice, he is told so."""
        certain = self.choice()
        if certain is not None and self._withstands_a_lie(certain.version):
            return certain
        return self._newest_in_reach()

    def heads(self, base: SlotVersion) -> list[SlotVersion]:
        """What a writer who changes ``base`` must merge: it, and others that can be recovered and may still win."""
        floor = base.sequence if self.has_won(base) else 0
        others = (version for version in self._newest_first() if version.sequence >= floor and version != base)
        return [base, *(version for version in others if self.can_recover(version))]

    def _newest_in_reach(self) -> Choice | None:
        found = next((version for version in self._newest_first() if self.can_recover(version)), None)
        return None if found is None else Choice(found, may_be_stale=True)

    def _withstands_a_lie(self, version: SlotVersion) -> bool:
        """Whether no other that is seen could have won instead, even if one of the homes keeps back that it has it.

        Versions are signed, so a home can't invent a newer one; it can only show an older one than it has taken.
        """
        if self.has_won(version):
            return True
        places = positions_of(version)
        against = sum(self._carries_another(place, version) for place in places)
        silent = sum(place.home not in self.heard for place in places)
        most_of_a_home = max(Counter(version.homes).values())
        return not against or against + silent + most_of_a_home < version.shape.quorum

    def _carries_another(self, place: Position, version: SlotVersion) -> bool:
        """Whether a position carries something newer, or a rival of the same number."""
        carried = self.carried(place)
        return carried is not None and carried != version.identity and carried.sequence >= version.sequence

    def _newest_first(self) -> Iterator[SlotVersion]:
        return (self.versions[identity] for identity in sorted(self.versions, reverse=True))

    def _covers(self, newer: SlotVersion, older: SlotVersion) -> bool:
        """Whether the older one, if it ever won, was replaced by the newer in at least k positions."""
        elsewhere = sum(
            self._speaks_for(older, place) and self.carried(place) != newer.identity for place in positions_of(older)
        )
        return newer.sequence > older.sequence and older.shape.quorum - elsewhere >= older.shape.needed

    def _may_hide_another(self, version: SlotVersion) -> bool:
        """Whether a rival of it may have won in whose every position there is something newer by now."""
        places = positions_of(version)
        covered = sum(place.home not in self.heard or self._carries_newer(place, version) for place in places)
        return covered >= version.shape.quorum

    def _carries_newer(self, place: Position, version: SlotVersion) -> bool:
        carried = self.carried(place)
        return carried is not None and carried.sequence > version.sequence

    def _is_open_to(self, version: SlotVersion, place: Position) -> bool:
        carried = self.carried(place)
        return carried is None or carried == version.identity or carried.sequence < version.sequence

    def _speaks_for(self, version: SlotVersion, place: Position) -> bool:
        if place.home not in self.heard:
            return True
        return self.carried(place) == version.identity or self._carries_newer(place, version)


@dataclass(slots=True)
class Ballot:
    """The count of one write: positions that have it, and positions that never will.

    Args:
        version: that is written.
    """

    version: SlotVersion
    taken: dict[Position, None] = field(default_factory=dict)
    failed: dict[Position, None] = field(default_factory=dict)

    def take(self, places: Iterable[Position]) -> None:
        """These positions carry the version now."""
        for place in places:
            self.failed.pop(place, None)
            self.taken[place] = None

    def fail(self, places: Iterable[Position]) -> None:
        """These positions did not take it, or nobody knows."""
        self.failed.update(dict.fromkeys(place for place in places if place not in self.taken))

    @property
    def is_done(self) -> bool:
        """Whether a quorum has the version."""
        return len(self.taken) >= self.version.shape.quorum

    @property
    def is_lost(self) -> bool:
        """Whether the positions left make no quorum."""
        return self.version.shape.total - len(self.failed) < self.version.shape.quorum
