"""Drives: Backblaze's daily statistics, one line for each drive on each day, and a 1 on the day on which it failed.

Most drives have not failed when the data ends, and many are no longer new when it begins: what is known of those is a
lower bound, and leaving them out would make drives look worse than they are. So lifetimes come in two lists. The files
are at https://www.backblaze.com/cloud-storage/resources/hard-drive-test-data (daily, some 100 MB a day unpacked).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tahoe.sim.traces.history import BadTrace
from tahoe.sim.weather import DAY, YEAR

COLUMNS = ("date", "serial_number", "model", "failure")


@dataclass(frozen=True, slots=True)
class Drives:
    """How long drives have lived.

    Args:
        failed: seconds from a drive's first day to its failure.
        alive: seconds for which drives were seen that have not failed.
    """

    failed: tuple[float, ...]
    alive: tuple[float, ...]

    def yearly_failure_rate(self) -> float:
        """Failures per drive and year: failures over drive-days."""
        return len(self.failed) * YEAR / (sum(self.failed) + sum(self.alive))


def read_drives(paths: Iterable[Path], model: str = "") -> Drives:
    """Lifetimes from daily files.

    Args:
        paths: CSV files, each with one day or more.
        model: only drives whose model begins so.

    Raises:
        BadTrace: a file is not of this kind.
    """
    first: dict[str, date] = {}
    last: dict[str, date] = {}
    failed: dict[str, None] = {}
    for row in _rows(paths):
        if row["model"].startswith(model):
            drive, day = row["serial_number"], date.fromisoformat(row["date"])
            first[drive] = min(day, first.get(drive, day))
            last[drive] = max(day, last.get(drive, day))
            if row["failure"] == "1":
                failed[drive] = None
    ages = {drive: ((last[drive] - first[drive]).days + 1) * DAY for drive in first}
    return Drives(
        tuple(sorted(ages[drive] for drive in failed)),
        tuple(sorted(age for drive, age in ages.items() if drive not in failed)),
    )


def _rows(paths: Iterable[Path]) -> Iterator[dict[str, str]]:
    for path in paths:
        with path.open(encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines)
            missing = set(COLUMNS) - set(reader.fieldnames or ())
            if missing:
                raise BadTrace(f"{path}: the columns {', '.join(sorted(missing))} are not in its first line")
            yield from reader
