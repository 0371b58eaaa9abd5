"""Figures of how often something can't be done against how often a server is down: computed as lines, counted as marks.

Two panels: the whole range on even axes, and what matters, small probabilities, on logarithmic ones. What was never seen to fail
is drawn as a bound, not as a zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple

from experiments.framework.extras import extra
from experiments.framework.plotting import LOOKS, Look, band, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FINE = tuple(step / 1000 for step in range(1, 1001))
"""Probabilities at which exact curves are drawn."""

NOTE = "lines: exact; marks: {runs} simulated runs each; bands: {confidence:g} % intervals; arrows: never seen, upper bound"


class Count(NamedTuple):
    """What was counted at one probability.

    Args:
        down: with which a server is down.
        share: of runs that failed.
        low: end of the interval.
        high: end of the interval.
    """

    down: float
    share: float
    low: float
    high: float


class Curve(NamedTuple):
    """One of several.

    Args:
        label: in the legend.
        exact: the closed form, of the probability that a server is down.
        counts: what the simulation found.
    """

    label: str
    exact: Callable[[float], float]
    counts: Sequence[Count]


def chances(curves: Sequence[Curve], what: str) -> tuple[Figure, tuple[Axes, Axes]]:
    """Draw curves.

    Args:
        curves: at least one, each with a count.
        what: the vertical axis shows.

    Returns:
        The figure and its panels, for more to be drawn: even axes and logarithmic ones.
    """
    figure, (even, logarithmic) = panels(columns=2, height=4.4)
    counts = [count for curve in curves for count in curve.counts]
    first, least = min(count.down for count in counts), min(count.high for count in counts)
    even.set(title="the whole range", xlim=(0, 1), ylim=(0, 1), ylabel=what)
    logarithmic.set(title="small probabilities", xscale="log", yscale="log")
    logarithmic.set(xlim=(0.7 * first, 1), ylim=(0.1 * least, 1.2))
    logarithmic.xaxis.set_major_locator(extra("matplotlib.ticker").LogLocator(subs=(1, 2, 5)))
    logarithmic.xaxis.set_major_formatter("{x:g}")
    for number, (curve, look) in enumerate(zip(curves, cycle(LOOKS), strict=False)):
        for axes in (even, logarithmic):
            _draw(axes, curve, look)
        _bound(logarithmic, curve, look, aside=number - len(curves) // 2)
    for axes in (even, logarithmic):
        axes.set_xlabel("probability that a server is down")
    figure.legend(*even.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure, (even, logarithmic)


def explain(figure: Figure, runs: int, confidence: float, *more: str) -> None:
    """Say above the panels what is seen in them."""
    note = NOTE.format(runs=runs, confidence=100 * confidence)
    figure.suptitle("\n".join([*more, note]), fontsize=8.5)


def _draw(axes: Axes, curve: Curve, look: Look) -> None:
    """The exact curve, and the simulated counts with what they prove."""
    seen = [count for count in curve.counts if count.share]
    down = [count.down for count in seen]
    band(axes, down, [count.low for count in seen], [count.high for count in seen], look)
    axes.plot(FINE, [curve.exact(one) for one in FINE], color=look.color, linestyle=look.dash)
    axes.plot(down, [count.share for count in seen], look.marker, color=look.color, markerfacecolor="white")
    axes.plot([], [], look.marker, color=look.color, linestyle=look.dash, markerfacecolor="white", label=curve.label)


def _bound(axes: Axes, curve: Curve, look: Look, aside: int) -> None:
    """Where it never failed: a bound, not a zero. Curves stand aside, not to hide one another."""
    never = [count for count in curve.counts if not count.share]
    down = [count.down * 1.05**aside for count in never]
    high = [count.high for count in never]
    axes.errorbar(
        down, high, yerr=[0.5 * one for one in high], uplims=True, fmt="_", color=look.color, capsize=2, elinewidth=1
    )
