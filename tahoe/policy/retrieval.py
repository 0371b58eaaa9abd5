"""Which share to fetch from which server next.

A reader needs any k shares of each stretch of a file, and wants them soon. Two things are learnt on the way:

* ``ResponseTimes``, of a whole node and all its downloads: how long each server takes, as decaying means. From it
  follow who is asked first and how long one waits before asking somebody else, too (a hedge).
* ``Retrieval``, of one download: who holds what, who lied, who is silent.

The order of choice, for each stretch:

1. servers that never failed us before those that did once;
2. one share per server while that suffices;
3. the server that is likely to answer sooner, given what it has to do for us already. A factor of two makes a class
   here: finer would be noise, and every change of mind costs a proof;
4. the lower share number, since shares 0 to k-1 are the file itself and need no decoding.

Servers of which nothing is known are asked, in the file's order, because that is where its uploader put the shares,
when known holders don't suffice or are so busy that a stranger is likely to be quicker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import log2
from typing import NamedTuple

from tahoe.protocol import NodeId

MOST_STRIKES = 2
"""A server that failed to answer is tried once more, after all others."""

_MEAN_GAIN = 1 / 8
_DEVIATION_GAIN = 1 / 4
_QUICK_SECONDS = 0.05
"""Servers that answer sooner than this are all of one class; strangers are taken for such."""
_PASSABLE_CLASS = -2
"""Among strangers, those that took up to about a third of a second are not passed over for others never measured."""
_BUSY_CLASS = -1
"""Known holders that need longer than about 0.7 seconds are worth being relieved by strangers."""


@dataclass(slots=True)
class _Estimate:
    """Response time, and the part of it that is one question's own when several are under way."""

    mean: float
    deviation: float
    service: float

    @property
    def patience(self) -> float:
        """Hardly any answer takes longer."""
        return self.mean + 4 * self.deviation

    def learn(self, seconds: float, ahead: int) -> None:
        """Move towards a new measurement."""
        error = seconds - self.mean
        self.mean += _MEAN_GAIN * error
        self.deviation += _DEVIATION_GAIN * (abs(error) - self.deviation)
        self.service += _MEAN_GAIN * (seconds / (1 + ahead) - self.service)


class ResponseTimes:
    """Learnt response times of servers, in seconds (mean and deviation as RFC 6298 has them).

    Args:
        first_patience: how long to wait for a server of which nothing is known before asking another, too.
        least_patience: never wait less; it keeps jitter from looking like slowness.
    """

    __slots__ = ("_estimates", "_everybody", "first_patience", "least_patience")

    def __init__(self, first_patience: float = 0.5, least_patience: float = 0.25) -> None:
        self.first_patience = first_patience
        self.least_patience = least_patience
        self._estimates: dict[NodeId, _Estimate] = {}
        self._everybody: _Estimate | None = None

    def learn(self, node: NodeId, seconds: float, ahead: int = 0) -> None:
        """An answer took so long; so many questions were under way to the same server when it was asked for."""
        self._learn_of(node, seconds, ahead)
        if self._everybody is None:
            self._everybody = _first(seconds, ahead)
        else:
            self._everybody.learn(seconds, ahead)

    def learn_at_least(self, node: NodeId, seconds: float, ahead: int = 0) -> None:
        """No answer came for so long; it tells something only if that is longer than expected, and of this server only."""
        estimate = self._estimates.get(node)
        if estimate is None or seconds > estimate.mean:
            self._learn_of(node, seconds, ahead)

    def _learn_of(self, node: NodeId, seconds: float, ahead: int) -> None:
        if node in self._estimates:
            self._estimates[node].learn(seconds, ahead)
        else:
            self._estimates[node] = _first(seconds, ahead)

    def failed(self, node: NodeId) -> None:
        """A server did not answer, or refused. Whoever only measures time learns nothing from it."""

    def lied(self, node: NodeId) -> None:
        """A server gave bytes that are not the file's. Whoever only measures time learns nothing from it."""

    def estimates(self) -> dict[NodeId, tuple[float, float, float]]:
        """All that is known, to be kept: mean, deviation and service in seconds."""
        return {node: (each.mean, each.deviation, each.service) for node, each in self._estimates.items()}

    def assume(self, estimates: Mapping[NodeId, tuple[float, float, float]]) -> None:
        """Begin with what was kept."""
        self._estimates = {node: _Estimate(*estimate) for node, estimate in estimates.items()}

    def expected(self, node: NodeId) -> float | None:
        """The mean, or None while nothing is known."""
        estimate = self._estimates.get(node)
        return None if estimate is None else estimate.mean

    def patience(self, node: NodeId) -> float:
        """How long to wait for this server before a hedge; for an unknown one, as for servers in general."""
        estimate = self._estimates.get(node)
        if estimate is not None:
            return max(self.least_patience, estimate.patience)
        return max(self.first_patience, self._everybody.patience if self._everybody else 0.0)

    @property
    def general_class(self) -> int:
        """The speed class of a stranger, and at least that of servers which take up to about a third of a second."""
        seconds = self._everybody.service if self._everybody else 0.0
        return max(_PASSABLE_CLASS, round(log2(max(seconds, _QUICK_SECONDS))))

    def speed_class(self, node: NodeId, ahead: int = 0) -> int:
        """How soon this server is likely to answer, as a power of two of seconds; a stranger as servers in general."""
        estimate = self._estimates.get(node) or self._everybody
        seconds = estimate.service * (1 + ahead) if estimate else 0.0
        return round(log2(max(seconds, _QUICK_SECONDS)))


