"""How evenly do placement rules load servers, and how well do they spread each file?

Two kinds of fairness: each server should hold as much as any other (or as much as it has room for), and each file should
stand on as many servers and sites as it has shares. Five rules place the same files on a grid whose sites differ in size;
then one more server joins, and more files are stored: what does the newcomer get?
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.framework.plotting import LOOKS, Look, panels
from tahoe.policy.domains import SpreadOverDomains
from tahoe.policy.placement import SPREAD, PlacementPolicy
from tahoe.sim.montecarlo import Code, Study, place
from tahoe.sim.placements import Copysets, PermutedRing, RandomChoice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is asked.

    Args:
        needed: k.
        total: N.
        sites: servers of each site.
        files: stored first.
        more: stored after one more server has joined.
    """

    needed: int = 3
    total: int = 10
    sites: tuple[int, ...] = (20, 8, 6, 4, 1, 1)
    files: int = 2000
    more: int = 2000


QUICK = {"files": 400, "more": 400}


def policies(asked: Configuration) -> dict[str, PlacementPolicy]:
    """The rules compared."""
    return {
        "permuted ring": PermutedRing(),
        "happiness": SPREAD,
        "random": RandomChoice(),
        "copysets": Copysets(2 * (asked.total - 1)),
        "domains": SpreadOverDomains(asked.needed),
    }


@dataclass(frozen=True, slots=True)
class Point:
    """One rule."""

    policy: str
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class Row:
    """One server under one rule (server >= 0), or one number of servers or sites under a file (server -1).

    Args:
        policy: the rule.
        server: its number; the last is the newcomer.
        shares: of the first files.
        more: of the later ones.
        servers: how many different servers a file stands on; only if ``server`` is -1.
        most_at_site: the largest number of its shares at one site; only if ``server`` is -1.
        files: how many files are so; only if ``server`` is -1.
    """

    policy: str
    server: int
    shares: int = 0
    more: int = 0
    servers: int = 0
    most_at_site: int = 0
    files: int = 0


def locations(sites: Sequence[int]) -> tuple[str, ...]:
    """Where the servers are, given how many each site has."""
    return tuple(f"site-{site}/{number}" for site, count in enumerate(sites) for number in range(count))


def points(configuration: Configuration) -> Iterator[Point]:
    """Every rule."""
    for policy in policies(configuration):
        yield Point(policy, configuration)


def run(point: Point, seed: int) -> list[Row]:
    """Place files, let a server join, place more."""
    asked = point.configuration
    policy = policies(asked)[point.policy]
    before = locations(asked.sites)
    after = (*before, "newcomer")
    homes = [
        place(Study(where, files, (), 1.0, Code(asked.needed, asked.total)), policy, seed, len(where)).homes
        for where, files in ((before, asked.files), (after, asked.more))
    ]
    loads = [np.bincount(homes[0].ravel(), minlength=len(after)), np.bincount(homes[1].ravel(), minlength=len(after))]
    rows = [Row(point.policy, server, int(loads[0][server]), int(loads[1][server])) for server in range(len(after))]
    spreads = spread_of(homes[0], before)
    kinds, counts = np.unique(spreads, axis=0, return_counts=True)
    return rows + [
        Row(point.policy, -1, servers=int(servers), most_at_site=int(most), files=int(count))
        for (servers, most), count in zip(kinds, counts, strict=True)
    ]


def spread_of(homes: NDArray[np.int32], where: Sequence[str]) -> NDArray[np.int64]:
    """For each file: on how many servers it stands, and how many of its shares are at the fullest site."""
    site = np.unique([location.split("/")[0] for location in where], return_inverse=True)[1]
    servers = np.array([len(np.unique(row)) for row in homes])
    most = np.array([np.bincount(site[row]).max() for row in homes])
    return np.stack([servers, most], axis=1)


def gini(values: Sequence[int]) -> float:
    """Gini's coefficient: 0 if all have the same, near 1 if one has all."""
    ordered = np.sort(np.asarray(values, float))
    ranks = np.arange(1, len(ordered) + 1)
    return float(2 * (ranks * ordered).sum() / (len(ordered) * ordered.sum()) - (len(ordered) + 1) / len(ordered))


# --- the figure --------------------------------------------------------------------------------------------------


def plot(rows: Sequence[Row], configuration: Configuration) -> Figure:
    """Load of servers, spread of files, and the newcomer's part."""
    figure, (load, spread, sites, newcomer) = panels(columns=2, rows=2, height=2.6)
    names = list(policies(configuration))
    for name, look in zip(names, LOOKS, strict=False):
        _load(load, [row for row in rows if row.policy == name and row.server >= 0][:-1], look)
        for axes, what in ((spread, "servers"), (sites, "most_at_site")):
            _cumulative(axes, [row for row in rows if row.policy == name and row.server < 0], what, look)
    load.set(xlabel="server, from least to most loaded", ylabel="shares, over the mean", ylim=(0, None))
    load.legend(fontsize=7, loc="lower right")
    spread.set(xlabel="different servers under a file", ylabel="part of files, cumulative")
    sites.set(xlabel="shares of a file at its fullest site", ylabel="part of files, cumulative")
    spare = configuration.total - configuration.needed
    sites.axvline(spare + 0.5, color="#d55e00", linewidth=0.8)
    sites.annotate("deadly if the\nsite burns", (spare + 0.6, 0.05), fontsize=7, color="#d55e00")
    _newcomer(newcomer, rows, names)
    figure.suptitle(
        f"{configuration.files} files of {configuration.needed}-of-{configuration.total} on "
        f"{sum(configuration.sites)} servers at {len(configuration.sites)} sites; then {configuration.more} more files "
        "and one more server",
        fontsize=8.5,
    )
    return figure


def _load(axes: Axes, rows: Sequence[Row], look: Look) -> None:
    color, dash, _ = look
    shares = sorted(row.shares for row in rows)
    mean = sum(shares) / len(shares)
    axes.plot(range(1, len(shares) + 1), [one / mean for one in shares], color=color, linestyle=dash,
              label=f"{rows[0].policy}, Gini {gini(shares):.3f}")  # fmt: skip


def _cumulative(axes: Axes, rows: Sequence[Row], what: str, look: Look) -> None:
    color, dash, marker = look
    values = sorted({int(getattr(row, what)) for row in rows})
    total = sum(row.files for row in rows)
    below = [sum(row.files for row in rows if getattr(row, what) <= value) / total for value in values]
    axes.step([values[0], *values], [0, *below], where="post", color=color, linestyle=dash)
    axes.plot(values, below, marker, color=color, markersize=3.5)


def _newcomer(axes: Axes, rows: Sequence[Row], names: Sequence[str]) -> None:
    """Its part of the later files, over an even part; and over what the others hold in all."""
    for place_, (name, look) in enumerate(zip(names, LOOKS, strict=False)):
        mine = [row for row in rows if row.policy == name and row.server >= 0]
        new, others = mine[-1], mine[:-1]
        later = new.more / (sum(row.more for row in mine) / len(mine))
        in_all = new.more / (sum(row.more + row.shares for row in others) / len(others))
        axes.bar(place_ - 0.2, later, 0.36, color=look.color)
        axes.bar(place_ + 0.2, in_all, 0.36, color=look.color, alpha=0.45)
    axes.axhline(1.0, color="#444444", linewidth=0.8)
    axes.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names], fontsize=7)
    axes.set(ylabel="newcomer, over the mean", title="full: of later files; pale: of all files")
