"""Which files are worst off, and does the placement rule decide it?

The mean availability of a grid's files says little: servers differ, and a file that happens to stand on the worst of them
is out of reach far more often than others. Here servers' availabilities are drawn once, sites go dark as a whole now and
then, and for each file and rule the part of time is found in which fewer than k of its shares are in reach. Snapshots of
the whole grid are drawn, thousands of them, and every file is looked at in each; the same snapshots serve all rules.
Without outages of sites a file's unavailability is that of ``tahoe.theory.groups``, which the tests hold it to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.fairness import locations
from experiments.framework.plotting import LOOKS, panels
from tahoe.policy.domains import SpreadOverDomains
from tahoe.policy.placement import SPREAD, PlacementPolicy
from tahoe.sim.montecarlo import Code, Study, place
from tahoe.sim.placements import Copysets, RandomChoice

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is asked.

    Args:
        needed: k.
        total: N.
        sites: servers of each site.
        dark: part of the time in which a site is dark as a whole.
        worst: availability of the worst server; they are drawn evenly from here to ``best``.
        best: availability of the best server.
        files: how many.
        snapshots: of the grid.
    """

    needed: int = 3
    total: int = 10
    sites: tuple[int, ...] = (16, 8, 6, 4, 3, 1, 1, 1)
    dark: float = 0.01
    worst: float = 0.5
    best: float = 0.99
    files: int = 1000
    snapshots: int = 40_000

    def __post_init__(self) -> None:
        if not 0 <= self.worst <= self.best <= 1 or not 0 <= self.dark <= 1:
            raise ValueError("worst, best and dark are probabilities, and worst is not above best")


QUICK = {"files": 300, "snapshots": 5000}


def policies(asked: Configuration) -> dict[str, PlacementPolicy]:
    """The rules compared."""
    return {
        "happiness": SPREAD,
        "domains": SpreadOverDomains(asked.needed),
        "random": RandomChoice(),
        "copysets": Copysets(2 * (asked.total - 1)),
    }


@dataclass(frozen=True, slots=True)
class Row:
    """In how many of so many snapshots so many files were out of reach, under one rule."""

    policy: str
    unavailable: int
    runs: int
    files: int


def points(configuration: Configuration) -> Iterator[Configuration]:
    """One: all rules see the same servers and the same snapshots."""
    yield configuration


def run(point: Configuration, seed: int) -> list[Row]:
    """Place the files by each rule, and count snapshots."""
    where = locations(point.sites)
    rng = Random(seed)
    up = [rng.uniform(point.worst, point.best) for _ in where]
    alive = snapshots(where, up, point.dark, point.snapshots, seed)
    study = Study(where, point.files, (), 1.0, Code(point.needed, point.total))
    rows = []
    for name, policy in policies(point).items():
        homes = place(study, policy, seed, len(where)).homes
        kinds, files = np.unique(unavailable(homes, alive, point.needed), return_counts=True)
        rows += [Row(name, int(kind), point.snapshots, int(count)) for kind, count in zip(kinds, files, strict=True)]
    return rows


def snapshots(where: Sequence[str], up: Sequence[float], dark: float, count: int, seed: int = 1) -> NDArray[np.bool_]:
    """For each snapshot and server: whether it is up."""
    rng = np.random.default_rng(seed)
    site = np.unique([location.split("/")[0] for location in where], return_inverse=True)[1]
    lit = rng.random((count, int(site.max()) + 1)) >= dark
    alive: NDArray[np.bool_] = (rng.random((count, len(where))) < np.asarray(up)) & lit[:, site]
    return alive


def unavailable(homes: NDArray[np.int32], alive: NDArray[np.bool_], needed: int) -> NDArray[np.int64]:
    """For each file: in how many snapshots fewer than k of its shares are in reach."""
    return np.array([int((alive[:, row].sum(axis=1) < needed).sum()) for row in homes])


# --- the figure --------------------------------------------------------------------------------------------------


def plot(rows: Sequence[Row], configuration: Configuration) -> Figure:
    """Part of files against unavailability, and the worst files magnified."""
    figure, (whole, tail) = panels(columns=2, height=3.6)
    for name, look in zip(policies(configuration), cycle(LOOKS), strict=False):
        mine = sorted((row.unavailable / row.runs, row.files) for row in rows if row.policy == name)
        files = sum(count for _, count in mine)
        below = np.cumsum([count for _, count in mine]) / files
        mean = sum(value * count for value, count in mine) / files
        parts = [max(value, 0.5 / configuration.snapshots) for value, _ in mine]
        whole.step(parts, below, where="post", color=look.color, linestyle=look.dash, label=f"{name}, mean {mean:.1e}")
        above = [1 - part + count / files for part, (_, count) in zip(below, mine, strict=True)]
        tail.plot(parts, above, color=look.color, linestyle=look.dash)
    whole.set(xscale="log", xlabel="part of the time out of reach", ylabel="part of files, cumulative")
    tail.set(xscale="log", yscale="log", xlabel="part of the time out of reach", ylabel="part of files as bad or worse")
    figure.legend(*whole.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.suptitle(
        f"{configuration.files} files of {configuration.needed}-of-{configuration.total}; servers up "
        f"{configuration.worst:.0%} to {configuration.best:.0%}, sites of {', '.join(map(str, configuration.sites))} dark "
        f"{configuration.dark:.0%}; {configuration.snapshots} snapshots (left edge: never seen)",
        fontsize=8,
    )
    return figure
