"""History: when which machine was down, whoever recorded it, and the weather that it makes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import NamedTuple

from tahoe.errors import TahoeError
from tahoe.sim.weather import Incident


class BadTrace(TahoeError):
    """A trace can't be read as what it is said to be. The message names the line; check the format you asked for."""


class Span(NamedTuple):
    """A machine is down. Times are seconds of one clock, whichever."""

    node: str
    start: float
    end: float
    cause: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """What happened to some machines.

    Args:
        nodes: all of them, those that never failed too.
        spans: when they were down, in any order.
        begin: when the observation began.
        end: when it ended.
    """

    nodes: tuple[str, ...]
    spans: tuple[Span, ...]
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long was observed."""
        return self.end - self.begin

    def of(self, node: str) -> list[Span]:
        """One machine's spans, in order, overlapping ones made one."""
        merged: list[Span] = []
        for span in sorted(one for one in self.spans if one.node == node):
            if merged and span.start <= merged[-1].end:
                merged[-1] = merged[-1]._replace(end=max(merged[-1].end, span.end))
            else:
                merged.append(span)
        return merged

    def downs(self) -> list[float]:
        """Lengths of all spans down that have a length."""
        return sorted(span.end - span.start for span in self.spans if span.end > span.start)

    def ups(self) -> list[float]:
        """Lengths of all spans up between two spans down."""
        return sorted(
            later.start - earlier.end
            for node in self.nodes
            for earlier, later in pairwise(self.of(node))
            if later.start > earlier.end
        )

    def gaps(self) -> list[float]:
        """Times between one failure and the next, of whichever machine; those of the same moment are left out."""
        starts = sorted(span.start for span in self.spans)
        return sorted(later - earlier for earlier, later in pairwise(starts) if later > earlier)

    def availability(self) -> float:
        """Which part of the time machines were up on average."""
        down = sum(min(span.end, self.end) - span.start for node in self.nodes for span in self.of(node))
        return 1 - down / (self.seconds * len(self.nodes))

    def incidents(self) -> tuple[Incident, ...]:
        """The spans as incidents from second 0 on, for ``tahoe.sim.weather.Replay``; machines are numbered in order."""
        numbers = {node: number for number, node in enumerate(self.nodes)}
        return tuple(
            Incident(span.start - self.begin, numbers[node], "away", span.end - span.start, span.cause)
            for node in self.nodes
            for span in self.of(node)
        )


@dataclass(frozen=True, slots=True)
class Resample:
    """Weather as in a history, for any number of servers and any length of time.

    Each server is given one of the machines at random and its history from a random moment on, in a circle. What
    happened to several machines at once is thereby torn apart: replay the history where that matters.
    """

    history: History

    def draw(self, locations: Sequence[str], seconds: float, rng: Random) -> Iterator[Incident]:
        """See ``tahoe.sim.weather.Weather``."""
        spans = {node: self.history.of(node) for node in self.history.nodes}
        for server in range(len(locations)):
            chosen = spans[rng.choice(self.history.nodes)]
            shift = rng.random() * self.history.seconds
            for span in chosen:
                at = (span.start - self.history.begin - shift) % self.history.seconds
                while at < seconds:
                    yield Incident(at, server, "away", span.end - span.start, span.cause)
                    at += self.history.seconds


def history_of(spans: Iterable[Span], nodes: Iterable[str] = ()) -> History:
    """A history observed from the first to the last moment that is told.

    Raises:
        BadTrace: nothing is told at all.
    """
    kept = tuple(spans)
    if not kept:
        raise BadTrace("no machine was ever down in this trace: is it empty?")
    named = dict.fromkeys([*nodes, *(span.node for span in kept)])
    return History(tuple(named), kept, min(span.start for span in kept), max(span.end for span in kept))
