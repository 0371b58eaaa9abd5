"""Which bytes of an upload have been written: disjoint spans in order, merged where they touch."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Spans:
    """A set of byte positions, kept as spans."""

    __slots__ = ("_starts", "_stops")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []

    def overlaps(self, start: int, stop: int) -> list[tuple[int, int]]:
        """The parts of ``[start, stop)`` that are in the set, ascending."""
        first, last = bisect_right(self._stops, start), bisect_left(self._starts, stop)
        pairs = zip(self._starts[first:last], self._stops[first:last], strict=True)
        return [(max(begin, start), min(end, stop)) for begin, end in pairs]

    def add(self, start: int, stop: int) -> None:
        """Put ``[start, stop)`` into the set."""
        if start == stop:
            return
        first, last = bisect_left(self._stops, start), bisect_right(self._starts, stop)
        if first < last:
            start, stop = min(start, self._starts[first]), max(stop, self._stops[last - 1])
        self._starts[first:last] = [start]
        self._stops[first:last] = [stop]

    @property
    def prefix(self) -> int:
        """Up to where everything from 0 on is in the set."""
        return self._stops[0] if self._starts and not self._starts[0] else 0

    def __len__(self) -> int:
        """How many bytes are in the set."""
        return sum(self._stops) - sum(self._starts)
