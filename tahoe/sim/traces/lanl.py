"""LANL: failure records of 22 supercomputers, 1996 to 2005, 23,739 of them (LA-UR-05-7318).

To be had from the USENIX Computer Failure Data Repository (https://www.usenix.org/cfdr) and, compressed, among the data of
Jones, Evidence-based Software Engineering (ESEUR-code-data, ``reliability/``). One line is one failure; of its 26
columns six matter here.

Source: Schroeder and Gibson, A Large-Scale Study of Failures in High-Performance Computing Systems, DSN 2006.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tahoe.sim.traces.history import BadTrace, History, Span, history_of

MINUTE = 60.0
CAUSES = ("Facilities", "Hardware", "Human Error", "Network", "Undetermined", "Software")


def read_lanl(path: Path, system: str = "") -> History:
    """All records, or those of one system (its number).

    Args:
        path: the CSV file.
        system: such as ``"20"``; empty: all of them.

    Raises:
        BadTrace: this is not the file that it should be.
    """
    return history_of(_spans(path, system))


def systems(path: Path) -> list[str]:
    """The numbers of the systems, those with the most records first."""
    counts: dict[str, int] = {}
    for row in _rows(path):
        counts[row["System"]] = counts.get(row["System"], 0) + 1
    return sorted(counts, key=lambda system: -counts[system])


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="latin-1", newline="") as lines:
        reader = csv.DictReader(lines)
        missing = {"System", "nodenum", "Prob Started", "Down Time"} - set(reader.fieldnames or ())
        if missing:
            raise BadTrace(f"{path}: the columns {', '.join(sorted(missing))} are not in its first line")
        yield from reader


def _spans(path: Path, system: str) -> Iterator[Span]:
    for number, row in enumerate(_rows(path), 2):
        if system in ("", row["System"]):
            try:
                start = datetime.strptime(row["Prob Started"], "%m/%d/%Y %H:%M").replace(tzinfo=UTC).timestamp()
                down = float(row["Down Time"] or 0)
            except ValueError as error:
                raise BadTrace(f"{path}, line {number}: {error}") from error
            cause = next((name.lower() for name in CAUSES if row.get(name)), "")
            yield Span(f"{row['System']}/{row['nodenum']}", start, start + down * MINUTE, cause)
