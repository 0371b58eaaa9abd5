"""How often can directories not be read or changed when servers fail: all on one server, or in shares?

v0.6 had one vdrive server, which held every directory of the grid: when it was down, every path was. Here a directory is
a slot in shares: any k of N servers give it back, and a change needs a quorum of ceil((N + k) / 2). The old design is the
special case of one server, 1-of-1, played by the same actors::

    one server      x                        no path leads anywhere
    3 of 10         . x . . x . . . x .      7 up: directories are read and changed
                    x x . x x . x . x .      4 up: they are read (and may be stale), and not changed

Each run takes servers down with one probability, independently, and a client follows a path of some directories and lists
the last one; or links a file into it. Exact is the lower tail of the binomial distribution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from experiments.framework.chances import Count, Curve, chances, explain
from tahoe.actors.client import Client
from tahoe.actors.directories import NewChild
from tahoe.codec.capability import Directory, ImmutableRead
from tahoe.errors import TahoeError
from tahoe.protocol import CLIENT, Encoding
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.grid import SimGrid
from tahoe.theory.availability import loss
from tahoe.theory.confidence import probability_interval
from tahoe.theory.numbers import exact_probability

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SECONDS_TO_SETTLE = 1.0
SECONDS_TO_WRITE = 25.0
"""After this time no write is under way any more."""

READ, CHANGE = "read", "change"


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is asked.

    Args:
        codes: pairs (k, N) that directories are kept in; (1, 1) is the one server of v0.6.
        down: probabilities with which a server is down.
        runs: independent runs for each code, probability and deed.
        depth: directories on the path.
        confidence: of the intervals.
    """

    codes: tuple[tuple[int, int], ...] = ((1, 1), (3, 10))
    down: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    runs: int = 300
    depth: int = 3
    confidence: float = 0.999

    def __post_init__(self) -> None:
        if any(not needed >= 1 or not 2 * needed - 1 <= total <= 255 for needed, total in self.codes):
            raise ValueError("codes are pairs [k, N] with 1 <= k and 2 k - 1 <= N <= 255, as slots have")
        if any(not 0 < down < 1 for down in self.down):
            raise ValueError("down probabilities lie strictly between 0 and 1")
        if self.runs < 1 or self.depth < 1:
            raise ValueError("runs and depth are at least 1")


QUICK = {"down": (0.1, 0.3, 0.5, 0.7, 0.9), "runs": 30}


@dataclass(frozen=True, slots=True)
class Point:
    """One code, one deed, one probability of failure."""

    needed: int
    total: int
    deed: str
    down: float
    runs: int
    depth: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Row:
    """In how many runs the deed could not be done, between which bounds its probability lies, and what it is exactly."""

    needed: int
    total: int
    deed: str
    down: float
    runs: int
    failed: int
    low: float
    high: float
    exact: float


def points(configuration: Configuration) -> Iterator[Point]:
    """Every code and deed at every probability."""
    for needed, total in configuration.codes:
        for deed in (READ, CHANGE):
            for down in configuration.down:
                yield Point(
                    needed, total, deed, down, configuration.runs, configuration.depth, configuration.confidence
                )


def run(point: Point, seed: int) -> list[Row]:
    """Make a path of directories, then let servers fail and try to use it, again and again."""
    world = _World(point, seed)
    failed = sum(not world.attempt(number) for number in range(point.runs))
    interval = probability_interval(failed, point.runs, point.confidence)
    exact = impossible(point.needed, point.total, point.deed, point.down)
    return [
        Row(point.needed, point.total, point.deed, point.down, point.runs, failed, interval.low, interval.high, exact)
    ]


def impossible(needed: int, total: int, deed: str, down: float) -> float:
    """The closed form: fewer than k servers are up, or fewer than a quorum."""
    least = needed if deed == READ else -(-(total + needed) // 2)
    return loss(least, total, 1 - exact_probability(down))


class _World:
    """A grid with a path of directories."""

    def __init__(self, point: Point, seed: int) -> None:
        self._point = point
        self._rng = Random(seed)
        encoding = Encoding(needed=point.needed, happy=point.total, total=point.total)
        self._grid = SimGrid(seed, servers=point.total, options=GridOptions(fidelity="message", encoding=encoding))
        self._client: Client = self._grid.clients[0].actor(CLIENT)
        self._root: Directory = self._grid.run(self._client.directories.create())
        self._path = [f"directory {number}" for number in range(1, point.depth)]
        self._last = self._grid.run(self._client.directories.make_path(self._root, self._path))

    def attempt(self, number: int) -> bool:
        """Take servers down, try, and bring them back; whether the deed could be done."""
        rng, down = self._rng, self._point.down
        names = [f"server-{each}" for each in range(self._point.total) if rng.random() < down]
        self._grid.crash(*names)
        self._grid.run(SECONDS_TO_SETTLE)
        done = self._succeeds(self._read() if self._point.deed == READ else self._change(number))
        if self._point.deed == CHANGE:
            self._grid.run(SECONDS_TO_WRITE)
        self._grid.restart(*names)
        self._grid.run(SECONDS_TO_SETTLE)
        if self._point.deed == CHANGE:
            assert self._succeeds(self._change(number)), "with all servers up, everything can be changed"
        return done

    def _succeeds(self, story: Any) -> bool:
        try:
            self._grid.run(story)
        except TahoeError:
            return False
        return True

    async def _read(self) -> None:
        found = await self._client.directories.lookup(self._root, self._path)
        await self._client.directories.list(found.capability)

    async def _change(self, number: int) -> None:
        child = NewChild(ImmutableRead(number.to_bytes(16, "big"), bytes(32), 3, 10, 1000))
        await self._client.directories.set_children(self._last, {f"file {number % 10}": child})


# --- the figure --------------------------------------------------------------------------------------------------


def plot(rows: Sequence[Row], configuration: Configuration) -> Figure:
    """Probability of failure to read and to change: one curve each."""
    curves = [_curve(kind, rows) for kind in _kinds(configuration)]
    figure, _ = chances(curves, "probability that it can't be done")
    explain(figure, configuration.runs, configuration.confidence, f"a path of {configuration.depth} directories")
    return figure


def _kinds(configuration: Configuration) -> Iterator[tuple[int, int, str]]:
    """Codes and deeds; of one server both are one."""
    for needed, total in configuration.codes:
        yield needed, total, READ
        if total > 1:
            yield needed, total, CHANGE


def _curve(kind: tuple[int, int, str], rows: Sequence[Row]) -> Curve:
    mine = [row for row in rows if (row.needed, row.total, row.deed) == kind]
    counts = [Count(row.down, row.failed / row.runs, row.low, row.high) for row in mine]
    return Curve(_label(*kind), partial(impossible, *kind), counts)


def _label(needed: int, total: int, deed: str) -> str:
    if total == 1:
        return "all on one server (v0.6): read or change"
    least = needed if deed == READ else -(-(total + needed) // 2)
    return f"in {needed}-of-{total} shares: {deed}, with {least} servers or more"
