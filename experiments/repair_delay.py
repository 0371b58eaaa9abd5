"""How long may repair wait, and how thin may a file become before it is worth repairing?

Repair at once is safest, if failures are failures. But most servers that are out of sight come back: a laptop is closed, a
line is down. An eager repairer makes shares anew that were never lost, and pays for each with k shares read. A lazy
one waits until fewer than R shares are to be seen, and mends all that is missing at one go.

So files are checked every so often, by rules from eager (R = N) to last-minute (R = k + 1), with and without transient
outages, and two things are counted: files lost, and bytes moved. Without outages the exact chain of epochs
(``tahoe.theory.epochs``) is drawn as a line. The caretaker's rule names R by a margin, 1 for eager to 0 for last-minute.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING

from experiments.framework.plotting import LOOKS, Look, panels
from tahoe.policy.repair import RepairRule
from tahoe.sim.estimates import judge
from tahoe.sim.laws import Exponential, LogNormal
from tahoe.sim.montecarlo import Caretaker, Checks, Code, Rules, Study, unplaced
from tahoe.sim.montecarlo import run as history
from tahoe.sim.weather import DAY, HOUR, YEAR, Losses, Outages, Weather
from tahoe.theory.epochs import loss_with_sweeps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is asked.

    Args:
        needed: k.
        total: N.
        margins: of the caretaker's rule.
        days: between two checks of a file.
        life: mean years of a disk.
        up: mean days between two absences.
        away: median hours of an absence; many are far longer.
        years: of each run.
        servers: in the grid.
        files: in each run.
        runs: for each point.
    """

    needed: int = 3
    total: int = 10
    margins: tuple[float, ...] = (1.0, 0.67, 0.5, 0.33, 0.0)
    days: tuple[float, ...] = (7.0, 15.0, 30.0, 60.0, 120.0, 240.0)
    life: float = 1.5
    up: float = 8.0
    away: float = 16.0
    years: float = 5.0
    servers: int = 40
    files: int = 50
    runs: int = 40


QUICK = {"margins": (1.0, 0.5, 0.0), "days": (15.0, 60.0, 240.0), "files": 30, "runs": 8}


@dataclass(frozen=True, slots=True)
class Point:
    """One rule, one delay, one weather."""

    margin: float
    days: float
    outages: bool
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class Row:
    """Files lost in all runs, between which bounds the probability lies, and bytes moved, in file sizes a year and file."""

    margin: float
    threshold: int
    days: float
    outages: bool
    runs: int
    lost: int
    low: float
    high: float
    loss: float
    exact: float
    traffic: float


def points(configuration: Configuration) -> Iterator[Point]:
    """Every rule at every delay, with and without outages."""
    for outages in (False, True):
        for margin in configuration.margins:
            for days in configuration.days:
                yield Point(margin, days, outages, configuration)


def run(point: Point, seed: int) -> list[Row]:
    """Years of weather over a collection of files, several times."""
    asked = point.configuration
    rule = RepairRule(point.margin)
    weathers: tuple[Weather, ...] = (Losses(Exponential(asked.life * YEAR)),)
    if point.outages:
        weathers += (Outages(Exponential(asked.up * DAY), LogNormal(asked.away * HOUR, SPREAD_OF_ABSENCES)),)
    code = Code(asked.needed, asked.total, size=1.0)
    study = Study(unplaced(asked.servers), asked.files, weathers, asked.years * YEAR, code)
    rules = Rules(repair=Caretaker(rule, asked.needed, asked.total), checks=Checks(point.days * DAY))
    outcomes = [history(study, rules, f"{seed}/{number}") for number in range(asked.runs)]
    found = judge([outcome.lost for outcome in outcomes], asked.files)
    moved = sum(outcome.moved for outcome in outcomes) / (asked.runs * asked.files * asked.years)
    threshold = rule.threshold(asked.needed, asked.total)
    interval = found.per_file
    return [
        Row(point.margin, threshold, point.days, point.outages, asked.runs, found.lost, interval.low, interval.high,
            interval.estimate, exact(asked, threshold, point.days), moved)
    ]  # fmt: skip


def exact(asked: Configuration, threshold: int, days: float) -> float:
    """What the chain of epochs says without outages; the last epoch may be a short one."""
    whole, rest = divmod(asked.years * 365, days)
    survival = [exp(-days / 365 / asked.life)] * int(whole) + ([exp(-rest / 365 / asked.life)] if rest else [])
    return loss_with_sweeps(asked.needed, asked.total, threshold, survival)


# --- the figure --------------------------------------------------------------------------------------------------


def plot(rows: Sequence[Row], configuration: Configuration) -> Figure:
    """Loss and traffic against delay, in both weathers."""
    figure, (calm, rough, cheap, dear) = panels(columns=2, rows=2, height=2.9)
    dearest = max(row.traffic for row in rows)
    for axes, cost, outages in ((calm, cheap, False), (rough, dear, True)):
        for number, (margin, look) in enumerate(zip(configuration.margins, LOOKS, strict=False)):
            mine = [row for row in rows if row.outages == outages and row.margin == margin]
            _losses(axes, mine, look, 1 + ASIDE * (number - (len(configuration.margins) - 1) / 2))
            cost.plot([row.days for row in mine], [row.traffic for row in mine], color=look.color, linestyle=look.dash,
                      marker=look.marker, markerfacecolor="white")  # fmt: skip
        axes.set(yscale="log", ylabel="probability of loss", ylim=(LEAST_SHOWN, 1.5))
        cost.set(ylabel="repair traffic, file sizes a year", ylim=(0, 1.05 * dearest))
        for one in (axes, cost):
            one.set(xscale="log", xlabel="days between checks")
            one.set_xticks(configuration.days, [f"{days:g}" for days in configuration.days])
            one.minorticks_off()
    calm.set_title("disks die, nothing else (lines: exact)")
    rough.set_title(f"and servers are away {absent(configuration):.0%} of the time")
    figure.legend(
        *calm.get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=7.5, columnspacing=1.2
    )
    figure.suptitle(
        f"{configuration.needed}-of-{configuration.total}, disks live {configuration.life:g} years, "
        f"{configuration.years:g} years; {configuration.runs} runs of {configuration.files} files a point; "
        "99.9 % intervals; triangles: never seen, upper bound",
        fontsize=8,
    )
    return figure


LEAST_SHOWN = 1e-6
SPREAD_OF_ABSENCES = 1.2
ASIDE = 0.05
"""How far the marks of one rule stand beside those of the next, which would hide them, as a part of the days."""


def absent(asked: Configuration) -> float:
    """Which part of the time a server is away; absences are log-normal."""
    mean = asked.away / 24 * exp(SPREAD_OF_ABSENCES**2 / 2)
    return mean / (asked.up + mean)


def _losses(axes: Axes, rows: Sequence[Row], look: Look, aside: float) -> None:
    if not rows[0].outages:
        days = [row.days for row in rows]
        axes.plot(days, [row.exact for row in rows], color=look.color, linestyle=look.dash, linewidth=1.1)
    seen = [row for row in rows if row.lost]
    axes.errorbar(
        [row.days * aside for row in seen], [row.loss for row in seen],
        yerr=([row.loss - row.low for row in seen], [row.high - row.loss for row in seen]),
        fmt=look.marker, color=look.color, linewidth=0.8, markerfacecolor="white",
        label=f"repair below {rows[0].threshold}",
    )  # fmt: skip
    unseen = [row for row in rows if not row.lost]
    axes.plot([row.days * aside for row in unseen], [row.high for row in unseen], "v", color=look.color, markersize=3)
