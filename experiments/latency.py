"""How long does a download take when some servers are slow, and what does asking a second one help?

Ten servers hold 3-of-10 files; some of them answer late, most of the time a second and now and then ten. The real client
downloads file after file, in four ways: it may know its servers from earlier downloads or not (a program just started),
and it may ask somebody else where an answer is overdue (a hedge) or not. What hedging costs is the bytes sent in
vain, which the legend tells beside the median.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from random import Random
from statistics import fmean, median
from typing import TYPE_CHECKING

from experiments.framework.plotting import LOOKS, panels
from tahoe.actors.client import Client
from tahoe.actors.readingroom import ReadingRoom
from tahoe.policy.retrieval import ResponseTimes
from tahoe.protocol import CLIENT, Encoding
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.grid import SimGrid
from tahoe.sim.laws import LogNormal
from tahoe.sim.wire import Access, Link

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is asked.

    Args:
        slow: how many of the ten servers are slow.
        downloads: for each way.
        kilobytes: of each file.
        milliseconds: median one-way time of a quick server.
        seconds: median one-way time of a slow one.
        sigma: spread of the slow ones' times.
    """

    slow: tuple[int, ...] = (0, 3, 8)
    downloads: int = 300
    kilobytes: int = 100
    milliseconds: float = 15.0
    seconds: float = 0.7
    sigma: float = 1.0

    def __post_init__(self) -> None:
        if any(not 0 <= count <= SERVERS for count in self.slow):
            raise ValueError(f"slow is a number of servers between 0 and {SERVERS}")


QUICK = {"downloads": 40}
SERVERS = 10
WAYS = {
    "knows its servers, hedges": (True, True),
    "knows its servers, waits": (True, False),
    "newcomer, hedges": (False, True),
    "newcomer, waits": (False, False),
}


@dataclass(frozen=True, slots=True)
class Point:
    """One way with so many slow servers."""

    slow: int
    way: str
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class Row:
    """One download: seconds until its last byte, and bytes that all nodes sent meanwhile."""

    slow: int
    way: str
    seconds: float
    bytes_sent: int


def points(configuration: Configuration) -> Iterator[Point]:
    """Every way with every number of slow servers."""
    for slow in configuration.slow:
        for way in WAYS:
            yield Point(slow, way, configuration)


def run(point: Point, seed: int) -> list[Row]:
    """Store files, then download them one by one."""
    asked = point.configuration
    knows, hedges = WAYS[point.way]
    quick = Link(LogNormal(asked.milliseconds / 1000, 0.3))
    late = Link(LogNormal(asked.seconds, asked.sigma))
    slow = [f"server-{number}" for number in range(point.slow)]
    options = GridOptions(
        fidelity="message",
        encoding=Encoding(3, 7, 10),
        access=lambda name: Access(late if name in slow else quick, quick),
    )
    grid = SimGrid(seed, servers=SERVERS, options=options)
    rng = Random(seed)
    files = [grid.upload(rng.randbytes(asked.kilobytes * 1000)) for _ in range(asked.downloads)]
    client: Client = grid.clients[0].actor(CLIENT)
    client.terms = replace(client.terms, room=room(hedges=hedges))
    rows = []
    for file in files:
        if not knows:
            client.terms = replace(client.terms, room=room(hedges=hedges))
        began, sent = grid.world.now(), grid.network.bytes_sent
        grid.download(file)
        seconds = grid.world.now() - began
        grid.run(SETTLE)
        rows.append(Row(point.slow, point.way, seconds, grid.network.bytes_sent - sent))
    return rows


SETTLE = 30.0
"""Seconds until answers that nobody waits for any more have come."""


def room(*, hedges: bool) -> ReadingRoom:
    """What a client knows of servers that knows nothing; without hedges its patience never ends."""
    return ReadingRoom(times=ResponseTimes() if hedges else ResponseTimes(inf, inf))


# --- the figure --------------------------------------------------------------------------------------------------


def plot(rows: Sequence[Row], configuration: Configuration) -> Figure:
    """A panel for each number of slow servers; the slowest downloads are what the axis is for."""
    figure, axes = panels(columns=len(configuration.slow), height=3.6)
    for one, slow in zip(axes, configuration.slow, strict=True):
        for way, look in zip(WAYS, LOOKS, strict=False):
            mine = [row for row in rows if row.slow == slow and row.way == way]
            times = sorted(row.seconds for row in mine)
            above = [1 - number / len(times) for number in range(len(times))]
            sent = fmean(row.bytes_sent for row in mine) / (1000 * configuration.kilobytes)
            label = f"{median(times):.2f} s, {sent:.2f}"
            one.step(times, above, where="pre", color=look.color, linestyle=look.dash, label=label)
        _dress(one, slow, configuration)
        one.set_xlim(0.8 * min(row.seconds for row in rows), 1.2 * max(row.seconds for row in rows))
    ways = [axes[0].plot([], [], color=look.color, linestyle=look.dash)[0] for look in LOOKS[: len(WAYS)]]
    figure.legend(ways, list(WAYS), loc="outside lower center", ncols=4, fontsize=7.5)
    figure.suptitle(
        f"{configuration.downloads} downloads of {configuration.kilobytes} kB a curve, 3-of-10; slow servers answer "
        f"after {configuration.seconds:g} s (median)\nin the panels: median time, and bytes sent over the file's size",
        fontsize=8.5,
    )
    return figure


def _dress(axes: Axes, slow: int, configuration: Configuration) -> None:
    axes.set(xscale="log", yscale="log", xlabel="seconds", title=f"{slow} of {SERVERS} servers slow")
    axes.set_ylim(0.05 / configuration.downloads, 1.1)  # room for the legend below the curves
    axes.set_ylabel("part of downloads that take longer")
    axes.legend(fontsize=6.5, loc="lower left", frameon=True, framealpha=0.9, edgecolor="none")
