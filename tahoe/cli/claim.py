"""Who runs a node directory: a file with a process id, locked for as long as that process lives.

Looking whether a process with the noted id exists is not enough: ids are used again, and a stale file would have
us stop a stranger. The system drops a lock however its holder ends.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from tahoe.errors import BadConfiguration

PID_FILE: Final = "tahoe.pid"
_READY: Final = "ready"
_ATTEMPTS: Final = 20
_PAUSE: Final = 0.02
"""Seconds between attempts: somebody who only looks holds the lock for less."""

if os.name == "nt":
    import msvcrt

    def _lock(file: IO[str]) -> bool:
        """Lock a byte far behind the content, where it hinders no reader."""
        file.seek(1 << 20)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # Windows only
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(file: IO[str]) -> bool:
        """Lock the file, if nobody else has."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class Claim:
    """This process's claim to run the node in a directory.

    Args:
        directory: the node's.
        together: all directories whose nodes this process runs; they start and stop with one another.

    Raises:
        BadConfiguration: another process has it.
    """

    def __init__(self, directory: Path, together: Sequence[Path] = ()) -> None:
        self._together = "".join(f"\n{other}" for other in together or (directory,))
        handle = os.open(directory / PID_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        self._file = os.fdopen(handle, "r+", encoding="utf-8")
        for _ in range(_ATTEMPTS):
            if _lock(self._file):
                break
            time.sleep(_PAUSE)
        else:
            self._file.close()
            raise BadConfiguration(f"{directory}: its node runs already; see tahoe status {directory}")
        self._write(f"{os.getpid()}{self._together}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def ready(self) -> None:
        """Let others know that the node does its work now."""
        self._write(f"{os.getpid()} {_READY}{self._together}")

    def release(self) -> None:
        """Give it up."""
        self._write("")
        self._file.close()

    def _write(self, text: str) -> None:
        """Replace the content; whoever reads meanwhile never sees less than one of the two."""
        self._file.seek(0)
        self._file.write(text)
        self._file.truncate()


def runner(directory: Path) -> int | None:
    """Return the process id of whoever runs the node in a directory; None if nobody does."""
    first = _claimed(directory)[0].partition(" ")[0]
    return int(first) if first.isdecimal() else None


def is_ready(directory: Path) -> bool:
    """Whether a node runs there and does its work."""
    return _claimed(directory)[0].endswith(_READY)


def run_together(directory: Path) -> list[Path]:
    """Return the directories whose nodes run in one process with a directory's, its own included."""
    return [Path(line) for line in _claimed(directory)[1:]]


def _claimed(directory: Path) -> list[str]:
    """Return the lines of a claim that holds: the process and whether it is ready, then all its directories."""
    try:
        with (directory / PID_FILE).open("r+", encoding="utf-8") as file:
            text = "" if _lock(file) else file.read()
    except FileNotFoundError:
        text = ""
    return text.split("\n")
