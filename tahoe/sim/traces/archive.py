"""Archive: the tables of the Failure Trace Archive, 27 systems in one format.

A line of ``event_trace.tab`` says that a component of a node was available (event type 1) or not (0) from one second to
another. Only unavailability is kept here; nodes that were always there are known by their other lines. The archive is at
http://fta.scem.westernsydney.edu.au/.

Source: Kondo, Javadi, Iosup and Epema, The Failure Trace Archive, CCGRID 2010.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tahoe.sim.traces.history import BadTrace, History, Span, history_of

UNAVAILABLE, AVAILABLE = "0", "1"


def read_archive(path: Path) -> History:
    """The spans of an ``event_trace.tab``.

    Raises:
        BadTrace: this is not one.
    """
    spans: list[Span] = []
    nodes: dict[str, None] = {}
    moments: list[float] = []
    for span, kind in _events(path):
        nodes[span.node] = None
        moments += [span.start, span.end]
        if kind == UNAVAILABLE:
            spans.append(span)
    history = history_of(spans, nodes)
    return replace(history, begin=min(moments), end=max(moments))


def _events(path: Path) -> Iterator[tuple[Span, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        names = [name.strip("# \n") for name in next(lines, "").split("\t")]
        until = "event_end_time" if "event_end_time" in names else "event_stop_time"
        for number, row in enumerate(csv.DictReader(lines, names, delimiter="\t"), 2):
            try:
                span = Span(row["node_id"], float(row["event_start_time"]), float(row[until]))
                kind = row["event_type"].strip()
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise BadTrace(
                    f"{path}, line {number}: {error}. An event trace has the columns node_id, event_type, "
                    "event_start_time and event_stop_time (or event_end_time), parted by tabs"
                ) from error
            if kind in (UNAVAILABLE, AVAILABLE):
                yield span, kind
