"""Uptime: when the nodes of a grid of one's own were seen to be up, as a table ``node,since,until``.

Times are seconds of one clock. Spans of one node may touch or overlap, as those of several observers do.
"""

from __future__ import annotations

import csv
from pathlib import Path

from tahoe.sim.traces.availability import Session, history_of_sessions
from tahoe.sim.traces.history import BadTrace, History

COLUMNS = ("node", "since", "until")


def read_uptime(path: Path) -> History:
    """The history that such a table tells.

    Raises:
        BadTrace: this is no such table.
    """
    sessions: dict[str, list[Session]] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise BadTrace(f"{path}: its first line must be {','.join(COLUMNS)}")
        for number, row in enumerate(reader, 2):
            try:
                sessions.setdefault(row["node"], []).append((float(row["since"]), float(row["until"])))
            except (TypeError, ValueError) as error:
                raise BadTrace(f"{path}, line {number}: {error}") from error
    if not sessions:
        raise BadTrace(f"{path}: there is not a single node in it")
    return history_of_sessions(sessions)


def write_uptime(path: Path, sessions: dict[str, list[Session]]) -> None:
    """Write a table that ``read_uptime`` reads."""
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((node, *span) for node, spans in sessions.items() for span in spans)
