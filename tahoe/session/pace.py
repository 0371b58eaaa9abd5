"""Token buckets: how a node keeps to a rate without counting seconds.

Tokens are bytes. They drip in at the rate, up to one second's worth. A packet may go as soon as any token
is there, and takes as many as it is long: the bucket may run into debt and then waits until that is paid.
So packets of any size pass, and the average holds.
"""

from __future__ import annotations

from typing import Final

_SHORTEST_DELAY: Final = 0.01


class Bucket:
    """A budget of bytes per second."""

    __slots__ = ("_at", "_level", "_rate")

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._level = float(rate)
        self._at = 0.0

    def take(self, now: float, size: int) -> None:
        """Account for ``size`` bytes that went through."""
        self._drip(now)
        self._level -= size

    def delay(self, now: float, owed: int = 0) -> float:
        """Seconds until something may go through although ``owed`` bytes are still to come; 0.0: now."""
        self._drip(now)
        level = self._level - owed
        return 0.0 if level > 0 else max((1 - level) / self._rate, _SHORTEST_DELAY)

    def _drip(self, now: float) -> None:
        self._level = min(self._level + max(now - self._at, 0.0) * self._rate, float(self._rate))
        self._at = now
