"""The directory page: a list that sorts, with as little work for each of ten thousand rows as can be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from tahoe.actors.children import Entry
from tahoe.web.pages import kinds, words

COLUMNS: Final = {"name": "Name", "kind": "Kind", "size": "Size", "changed": "Changed"}
_IMMUTABLE_SIZE: Final = re.compile(r"URI:CHK:[^:]*:[^:]*:\d+:\d+:(\d+)")


class Row(NamedTuple):
    """One child, as its row shows it. ``size`` is None where only the file itself knows; ``part`` is its name in a URL."""

    name: str
    part: str
    sign: str
    kind: str
    size: int | None
    changed: float | None


class Order(NamedTuple):
    """By which column a list is sorted, and which way round."""

    column: str = "name"
    falling: bool = False

    @classmethod
    def asked(cls, query: Mapping[str, str]) -> Order:
        """Return the order that a URL asks for; what it can't mean is the usual one."""
        column = query.get("sort", "name")
        return cls(column if column in COLUMNS else "name", query.get("order") == "falling")

    def link(self, column: str) -> str:
        """Return the query that sorts by a column; by the present one, the other way round."""
        falling = column == self.column and not self.falling
        return f"?sort={column}{'&order=falling' if falling else ''}"

    def spoken(self, column: str) -> str | None:
        """Return what ``aria-sort`` says of a column."""
        return ("descending" if self.falling else "ascending") if column == self.column else None


def rows(entries: Iterable[Entry], order: Order) -> list[Row]:
    """Return the rows of a list, folders first in whatever order."""
    keys = {"name": _by_name, "kind": _by_kind, "size": _by_size, "changed": _by_change}
    drawn = sorted((_row(entry) for entry in entries), key=_by_name)
    drawn.sort(key=keys[order.column], reverse=order.falling)
    return sorted(drawn, key=lambda row: row.sign != "folder")


def summary(drawn: Sequence[Row]) -> dict[str, Any]:
    """Return what the heading counts: folders, files, and the bytes of those whose size is known."""
    folders = sum(row.sign == "folder" for row in drawn)
    return {"folders": folders, "files": len(drawn) - folders, "bytes": sum(row.size or 0 for row in drawn)}


def _row(entry: Entry) -> Row:
    text, name = entry.read_text, entry.name
    changed = changed_of(entry.metadata)
    if entry.is_directory:
        return Row(name, quote(name, safe=""), "folder", "folder", None, changed)
    if not text.startswith("URI:"):
        return Row(name, quote(name, safe=""), "unknown", "of another kind", None, changed)
    return Row(name, quote(name, safe=""), kinds.family(name), kinds.spoken(name), _size_of(entry), changed)


def _size_of(entry: Entry) -> int | None:
    """Read the size from the capability's text where it stands there."""
    match = _IMMUTABLE_SIZE.match(entry.read_text)
    if match:
        return int(match[1])
    if entry.read_text.startswith("URI:LIT:"):
        return len(entry.read.data)  # type: ignore[attr-defined]  # what begins so is a Literal
    return None


def changed_of(metadata: Mapping[str, Any]) -> float | None:
    """Return when a link was last changed, from its metadata, which anybody may have written."""
    times = metadata.get("tahoe")
    moment = times.get("linkmotime") if isinstance(times, Mapping) else metadata.get("mtime")
    sane = isinstance(moment, int | float) and not isinstance(moment, bool) and 0 <= moment < 1e11
    return float(moment) if sane and moment is not None else None


def _by_name(row: Row) -> Any:
    return words.natural(row.name), row.name


def _by_kind(row: Row) -> Any:
    return row.kind


def _by_size(row: Row) -> Any:
    return -1 if row.size is None else row.size


def _by_change(row: Row) -> Any:
    return row.changed or 0.0
