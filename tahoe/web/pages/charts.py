"""Charts as geometry: what a template draws as inline SVG, in the page's own colours, with no script and no library.

A chart is a frame of ``WIDTH`` by ``HEIGHT`` units with the plot inside its margins; scales turn values into units.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from tahoe.web.pages import words

WIDTH: Final = 560
HEIGHT: Final = 260
LEFT: Final = 62
RIGHT: Final = 14
TOP: Final = 14
BOTTOM: Final = 44
_STEPS: Final = (1, 2, 5, 10)
_MOST_TICKS: Final = 6

Scale: TypeAlias = Callable[[float], float]


class Tick(NamedTuple):
    """A line across the plot with its label; ``at`` in units of the drawing."""

    at: float
    label: str


class Bar(NamedTuple):
    """An upright or lying bar with what it stands for; ``kind`` is a class of the style sheet."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    label: str


class Line(NamedTuple):
    """A curve as the ``points`` of a polyline; ``kind`` is a class of the style sheet."""

    points: str
    kind: str


@dataclass(frozen=True, slots=True)
class Axes:
    """The ticks of both axes, and their titles."""

    across: Sequence[Tick]
    up: Sequence[Tick]
    across_title: str
    up_title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing. ``spot`` marks the present plan, as (x, y) in units."""

    axes: Axes
    bars: Sequence[Bar] = ()
    lines: Sequence[Line] = ()
    spot: tuple[float, float] | None = None


def linear(low: float, high: float, start: float, end: float) -> Scale:
    """Return a scale from values in ``low..high`` to units in ``start..end``."""
    width = (high - low) or 1.0
    return lambda value: round(start + (value - low) / width * (end - start), 2)


def logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    """Return the same on logarithms; values below ``low`` lie on the edge."""
    inner = linear(math.log10(low), math.log10(high), start, end)
    return lambda value: inner(math.log10(max(value, low)))


def round_values(high: float, most: int = _MOST_TICKS) -> list[float]:
    """Return round numbers from 0 to ``high``, not more than ``most`` of them."""
    if high <= 0:
        return [0.0]
    rough = high / (most - 1)
    power = 10 ** math.floor(math.log10(rough))
    step = next(each * power for each in _STEPS if each * power >= rough * (1 - 1e-9))
    return [step * index for index in range(int(high / step + 1e-9) + 1)]


def decades(low: float, high: float, most: int = _MOST_TICKS) -> list[float]:
    """Return powers of ten within ``low..high``, not more than ``most`` of them."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    step = max(1, math.ceil((last - first + 1) / most))
    return [10.0**exponent for exponent in range(last, first - 1, -step)]


def columns(values: Sequence[float], is_bad: Callable[[int], bool], titles: tuple[str, str]) -> Chart:
    """Return a chart of one upright bar for each count 0, 1, 2, ...

    Args:
        values: the heights; probabilities.
        is_bad: whether a count's bar is drawn as a warning.
        titles: of the two axes.
    """
    high = max(values)
    up = linear(0, high, HEIGHT - BOTTOM, TOP)
    room = (WIDTH - LEFT - RIGHT) / len(values)
    floor = HEIGHT - BOTTOM
    bars = [
        Bar(
            round(LEFT + room * (count + 0.14), 2),
            up(value),
            round(room * 0.72, 2),
            round(floor - up(value), 2),
            "bad" if is_bad(count) else "",
            f"{count}: {words.probability(value)}",
        )
        for count, value in enumerate(values)
    ]
    every = max(1, math.ceil(len(values) / 16))
    across = [Tick(round(LEFT + room * (count + 0.5), 2), str(count)) for count in range(0, len(values), every)]
    ticks = [Tick(up(value), words.probability(value)) for value in round_values(high)]
    return Chart(Axes(across, ticks, *titles), bars=bars)


def curves(
    lines: Sequence[tuple[str, Sequence[tuple[float, float]]]], spot: tuple[float, float], across: Axis, up: Axis
) -> Chart:
    """Return a chart of curves.

    Args:
        lines: of each, its class and its points.
        spot: a point to be marked.
        across: what runs from left to right.
        up: what runs upwards.
    """
    x, y = across.scale(LEFT, WIDTH - RIGHT), up.scale(HEIGHT - BOTTOM, TOP)
    drawn = [Line(" ".join(f"{x(a)},{y(b)}" for a, b in points), kind) for kind, points in lines]
    axes = Axes(
        [Tick(x(value), across.label(value)) for value in across.ticks],
        [Tick(y(value), up.label(value)) for value in up.ticks],
        across.title,
        up.title,
    )
    return Chart(axes, lines=drawn, spot=(x(spot[0]), y(spot[1])))


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its title, its range, which values are ticked, and how they are written."""

    title: str
    bounds: tuple[float, float]
    ticks: Sequence[float]
    label: Callable[[float], str]
    by_powers: bool = False

    def scale(self, start: float, end: float) -> Scale:
        """Return the scale of this axis on so many units."""
        return (logarithmic if self.by_powers else linear)(*self.bounds, start, end)


def power_bounds(values: Iterable[float], least: float = 1e-30) -> tuple[float, float]:
    """Return whole decades around positive values."""
    known = [max(value, least) for value in values]
    low, high = math.floor(math.log10(min(known))), math.ceil(math.log10(max(known)))
    return 10.0**low, 10.0 ** max(high, low + 1)
