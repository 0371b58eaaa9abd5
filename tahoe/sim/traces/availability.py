"""Availability: the ``.avt`` files of the Repository of Availability Traces.

A line is a node: its name, a tab, how many sessions it had, and when each began and ended, in seconds. PlanetLab,
Skype, KAD, web servers, DNS servers and corporate desktops are at http://pbg.cs.illinois.edu/availability/.

Source: Godfrey, Shenker and Stoica, Minimizing Churn in Distributed Systems, SIGCOMM 2006.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from tahoe.sim.traces.history import BadTrace, History, Span

Session = tuple[float, float]


def read_avt(path: Path) -> History:
    """Sessions as a history: before the first and after the last, and in between, a node is down.

    Raises:
        BadTrace: a line is no node, or there is none.
    """
    sessions = dict(_nodes(path))
    if not sessions:
        raise BadTrace(f"{path}: there is not a single node in it")
    return history_of_sessions(sessions)


def history_of_sessions(sessions: dict[str, list[Session]]) -> History:
    """The spans down that lie around spans up, between the first moment that anybody was up and the last."""
    moments = [moment for spans in sessions.values() for span in spans for moment in span]
    begin, end = min(moments), max(moments)
    spans = [span for node, ups in sessions.items() for span in _between(node, ups, begin, end)]
    return History(tuple(sessions), tuple(spans), begin, end)


def _between(node: str, ups: Iterable[Session], begin: float, end: float) -> Iterator[Span]:
    edges = [(begin, begin), *merged(ups), (end, end)]
    for (_, left), (back, _) in pairwise(edges):
        if back > left:
            yield Span(node, left, back)


def _nodes(path: Path) -> Iterator[tuple[str, list[Session]]]:
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), 1):
        name, *words = line.split() or ("",)
        try:
            count, *times = (float(word) for word in words)
        except ValueError as error:
            raise BadTrace(f"{path}, line {number}: {error}") from error
        if len(times) != 2 * count:
            raise BadTrace(f"{path}, line {number}: {count:g} sessions are announced, {len(times)} times follow")
        yield name, list(zip(times[::2], times[1::2], strict=True))


def merged(spans: Iterable[Session]) -> list[Session]:
    """Spans in order, those that touch or overlap made one."""
    whole: list[Session] = []
    for start, end in sorted(spans):
        if whole and start <= whole[-1][1]:
            whole[-1] = whole[-1][0], max(end, whole[-1][1])
        else:
            whole.append((start, end))
    return whole
