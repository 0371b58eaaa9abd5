"""What backups have sent: a local SQLite database that lets an unchanged tree cost next to nothing.

Two tables. *files*: a path whose size and times are as they were still has the capability that it had. *directories*: the
same names with the same capabilities and metadata still are the same directory. Both are kept apart by the
encoding (k of N) they were stored with, since a backup root keeps to one for ever.

The database is a cache. Lost or removed, the next backup reads every file again and still sends nothing that the grid has,
because storing is convergent.

It would be wrong in one case: a file changed in the very moment it was read, so that its times after the change are
those before it. So what changed just before it was read is not remembered, as git does it.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import click

VERSION: Final = 1
FRESH_SECONDS: Final = 30 * 86400.0
"""So long after it was last seen to be stored, a file is taken to be there."""
STALE_SECONDS: Final = 60 * 86400.0
"""After so long, it is stored again for certain; in between ever more probably, so that not all fall due together."""

FINE_TICK: Final = 100_000_000
COARSE_TICK: Final = 2_000_000_000
"""Nanoseconds within which two changes may get the same times: a kernel's tick; two seconds where times are whole seconds."""

_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS files (
    encoding TEXT, path BLOB, size INTEGER, modified INTEGER, changed INTEGER, capability TEXT, checked REAL,
    PRIMARY KEY (encoding, path)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS directories (
    encoding TEXT, digest BLOB, capability TEXT, checked REAL, PRIMARY KEY (encoding, digest)
) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""


class Stamp(NamedTuple):
    """What must be as it was for a file to count as unchanged: bytes, and two times in nanoseconds since the epoch."""

    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Of a file."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def is_settled(self, now: int) -> bool:
        """Whether a change that comes now would show in the times."""
        tick = FINE_TICK if self.changed % 1_000_000_000 else COARSE_TICK
        return self.changed + tick < now


class BackupDatabase:
    """The database, open; to be used with ``with``, by one thread.

    Args:
        path: of its file; made if need be, for its owner's eyes only.
        encoding: k and N of all that is looked up and remembered.
        chance: gives numbers from 0 to 1.
    """

    def __init__(self, path: Path, encoding: str, chance: Callable[[], float] = random.random) -> None:
        self._encoding = encoding
        self._chance = chance
        self._path = path
        with _explained(path):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = sqlite3.connect(path, timeout=60, isolation_level=None)
            self._prepare()

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"it is of version {version}, this program knows {VERSION}")
        if version == 0:
            self._connection.executescript(_SCHEMA)
        for table in ("files", "directories"):  # what is stored again for certain need not be known
            self._connection.execute(f"DELETE FROM {table} WHERE checked < ?", (time.time() - STALE_SECONDS,))  # noqa: S608  # two constants

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def file(self, path: bytes, stamp: Stamp) -> str | None:
        """The capability of a file, if it is known, unchanged, and need not be checked again."""
        query = (
            "SELECT capability, checked FROM files WHERE (encoding, path, size, modified, changed) = (?, ?, ?, ?, ?)"
        )
        return self._fresh(query, (self._encoding, path, *stamp))

    def directory(self, digest: bytes) -> str | None:
        """The capability of a directory with these contents, likewise."""
        query = "SELECT capability, checked FROM directories WHERE (encoding, digest) = (?, ?)"
        return self._fresh(query, (self._encoding, digest))

    def remember_file(self, path: bytes, stamp: Stamp, capability: str) -> None:
        """Note that a file was stored just now."""
        row = (self._encoding, path, *stamp, capability, time.time())
        with _explained(self._path):
            self._connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def remember_directory(self, digest: bytes, capability: str) -> None:
        """Note that a directory was stored just now."""
        row = (self._encoding, digest, capability, time.time())
        with _explained(self._path):
            self._connection.execute("INSERT OR REPLACE INTO directories VALUES (?, ?, ?, ?)", row)

    def _fresh(self, query: str, values: tuple[object, ...]) -> str | None:
        with _explained(self._path):
            row = self._connection.execute(query, values).fetchone()
        if row is None or self._is_due(row[1]):
            return None
        return str(row[0])

    def _is_due(self, checked: float) -> bool:
        age = time.time() - checked
        return self._chance() < (age - FRESH_SECONDS) / (STALE_SECONDS - FRESH_SECONDS)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what SQLite says into what to do about it."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise click.ClickException(f"{path}: the backup's database can't be used now: {error}") from error
    except sqlite3.DatabaseError as error:
        raise click.ClickException(
            f"{path}: the backup's database can't be used ({error}); remove the file: the next backup reads every file"
            " again, and sends what the grid does not have"
        ) from error
