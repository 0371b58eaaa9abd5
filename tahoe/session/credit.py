"""Credit: how much a peer may send before it must wait, so that a slow disk bounds memory everywhere.

Both sides count bytes of charged packets (asks and tells, retransmissions included) from the handshake
on. The receiver announces an absolute limit, the sender never goes beyond it, exactly like QUIC's
MAX_DATA: announcements may be lost, doubled or reordered, the highest counts::

      0           seen                      limit
      |------------|--------- window ---------|
                   ...held...|   may come     |

``seen`` is what the sender says it has spent, as of the newest packet that arrived: bytes that the network
lost are seen, too, and never leak credit. ``held`` are bytes of messages whose handler has not answered
yet. The limit is ``seen + window - held``: it moves on only as fast as messages are dealt with.

Answers are not charged. Whoever asks has room for the answer (``Request.answer_room``) and says so by
asking; the endpoint keeps the sum of all that it expects below its budget and lets further asks wait.

A window grows, up to a fair share of the node's budget, when half of it is used up in less than two round
trips: then the way is longer than the window. An idle sender gives back what it was granted beyond the
first window, because a grant can't be withdrawn.
"""

from __future__ import annotations


class Outflow:
    """What we may still send to a peer."""

    __slots__ = ("limit", "spent", "watched")

    def __init__(self, limit: int) -> None:
        self.spent = 0
        self.limit = limit
        self.watched = False

    def surplus(self, first_window: int) -> int:
        """Bytes granted beyond a first window."""
        return self.limit - self.spent - first_window

    def give_back(self, first_window: int) -> None:
        """Spend the surplus on nothing."""
        self.spent += max(self.surplus(first_window), 0)


class Inflow:
    """What a peer may still send to us, and what of it we hold."""

    __slots__ = ("announced", "held", "mark", "marked_at", "seen", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.announced = window
        self.seen = 0
        self.held = 0
        self.mark = 0
        self.marked_at = 0.0

    def grant(self) -> int:
        """The limit to announce now; never lower than before."""
        limit = self.seen + self.window - self.held
        self.announced = max(self.announced, limit)
        return self.announced

    def overdue(self) -> bool:
        """Whether half a window could be granted and no packet has said so yet."""
        return 2 * (self.seen + self.window - self.held - self.announced) >= self.window

    def promised(self) -> int:
        """Bytes that are here or may come without further grants."""
        return self.announced - self.seen + self.held


class Budget:
    """The memory of one node for what others send unasked, divided among those who send much.

    First windows are not counted: they are small, and everybody has one. A window beyond that is lent,
    up to an equal share, and to at least one largest message each, because less would be no progress.
    """

    __slots__ = ("_borrowers", "_first", "_largest", "_lent", "_total")

    def __init__(self, total: int, first_window: int, largest: int) -> None:
        self._total = total
        self._first = first_window
        self._largest = largest
        self._lent = 0
        self._borrowers = 0

    @property
    def lent(self) -> int:
        """Bytes of windows beyond the first ones."""
        return self._lent

    def share(self) -> int:
        """The largest window that a sender may have now."""
        return max(self._total // (self._borrowers + 1), self._largest)

    def resize(self, flow: Inflow, wanted: int) -> None:
        """Bring a window as near to ``wanted`` as its fair share and what it was promised allow."""
        window = max(min(wanted, self.share()), min(flow.promised(), flow.window), self._first)
        growth = window - flow.window
        if growth > 0 and self._lent + growth > self._total and flow.window >= self._largest:
            return
        self._borrowers += (window > self._first) - (flow.window > self._first)
        self._lent += growth
        flow.window = window

    def arrived(self, now: float, flow: Inflow, round_trip: float) -> None:
        """Half a window was used up since the last mark: decide whether it is too small for the way."""
        quick = now - flow.marked_at < 2 * round_trip
        self.resize(flow, 2 * flow.window if quick else flow.window)
        flow.mark = flow.seen
        flow.marked_at = now

    def release(self, flow: Inflow) -> None:
        """A session is over."""
        self._borrowers -= flow.window > self._first
        self._lent -= flow.window - self._first
        flow.window = self._first
