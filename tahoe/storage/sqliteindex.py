"""The lease index in an SQLite file beside the shares.

One table, one row a share; the leases stand in the row, since they are only ever written and read together. Two partial
indexes answer what is asked by time. Changes gather in a transaction that is committed now and then: what a crash takes
of them makes the index no worse than it is after any crash, not to be trusted.

The sums are kept in memory, change by change, and written down with each commit: adding up a million rows takes a second.

Whatever goes wrong with the file, shares are not to suffer. It is thrown away then and begun anew, in memory if need be,
and the sums go on from what they were until the shares have been counted.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Any, Final, TypeVar

import msgspec

from tahoe.storage.leaseindex import Entry, Kept, ShareName, Tally

LEASE_INDEX: Final = "lease-index.sqlite"
"""Its file in a storage directory, which may be removed while nobody serves."""

COMMIT_EVERY: Final = 2000
"""Changes that a transaction gathers."""

VERSION: Final = 1

_LEASE: Final = struct.Struct(">LL")
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS shares (
    storage_index BLOB NOT NULL, kind INTEGER NOT NULL, number INTEGER NOT NULL,
    size INTEGER NOT NULL, expires INTEGER NOT NULL, discarded INTEGER NOT NULL, generation INTEGER NOT NULL,
    leases BLOB NOT NULL,
    PRIMARY KEY (storage_index, kind, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_expiry ON shares (expires, size, discarded) WHERE discarded = 0;
CREATE INDEX IF NOT EXISTS by_discard ON shares (discarded) WHERE discarded > 0;
CREATE TABLE IF NOT EXISTS facts (id INTEGER PRIMARY KEY CHECK (id = 0), value BLOB NOT NULL);
"""
_COLUMNS: Final = "kind, storage_index, number, size, leases, discarded"
_WHERE: Final = "storage_index = ? AND kind = ? AND number = ?"

T = TypeVar("T")


class _Facts(msgspec.Struct, frozen=True):
    """What the file says of itself: ``mark`` is 0 while it is in use."""

    version: int = VERSION
    mark: int = 0
    last_mark: int = 0
    generation: int = 0
    live: tuple[int, int] = (0, 0)
    trash: tuple[int, int] = (0, 0)
    owners: dict[int, tuple[int, int]] = {}


