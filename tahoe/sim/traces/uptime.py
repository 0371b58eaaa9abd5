"""Uptime: when the servers of a grid of one's own were there, as its client nodes write it down (docs/formats.md, 12).

A client node that is off itself sees nobody. Such times count as up: who was seen before and after was most likely there.
"""

from __future__ import annotations

from pathlib import Path

from tahoe.errors import BadConfiguration
from tahoe.policy.uptime import GONE, UNSEEN, Stretch, UptimeLog
from tahoe.sim.traces.history import BadTrace, History, Span


def read_uptime(path: Path) -> History:
    """The history in a node's ``state/historian/uptime``.

    Raises:
        BadTrace: this is no such file, or nobody was ever seen.
    """
    try:
        log = UptimeLog.unpack(path.read_bytes())
    except BadConfiguration as error:
        raise BadTrace(f"{path}: {error}") from error
    seen = {node: _seen(log, node) for node in log.nodes()}
    looked = [stretch for stretches in seen.values() for stretch in stretches]
    if not looked:
        raise BadTrace(f"{path}: no server was ever seen in it")
    spans = tuple(
        Span(node, stretch.start, stretch.end)
        for node, stretches in seen.items()
        for stretch in stretches
        if stretch.state == GONE
    )
    return History(tuple(seen), spans, min(one.start for one in looked), max(one.end for one in looked))


def _seen(log: UptimeLog, node: str) -> list[Stretch]:
    """What was seen of a server; the log ends with its last entry."""
    return [stretch for stretch in log.stretches(node, log.last) if stretch.state != UNSEEN]
