"""Memory that all downloads of a node share, so that a stalled reader holds some of it and never all.

Each download has an allowance. It may always hold one piece, however large, which keeps every download going without
waiting for another; beyond that it may hold its fair part of the budget, as long as the whole is not used up. So what
is held in all is at most the budget and one piece for each download.

Part of what is held is under way: asked for, and not there yet. Whoever comes anew waits behind all of it, since a line
brings one thing after the other. So that is bounded, too: a download may always have one piece under way, and more only as
long as all of them together have less than that bound; and the more downloads there are, the smaller their pieces.
"""

from __future__ import annotations

DEFAULT_BUDGET = 64 * 2**20

DEFAULT_UNDER_WAY = 16 * 2**20
"""Bytes: a fifth of a second on a line of 100 MB/s, and as much as one download alone has under way at most."""


class Budget:
    """Bytes read ahead, over all downloads of a node.

    Args:
        total: the most there should be.
        most_under_way: the part of it that may be under way at once.
    """

    def __init__(self, total: int = DEFAULT_BUDGET, most_under_way: int = DEFAULT_UNDER_WAY) -> None:
        self.total = total
        self.most_under_way = most_under_way
        self.held = 0
        self.under_way = 0
        self.sharers = 0

    def open(self) -> Allowance:
        """The allowance of one more download; to be closed at its end."""
        return Allowance(self)


class Allowance:
    """One download's part of a budget."""

    __slots__ = ("_budget", "_open", "held", "under_way")

    def __init__(self, budget: Budget) -> None:
        self.held = 0
        self.under_way = 0
        self._budget = budget
        self._open = True
        budget.sharers += 1

    @property
    def piece(self) -> int:
        """How long a piece should be at most, in bytes, for those of all downloads to be under way at once."""
        return self._budget.most_under_way // max(1, self._budget.sharers)

    def may_take(self, size: int) -> bool:
        """Whether ``size`` more bytes may be held."""
        if not self._open:
            return False
        budget = self._budget
        fair = budget.total // budget.sharers
        return not self.held or (self.held + size <= fair and budget.held + size <= budget.total)

    def may_ask(self, size: int) -> bool:
        """Whether ``size`` more bytes may be under way."""
        budget = self._budget
        return self._open and (not self.under_way or budget.under_way + size <= budget.most_under_way)

    def ask(self, size: int) -> None:
        """So many bytes more are under way."""
        if self._open:
            self.under_way += size
            self._budget.under_way += size

    def arrive(self, size: int) -> None:
        """So many bytes are under way no more."""
        if self._open:
            assert size <= self.under_way, "no more can arrive than is under way"
            self.under_way -= size
            self._budget.under_way -= size

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
            self.arrive(self.under_way)
            self._open = False
            self._budget.sharers -= 1
