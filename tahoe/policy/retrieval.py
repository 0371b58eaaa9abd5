"""Which share to fetch from which server next.

A reader needs any k shares of each stretch of a file, and wants them soon. Two things are learnt on the way:

* ``ResponseTimes``, of a whole node and all its downloads: how long each server takes, as a decaying mean and
  deviation. From it follow who is asked first and how long one waits before asking somebody else, too (a hedge).
* ``Retrieval``, of one download: who holds what, who lied, who is silent.

The order of choice: servers that never failed us, one share per server while that suffices, the quicker class of
servers (a factor of two makes a class: finer would be noise, and every change of mind costs a proof), then the lower
share number, since shares 0 to k-1 are the file itself and need no decoding. Servers of which nothing is known come
after holders that are known, in the order of the file, because that is where its uploader put the shares.
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
_UNKNOWN_SECONDS = 0.05
_SLOW_CLASS = -2
"""Servers that take more than about a third of a second are asked for their shares after those never measured."""


@dataclass(slots=True)
class _Estimate:
    mean: float
    deviation: float


class ResponseTimes:
    """Learnt response times of servers, in seconds (mean and deviation as RFC 6298 has them).

    Args:
        first_patience: how long to wait for a server of which nothing is known before asking another, too.
        least_patience: never wait less; it keeps jitter from looking like slowness.
    """

    __slots__ = ("_estimates", "first_patience", "least_patience")

    def __init__(self, first_patience: float = 0.5, least_patience: float = 0.25) -> None:
        self.first_patience = first_patience
        self.least_patience = least_patience
        self._estimates: dict[NodeId, _Estimate] = {}

    def learn(self, node: NodeId, seconds: float) -> None:
        """An answer took so long."""
        estimate = self._estimates.get(node)
        if estimate is None:
            self._estimates[node] = _Estimate(seconds, seconds / 2)
            return
        error = seconds - estimate.mean
        estimate.mean += _MEAN_GAIN * error
        estimate.deviation += _DEVIATION_GAIN * (abs(error) - estimate.deviation)

    def learn_at_least(self, node: NodeId, seconds: float) -> None:
        """No answer came for so long; it tells something only if that is longer than expected."""
        estimate = self._estimates.get(node)
        if estimate is None or seconds > estimate.mean:
            self.learn(node, seconds)

    def expected(self, node: NodeId) -> float | None:
        """The mean, or None while nothing is known."""
        estimate = self._estimates.get(node)
        return None if estimate is None else estimate.mean

    def patience(self, node: NodeId) -> float:
        """How long to wait for this server before a hedge."""
        estimate = self._estimates.get(node)
        if estimate is None:
            return self.first_patience
        return max(self.least_patience, estimate.mean + 4 * estimate.deviation)

    def speed_class(self, node: NodeId) -> int:
        """Servers within about a factor of two of one another are of one class; lower is quicker."""
        estimate = self._estimates.get(node)
        return round(log2(max(estimate.mean if estimate else _UNKNOWN_SECONDS, _UNKNOWN_SECONDS)))


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
            case Corrupt(_, number, reason):
                holder.bad[number] = None
                holder.reason = f"share {number}: {reason}"
                if holder.shares is not None:
                    holder.shares.pop(number, None)

    def proposals(self, hands: Mapping[int, NodeId], asked: Sequence[Pick], extra: int = 0) -> list[Pick]:
        """What to ask for now, for one stretch of the file.

        Args:
            hands: share numbers whose blocks have come already, and from whom.
            asked: what is under way for the same stretch.
            extra: how many more than needed (hedges).

        Returns:
            As many picks as are missing, or fewer where there is nobody left to ask.
        """
        choice = _Choice(self._needed + extra - len(hands) - len(asked), hands, asked)
        for strikes in range(MOST_STRIKES):
            if choice.missing > 0:
                choice.take_known(self._known(strikes))
            if choice.missing > 0:
                choice.take_unknown(self._unknown(strikes))
        return choice.picks

    def _known(self, strikes: int) -> list[Pick]:
        """Shares known to be on servers that failed so many times, best first."""
        ranked = [
            (self._times.speed_class(node), number, place, node)
            for place, (node, holder) in enumerate(self._holders.items())
            if holder.shares and holder.strikes == strikes
            for number in holder.shares
        ]
        return [Pick(node, number) for _, number, _, node in sorted(ranked)]

    def _unknown(self, strikes: int) -> Iterator[NodeId]:
        """Servers that have not said yet what they have, in order, those known to be slow last."""
        slow = []
        for place, node in enumerate(self._order):
            holder = self._holders.get(node, _NOT_HEARD_OF)
            if holder.shares is None and holder.strikes == strikes:
                speed = self._times.speed_class(node)
                if speed > _SLOW_CLASS:
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