class SqliteLeaseIndex:
    """See ``LeaseIndex``. Whatever SQLite says against it, no method raises.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = RLock()
        self._connection: sqlite3.Connection | None = None
        self._facts = _Facts()
        self._tally = Tally()  # what is remembered, changed by what was reported since
        self._count: Tally | None = None  # what has been reported in this generation, while a count is under way
        self._changes = 0
        self._complete = False
        self._known = False

    # --- beginning and end ------------------------------------------------------------------------------

    def begin(self, mark: int) -> bool:
        """See ``LeaseIndex``."""
        with self._lock:
            try:
                found = self._open(str(self._path))
            except (sqlite3.Error, msgspec.DecodeError):
                self._start_over()
                return False
            self._known = found
            self._complete = found and mark > 0 and mark == self._facts.mark
            return self._complete

    def end(self) -> int:
        """See ``LeaseIndex``."""
        with self._lock:
            if self._complete:
                mark = self._facts.last_mark + 1
                self._facts = msgspec.structs.replace(self._facts, mark=mark, last_mark=mark)
            self._do(self._commit)
            mark = self._facts.mark if self._complete else 0
            self._close()
            return mark

    def flush(self) -> None:
        """See ``LeaseIndex``."""
        with self._lock:
            self._do(self._commit)

    # --- changes ----------------------------------------------------------------------------------------

    def put(self, entry: Entry) -> None:
        """See ``LeaseIndex``."""
        with self._lock:
            self._do(lambda db: self._put(db, entry))

    def remove(self, name: ShareName) -> None:
        """See ``LeaseIndex``."""
        with self._lock:
            self._do(lambda db: self._remove(db, name))

    def release(self, name: ShareName, expires: int) -> None:
        """See ``LeaseIndex``."""
        with self._lock:
            known = self._do(lambda db: _one(db, name))
            if known is not None and known.expires == expires and not known.discarded:
                self._do(lambda db: self._put(db, known.released))

    # --- counting ---------------------------------------------------------------------------------------

    def count_anew(self) -> None:
        """See ``LeaseIndex``."""
        with self._lock:
            self._facts = msgspec.structs.replace(self._facts, generation=self._facts.generation + 1)
            self._count = Tally()
            self._complete = False

    def counted(self) -> None:
        """See ``LeaseIndex``."""
        with self._lock:
            if self._count is None:
                return
            self._do(lambda db: db.execute("DELETE FROM shares WHERE generation < ?", (self._facts.generation,)))
            if self._count is not None:  # or else the file was lost in the attempt, and all begins again
                self._tally, self._count = self._count, None
                self._complete = self._known = True

    @property
    def complete(self) -> bool:
        """See ``LeaseIndex``."""
        return self._complete

    # --- questions --------------------------------------------------------------------------------------

    def find(self, name: ShareName) -> Entry | None:
        """See ``LeaseIndex``."""
        with self._lock:
            return self._do(lambda db: _one(db, name))

    def live(self) -> Kept | None:
        """See ``LeaseIndex``."""
        return self._tally.live if self._known else None

    def trash(self) -> Kept:
        """See ``LeaseIndex``."""
        return self._tally.trash

    def owners(self) -> dict[int, Kept]:
        """See ``LeaseIndex``."""
        with self._lock:
            return dict(self._tally.owners)

    def ending(self, first: float, last: float) -> Kept:
        """See ``LeaseIndex``."""
        query = "SELECT COALESCE(SUM(size), 0), COUNT(*) FROM shares WHERE discarded = 0 AND expires BETWEEN ? AND ?"
        with self._lock:
            row = self._do(lambda db: db.execute(query, _bounds(first, last)).fetchone())
        return Kept(*(row or (0, 0)))

    def expiring(self, first: float, last: float, most: int) -> list[Entry]:
        """See ``LeaseIndex``."""
        condition = "discarded = 0 AND expires BETWEEN ? AND ? ORDER BY expires, storage_index, kind, number LIMIT ?"
        return self._entries(condition, *_bounds(first, last), most)

    def discarded(self, most: int) -> list[Entry]:
        """See ``LeaseIndex``."""
        return self._entries("discarded > 0 ORDER BY discarded, storage_index, kind, number LIMIT ?", most)

    # --- helpers ----------------------------------------------------------------------------------------

    def _entries(self, condition: str, *values: float) -> list[Entry]:
        query = f"SELECT {_COLUMNS} FROM shares WHERE {condition}"  # noqa: S608  # the conditions are those above
        with self._lock:
            rows = self._do(lambda db: db.execute(query, values).fetchall())
        return [_entry(row) for row in rows or ()]

    def _put(self, db: sqlite3.Connection, entry: Entry) -> None:
        self._forget(db, entry.name)
        kind, storage_index, number = entry.name
        leases = b"".join(_LEASE.pack(*lease) for lease in sorted(entry.leases.items()))
        row = (storage_index, kind, number, entry.size, entry.expires, entry.discarded, self._facts.generation, leases)
        db.execute("INSERT OR REPLACE INTO shares VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        self._tally.add(entry)
        if self._count is not None:
            self._count.add(entry)
        self._changed(db)

    def _remove(self, db: sqlite3.Connection, name: ShareName) -> None:
        if self._forget(db, name):
            db.execute(f"DELETE FROM shares WHERE {_WHERE}", _key(name))  # noqa: S608  # a constant
            self._changed(db)

    def _forget(self, db: sqlite3.Connection, name: ShareName) -> bool:
        """Count what is known of a share out of the sums; tell whether anything is."""
        row = db.execute(f"SELECT {_COLUMNS}, generation FROM shares WHERE {_WHERE}", _key(name)).fetchone()  # noqa: S608  # constants
        if row is None:
            return False
        known = _entry(row[:-1])
        self._tally.add(known, -1)
        if self._count is not None and row[-1] == self._facts.generation:
            self._count.add(known, -1)
        return True

    def _changed(self, db: sqlite3.Connection) -> None:
        self._changes += 1
        if self._changes >= COMMIT_EVERY:
            self._commit(db)

    def _commit(self, db: sqlite3.Connection) -> None:
        tally = self._tally
        facts = msgspec.structs.replace(
            self._facts, live=tuple(tally.live), trash=tuple(tally.trash), owners={**tally.owners}
        )
        db.execute("INSERT OR REPLACE INTO facts VALUES (0, ?)", (msgspec.msgpack.encode(facts),))
        db.commit()
        self._changes = 0

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Work with the file; if that fails, without it: None then."""
        if self._connection is None:
            return None
        try:
            return work(self._connection)
        except sqlite3.Error:
            self._start_over()
            return None

    # --- the file ---------------------------------------------------------------------------------------

    def _open(self, path: str) -> bool:
        """Open the file and read what it says of itself; tell whether it says anything. It is in use from now on."""
        db = self._connection = sqlite3.connect(path, isolation_level="IMMEDIATE", check_same_thread=False, timeout=1.0)
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -16384"):
            db.execute(f"PRAGMA {pragma}")
        db.executescript(_TABLES)
        row = db.execute("SELECT value FROM facts").fetchone()
        self._facts = _Facts() if row is None else msgspec.msgpack.decode(row[0], type=_Facts, strict=False)
        if self._facts.version != VERSION:
            raise sqlite3.DatabaseError("written by another release")
        if row is not None:
            facts = self._facts
            owners = {int(owner): Kept(*kept) for owner, kept in facts.owners.items()}
            self._tally = Tally(Kept(*facts.live), Kept(*facts.trash), owners)
            unmarked = msgspec.msgpack.encode(msgspec.structs.replace(facts, mark=0))
            db.execute("INSERT OR REPLACE INTO facts VALUES (0, ?)", (unmarked,))
            db.commit()
        return row is not None

    def _start_over(self) -> None:
        """Throw the file away and begin a new one, or one in memory; the count begins again, too."""
        self._close()
        for suffix in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self._facts = msgspec.structs.replace(self._facts, mark=0, generation=self._facts.generation + 1)
        facts, tally = self._facts, self._tally
        for path in (str(self._path), ":memory:"):
            try:
                self._open(path)
                break
            except sqlite3.Error:
                self._close()
        self._facts, self._tally = facts, tally
        self._complete, self._count = False, None

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
        self._changes = 0


def _bounds(first: float, last: float) -> tuple[float, float]:
    """Times that SQLite can compare."""
    return max(first, -(2.0**62)), min(last, 2.0**62)


def _one(db: sqlite3.Connection, name: ShareName) -> Entry | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM shares WHERE {_WHERE}", _key(name)).fetchone()  # noqa: S608  # constants
    return None if row is None else _entry(row)


def _key(name: ShareName) -> tuple[Any, ...]:
    return name.storage_index, name.kind, name.number


def _entry(row: Iterable[Any]) -> Entry:
    kind, storage_index, number, size, leases, discarded = row
    return Entry(ShareName(kind, storage_index, number), size, dict(_LEASE.iter_unpack(leases)), discarded)
