"""Memory that all downloads of a node share, so that a stalled reader holds some of it and never all.

Each download has an allowance. It may always hold one piece, however large, which keeps every download going without
waiting for another; beyond that it may hold its fair part of the budget, as long as the whole is not used up. So what
is held in all is at most the budget and one piece for each download.
"""

from __future__ import annotations

DEFAULT_BUDGET = 64 * 2**20


class Budget:
    """Bytes read ahead, over all downloads of a node.

    Args:
        total: the most there should be.
    """

    def __init__(self, total: int = DEFAULT_BUDGET) -> None:
        self.total = total
        self.held = 0
        self.sharers = 0

    def open(self) -> Allowance:
        """The allowance of one more download; to be closed at its end."""
        return Allowance(self)


class Allowance:
    """One download's part of a budget."""

    __slots__ = ("_budget", "_open", "held")

    def __init__(self, budget: Budget) -> None:
        self.held = 0
        self._budget = budget
        self._open = True
        budget.sharers += 1

    def may_take(self, size: int) -> bool:
        """Whether ``size`` more bytes may be held."""
        if not self._open:
            return False
        budget = self._budget
        fair = budget.total // budget.sharers
        return not self.held or (self.held + size <= fair and budget.held + size <= budget.total)

    def take(self, size: int) -> None:
        """Hold so many bytes more. After ``close`` nothing is held."""
        if self._open:
            self.held += size
            self._budget.held += size

    def give(self, size: int) -> None:
        """Hold so many bytes less. After ``close`` there is nothing left to give."""
        if self._open:
            assert size <= self.held, "no more can be given than is held"
            self.held -= size
            self._budget.held -= size

    def close(self) -> None:
        """Give everything back. Idempotent."""
        if self._open:
            self.give(self.held)
            self._open = False
            self._budget.sharers -= 1
