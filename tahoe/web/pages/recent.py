"""What is costly to find out and looked at every few seconds: found anew only now and then.

How it stands with a hundred thousand objects takes a second to sum up, and an open page asks every three. So an answer counts
for twenty times as long as it took to find: that costs a twentieth of a processor at most, and what is cheap is always fresh.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

AS_LONG: Final = 20.0


class Recent(Generic[T]):
    """One such answer.

    Args:
        find: finds it.
        clock: tells seconds.
        cost: tells the seconds of processor time that this thread has used.
    """

    def __init__(
        self,
        find: Callable[[], T],
        clock: Callable[[], float] = time.monotonic,
        cost: Callable[[], float] = time.thread_time,
    ) -> None:
        self._find = find
        self._clock = clock
        self._cost = cost
        self._found: T | None = None
        self._until = -float("inf")

    def __call__(self) -> T:
        """Return it, as of now or of a little while ago."""
        if self._found is None or self._clock() >= self._until:
            began = self._cost()
            self._found = self._find()
            self._until = self._clock() + AS_LONG * (self._cost() - began)
        return self._found

    def forget(self) -> None:
        """Find it anew the next time: something has changed it."""
        self._found = None
