"""What does keeping files alive cost in bytes a day, who causes it, and what happens when much fails at once?

A grid of friends lives through some years: disks die, people are away for weeks, a bad batch of disks fails within a
month. Every repair reads k shares and writes what is missing, and every byte passes the broker twice. The figure stacks
the bytes written by the cause of the absence they mend, and the reading on top, without a budget and with one. A budget
turns the storm into a queue: what it costs is the time for which files are thin.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from experiments.framework.plotting import LOOKS, panels
from tahoe.policy.repair import RepairRule
from tahoe.sim.laws import Exponential, Fixed, LogNormal
from tahoe.sim.montecarlo import Caretaker, Checks, Code, Outcome, Rules, Study, unplaced
from tahoe.sim.montecarlo import run as history
from tahoe.sim.weather import DAY, HOUR, YEAR, BadBatch, Losses, Outages

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is asked.

    Args:
        servers: in the grid.
        files: how many.
        megabytes: of each file.
        margin: of the caretaker's rule.
        budgets: megabytes a day that repairs may move; 0: as many as they like.
        batch: part of the disks that are of the bad batch.
        storm: year in which it fails.
        years: in all.
        days: between two checks of a file.
    """

    servers: int = 50
    files: int = 2000
    megabytes: float = 10.0
    margin: float = 0.5
    budgets: tuple[float, ...] = (0.0, 400.0)
    batch: float = 0.3
    storm: float = 1.0
    years: float = 3.0
    days: float = 7.0


QUICK = {"files": 400, "budgets": (0.0, 80.0)}
WEEK = 7 * DAY


@dataclass(frozen=True, slots=True)
class Row:
    """Megabytes that one cause moved in one week; the cause "reading" is the k shares that each repair reads.

    Args:
        budget: megabytes a day; 0: none.
        week: counted from 0; -1 for the summary.
        cause: of the absence.
        megabytes: moved.
        lost: files lost in all (summary).
        thinnest: fewest shares that a repair found in that week.
    """

    budget: float
    week: int
    cause: str
    megabytes: float
    lost: int = 0
    thinnest: int = 0


def points(configuration: Configuration) -> Iterator[Configuration]:
    """One: every budget has to live through the same weather."""
    yield configuration


def run(point: Configuration, seed: int) -> list[Row]:
    """The same years once with each budget."""
    code = Code(3, 10, point.megabytes)
    weathers = (
        Losses(Exponential(6 * YEAR), away=LogNormal(4 * DAY, 1.0)),
        Outages(Exponential(12 * DAY), LogNormal(8 * HOUR, 1.5)),
        BadBatch(point.batch, Fixed(point.storm * YEAR), Exponential(20 * DAY), away=Fixed(2 * DAY)),
    )
    study = Study(unplaced(point.servers), point.files, weathers, point.years * YEAR, code)
    rows: list[Row] = []
    for budget in point.budgets:
        checks = Checks(point.days * DAY, cohorts=7, budget=budget / DAY or inf)
        outcome = history(study, Rules(repair=Caretaker(RepairRule(point.margin)), checks=checks), seed)
        rows += [*_weeks(budget, outcome, code), Row(budget, -1, "all", outcome.moved, outcome.lost)]
    return rows


def _weeks(budget: float, outcome: Outcome, code: Code) -> Iterator[Row]:
    moved: defaultdict[tuple[int, str], float] = defaultdict(float)
    thinnest: dict[int, int] = {}
    for repair in outcome.repairs:
        week = int(repair.at / WEEK)
        thinnest[week] = min(repair.living, thinnest.get(week, code.total))
        moved[week, "reading"] += code.size
        for cause, count in repair.made.items():
            moved[week, cause] += count * code.share_size()
    for (week, cause), megabytes in sorted(moved.items()):
        yield Row(budget, week, cause, megabytes, thinnest=thinnest[week])


# --- the figure --------------------------------------------------------------------------------------------------

CAUSES = {"disk": "disks that died", "batch": "the bad batch", "outage": "absences", "reading": "reading for repairs"}


def plot(rows: Sequence[Row], configuration: Configuration) -> Figure:
    """A panel for each budget, all on the same scale, and the thinnest file repaired below."""
    count = len(configuration.budgets)
    figure, axes = panels(columns=count, rows=2, height=2.4)
    weeks = int(configuration.years * YEAR / WEEK) + 1
    tallest = max(
        sum(row.megabytes for row in rows if row.week == week and row.budget == budget) / 7
        for budget in configuration.budgets
        for week in range(weeks)
    )
    for number, budget in enumerate(configuration.budgets):
        mine = [row for row in rows if row.budget == budget]
        _stack(axes[number], [row for row in mine if row.week >= 0], weeks, tallest)
        _thinnest(axes[count + number], [row for row in mine if row.week >= 0], weeks)
        (total,) = (row for row in mine if row.week < 0)
        name = f"budget {budget:g} MB a day" if budget else "no budget"
        axes[number].set_title(f"{name}: {total.megabytes / 1000:.0f} GB moved, {total.lost} lost", fontsize=8.5)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.suptitle(
        f"{configuration.files} files of {configuration.megabytes:g} MB, 3-of-10, on {configuration.servers} servers; "
        f"the broker carries twice what is moved",
        fontsize=8.5,
    )
    return figure


def _stack(axes: Axes, rows: Sequence[Row], weeks: int, tallest: float) -> None:
    bottom = [0.0] * weeks
    for (cause, label), look in zip(CAUSES.items(), (LOOKS[2], LOOKS[3], LOOKS[1], LOOKS[6]), strict=True):
        heights = [0.0] * weeks
        for row in rows:
            if row.cause == cause:
                heights[row.week] = row.megabytes / 7
        axes.bar(range(weeks), heights, 1.0, bottom=bottom, color=look.color, label=label, linewidth=0)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    axes.set(ylabel="MB a day", ylim=(0, 1.05 * tallest), xlim=(0, weeks))


def _thinnest(axes: Axes, rows: Sequence[Row], weeks: int) -> None:
    thin = sorted({(row.week, row.thinnest) for row in rows})
    axes.plot([week for week, _ in thin], [count for _, count in thin], ".", color=LOOKS[0].color)
    axes.set(xlabel="week", ylabel="fewest shares found", ylim=(2.5, 10.5), xlim=(0, weeks))
    axes.axhline(3, color=LOOKS[3].color, linewidth=0.8)
