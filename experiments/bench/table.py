"""The table: figures of both grids, their ratio, and what it must be."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from tahoe import __version__
from tahoe.codec.erasure import engine_name

Figures = Mapping[str, float]


class Goal(NamedTuple):
    """How many times better than the rival a figure must be, and is meant to be. For some, less is better."""

    must: float
    aim: float
    less_is_better: bool = True


GOALS: Mapping[str, Goal] = {
    "upload, MB/s": Goal(2.5, 4, less_is_better=False),
    "download, MB/s": Goal(3, 5, less_is_better=False),
    "10 kB put, ms": Goal(4, 8),
    "10 kB get, ms": Goal(4, 8),
    "first byte, ms": Goal(5, 20),
    "100-byte range, ms": Goal(5, 20),
    "a command, ms": Goal(4, 6),
    "peak memory of client, MB": Goal(1, 2),
    "peak memory of a server, MB": Goal(1, 2),
}
SHARE_OF_BOUND = 0.6
"""An upload must reach this much of 1 / (1 / arithmetic + 1 / transport)."""


def bound(bounds: Figures) -> float:
    """MB/s that an upload could reach if arithmetic and transport were all, one after the other."""
    return 1 / (1 / bounds["arithmetic, MB/s"] + 1 / bounds["transport, MB/s"])


def ratio(figure: str, ours: float, rivals: float) -> float:
    """How many times better ours is."""
    goal = GOALS.get(figure)
    is_speed = figure.endswith("/s") if goal is None else not goal.less_is_better
    return ours / rivals if is_speed else rivals / ours


def lines(ours: Figures, bounds: Figures, rivals: Figures) -> Iterator[str]:
    """The table in Markdown."""
    yield "| figure | tahoe-grid | Tahoe-LAFS 1.20.0 | times better | must reach | aim | |"
    yield "|---|---|---|---|---|---|---|"
    for figure, value in ours.items():
        yield f"| {figure} | {value:,.3g} | {_against(figure, value, rivals)} |"
    reached = ours["upload, MB/s"] / bound(bounds)
    verdict = "met" if reached >= SHARE_OF_BOUND else "**missed**"
    yield f"| upload, share of the bound | {reached:.0%} | | | {SHARE_OF_BOUND:.0%} | | {verdict} |"


def _against(figure: str, value: float, rivals: Figures) -> str:
    goal = GOALS.get(figure)
    wanted = ("", "") if goal is None else (f"{goal.must:g}", f"{goal.aim:g}")
    if figure not in rivals:
        return " | ".join(("", "", *wanted, ""))
    times = ratio(figure, value, rivals[figure])
    verdict = ""
    if goal is not None:
        verdict = "aim met" if times >= goal.aim else "met" if times >= goal.must else "**missed**"
    return " | ".join((f"{rivals[figure]:,.3g}", f"{times:.2g}", *wanted, verdict))


def document(command: str, ours: Figures, bounds: Figures, rivals: Figures) -> str:
    """The whole of docs/benchmarks.md."""
    bound_lines = "\n".join(f"| {name} | {value:,.3g} |" for name, value in bounds.items())
    table = "\n".join(lines(ours, bounds, rivals))
    return f"""# Benchmarks

Written by `{command}` on {datetime.now(UTC):%Y-%m-%d}: tahoe-grid {__version__}, erasure coding by {engine_name()},
Python {platform.python_version()}, {os.cpu_count()} processors ({platform.machine()}), loopback, everything on one machine,
whose load average over the last quarter of an hour, this run included, was {os.getloadavg()[2]:.1f}.
Speeds are of plaintext through the HTTP gateway; absolute figures hold for this machine and this quarter of an hour, the ratios are what to rely on.

Ten storage processes, one introducer, one client, 3-of-10, happy 7. Ours talks through mosquitto and a put is durable (synced) on every server
before it is answered; the rival's servers talk to its client directly and do not sync.

{table}

The bounds, measured in the same run: arithmetic is one core that hashes, encrypts and codes; transport is raw aiomqtt through the same broker
with the same payloads, as bytes of file (each is 10/3 bytes of message).

| bound | |
|---|---|
{bound_lines}
| upload, both one after the other, MB/s | {bound(bounds):,.3g} |
"""
