"""A storage server's time of its own, kept over restarts (``policy/servertime.py`` says why it has one).

The time is in the file ``server-time``, and *nobody is shown a time that is not in it yet*: it goes in steps, whenever the
server looks after itself. So it can't run backward, whenever the server is killed; nor does it leap, however often that
happens: what a crash takes is the time since the last step, and the time in which a server was off does not count.

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


class Timekeeper:
    """May be used from several threads at once. Until it is started it has no time.

    Args:
        filesystem: of the storage directory.

    Attributes:
        since: when it first had a time, in seconds since the epoch.
    """

    def __init__(self, filesystem: FileSystem) -> None:
        self.since = 0
        self._filesystem = filesystem
        self._lock = Lock()
        self._time: ServerTime | None = None
        self._shown = 0

    @property
    def is_started(self) -> bool:
        """Whether it has a time."""
        return self._time is not None

    @property
    def now(self) -> int:
        """The time, in seconds since the epoch, as of the last step; it never was more."""
        return self._shown

    def start(self, clock: float, uptime: float) -> None:
        """Begin, with the time that was kept or else with what the machine's clock says. Errors are ``OSError``.

        Args:
            clock: seconds since the epoch.
            uptime: monotonic seconds of this process.
        """
        found = self._read()
        if found is None:
            self.since = int(clock)
            self._write(int(clock))
            found = int(clock), int(clock)
        self._shown, self.since = found
        self._time = ServerTime(self._shown, uptime)

    def sight(self, who: str, clock: float, uptime: float) -> None:
        """Take in what somebody's clock says."""
        with self._lock:
            if self._time is not None:
                self._time.sight(who, clock, uptime)

    def step(self, uptime: float, *, nothing_kept: bool = False) -> None:
        """Let time go on to what it is; to be called every few minutes. Errors are ``OSError``, and then it stands.

        Args:
            uptime: monotonic seconds.
            nothing_kept: the store is empty, so that time may leap.
        """
        with self._lock:
            if self._time is None:
                return
            now = int(self._time.leap(uptime) if nothing_kept else self._time.now(uptime))
            if now > self._shown:
                self._write(now)
                self._shown = now

    # --- the file ---------------------------------------------------------------------------------------

    def _read(self) -> tuple[int, int] | None:
        """The time kept and since when; None if there is no file, or it makes no sense."""
        try:
            file = self._filesystem.open(TIME)
        except FileNotFoundError:
            return None
        try:
            lines = file.read(0, 200).decode(errors="replace").splitlines()
        finally:
            file.close()
        try:
            time, since = map(int, lines[1].split())
        except (ValueError, IndexError):
            return None
        return (time, since) if lines[0] == _HEADER else None

    def _write(self, time: int) -> None:
        """Replace the file, whole or not at all."""
        with suppress(FileNotFoundError):
            self._filesystem.unlink(_NEXT)
        file = self._filesystem.create(_NEXT)
        try:
            file.write(0, f"{_HEADER}\n{time} {self.since}\n".encode())
            file.sync()
        finally:
            file.close()
        self._filesystem.rename(_NEXT, TIME)
        self._filesystem.sync_directory("")
