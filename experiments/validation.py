"""Do we get the numbers that others published, by formula and by simulation?

Every number of ``experiments.targets`` is computed by ``tahoe.theory`` and, where simulation can reach it, simulated with an
interval. The figure holds both against what the source prints, on twenty-five orders of magnitude. ``python -m
experiments.validation`` runs it and writes docs/validation.md and its figure anew.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from experiments.framework.experiment import load
from experiments.framework.folder import Folder
from experiments.framework.laboratory import conduct
from experiments.framework.manifest import code_version
from experiments.framework.plotting import LOOKS, panels
from experiments.framework.study import Study
from experiments.framework.sweep import cores
from experiments.targets import QUOTED, READ, all_targets

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOCS = Path(__file__).resolve().parents[1] / "docs"


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is asked.

    Args:
        effort: 1 for a result, less for a look: the number of simulated runs is multiplied by it.
        keys: of the targets; empty: all.
    """

    effort: float = 1.0
    keys: tuple[str, ...] = ()


QUICK = {"effort": 0.05}


@dataclass(frozen=True, slots=True)
class Row:
    """A target, and how we reach it. ``runs`` is 0 where nothing was simulated.

    Args:
        key: of the target.
        what: in words.
        source: who published it.
        known_by: how we know what it says; empty if nobody had to publish it.
        value: published, or exact.
        theory: our formula's.
        agrees: whether that is as near as the source's rounding allows.
        simulated: our simulation's.
        low: bound of its interval.
        high: bound of its interval.
        runs: simulated.
        contains: whether the interval contains our formula's value.
    """

    key: str
    what: str
    source: str
    known_by: str
    value: float
    theory: float
    agrees: bool
    simulated: float
    low: float
    high: float
    runs: int
    contains: bool

    @property
    def is_published(self) -> bool:
        """Whether somebody else printed the number, not only the formula."""
        return self.known_by in (READ, QUOTED)


def points(configuration: Configuration) -> Iterator[tuple[str, float]]:
    """Every target."""
    for key in configuration.keys or all_targets():
        yield key, configuration.effort


def run(point: tuple[str, float], seed: int) -> list[Row]:
    """One target, both ways."""
    key, effort = point
    target = all_targets()[key]
    theory = target.theory()
    agrees = abs(theory - target.value) <= target.within * target.value
    row = (target.key, target.what, target.source, target.known_by, target.value, theory, agrees)
    if target.simulate is None:
        return [Row(*row, 0.0, 0.0, 0.0, 0, contains=True)]
    interval, runs = target.simulate(seed, effort)
    return [Row(*row, interval.estimate, interval.low, interval.high, runs, contains=theory in interval)]


# --- the figure --------------------------------------------------------------------------------------------------


def plot(rows: Sequence[Row], configuration: Configuration) -> Figure:
    """Published against ours on two logarithmic axes, and the ratio of the two below."""
    figure, (values, ratios) = panels(rows=2, height=3.6)
    ends = min(row.value for row in rows) / 10, max(row.value for row in rows) * 1000
    values.plot(ends, ends, color="#888888", linewidth=0.8)
    ratios.axhline(1, color="#888888", linewidth=0.8)
    printed = [row for row in rows if row.is_published]
    exact = [row for row in rows if not row.is_published]
    for chosen, look, label in (
        (printed, LOOKS[2], "formula, published value"),
        (exact, LOOKS[4], "formula, exact value"),
    ):
        across = [row.value for row in chosen]
        values.plot(across, [row.theory for row in chosen], look.marker, color=look.color, label=label)
        ratios.plot(across, [row.theory / row.value for row in chosen], look.marker, color=look.color)
    simulated = [row for row in rows if row.runs and row.simulated > 0]
    across, middle = [row.value for row in simulated], [row.simulated for row in simulated]
    errors = [row.simulated - row.low for row in simulated], [row.high - row.simulated for row in simulated]
    values.plot(across, middle, "o", color=LOOKS[3].color, markerfacecolor="none", markersize=8, label="simulated")
    ratios.errorbar(
        across, [row.simulated / row.value for row in simulated],
        yerr=[[error / value for error, value in zip(side, across, strict=True)] for side in errors],
        fmt="o", color=LOOKS[3].color, markerfacecolor="none", markersize=6, linewidth=0.8,
    )  # fmt: skip
    for axes in (values, ratios):
        axes.set(xscale="log", xlim=ends, xlabel="published (or exact) value, each in its unit")
    values.set(yscale="log", ylim=ends, ylabel="ours")
    values.legend(loc="upper left")
    ratios.set(ylabel="ours over published", ylim=(0.7, 1.4))
    _name_outliers(ratios, rows)
    figure.suptitle(
        f"{len(rows)} numbers: {len(printed)} published, {len(exact)} exact; {len(simulated)} of them simulated, too "
        f"(99.9 % intervals, {configuration.effort:.0%} effort)",
        fontsize=8.5,
    )
    return figure


