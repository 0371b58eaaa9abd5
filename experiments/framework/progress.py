"""Progress: how far a study has come and how long it will take, on standard error.

On a terminal one line is written over and over; in a log a line is added now and then.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

SECONDS_BETWEEN_LOG_LINES = 5.0


class Progress:
    """Counts points done.

    Args:
        name: the experiment.
        total: points in all.
        before: points that an earlier run left done; they tell nothing about the time still needed.
        stream: where to write.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        name: str,
        total: int,
        before: int = 0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._total = total
        self._before = self._done = before
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._began = clock()
        self._written = float("-inf")

    def step(self) -> None:
        """One more point is done."""
        self._done += 1
        self.show()

    def show(self) -> None:
        """Write the present state, unless a log has had one just now."""
        terminal = self._stream.isatty()
        if terminal:
            self._stream.write(f"\r\x1b[K{self.text()}")
        elif self._done == self._total or self._clock() - self._written >= SECONDS_BETWEEN_LOG_LINES:
            self._stream.write(f"{self.text()}\n")
            self._written = self._clock()
        self._stream.flush()

    def close(self) -> None:
        """Leave the line on a terminal."""
        if self._stream.isatty():
            self._stream.write("\n")

    def text(self) -> str:
        """Such as ``availability 3/24 points, 0:12 gone, about 1:24 left``."""
        gone = self._clock() - self._began
        text = f"{self._name} {self._done}/{self._total} points, {_clock_face(gone)} gone"
        fresh = self._done - self._before
        if fresh and self._done < self._total:
            text += f", about {_clock_face(gone / fresh * (self._total - self._done))} left"
        return text


def _clock_face(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
