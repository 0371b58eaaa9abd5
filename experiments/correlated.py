"""When many servers fail at once, is it better to lose a little often or much rarely?

After a power outage about one server in a hundred does not come back. Scattered at random, some file has all its copies on
those few: something is lost for certain, though little. Confined to few copysets, files are hardly ever hit, but when they
are, it is by the hundred. The mean loss is the same, as linearity has it; the rule chooses its shape.

The other correlation is the site: what a fire takes is a domain, and the files that had too many shares there. The third
panel burns each site of a grid in turn, under the standard rule and under the one that looks at domains.

Source: Cidon et al., Copysets, USENIX ATC 2013.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.fairness import locations
from experiments.framework.plotting import LOOKS, panels
from tahoe.policy.domains import SpreadOverDomains
from tahoe.policy.placement import SPREAD, PlacementPolicy
from tahoe.sim.montecarlo import Code, Study, place, unplaced
from tahoe.sim.placements import Copysets, PermutedRing
from tahoe.theory.confidence import probability_interval
from tahoe.theory.copysets import expected_chunks_lost, loss_in_outage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REPLICAS = 3


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is asked.

    Args:
        servers: in the grid of the outages.
        failed: servers that don't come back.
        files: of three copies.
        widths: scatter widths of copysets; 0: scattered at random.
        outages: drawn for each width.
        sites: servers of each site of the grid that burns.
        burnt_files: of 3-of-10 on it.
    """

    servers: int = 1000
    failed: int = 10
    files: int = 20_000
    widths: tuple[int, ...] = (2, 4, 8, 16, 32, 64, 128, 256, 0)
    outages: int = 20_000
    sites: tuple[int, ...] = (20, 8, 6, 4, 1, 1)
    burnt_files: int = 2000


QUICK = {"servers": 300, "failed": 10, "files": 4000, "widths": (2, 8, 32, 0), "outages": 2000, "burnt_files": 300}


@dataclass(frozen=True, slots=True)
class Point:
    """A width, or (-1) the burning sites."""

    width: int
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class Row:
    """Outages of one width, or one site burnt (``rule`` is then not empty).

    Args:
        width: scatter width.
        copysets: different sets of servers in use.
        runs: outages.
        losing: outages that lost anything.
        lost: files lost in all of them.
        exact: probability that an outage loses anything.
        rule: by which files of the burning grid were placed.
        site: its servers.
        part: of the files that it takes along.
    """

    width: int
    copysets: int = 0
    runs: int = 0
    losing: int = 0
    lost: int = 0
    exact: float = 0.0
    rule: str = ""
    site: int = 0
    part: float = 0.0


def points(configuration: Configuration) -> Iterator[Point]:
    """Every width, and the fires."""
    for width in (*configuration.widths, -1):
        yield Point(width, configuration)


def run(point: Point, seed: int) -> list[Row]:
    """Draw outages over one placement, or burn sites."""
    asked = point.configuration
    if point.width < 0:
        return [row for rule in burning_rules() for row in _burn(asked, rule, seed)]
    policy: PlacementPolicy = Copysets(point.width) if point.width else PermutedRing()
    reach = asked.servers if point.width else 4 * REPLICAS
    study = Study(unplaced(asked.servers), asked.files, (), 1.0, Code(1, REPLICAS))
    homes = place(study, policy, seed, reach).homes
    sets = len(np.unique(np.sort(homes, axis=1), axis=0))
    lost = outages(homes, asked.servers, asked.failed, asked.outages, seed)
    exact = loss_in_outage(asked.servers, REPLICAS, sets, asked.failed)
    return [Row(point.width, sets, asked.outages, int((lost > 0).sum()), int(lost.sum()), exact)]


def outages(homes: NDArray[np.int32], servers: int, failed: int, count: int, seed: int) -> NDArray[np.int64]:
    """For each of so many outages of exactly so many servers: how many files lose all their copies."""
    rng = np.random.default_rng(seed)
    lost = np.empty(count, np.int64)
    for outage in range(count):
        down = np.zeros(servers, bool)
        down[rng.choice(servers, failed, replace=False)] = True
        lost[outage] = down[homes].all(axis=1).sum()
    return lost


def burning_rules() -> dict[str, PlacementPolicy]:
    """The rules that are compared by fire."""
    return {"happiness": SPREAD, "domains": SpreadOverDomains(needed=3)}


