"""How often is a file out of reach when servers fail, and where does coding overtake replication?

A file is stored on N servers, one share on each, by the real upload. Then, run after run, every server is down with the
same probability, independently, and the real download tries to get the file from those that are left::

    down probability  0.3      server  0 1 2 3 4 5 6 7 8 9
                               run 1   . x . . x . . . x .     7 up, 3 are needed: the file comes back
                               run 2   x x . x x x x x x .     2 up: NotEnoughShares

The curve to hit is the lower tail of the binomial distribution (``tahoe.theory.availability.loss``). Nothing in the
simulation knows of it: what is counted is what a user would get.

**Coding against replication.** k-of-N costs as much storage as N/k whole copies. Below some probability of failure it is
much safer than so many copies, above it is worse, since a copy needs one server and a coded file needs k. The figure
marks where the curves cross.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from experiments.framework.chances import Count, Curve, chances, explain
from tahoe.errors import NotEnoughShares
from tahoe.protocol import Encoding
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.grid import SimGrid
from tahoe.theory.availability import loss
from tahoe.theory.confidence import probability_interval
from tahoe.theory.numbers import exact_probability

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SECONDS_TO_SETTLE = 1.0
"""Simulated time between a change of servers and the attempt to read."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is asked.

    Args:
        codes: pairs (k, N).
        down: probabilities with which a server is down.
        runs: independent runs for each code and probability.
        file_size: bytes.
        confidence: of the intervals.
    """

    codes: tuple[tuple[int, int], ...] = ((1, 1), (1, 2), (1, 3), (3, 10), (7, 10))
    down: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    runs: int = 500
    file_size: int = 1000
    confidence: float = 0.999

    def __post_init__(self) -> None:
        if any(not 1 <= needed <= total <= 256 for needed, total in self.codes):
            raise ValueError("codes are pairs [k, N] with 1 <= k <= N <= 256")
        if any(not 0 < down < 1 for down in self.down):
            raise ValueError("down probabilities lie strictly between 0 and 1")
        if self.runs < 1:
            raise ValueError("runs is at least 1")


QUICK = {"codes": ((1, 1), (1, 3), (3, 10)), "down": (0.1, 0.3, 0.5, 0.7, 0.9), "runs": 40}


@dataclass(frozen=True, slots=True)
class Point:
    """One code at one probability of failure."""

    needed: int
    total: int
    down: float
    runs: int
    file_size: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Row:
    """In how many runs the file was out of reach, between which bounds its probability lies, and what it is exactly."""

    needed: int
    total: int
    down: float
    runs: int
    unavailable: int
    low: float
    high: float
    exact: float


def points(configuration: Configuration) -> Iterator[Point]:
    """Every code at every probability."""
    for needed, total in configuration.codes:
        for down in configuration.down:
            yield Point(needed, total, down, configuration.runs, configuration.file_size, configuration.confidence)


def run(point: Point, seed: int) -> list[Row]:
    """Store one file, then let servers fail and try to read it, again and again."""
    rng = Random(seed)
    encoding = Encoding(needed=point.needed, happy=point.total, total=point.total)
    grid = SimGrid(seed, servers=point.total, options=GridOptions(fidelity="message", encoding=encoding))
    content = rng.randbytes(point.file_size)
    capability = grid.upload(content)
    down: list[str] = []
    unavailable = 0
    for _ in range(point.runs):
        before, down = down, [f"server-{number}" for number in range(point.total) if rng.random() < point.down]
        _turn(grid, before, down)
        unavailable += not is_readable(grid, capability, content)
    interval = probability_interval(unavailable, point.runs, point.confidence)
    exact = out_of_reach(point.needed, point.total, point.down)
    return [Row(point.needed, point.total, point.down, point.runs, unavailable, interval.low, interval.high, exact)]


def _turn(grid: SimGrid, before: Sequence[str], down: Sequence[str]) -> None:
    """From one set of servers that are down to the next; only those crash or start for which something changes."""
    grid.restart(*(name for name in before if name not in down))
    grid.crash(*(name for name in down if name not in before))
    grid.run(SECONDS_TO_SETTLE)


def is_readable(grid: SimGrid, capability: str, content: bytes) -> bool:
    """Whether the file comes back from the servers that are up."""
    try:
        found = grid.download(capability)
    except NotEnoughShares:
        return False
    assert found == content, "wrong bytes were delivered"
    return True


class Crossing(NamedTuple):
    """Below this probability of failure, k-of-N is safer than so many whole copies, which cost no more storage."""

    down: float
    unavailable: float
    copies: int


def out_of_reach(needed: int, total: int, down: float) -> float:
    """The closed form: fewer than k of N servers are up."""
    return loss(needed, total, 1 - exact_probability(down))


def crossing(needed: int, total: int) -> Crossing:
    """Where a code overtakes the copies that fit into its storage.

    Near 0 the code is safer, near 1 it is not, and the curves cross once in between, which halving finds.
    """
    copies = total // needed
    low, high = 0.0, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        if out_of_reach(needed, total, middle) < middle**copies:
            low = middle
        else:
            high = middle
    return Crossing(low, low**copies, copies)


# --- the figure --------------------------------------------------------------------------------------------------


def plot(rows: Sequence[Row], configuration: Configuration) -> Figure:
    """One curve a code, and a circle where coding overtakes replication."""
    curves = [_curve(code, rows) for code in configuration.codes]
    figure, panels = chances(curves, "probability that the file is out of reach")
    for axes in panels:
        for code in configuration.codes:
            if code[0] > 1:
                at = crossing(*code)
                axes.plot(
                    at.down, at.unavailable, "o", markersize=12, markerfacecolor="none", color="#444444", zorder=5
                )
    explain(figure, configuration.runs, configuration.confidence)
    return figure


def _curve(code: tuple[int, int], rows: Sequence[Row]) -> Curve:
    mine = [row for row in rows if (row.needed, row.total) == code]
    counts = [Count(row.down, row.unavailable / row.runs, row.low, row.high) for row in mine]
    return Curve(_label(*code), partial(out_of_reach, *code), counts)


def _label(needed: int, total: int) -> str:
    name = f"{needed}-of-{total}, {total / needed:.1f} times the storage"
    if needed == 1:
        return name
    at = crossing(needed, total)
    return f"{name}; safer than 1-of-{at.copies} below {at.down:.2f} (circle)"
