"""The table: figures of both grids, their ratio, and what it must be."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import NamedTuple

from experiments.bench.load import Account
from tahoe import __version__
from tahoe.codec.erasure import engine_name
from tahoe.net.mosquitto import find_mosquitto

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
    "make a directory, ms": Goal(6, 15),
    "link into a small directory, ms": Goal(6, 10),
    "link into a directory of 1,000, ms": Goal(10, 20),
    "list 1,000 entries, ms": Goal(5, 10),
    "cp -r of 100 files of 5 kB, s": Goal(5, 10),
    "backup of 100 files of 5 kB, s": Goal(4, 10),
    "backup again, nothing changed, s": Goal(4, 10),
    "overwrite a mutable file of 1 MB, ms": Goal(3, 3),
    "change 100 bytes of a mutable file of 100 MB, ms": Goal(20, 20),
    "check a file, ms": Goal(2, 5),
    "deep-check of 127 objects, ms": Goal(5, 20),
    "verify 100 MB, s": Goal(2, 3),
    "repair 4 of 10 shares of 100 MB, s": Goal(3, 5),
    "peak memory of client, MB": Goal(1, 2),
    "peak memory of a server, MB": Goal(1, 2),
}
LINK_RATIO = 1.5
"""Linking into a directory of 1,000 may take this many times what a small one takes."""
SHARE_OF_BOUND = 0.6
"""An upload must reach this much of 1 / (1 / arithmetic + 1 / transport)."""


class Results(NamedTuple):
    """What one run has measured: our grid, the rival (or nothing), and what the machine allows."""

    ours: Account
    rivals: Account
    bounds: Figures


def bound(bounds: Figures) -> float:
    """MB/s that an upload could reach if arithmetic and transport were all, one after the other."""
    return 1 / (1 / bounds["arithmetic, MB/s"] + 1 / bounds["transport, MB/s"])


def ratio(figure: str, ours: float, rivals: float) -> float:
    """How many times better ours is."""
    goal = GOALS.get(figure)
    is_speed = figure.endswith("/s") if goal is None else not goal.less_is_better
    return ours / rivals if is_speed else rivals / ours


def lines(results: Results) -> Iterator[str]:
    """The table in Markdown."""
    ours, rivals = results.ours.figures, results.rivals.figures
    yield "| figure | tahoe-grid | Tahoe-LAFS 1.20.0 | times better | must reach | aim | |"
    yield "|---|---|---|---|---|---|---|"
    for figure, value in ours.items():
        yield f"| {figure} | {value:,.3g} | {_against(figure, value, rivals)} |"
    if "upload, MB/s" in ours:
        reached = ours["upload, MB/s"] / bound(results.bounds)
        yield f"| upload, share of the bound | {reached:.0%} | | | {SHARE_OF_BOUND:.0%} | | {_verdict(reached >= SHARE_OF_BOUND)} |"
    if "link into a small directory, ms" in ours:
        times = ours["link into a directory of 1,000, ms"] / ours["link into a small directory, ms"]
        yield f"| link into 1,000, times a small one | {times:.2f} | | | {LINK_RATIO:g} | | {_verdict(times <= LINK_RATIO)} |"


def _verdict(met: bool) -> str:  # noqa: FBT001  # it is all there is to say
    return "met" if met else "**missed**"


def processor_lines(results: Results) -> Iterator[str]:
    """The table of processor time in Markdown."""
    processes = list(next(iter(results.ours.processor.values())))
    yield f"| processor time, ms | {' | '.join(processes)} | in all | Tahoe-LAFS 1.20.0: client | servers | in all |"
    yield "|---|" + "---|" * (len(processes) + 4)
    for work, ours in results.ours.processor.items():
        spent = [*ours.values(), sum(ours.values())]
        theirs = results.rivals.processor.get(work, {})
        spent += [*theirs.values(), sum(theirs.values())] if theirs else []
        cells = [f"{milliseconds:.1f}" for milliseconds in spent] + [""] * (0 if theirs else 3)
        yield f"| {work} | {' | '.join(cells)} |"


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


def document(command: str, results: Results) -> str:
    """The whole of docs/benchmarks.md."""
    bound_lines = "\n".join(f"| {name} | {value:,.3g} |" for name, value in results.bounds.items())
    table = "\n".join(lines(results))
    processor = "\n".join(processor_lines(results))
    libraries = ", ".join(f"{name} {version(name)}" for name in ("aiomqtt", "paho-mqtt", "cryptography"))
    return f"""# Benchmarks

Written by `{command}` on {datetime.now(UTC):%Y-%m-%d}: tahoe-grid {__version__}, erasure coding by {engine_name()},
Python {platform.python_version()}, {libraries}, {_mosquitto_version()}; {os.cpu_count()} processors ({platform.machine()}), loopback,
everything on one machine, whose load average over the last quarter of an hour, this run included, was {os.getloadavg()[2]:.1f}.
Speeds are of plaintext through the HTTP gateway; absolute figures hold for this machine and this quarter of an hour, the ratios are what to rely on.

Ten storage processes, one introducer, one client, 3-of-10, happy 7. Ours talks through mosquitto and a put is durable (synced) on every server
before it is answered; the rival's servers talk to its client directly and do not sync.

{table}

Where the time goes, for a megabyte of a large file and for a small file. Unlike the speeds these figures hardly depend on what else the machine
does:

{processor}

The bounds, medians of what was measured before each upload: arithmetic is one core that hashes, encrypts and codes; transport is raw aiomqtt
through the same broker with the same payloads, as bytes of file (each is 10/3 bytes of message).

| bound | |
|---|---|
{bound_lines}
| upload, both one after the other, MB/s | {bound(results.bounds):,.3g} |
"""


def _mosquitto_version() -> str:
    """What the broker calls itself in the first line of its help."""
    program = find_mosquitto()
    assert program is not None, "the benchmark has just run it"
    said = subprocess.run([program, "-h"], capture_output=True, text=True, check=False).stdout  # noqa: S603  # our own broker
    return said.partition("\n")[0].replace(" version", "")
