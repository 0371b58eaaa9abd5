"""Plotting: one look for all figures, fit for print, the same bytes every time.

* Colours are those of Okabe and Ito, told apart by the colour-blind; lines also differ in dash and marker, so that a
  figure survives a grey printer.
* What was computed exactly is a line, what was simulated is a marker in a band that says how far it can be trusted.
* matplotlib's global state, a user's ``matplotlibrc``, dates and random ids stay out, so bytes can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from experiments.framework.extras import extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_INCHES = 7.0
"""The text width of a page."""

STYLE = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#d8d8d8",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "svg.hashsalt": "tahoe",
}


class Look(NamedTuple):
    """How one curve of several is drawn."""

    color: str
    dash: Any
    marker: str


LOOKS = (
    Look("#000000", "-", "o"),
    Look("#e69f00", (0, (5, 1.5)), "s"),
    Look("#0072b2", (0, (3, 1, 1, 1)), "^"),
    Look("#d55e00", (0, (1, 1)), "D"),
    Look("#009e73", (0, (7, 2)), "v"),
    Look("#cc79a7", (0, (5, 1, 1, 1, 1, 1)), "P"),
    Look("#56b4e9", (0, (2, 2)), "X"),
)


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's own defaults and our changes to them, whatever the user's are."""
    matplotlib = extra("matplotlib")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def panels(columns: int = 1, rows: int = 1, height: float = 3.4) -> tuple[Figure, list[Axes]]:
    """A figure of a page's width with panels side by side, each row ``height`` inches high."""
    figure = extra("matplotlib.figure").Figure(figsize=(WIDTH_INCHES, height * rows), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def plain_ticks(axis: Any) -> None:
    """Let a logarithmic axis of few decades have numbers as people write them, in steps of 1, 2 and 5."""
    low, high = axis.get_view_interval()
    ticks = [step * 10.0**power for power in range(-4, 10) for step in (1, 2, 5) if low <= step * 10.0**power <= high]
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_ticks([], minor=True)


def band(axes: Axes, across: Sequence[float], low: Sequence[float], high: Sequence[float], look: Look) -> None:
    """Fill between the bounds of intervals, with an edge that a printer shows."""
    axes.fill_between(across, low, high, color=look.color, alpha=0.22, linewidth=0)
    for edge in (low, high):
        axes.plot(across, edge, color=look.color, alpha=0.45, linewidth=0.5)


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as PNG and SVG, the same bytes every time; returns the paths."""
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    figure.savefig(paths[0], metadata={"Software": None})
    figure.savefig(paths[1], metadata={"Date": None, "Creator": None})
    return paths
