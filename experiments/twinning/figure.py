"""Figure: two twins against each other, and the gap between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean, median
from typing import TYPE_CHECKING, NamedTuple

from experiments.framework.plotting import LOOKS, Look, band, panels, plain_ticks
from experiments.twinning.plan import CROWD, FROZEN, GET, KILLED, PUT, THROUGHPUT, Scope
from experiments.twinning.rows import Row
from tahoe.theory.availability import loss_of_draw
from tahoe.theory.confidence import probability_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CONFIDENCE = 0.95
LOOK_OF = {KILLED: LOOKS[2], FROZEN: LOOKS[3]}
VERB = {GET: "get", PUT: "put"}
WAY = {GET: "download", PUT: "upload"}


def plot(rows: Sequence[Row], scope: Scope) -> Figure:
    """Availability and latency against servers ill, throughput against size, and all ratios."""
    figure, axes = panels(columns=2, rows=3, height=2.9)
    grid = axes[0].get_gridspec()
    assert grid is not None, "panels stand in a grid"
    _availability(axes[0], rows, scope)
    _throughput(axes[1], rows)
    for one, kind in ((axes[2], GET), (axes[3], PUT)):
        _latency(one, rows, kind)
    axes[5].remove()
    axes[4].remove()
    _gap(figure.add_subplot(grid[2, :]), rows)
    rounds = len({row.round for row in rows})
    small = f"{scope.kilobytes} kB, {scope.needed}-of-{scope.total}"
    figure.suptitle(
        f"{scope.servers} servers, a client and mosquitto as processes, and the same in the simulator under the machine's "
        f"laws\nsmall files: {small}; rounds: {rounds}; marks: measured, lines and bands: predicted",
        fontsize=8.5,
    )
    return figure


def chosen(rows: Iterable[Row], act: str, kind: str) -> list[Row]:
    """Rows of an act and a kind of operation; nobody killed is nobody frozen, either."""
    return [row for row in rows if row.kind == kind and (row.act == act or (act == FROZEN and _is_healthy(row)))]


def _is_healthy(row: Row) -> bool:
    return row.act == KILLED and row.ill == 0


def _by_ill(rows: Iterable[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.ill):
        found.setdefault(row.ill, []).append(row)
    return found


def _middle(values: Iterable[float]) -> tuple[float, float, float]:
    """Median, and the bounds of the middle four fifths."""
    found = sorted(values)
    return median(found), found[int(0.1 * (len(found) - 1))], found[round(0.9 * (len(found) - 1))]


def _was_lived(groups: Iterable[Sequence[Row]]) -> bool:
    """Whether there was a live grid at all; without one there are predictions only."""
    return all(row.live > 0 for group in groups for row in group)


def _mark(axes: Axes, across: Sequence[float], middles: Sequence[tuple[float, float, float]], look: Look) -> None:
    values = [middle for middle, _, _ in middles]
    errors = [[middle - low for middle, low, _ in middles], [high - middle for middle, _, high in middles]]
    axes.errorbar(across, values, yerr=errors, fmt=look.marker, color=look.color, linewidth=1.0, capsize=2.5)


# --- panels -----------------------------------------------------------------------------------------------------------


def _availability(axes: Axes, rows: Sequence[Row], scope: Scope) -> None:
    counts = range(max(scope.ill) + 1)
    exact = [1 - loss_of_draw(scope.needed, scope.total, scope.servers, ill) for ill in counts]
    axes.plot(list(counts), exact, color="#888888", linewidth=0.8, label="formula")
    for act, look in LOOK_OF.items():
        groups = _by_ill(chosen(rows, act, GET))
        shift = 0.08 if act == FROZEN else -0.08
        across = [ill + shift for ill in groups]
        if _was_lived(groups.values()):
            live = [_interval([row.live_succeeded for row in group]) for group in groups.values()]
            _mark(axes, across, live, look)
        predicted = [fmean(row.simulated_succeeded for row in group) for group in groups.values()]
        axes.plot(list(groups), predicted, color=look.color, linestyle=look.dash, label=act)
    axes.set(
        xlabel="servers killed or frozen", ylabel=f"reads that succeed in {scope.deadline:g} s", ylim=(-0.04, 1.04)
    )
    axes.legend(loc="lower left")


def _interval(successes: Sequence[bool]) -> tuple[float, float, float]:
    found = probability_interval(sum(successes), len(successes), CONFIDENCE)
    return fmean(successes), found.low, found.high


def _latency(axes: Axes, rows: Sequence[Row], kind: str) -> None:
    for act, look in LOOK_OF.items():
        groups = _by_ill(row for row in chosen(rows, act, kind) if _succeeded(row))
        shift = 0.08 if act == FROZEN else -0.08
        if _was_lived(groups.values()):
            _mark(axes, [ill + shift for ill in groups], [_middle(_live(group)) for group in groups.values()], look)
        predicted = [_middle(_simulated(group)) for group in groups.values()]
        axes.plot(
            list(groups), [middle for middle, _, _ in predicted], color=look.color, linestyle=look.dash, label=act
        )
        band(axes, list(groups), [low for _, low, _ in predicted], [high for _, _, high in predicted], look)
    axes.set(yscale="log", xlabel="servers killed or frozen", ylabel=f"ms for a small {VERB[kind]} (median, 10-90 %)")


def _succeeded(row: Row) -> bool:
    """On each side that there is."""
    return row.simulated_succeeded and (row.live_succeeded or not row.live)


def _live(rows: Iterable[Row]) -> list[float]:
    return [1000 * row.live for row in rows]


def _simulated(rows: Iterable[Row]) -> list[float]:
    return [1000 * row.simulated for row in rows]


def _throughput(axes: Axes, rows: Sequence[Row]) -> None:
    for kind, look in ((PUT, LOOKS[4]), (GET, LOOKS[1])):
        mine = chosen(rows, THROUGHPUT, kind)
        sizes = sorted({row.size for row in mine})
        groups = [[row for row in mine if row.size == size] for size in sizes]
        across = [size / 1e6 for size in sizes]
        if _was_lived(groups):
            live = [_middle(size / row.live / 1e6 for row in group) for size, group in zip(sizes, groups, strict=True)]
            _mark(axes, across, live, look)
        predicted = [median(row.size / row.simulated / 1e6 for row in group) for group in groups]
        axes.plot(across, predicted, color=look.color, linestyle=look.dash, label=WAY[kind])
    axes.set(xscale="log", yscale="log", xlabel="MB of a large file, 3-of-10", ylabel="MB/s")
    named = sorted({row.size / 1e6 for row in rows if row.act == THROUGHPUT})
    axes.set_xticks(named, [f"{size:g}" for size in named])
    axes.set_xticks([], minor=True)
    plain_ticks(axes.yaxis)
    axes.legend(loc="lower right")


# --- the gap ----------------------------------------------------------------------------------------------------------


class Gap(NamedTuple):
    """How far a kind of operation is off: ratios of predicted to measured medians, by round and condition."""

    name: str
    ratios: tuple[float, ...]


def gaps(rows: Sequence[Row]) -> list[Gap]:
    """Of all kinds; operations that failed on either side are left out."""
    done = [row for row in rows if row.live > 0 and row.live_succeeded and row.simulated_succeeded]
    found = []
    for act, name in (
        (KILLED, "small {}, servers killed"),
        (FROZEN, "small {}, servers frozen"),
        (CROWD, "small {}, many at once"),
        (THROUGHPUT, "large {}"),
    ):
        for kind in (GET, PUT):
            mine = [row for row in done if row.act == act and row.kind == kind]
            if mine:
                found.append(Gap(name.format(kind), _ratios(mine)))
    return found


def _ratios(rows: Sequence[Row]) -> tuple[float, ...]:
    """Of medians: rounds are kept apart, because the machine was not equally busy in all of them."""
    groups: dict[tuple[int, int, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.round, row.ill, row.size), []).append(row)
    return tuple(median(_simulated(group)) / median(_live(group)) for group in groups.values())


def _gap(axes: Axes, rows: Sequence[Row]) -> None:
    found = gaps(rows)[::-1]
    if not found:
        axes.set_axis_off()
        return
    axes.axvline(1, color="#888888", linewidth=0.8)
    axes.axvspan(0.8, 1.25, color="#888888", alpha=0.15, linewidth=0)
    for place, gap in enumerate(found):
        axes.plot(gap.ratios, [place] * len(gap.ratios), "o", color=LOOKS[2].color, markersize=3.5, alpha=0.7)
        axes.plot(median(gap.ratios), place, "|", color="#000000", markersize=11, markeredgewidth=1.6)
    axes.set_yticks(range(len(found)), [gap.name for gap in found])
    axes.set(
        xscale="log",
        xlabel="time predicted over time measured",
    )
    most = max([2.0, *(max(ratio, 1 / ratio) for gap in found for ratio in gap.ratios)]) * 1.1
    axes.set_xlim(1 / most, most)
    plain_ticks(axes.xaxis)
    axes.set_title("a point: medians of one condition in one round; a bar: of all; grey: within a quarter", fontsize=8)
