"""Folder: where a study's results stand, and how far it had come when it was stopped.

``rows.jsonl`` grows by one line a point while the study runs: first the study's identity, then ``[key, rows]``. A run
that is killed loses the points under way and nothing else; the same command goes on from there. When all points are
there the file is put in order, and the other files are made from it::

    rows.jsonl ──► data.csv, NAME.png, NAME.svg ──► manifest.json

A folder that holds another study is refused, not overwritten: hours of work should not hang on a mistyped setting.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TextIO

import msgspec

from experiments.framework.study import Study
from tahoe.errors import BadConfiguration


class Folder:
    """The result folder of one study.

    Args:
        path: made if it is not there.
        study: what it is for.
        code: the version of the code that is running.

    Raises:
        BadConfiguration: it holds another study.
    """

    def __init__(self, path: Path, study: Study, code: str) -> None:
        self.path = path
        self._study = study
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self.codes = [code]
        path.mkdir(parents=True, exist_ok=True)
        self._take_up()
        self._write_rows()

    @property
    def _log(self) -> Path:
        return self.path / "rows.jsonl"

    def missing(self) -> list[str]:
        """Keys of the points that are still to be computed, in order."""
        return [key for key in self._study.point_keys() if key not in self._rows]

    def add(self, key: str, rows: list[dict[str, Any]]) -> None:
        """Keep the rows of a point, at once."""
        self._rows[key] = rows
        with self._log.open("a", encoding="utf-8") as log:
            _write_line(log, [key, rows])

    def rows(self) -> list[dict[str, Any]]:
        """All rows, in the order of the points."""
        return [row for key in self._study.point_keys() if key in self._rows for row in self._rows[key]]

    def finish(self) -> list[dict[str, Any]]:
        """Put the rows in order, write ``data.csv``, and return all rows."""
        self._rows = {key: self._rows[key] for key in self._study.point_keys()}
        self._write_rows()
        rows = self.rows()
        columns = [field.name for field in fields(self._study.experiment.module.Row)]
        (self.path / "data.csv").write_text(table(columns, rows), encoding="utf-8")
        return rows

    def _take_up(self) -> None:
        """Read what an earlier run left; a last line that was torn off is no line."""
        if not self._log.exists():
            return
        lines = list(_lines(self._log))
        if not lines:
            return
        head = lines[0]
        if {name: head.get(name) for name in ("experiment", "seed", "configuration")} != self._study.identity():
            raise BadConfiguration(
                f"{self.path} holds results of another study:\n{_difference(head, self._study.identity())}\n"
                "Remedy: another --out, or --afresh to discard what is there"
            )
        self.codes = sorted({*head["code"], *self.codes})
        wanted = set(self._study.point_keys())
        self._rows = {key: rows for key, rows in lines[1:] if key in wanted}

    def _write_rows(self) -> None:
        """Write the log anew, whole or not at all."""
        scratch = self._log.with_suffix(".new")
        with scratch.open("w", encoding="utf-8") as log:
            _write_line(log, {**self._study.identity(), "code": self.codes})
            for item in self._rows.items():
                _write_line(log, item)
        scratch.replace(self._log)


def discard(path: Path) -> None:
    """Forget how far a study had come in a folder."""
    (path / "rows.jsonl").unlink(missing_ok=True)


def _write_line(log: TextIO, value: Any) -> None:
    log.write(msgspec.json.encode(value).decode() + "\n")


def _lines(log: Path) -> Iterable[Any]:
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            yield msgspec.json.decode(line)
        except msgspec.DecodeError:
            return


def _difference(there: dict[str, Any], wanted: dict[str, Any]) -> str:
    before, after = _flat(there), _flat(wanted)
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return "\n".join(f"  {key}: {before.get(key)} there, {after.get(key)} asked for" for key in changed)


def _flat(identity: dict[str, Any]) -> dict[str, Any]:
    return {
        "experiment": identity.get("experiment"),
        "seed": identity.get("seed"),
        **identity.get("configuration", {}),
    }


def table(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    """A table of CSV with a line of names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row[column] for column in columns] for row in rows)
    return text.getvalue()
