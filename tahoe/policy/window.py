"""How much of a download may be under way or waiting at once: as much as helps, no more than does harm.

Too little leaves a long or fast line idle between questions. Too much lets answers queue up on a slow line, where
everything else that its owner does waits behind them. So the window doubles with each round trip while stretches of
the file come quickly, stands when they begin to take longer, and shrinks when they clearly wait for one another. What
is quick is measured against the quickest answer seen: a server far away or on a slow line is no queue.
"""

from __future__ import annotations

from math import inf

EASY_SECONDS = 0.25
"""A stretch that takes no longer than this and twice the quickest answer shows that more may be under way."""

QUEUE_SECONDS = 1.0
"""A stretch that takes longer than this and twice the quickest answer has waited for others."""

FEWEST_STRETCHES = 2


class Window:
    """The window of one download, in bytes.

    Args:
        most: the largest it may become.
    """

    __slots__ = ("_most", "_quickest", "_size")

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._quickest = inf

    def learn_answer(self, seconds: float) -> None:
        """An answer took so long."""
        self._quickest = min(self._quickest, seconds)

    def learn_stretch(self, seconds: float, weight: int) -> None:
        """A stretch of so many bytes took so long from its first question until it was decoded."""
        if seconds <= EASY_SECONDS + 2 * self._quickest:
            self._size = min(self._most, self._size + 2 * weight)
        elif seconds > QUEUE_SECONDS + 2 * self._quickest:
            self._size = max(0, self._size - weight)

    def admits(self, held: int, weight: int) -> bool:
        """Whether a stretch of so many bytes may be begun while so many are held."""
        return held + weight <= min(self._most, max(self._size, FEWEST_STRETCHES * weight))
