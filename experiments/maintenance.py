"""What is lost, and what is moved, over years with and without a caretaker, depending on how often it looks and when it mends?

A friendnet lives through the misfortunes of one seed (``tahoe.sim.years``): servers sleep, disks die, shares rot, a third of
the servers fails for a night, one lies. The same life is lived again and again, with another caretaker each time::

    no caretaker                       files are lost as their shares go, for nobody minds
    looking every 3, 7, 14 … days      whoever looks seldom finds several losses at once, or comes too late
    repairing at once, or lazily       lazy repair waits until few spare shares are left, and then makes all anew

The caretaker is the one that runs on the grid, with its real messages; only contents are phantoms. Two prices are weighed
against each other: files lost, and bytes moved. The threshold R at which a lazy one repairs is k + 1 and the
``margin`` of the N - k - 1 other spare shares.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

from experiments.framework.plotting import LOOKS, Look, panels
from tahoe.actors.caretaker import CareTerms
from tahoe.policy.care import CareRules
from tahoe.policy.repair import RepairRule
from tahoe.sim.years import DAY, HOUR, YEAR, Misfortune, YearsPlan, live

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOBODY = 0.0
"""The check period that stands for: there is no caretaker."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is asked.

    Args:
        periods: days between two looks at every object; 0: there is no caretaker.
        margins: of lazy repair, at the period ``usual``.
        usual: days between two looks where margins are compared.
        lives: seeds, each a friendnet of its own.
        servers: of each.
        files: of each.
        years: of each life.
        disk_years: mean life of a disk.
    """

    periods: tuple[float, ...] = (0.0, 3.0, 7.0, 14.0, 30.0, 90.0)
    margins: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    usual: float = 7.0
    lives: int = 3
    servers: int = 20
    files: int = 60
    years: float = 3.0
    disk_years: float = 2.0

    def __post_init__(self) -> None:
        if any(period < 0 for period in self.periods) or self.usual <= 0:
            raise ValueError("periods are days, or 0 for no caretaker; usual is more than 0")
        if any(not 0 <= margin <= 1 for margin in self.margins):
            raise ValueError("margins lie between 0 and 1")
        if min(self.lives, self.files) < 1 or self.servers < 10:
            raise ValueError("there are at least one life, one file and ten servers")


QUICK = {"periods": (0.0, 7.0, 60.0), "margins": (0.0, 1.0), "lives": 1, "servers": 14, "files": 20, "years": 1.0}


@dataclass(frozen=True, slots=True)
class Point:
    """One life with one caretaker."""

    period: float
    margin: float
    life: int
    servers: int
    files: int
    years: float
    disk_years: float


@dataclass(frozen=True, slots=True)
class Row:
    """How it stands at the end of a month: files lost, sound shares of a file, and bytes moved in that month."""

    period: float
    margin: float
    life: int
    month: int
    files: int
    lost: int
    shares: float
    moved: float


def points(configuration: Configuration) -> Iterator[Point]:
    """Every period with repair at once, and every margin at the usual period."""
    pairs = [(period, 1.0) for period in configuration.periods]
    pairs += [(configuration.usual, margin) for margin in configuration.margins]
    for period, margin in dict.fromkeys(pairs):
        for number in range(configuration.lives):
            yield Point(
                period,
                margin,
                number,
                configuration.servers,
                configuration.files,
                configuration.years,
                configuration.disk_years,
            )


def run(point: Point, seed: int) -> list[Row]:
    """Live one life. What happens in it follows from its number, so that caretakers can be compared; not from the seed."""
    del seed
    plan = YearsPlan(
        point.life,
        servers=point.servers,
        files=point.files,
        directories=2,
        years=point.years,
        care=None if point.period == NOBODY else care(point.period, point.margin),
        misfortune=Misfortune(life=point.disk_years * YEAR, rot=30 * DAY),
    )
    months = live(plan).months
    return [
        Row(point.period, point.margin, point.life, number, point.files, month.lost, month.mean, month.moved)
        for number, month in enumerate(months, start=1)
    ]


def care(period: float, margin: float) -> CareTerms:
    """A caretaker that looks every so many days and repairs with such a margin."""
    rules = CareRules(
        check_every=period * DAY,
        everywhere_every=max(30.0, period) * DAY,
        renew_every=min(6.0, period) * DAY,
        repair=RepairRule(margin),
    )
    return CareTerms(rules, tick=12 * HOUR, own_roots=False)


# --- the figure --------------------------------------------------------------------------------------------------


def plot(rows: Sequence[Row], configuration: Configuration) -> Figure:
    """Loss and traffic over time by period; both in the end, against the period and against the margin."""
    figure, (lost, moved, by_period, by_margin) = panels(columns=2, rows=2, height=3.1)
    for period, look in zip(configuration.periods, cycle(LOOKS), strict=False):
        mine = [row for row in rows if row.period == period and row.margin == 1.0]
        _over_time(lost, moved, mine, look, _name(period))
    lost.set(title="files lost", xlabel="years", ylabel="part of all files", ylim=(-0.02, 1.02))
    moved.set(title="traffic of the caretaker", xlabel="years", ylabel="file sizes moved per file and month")
    kept = [period for period in configuration.periods if period != NOBODY]
    _in_the_end(by_period, [[row for row in rows if row.period == each and row.margin == 1.0] for each in kept], kept)
    by_period.set(title="against the check period", xlabel="days between two looks", xscale="log")
    by_period.set_xticks(kept, [f"{each:g}" for each in kept])
    by_period.minorticks_off()
    margins = sorted({*configuration.margins, 1.0})
    usual = [row for row in rows if row.period == configuration.usual]
    _in_the_end(by_margin, [[row for row in usual if row.margin == each] for each in margins], margins)
    by_margin.set(title=f"against the margin, looking every {configuration.usual:g} days")
    by_margin.set(xlabel="margin of lazy repair (1: at once)")
    figure.suptitle(
        f"{'one life' if configuration.lives == 1 else f'{configuration.lives} lives'} of {configuration.servers} servers with {configuration.files} files, 3-of-10;"
        f" a disk lives {configuration.disk_years:g} years on average",
        fontsize="medium",
    )
    figure.legend(*lost.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _name(period: float) -> str:
    return "no caretaker" if period == NOBODY else f"looking every {period:g} days"


def _over_time(lost: Axes, moved: Axes, rows: Sequence[Row], look: Look, label: str) -> None:
    """Means over lives, month by month."""
    months = sorted({row.month for row in rows})
    years = [month / 12 for month in months]
    losses, traffic = [], []
    for month in months:
        some = [row for row in rows if row.month == month]
        losses.append(sum(row.lost / row.files for row in some) / len(some))
        traffic.append(sum(_moved(row) for row in some) / len(some))
    lost.plot(years, losses, color=look.color, linestyle=look.dash, label=label)
    moved.plot(years, traffic, color=look.color, linestyle=look.dash)


def _in_the_end(axes: Axes, groups: Sequence[Sequence[Row]], across: Sequence[float]) -> None:
    """What was lost and what was moved, by group, each on an axis of its own."""
    known = [(place, group) for place, group in zip(across, groups, strict=True) if group]
    places = [place for place, _ in known]
    last = max(row.month for _, group in known for row in group)
    losses = [_mean([row.lost / row.files for row in group if row.month == last]) for _, group in known]
    traffic = [_mean([_moved(row) for row in group]) for _, group in known]
    axes.plot(places, losses, LOOKS[3].marker, color=LOOKS[3].color, linestyle="-")
    axes.set_ylabel("part of all files lost", color=LOOKS[3].color)
    axes.set_ylim(bottom=0, top=max(0.05, 1.1 * max(losses)))
    other = axes.twinx()
    other.plot(places, traffic, LOOKS[2].marker, color=LOOKS[2].color, linestyle=LOOKS[2].dash)
    other.set_ylabel("file sizes moved per file and month", color=LOOKS[2].color)
    other.set_ylim(bottom=0)
    other.grid(visible=False)


FILE_SIZE = YearsPlan(0).file_size


def _moved(row: Row) -> float:
    """In sizes of a file, per file and month."""
    return row.moved / (row.files * FILE_SIZE)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
