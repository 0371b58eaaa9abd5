"""What a caretaker does next, decided by facts alone.

Three questions, each answered by a pure function, so that simulated decades and a friend's laptop get the same answers:

* *Is a server dead or only asleep?* Laptops sleep for days, and a share that sleeps is no lost share. Who was heard of
  within the ``grace`` is presumed to come back, unless its owner has said that it is gone for good, or it has been found
  to lie. Presumed shares count when it is decided whether to repair, and are not made anew; but a file that could not
  be read if one more server fell asleep is repaired whatever is presumed.
* *Is an object safe?* Safe while R shares or more are presumed to be there, at risk below that, lost where fewer than k
  are, even of those.
* *Who comes first?* Whoever is likeliest to be lost before the next look: the probability that too few of its shares
  outlive that time (``theory.availability``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from tahoe.policy.repair import LAZY, RepairRule
from tahoe.protocol import NodeId
from tahoe.theory.availability import loss

DAY = 86400.0


class Safety(Enum):
    """How it stands with an object, best first."""

    SAFE = "safe"
    AT_RISK = "at risk"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CareRules:
    """How a caretaker goes about it; times in seconds.

    Args:
        check_every: every object is looked for where it was last found.
        everywhere_every: and on all servers.
        grace: a server that was heard of within this time is only asleep.
        renew_every: leases are renewed.
        challenges: blocks asked for by chance in each round over a hundred objects, so that who lies is found out.
        repair: when to repair.
    """

    check_every: float = 7 * DAY
    everywhere_every: float = 30 * DAY
    grace: float = 4 * DAY
    renew_every: float = 6 * DAY
    challenges: int = 20
    repair: RepairRule = LAZY


class Standing(NamedTuple):
    """Servers as a caretaker sees them now.

    Args:
        present: answered.
        asleep: did not, and are presumed to come back.
        distrusted: have been found to lie: what they claim counts for nothing.
        leaving: say that they are about to leave.
    """

    present: Collection[NodeId]
    asleep: Collection[NodeId] = ()
    distrusted: Collection[NodeId] = ()
    leaving: Collection[NodeId] = ()

    def counts(self, node: NodeId) -> bool:
        """Whether a share there may be reckoned with."""
        return node not in self.distrusted and (node in self.present or node in self.asleep)


def standing_of(
    nodes: Iterable[NodeId],
    seen: Mapping[NodeId, float],
    now: float,
    grace: float,
    gone: Collection[NodeId] = (),
) -> tuple[NodeId, ...]:
    """Which of the servers that don't answer are only asleep.

    Args:
        nodes: servers that did not answer.
        seen: when each was last heard of, seconds since the epoch.
        now: seconds since the epoch.
        grace: seconds.
        gone: those of which somebody said that they are gone for good.
    """
    return tuple(node for node in nodes if node not in gone and now - seen.get(node, 0.0) <= grace)


class Outlook(NamedTuple):
    """What an object can count on.

    Args:
        here: distinct shares that can be read now.
        presumed: numbers of further shares that are thought to be asleep.
        needed: k.
        total: N.
    """

    here: int
    presumed: tuple[int, ...]
    needed: int
    total: int

    @property
    def left(self) -> int:
        """Shares reckoned with."""
        return self.here + len(self.presumed)

    def safety(self, rule: RepairRule) -> Safety:
        """How it stands with the object."""
        if self.left < self.needed:
            return Safety.LOST
        return Safety.SAFE if self.left >= rule.threshold(self.needed, self.total) else Safety.AT_RISK

    def wants_repair(self, rule: RepairRule) -> bool:
        """Whether to repair now; what can't be read now can't be."""
        if self.here < self.needed or self.here >= self.total:
            return False
        is_in_danger = self.here <= self.needed and self.total > self.needed
        return is_in_danger or (self.left < self.total and self.left < rule.threshold(self.needed, self.total))

    @property
    def spared(self) -> tuple[int, ...]:
        """Presumed shares that need not be made: none if the object could not be read without one more server."""
        return () if self.here <= self.needed < self.total else self.presumed

    def danger(self, survival: float) -> float:
        """The probability of being lost before the next look, if each share outlives that time with ``survival``."""
        return _loss(self.needed, max(self.left, 0), survival)


@lru_cache(maxsize=4096)
def _loss(needed: int, left: int, survival: float) -> float:
    return 1.0 if left < needed else loss(needed, left, survival)


def outlook(holders: Mapping[int, Collection[NodeId]], standing: Standing, needed: int, total: int) -> Outlook:
    """What an object can count on.

    Args:
        holders: who was last found to have which share.
        standing: of servers.
        needed: k.
        total: N.
    """
    here: dict[int, None] = {}
    presumed: dict[int, None] = {}
    for number, nodes in sorted(holders.items()):
        trusted = [node for node in nodes if node not in standing.distrusted and node not in standing.leaving]
        if any(node in standing.present for node in trusted):
            here[number] = None
        elif any(node in standing.asleep for node in trusted):
            presumed[number] = None
    return Outlook(len(here), tuple(presumed), needed, total)


SURVIVAL = 0.98
"""Taken for the probability that a share outlives the time until the next look; only the order that follows matters."""


class Trust:
    """Which servers give what they claim to have, learnt from challenges.

    One failure is chance or rot; several in a row on different shares are a lie. A server that has lied is trusted again
    after as many successes in a row as it takes to be sure.
    """

    FAILURES = 2
    SUCCESSES = 20

    def __init__(self, failures: Mapping[NodeId, int] | None = None) -> None:
        self.failures: dict[NodeId, int] = dict(failures or {})
        self._successes: dict[NodeId, int] = {}

    def learn(self, node: NodeId, *, passed: bool) -> None:
        """A challenge was answered well, or not."""
        if not passed:
            self.failures[node] = self.failures.get(node, 0) + 1
            self._successes[node] = 0
            return
        self._successes[node] = self._successes.get(node, 0) + 1
        wanted = self.SUCCESSES if self.failures.get(node, 0) >= self.FAILURES else 2
        if self._successes[node] >= wanted:
            self.failures.pop(node, None)

    def is_suspect(self, node: NodeId) -> bool:
        """Whether it should be asked for more."""
        return 0 < self.failures.get(node, 0) < self.FAILURES

    @property
    def distrusted(self) -> tuple[NodeId, ...]:
        """Servers whose word counts for nothing."""
        return tuple(node for node, count in self.failures.items() if count >= self.FAILURES)
