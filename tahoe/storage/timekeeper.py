"""A storage server's time of its own, kept over restarts (``policy/servertime.py`` says why it has one).

The file ``server-time`` says up to when time has been *promised*: it is written ahead of the time that it promises, so
that a server which was killed goes on from a moment that it has not shown to anybody yet. Time waits at the end of what
was promised rather than go beyond. After a clean end nothing is lost but the time in which the server was off, which
does not count.

``since`` is when this server first knew what time it was. A lost file is a first start: it begins with the machine's
clock, and everybody has a whole period to renew (``policy/lease.py``).
"""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from typing import Final

from tahoe.policy.servertime import ServerTime
from tahoe.storage.filesystem import FileSystem

TIME: Final = "server-time"
_NEXT: Final = "server-time.new"
_HEADER: Final = "tahoe time 1"

AHEAD: Final = 1800.0
"""Seconds that are promised ahead."""


class Timekeeper:
    """May be used from several threads at once. Until it is started it has no time.

    Args:
        filesystem: of the storage directory.
    """

    def __init__(self, filesystem: FileSystem) -> None:
        self._filesystem = filesystem
        self._lock = Lock()
        self._time: ServerTime | None = None
        self._promised = 0.0
        self.since = 0.0

    @property
    def is_started(self) -> bool:
        """Whether it has a time."""
        return self._time is not None

    def start(self, clock: float, uptime: float) -> None:
        """Begin, with the time promised last or else with what the machine's clock says.

        Args:
            clock: seconds since the epoch.
            uptime: monotonic seconds of this process.
        """
        found = self._read()
        start, self.since = (clock, clock) if found is None else found
        self._promised = start
        self._time = ServerTime(start, uptime)
        self.keep(uptime)

    def now(self, uptime: float) -> float:
        """The time, in seconds since the epoch; never less than it was, nor more than was promised."""
        assert self._time is not None, "it has not been started"
        with self._lock:
            return min(self._time.now(uptime), self._promised)

    def sight(self, who: str, clock: float, uptime: float) -> None:
        """Take in what somebody's clock says."""
        if self._time is not None:
            with self._lock:
                self._time.sight(who, clock, uptime)

    def keep(self, uptime: float, *, nothing_kept: bool = False) -> None:
        """Promise time ahead; to be called every few minutes. Errors are ``OSError``, and then nothing was promised.

        Args:
            uptime: monotonic seconds.
            nothing_kept: the store is empty, so that time may leap.
        """
        if self._time is None:
            return
        with self._lock:
            now = self._time.leap(uptime) if nothing_kept else self._time.now(uptime)
            if nothing_kept:
                self.since = now
        if now + AHEAD / 2 > self._promised:
            self._write(now + AHEAD)
            self._promised = now + AHEAD

    def stop(self, uptime: float) -> None:
        """Write down the time as it is. Errors are ``OSError``."""
        if self._time is not None:
            self._write(self.now(uptime))

    # --- the file ---------------------------------------------------------------------------------------

    def _read(self) -> tuple[float, float] | None:
        """The time promised and since when; None if there is no file, or it makes no sense."""
        try:
            file = self._filesystem.open(TIME)
        except FileNotFoundError:
            return None
        try:
            lines = file.read(0, 200).decode(errors="replace").splitlines()
        finally:
            file.close()
        try:
            promised, since = map(int, lines[1].split())
        except (ValueError, IndexError):
            return None
        return (float(promised), float(since)) if lines[0] == _HEADER else None

    def _write(self, promised: float) -> None:
        with suppress(FileNotFoundError):
            self._filesystem.unlink(_NEXT)
        file = self._filesystem.create(_NEXT)
        try:
            file.write(0, f"{_HEADER}\n{int(promised) + 1} {int(self.since)}\n".encode())
            file.sync()
        finally:
            file.close()
        self._filesystem.rename(_NEXT, TIME)
        self._filesystem.sync_directory("")