_IDLE: Mapping[NodeId, int] = {}


def _first(seconds: float, ahead: int) -> _Estimate:
    return _Estimate(seconds, seconds / 2, seconds / (1 + ahead))


class Pick(NamedTuple):
    """Ask this server for this share; None: for whichever it likes to give, since we don't know what it has."""

    node: NodeId
    number: int | None


class Holds(NamedTuple):
    """A server answered: it has these shares of the file."""

    node: NodeId
    numbers: Collection[int]


class Silent(NamedTuple):
    """A server did not answer, or refused."""

    node: NodeId
    reason: str


class Corrupt(NamedTuple):
    """What a server gave for this share is not the file's."""

    node: NodeId
    number: int
    reason: str


@dataclass(slots=True)
class _Holder:
    """A server that was heard of: the shares it has (None: not known yet), and what went wrong."""

    shares: dict[int, None] | None = None
    bad: dict[int, None] = field(default_factory=dict)
    strikes: int = 0
    reason: str = ""


class Retrieval:
    """The choice of shares for one download.

    Args:
        needed: k.
        order: the servers, in the file's permuted order.
        times: what is known of their speed.
    """

    def __init__(self, needed: int, order: Sequence[NodeId], times: ResponseTimes) -> None:
        self._needed = needed
        self._order = order
        self._times = times
        self._holders: dict[NodeId, _Holder] = {}  # of those heard of: most of a large grid never is

    def learn(self, fact: Holds | Silent | Corrupt) -> None:
        """Take in what a server did."""
        holder = self._holders.setdefault(fact.node, _Holder())
        match fact:
            case Holds(_, numbers):
                holder.shares = {number: None for number in sorted(numbers) if number not in holder.bad}
                holder.strikes = 0
                holder.reason = "" if holder.shares else holder.reason or "has no share of this file"
            case Silent(_, reason):
                holder.strikes += 1
                holder.reason = reason
                self._times.failed(fact.node)
            case Corrupt(_, number, reason):
                holder.bad[number] = None
                self._times.lied(fact.node)
                holder.reason = f"share {number}: {reason}"
                if holder.shares is not None:
                    holder.shares.pop(number, None)

    def proposals(
        self, hands: Mapping[int, NodeId], asked: Sequence[Pick], extra: int = 0, busy: Mapping[NodeId, int] = _IDLE
    ) -> list[Pick]:
        """What to ask for now, for one stretch of the file.

        Args:
            hands: share numbers whose blocks have come already, and from whom.
            asked: what is under way for the same stretch.
            extra: how many more than needed (hedges).
            busy: how many questions are under way to each server.

        Returns:
            As many picks as are missing, or fewer where there is nobody left to ask.
        """
        choice = _Choice(self._needed + extra - len(hands) - len(asked), hands, asked)
        for strikes in range(MOST_STRIKES):
            if choice.missing > 0:
                known = self._known(strikes, busy)
                choice.take_known([pick for speed, _, _, pick in known if speed <= _BUSY_CLASS])
                if choice.missing > 0:
                    choice.take_unknown(node for node in self._unknown(strikes) if not busy.get(node))
                choice.take_known([pick for _, _, _, pick in known])
                if choice.missing > 0:
                    choice.take_unknown(self._unknown(strikes))
        return choice.picks

    def _known(self, strikes: int, busy: Mapping[NodeId, int]) -> list[tuple[int, int, int, Pick]]:
        """Shares known to be on servers that failed so many times, best first, each with its server's speed class."""
        ranked: list[tuple[int, int, int, Pick]] = []
        for place, (node, holder) in enumerate(self._holders.items()):
            if holder.shares and holder.strikes == strikes:
                speed = self._times.speed_class(node, busy.get(node, 0))
                ranked.extend((speed, number, place, Pick(node, number)) for number in holder.shares)
        return sorted(ranked)

    def _unknown(self, strikes: int) -> Iterator[NodeId]:
        """Servers that have not said yet what they have, in order, those known to be slow last."""
        slow = []
        for place, node in enumerate(self._order):
            holder = self._holders.get(node, _NOT_HEARD_OF)
            if holder.shares is None and holder.strikes == strikes:
                speed = self._times.speed_class(node)
                if speed > self._times.general_class:
                    slow.append((speed, place, node))
                else:
                    yield node
        for _, _, node in sorted(slow):
            yield node

    def found(self) -> int:
        """Distinct share numbers known to be on servers that answer."""
        holders = [holder for holder in self._holders.values() if holder.strikes < MOST_STRIKES]
        return len(dict.fromkeys(number for holder in holders for number in holder.shares or ()))

    def reasons(self) -> list[tuple[NodeId, str]]:
        """What went wrong, or what is missing, server by server."""
        return [(node, holder.reason) for node, holder in self._holders.items() if holder.reason]


