"""How much a caretaker may spend: bytes and requests per day, within certain hours.

What is left of a day's allowance is not saved up for longer than a day, so that a caretaker that was switched off for a
month does not take the line for a week when it comes back. What is begun is finished, even if it costs more than was left:
the debt is paid by waiting.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

DAY = 86400.0
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent.

    Args:
        bytes_per_day: sent and received for repairs, verification and moves; 0: no limit.
        requests_per_day: messages asked; 0: no limit.
        hours: first and last hour of the day (UTC) in which it may work, the last one excluded; equal: always.
    """

    bytes_per_day: float = 0.0
    requests_per_day: float = 0.0
    hours: tuple[int, int] = (0, 0)

    def is_open(self, time: float) -> bool:
        """Whether it is one of the hours; ``time`` in seconds since the epoch."""
        first, last = self.hours
        if first == last:
            return True
        hour = int(time % DAY // HOUR)
        return first <= hour < last if first < last else hour >= first or hour < last


class Allowance:
    """What is left to spend.

    Args:
        budget: what may be spent.
        now: seconds of any clock that does not run backwards.
    """

    __slots__ = ("_budget", "_bytes", "_requests", "_seen", "spent_bytes", "spent_requests")

    def __init__(self, budget: Budget, now: float) -> None:
        self._budget = budget
        self._seen = now
        self._bytes = budget.bytes_per_day or inf
        self._requests = budget.requests_per_day or inf
        self.spent_bytes = 0.0
        self.spent_requests = 0.0

    def _refill(self, now: float) -> None:
        days = max(0.0, now - self._seen) / DAY
        self._seen = max(self._seen, now)
        budget = self._budget
        if budget.bytes_per_day:
            self._bytes = min(budget.bytes_per_day, self._bytes + days * budget.bytes_per_day)
        if budget.requests_per_day:
            self._requests = min(budget.requests_per_day, self._requests + days * budget.requests_per_day)

    def is_left(self, now: float) -> bool:
        """Whether anything may be begun."""
        self._refill(now)
        return self._bytes > 0 and self._requests > 0

    def spend(self, size: float, requests: float) -> None:
        """So much was spent: bytes and messages."""
        self._bytes -= size
        self._requests -= requests
        self.spent_bytes += size
        self.spent_requests += requests