def _burn(asked: Configuration, rule: str, seed: int) -> Iterator[Row]:
    where = locations(asked.sites)
    homes = place(Study(where, asked.burnt_files, (), 1.0), burning_rules()[rule], seed, len(where)).homes
    for site, count in enumerate(asked.sites):
        there = np.array([location.startswith(f"site-{site}/") for location in where])
        left = 10 - there[homes].sum(axis=1)
        yield Row(-1, rule=rule, site=count, part=float((left < 3).mean()))


# --- the figure --------------------------------------------------------------------------------------------------


def plot(rows: Sequence[Row], configuration: Configuration) -> Figure:
    """How likely any loss is, how large it is then, and what a fire takes."""
    figure, (likely, large, fire) = panels(columns=3, height=3.2)
    scattered = [row for row in rows if row.runs]
    _likely(likely, scattered)
    _large(large, scattered, configuration)
    _fire(fire, [row for row in rows if row.rule], configuration)
    figure.suptitle(
        f"{configuration.failed} of {configuration.servers} servers lost at once, {configuration.files} files of three "
        f"copies, {configuration.outages} outages a point\nright: {sum(configuration.sites)} servers, each site burns in turn, "
        f"{configuration.burnt_files} files of 3-of-10",
        fontsize=8.5,
    )
    return figure


def _likely(axes: Axes, rows: Sequence[Row]) -> None:
    look = LOOKS[2]
    ordered = sorted(rows, key=lambda row: row.copysets)
    axes.plot([row.copysets for row in ordered], [row.exact for row in ordered], color=look.color, label="formula")
    for row in ordered:
        interval = probability_interval(row.losing, row.runs)
        mark = look.marker if row.losing else "v"
        axes.vlines(row.copysets, max(interval.low, 1e-9), interval.high, color=look.color, linewidth=0.8)
        axes.plot(row.copysets, interval.estimate if row.losing else interval.high, mark, color=look.color,
                  markerfacecolor="white")  # fmt: skip
        if row.width and row.copysets > ordered[-1].copysets / 4:
            continue
        name = f"width {row.width}" if row.width else "at random"
        axes.annotate(name, (row.copysets, row.exact), (5, -4), textcoords="offset points", fontsize=6, va="top")
    axes.set(xscale="log", yscale="log", xlabel="copysets in use", ylabel="probability that an outage loses anything")
    axes.set_ylim(0.5 * min(_lowest(row) for row in rows), 1.2)
    axes.legend(loc="upper left", fontsize=7)
    axes.margins(x=0.35)


def _lowest(row: Row) -> float:
    """The lowest mark of a point."""
    return min(row.exact, row.losing / row.runs or row.exact)


def _large(axes: Axes, rows: Sequence[Row], configuration: Configuration) -> None:
    ordered = sorted((row for row in rows if row.losing), key=lambda row: row.copysets)
    copysets = [row.copysets for row in ordered]
    axes.plot(copysets, [row.lost / row.losing for row in ordered], "-", color=LOOKS[3].color, marker=LOOKS[3].marker,
              label="if any is lost")  # fmt: skip
    axes.plot(copysets, [row.lost / row.runs for row in ordered], "s", color=LOOKS[0].color, markerfacecolor="white",
              label="over all outages")  # fmt: skip
    mean = expected_chunks_lost(configuration.files, configuration.servers, REPLICAS, configuration.failed)
    axes.axhline(mean, color=LOOKS[0].color, linewidth=0.8, linestyle="--", label="the same, exactly")
    axes.set(xscale="log", yscale="log", xlabel="copysets in use", ylabel="files lost on average")
    axes.legend(fontsize=7)


def _fire(axes: Axes, rows: Sequence[Row], configuration: Configuration) -> None:
    for number, (rule, look) in enumerate(zip(burning_rules(), (LOOKS[1], LOOKS[4]), strict=True)):
        mine = [row.part for row in rows if row.rule == rule]
        axes.bar([place_ + 0.4 * number - 0.2 for place_ in range(len(mine))], mine, 0.38, color=look.color, label=rule)
    axes.set_xticks(range(len(configuration.sites)), [str(count) for count in configuration.sites])
    axes.set(xlabel="servers at the burning site", ylabel="part of the files lost with it")
    axes.set_ylim(0, max(0.01, 1.1 * max(row.part for row in rows)))
    axes.legend(fontsize=7)
