"""Which k and N keep a file for how long, at what cost in space and in repair traffic?

Every pair (k, N) is a code: it costs N/k times the file's size in space, it loses the file with some probability in ten
years, and it has to be repaired, which moves bytes. Here all files are checked at random times, monthly on average, and
made whole whenever a share is missing; servers live for an exponential time.

The losses span twenty orders of magnitude. The exact chain (``tahoe.theory.markov``) covers all of them; importance
sampling (``tahoe.sim.rare``), fed with the caretaker's own rule, covers them too, and the marks in the figure are cells in
which the exact value lies outside the 99.9 % interval (there should be about one in a thousand).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log10
from typing import TYPE_CHECKING, Any

from experiments.framework.extras import extra
from experiments.framework.plotting import panels
from tahoe.policy.repair import AT_ONCE
from tahoe.sim.montecarlo import Caretaker
from tahoe.sim.rare import Stripe, by_rule, rare_loss
from tahoe.theory.markov import loss_within, mean_time_to_loss
from tahoe.theory.stripes import jump, share_chain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is asked.

    Args:
        most_shares: largest N.
        life: mean years that a server lives.
        checks: of a file in a year, on average.
        mission: years.
        cycles: simulated for each code.
    """

    most_shares: int = 16
    life: float = 4.0
    checks: float = 12.0
    mission: float = 10.0
    cycles: int = 40_000

    def __post_init__(self) -> None:
        if not 2 <= self.most_shares <= 64:
            raise ValueError("most_shares lies between 2 and 64")


QUICK = {"most_shares": 10, "cycles": 10_000}


@dataclass(frozen=True, slots=True)
class Point:
    """One code."""

    needed: int
    total: int
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class Row:
    """What a code does. Loss is within the mission; times are in years; traffic in file sizes a year."""

    needed: int
    total: int
    loss: float
    mean_time: float
    simulated: float
    low: float
    high: float
    runs: int
    traffic: float


def points(configuration: Configuration) -> Iterator[Point]:
    """Every code with at least one share to spare."""
    for total in range(2, configuration.most_shares + 1):
        for needed in range(1, total):
            yield Point(needed, total, configuration)


def run(point: Point, seed: int) -> list[Row]:
    """One code, by the chain and by loaded dice."""
    asked, needed, total = point.configuration, point.needed, point.total
    rate = 1 / asked.life
    chain = share_chain(needed, total, rate, jump(asked.checks))
    rule = by_rule(Caretaker(AT_ONCE, needed, total), total, asked.checks)
    bias = (total - needed) / (total - needed + 1)  # so that about a third of the cycles, whatever N - k, end in loss
    found = rare_loss(Stripe(needed, (rate,) * total, rule), asked.cycles, seed, bias)
    return [
        Row(
            needed,
            total,
            loss_within(chain, asked.mission),
            mean_time_to_loss(chain).duration,
            found.mean_time.estimate,
            found.mean_time.low,
            found.mean_time.high,
            found.cycles,
            traffic(needed, total, rate, asked.checks),
        )
    ]


def traffic(needed: int, total: int, rate: float, checks: float) -> float:
    """File sizes that repairs move in a year: k shares read for each repair, and every missing share written.

    A check finds the failures since the last, an exponential time ago: none with probability c/(c + N l), and
    N l/(c + l) on average.
    """
    repairs = checks * total * rate / (checks + total * rate)
    made = checks * total * rate / (checks + rate)
    return repairs + made / needed


def pareto(rows: Sequence[Row]) -> list[Row]:
    """The codes that no other beats in both loss and space, in order of space."""
    front: list[Row] = []
    for row in sorted(rows, key=lambda one: (one.total / one.needed, one.loss)):
        if not front or row.loss < front[-1].loss:
            front.append(row)
    return front


# --- the figure --------------------------------------------------------------------------------------------------

EXPANSIONS = (1.5, 2.0, 3.0, 5.0)


def plot(rows: Sequence[Row], configuration: Configuration) -> Figure:
    """Nines over (k, N) with contours of expansion; loss against space, with traffic in colour."""
    figure, (heat, front) = panels(columns=2, height=3.9)
    _heat(figure, heat, rows, configuration)
    _front(figure, front, rows)
    outside = sum(not row.low <= row.mean_time <= row.high for row in rows)
    figure.suptitle(
        f"servers live {configuration.life:g} years, monthly checks; {len(rows)} codes by theory and by importance "
        f"sampling\n(99.9 % intervals, marked x where they miss the exact value: {outside})",
        fontsize=8.5,
    )
    return figure


def nines(loss: float) -> float:
    """How many nines a probability of survival has."""
    return -log10(loss)


def _heat(figure: Figure, axes: Axes, rows: Sequence[Row], configuration: Configuration) -> None:
    most = configuration.most_shares
    grid: list[list[float]] = [[float("nan")] * (most - 1) for _ in range(most - 1)]
    for row in rows:
        grid[row.needed - 1][row.total - 2] = nines(row.loss)
    image = axes.imshow(grid, origin="lower", extent=(1.5, most + 0.5, 0.5, most - 0.5), aspect="auto", cmap="cividis")
    figure.colorbar(image, ax=axes, label=f"nines of survival in {configuration.mission:g} years")
    for expansion in EXPANSIONS:
        end = min(float(most), expansion * (most - 1))
        axes.plot([expansion, end], [1, end / expansion], color="white", linewidth=1.0)
        axes.annotate(f"N/k = {expansion:g}", (end, end / expansion), (-6, 2), textcoords="offset points",
                      color="white", fontsize=7, ha="right", va="bottom")  # fmt: skip
    for row in rows:
        if not row.low <= row.mean_time <= row.high:
            axes.plot(row.total, row.needed, "x", color="#d55e00", markersize=7)
    axes.set(xlabel="shares made (N)", ylabel="shares needed (k)", xlim=(1.5, most + 0.5), ylim=(0.5, most - 0.5))
    axes.grid(visible=False)


def _front(figure: Figure, axes: Axes, rows: Sequence[Row]) -> None:
    colors: Any = extra("matplotlib.colors")
    space = [row.total / row.needed for row in rows]
    traffics = [row.traffic for row in rows]
    dots = axes.scatter(
        space, [row.loss for row in rows], c=traffics, s=14, cmap="viridis_r",
        norm=colors.LogNorm(), zorder=3,
    )  # fmt: skip
    figure.colorbar(dots, ax=axes, label="repair traffic, file sizes a year", format="{x:g}",
                    ticks=[tick for tick in (0.5, 1, 2, 3, 4, 5, 7, 10) if min(traffics) <= tick <= max(traffics)]).minorticks_off()  # fmt: skip
    best = pareto([row for row in rows if row.total / row.needed <= MOST_SPACE])
    axes.step([row.total / row.needed for row in best], [row.loss for row in best], where="post", color="#444444",
              linewidth=0.9, label="no code does better in both")  # fmt: skip
    wide = [row for row in best if row.total / row.needed >= LEAST_LABELLED]
    for row in wide[:: max(1, len(wide) // 5)]:
        axes.annotate(f"{row.needed} of {row.total}", (row.total / row.needed, row.loss), (-4, -2),
                      textcoords="offset points", fontsize=6.5, ha="right", va="top")  # fmt: skip
    axes.set(xlabel="space, file sizes (N/k)", ylabel="probability of loss", yscale="log", xlim=(0.5, MOST_SPACE + 0.2))
    axes.set_ylim(0.03 * best[-1].loss, 2)
    axes.legend(loc="lower left", fontsize=7)


MOST_SPACE = 6.0
LEAST_LABELLED = 1.6
