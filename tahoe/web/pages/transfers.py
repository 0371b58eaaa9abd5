"""The transfers page: what moves and what moved, and for each which block came from whom, and when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tahoe.web.pages import words
from tahoe.web.pages.charts import Bar, Tick, linear, round_values

WIDTH: Final = 900
LEFT: Final = 170
RIGHT: Final = 140
LANE: Final = 12
GAP: Final = 10
HEAD: Final = 26
NARROWEST: Final = 2.0
MOST_LANES: Final = 12
_KINDS: Final = {"answered": "", "refused": "bad", "unanswered": "bad", "cancelled": "faint"}
_STATES: Final = {"running": "lake", "done": "good", "failed": "bad", "cancelled": "warn"}
_SLOW: Final = 2.0
"""A server is called slow if its answers take so many times the median of all servers."""


class Summary(NamedTuple):
    """One transfer in a list."""

    identity: str
    kind: str
    name: str
    state: str
    level: str
    moved: int
    size: int | None
    percent: float | None
    began: float
    seconds: float
    rate: float | None
    error: str | None
    slowest: str


class Row(NamedTuple):
    """A server's row of a timeline: where its label stands, its bars, and what they come to."""

    label: str
    y: float
    height: float
    bars: Sequence[Bar]
    note: str
    slow: bool


@dataclass(frozen=True, slots=True)
class Timeline:
    """Questions of one transfer by server, over time."""

    rows: Sequence[Row]
    ticks: Sequence[Tick]
    height: float


def summary(transfer: Mapping[str, Any], now: float, names: Mapping[str, str]) -> Summary:
    """Return what a list tells of a transfer (as ``Transfer.describe`` gives it). ``names`` are servers' nicknames."""
    size, moved, state = transfer["size"], transfer["moved"], transfer["state"]
    seconds = max((transfer["ended"] or now) - transfer["began"], 0.0)
    return Summary(
        identity=transfer["id"],
        kind=transfer["kind"],
        name=transfer["name"] or "a file without a name",
        state=state,
        level=_STATES[state],
        moved=moved,
        size=size,
        percent=None if not size else round(100 * min(moved / size, 1), 1),
        began=transfer["began"],
        seconds=seconds,
        rate=moved / seconds if seconds > 0 and moved else None,
        error=transfer["error"],
        slowest=_slowest(transfer["servers"], names),
    )


def timeline(asks: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Timeline:
    """Return the drawing of a transfer's questions (as ``Transfer.timeline`` gives them)."""
    end = max((ask["began"] + ask["seconds"] for ask in asks), default=0.0) or 1.0
    across = linear(0, end, LEFT, WIDTH - RIGHT)
    by_server: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for ask in asks:
        by_server[ask["server"]].append(ask)
    means = {server: _mean([ask["seconds"] for ask in each]) for server, each in by_server.items()}
    usual = sorted(means.values())[len(means) // 2] if means else 0.0
    rows, top = [], float(HEAD)
    for server in sorted(by_server, key=lambda each: words.natural(names.get(each, each))):
        drawn, height = _bars(by_server[server], across, top)
        total = sum(ask["bytes"] for ask in by_server[server])
        note = f"{words.size(total)}, {words.latency(means[server])}"
        slow = len(means) > 2 and means[server] > _SLOW * usual and means[server] > 0.05
        rows.append(Row(names.get(server, server[:12]), top, height, drawn, note, slow))
        top += height + GAP
    ticks = [Tick(across(value), _seconds(value, end)) for value in round_values(end)]
    return Timeline(rows, ticks, top + 4)


def _bars(asks: Sequence[Mapping[str, Any]], across: Any, top: float) -> tuple[list[Bar], float]:
    """Lay questions that overlap in time into lanes, one below the other."""
    free: list[float] = []
    bars = []
    for ask in sorted(asks, key=lambda each: each["began"]):
        begins, ends = ask["began"], ask["began"] + ask["seconds"]
        lane = next((index for index, until in enumerate(free) if until <= begins), min(len(free), MOST_LANES - 1))
        free[lane : lane + 1] = [ends]
        x = across(begins)
        label = f"{ask['what']}, {words.size(ask['bytes'])}, {words.latency(ask['seconds'])}, {ask['outcome']}"
        width = max(NARROWEST, round(across(ends) - x, 2))
        bars.append(Bar(x, top + lane * LANE, width, LANE - 2, _KINDS.get(ask["outcome"], "bad"), label))
    return bars, max(1, len(free)) * LANE


def _slowest(servers: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]) -> str:
    """Name the server whose slowest answer took longest."""
    if not servers:
        return ""
    node, total = max(servers.items(), key=lambda item: item[1]["slowest"])
    return f"{names.get(node, node[:12])} ({words.latency(total['slowest'])})" if total["slowest"] else ""


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _seconds(value: float, end: float) -> str:
    return f"{value * 1000:.0f} ms" if end < 1 else f"{value:g} s"