def _name_outliers(axes: Axes, rows: Sequence[Row]) -> None:
    """Values that a source gives as an order of magnitude lie outside the lower panel, and are said to."""
    outside = [f"{row.key}: {row.theory / row.value:.2g}" for row in rows if not 0.7 <= row.theory / row.value <= 1.4]
    if outside:
        axes.set_title(
            f"outside this panel, published as orders of magnitude or cut off: {', '.join(outside)}", fontsize=7
        )


# --- the page ----------------------------------------------------------------------------------------------------


def page(rows: Sequence[Row]) -> str:
    """docs/validation.md: what agrees, and the table."""
    simulated = [row for row in rows if row.runs]
    outside = [row for row in simulated if not row.contains]
    disagree = [row for row in rows if not row.agrees]
    counts = Counter(row.known_by for row in rows)
    published = sum(row.is_published for row in rows)
    verdicts = [
        f"* {published} published numbers ({counts[READ]} read at the source, {counts[QUOTED]} in another text that "
        f"quotes it) and {len(rows) - published} exact ones; the formulas agree with "
        f"{len(rows) - len(disagree)} of {len(rows)} to the digits that the source prints"
        + (f" (not with {', '.join(row.key for row in disagree)})." if disagree else "."),
        f"* {len(simulated)} are simulated as well; the 99.9 % interval contains the formula's value in "
        f"{len(simulated) - len(outside)} cases"
        + (f" (not in {', '.join(row.key for row in outside)})." if outside else "."),
    ]
    lines = [
        "| | what | published or exact | formula | simulated [99.9 %] | source | how known |",
        "|---|---|---|---|---|---|---|",
        *(_line(row) for row in rows),
    ]
    return TEXT.format(verdicts="\n".join(verdicts), table="\n".join(lines))


def _line(row: Row) -> str:
    shown = f"{row.simulated:.4g} [{row.low:.4g}, {row.high:.4g}]" if row.runs else ""
    if row.runs and row.simulated == 0:
        shown = f"never in {row.runs} runs: below {row.high:.1e}"
    marks = f"{'' if row.agrees else ' (!)'}"
    return f"| {row.key} | {row.what} | {row.value:.6g} | {row.theory:.6g}{marks} | {shown} | {row.source} | {row.known_by} |"


TEXT = """# Validation: published results, and ours

This page and its figure are written by `python -m experiments.validation`; nothing on it is edited by hand.

{verdicts}

![Published against ours, on logarithmic axes, and their ratio](figures/validation.png)

Three ways lead to an answer here, and they must agree: closed forms (`tahoe.theory`, held to every printed digit by
`tests/theory`), Monte Carlo with the actors' own policies and importance sampling (`tahoe.sim.montecarlo`,
`tahoe.sim.rare`, held to the closed forms by `tests/sim`), and the actors themselves in simulated time
(`tests/sim/test_three_ways.py`: the same incidents, file by file). A mean time to loss assumes independent failures and
repairs at constant rates; it is no lifetime (Greenan, Plank and Wylie, HotStorage 2010). It stands here because others
published it. One interval in a thousand is expected to miss.

How we know what a source says stands in the last column. *Read*: the number was read there. *Quoted*: it was read in another text that
quotes the source: a survey, or for the disk arrays (C10) somebody's notes on the paper, with its formula and its numbers for groups of one
and ten. *Formula*: the source has the formula and not the number, which is the formula's exact value. So it is with copies for an
availability (A13, by equation (1)) and with replicas that are made and lost (F3; the paper says that copies must be made faster than they
are lost, and the probability of none is e to the minus ratio). Of Glacier (A11) six nines at 60 % are in the abstract, and any 5
of 48 fragments in a review of the paper; 48/5 is 9.6; the paper counts eleven-fold storage. Without a source's name stands what
follows from the formula alone. Among these are three numbers that are said to be in print where we could not read them, and that
nobody should quote from here as published: sixteen fragments for OceanStore (A10), the RAID-5 group of eight (C9) and groups of 25
(C10).

Known differences to the sources: the third number of the table of groups is a misprint there (3.70e-8 for 3.96e-8); the
tool behind D6 runs one step longer than asked and forgets files that have lost their last share; D3 and D4 are published as
orders of magnitude; SimEDC's ratio (F2) is that of a few runs; the 32 fragments of A10 are available with 0.9999999987, which the
source cuts off after nine digits.

{table}
"""


@click.command()
@click.option("--quick", is_flag=True, help="Few simulated runs: a look. The page is printed and not written.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/validation"), show_default=True)
@click.option("--workers", type=click.IntRange(min=1), help="Processes [all cores].")
def main(quick: bool, out: Path, workers: int | None) -> None:  # noqa: FBT001  # click hands flags over
    """Compute every target, and write docs/validation.md and its figure."""
    experiment = load("validation")
    study = Study(experiment, experiment.configure(quick=quick), seed=1)
    conduct(study, out, workers or cores())
    rows = experiment.rows(Folder(out, study, code_version()).rows())
    if quick:
        print(page(rows))
        return
    (DOCS / "validation.md").write_text(page(rows), encoding="utf-8")
    for kind in ("png", "svg"):
        shutil.copyfile(out / f"validation.{kind}", DOCS / "figures" / f"validation.{kind}")


if __name__ == "__main__":
    main(prog_name="python -m experiments.validation")