_NOT_HEARD_OF = _Holder()


class _Choice:
    """A greedy choice under way: every pick makes its share and its server less eligible."""

    __slots__ = ("_load", "_taken", "missing", "picks")

    def __init__(self, missing: int, hands: Mapping[int, NodeId], asked: Sequence[Pick]) -> None:
        self.picks: list[Pick] = []
        self.missing = missing
        self._taken: dict[int | None, None] = dict.fromkeys(hands)
        self._taken.update(dict.fromkeys(pick.number for pick in asked if pick.number is not None))
        self._load = Counter(hands.values())
        self._load.update(pick.node for pick in asked)

    def take_known(self, ranked: Sequence[Pick]) -> None:
        """Pick shares, each once, from least used servers first."""
        left = [pick for pick in ranked if pick.number not in self._taken]
        limit = 1
        while left and self.missing > 0:
            for pick in left:
                if self.missing > 0 and self._load[pick.node] < limit and pick.number not in self._taken:
                    self._pick(pick)
            left = [pick for pick in left if pick.number not in self._taken]
            limit += 1

    def take_unknown(self, ranked: Iterator[NodeId]) -> None:
        """Pick servers that are not being asked yet."""
        for node in ranked:
            if not self._load[node]:
                self._pick(Pick(node, None))
                if self.missing <= 0:
                    return

    def _pick(self, pick: Pick) -> None:
        self.picks.append(pick)
        self.missing -= 1
        self._load[pick.node] += 1
        if pick.number is not None:
            self._taken[pick.number] = None
