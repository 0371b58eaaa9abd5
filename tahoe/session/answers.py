"""What the answering side knows of a peer's tickets: what is being worked on, and what was answered.

::

      everything below       kept until the peer's           refused and expired ones: no unknown
      is forgotten           lowest open ticket passes       ticket up to here is ever executed
           |                                                             |
           | 12 kept   13 working   14 kept   15 -   16 cancelled        |  17 -   18 working
         lowest                                                        floor

Answers of repeatable requests are not kept: a late copy runs the request again. But one whose copy comes while its large answer
still waits for our line, or may not have passed the asker's yet if that is slow, is only told to be patient, or a slow line would be filled
with the same answer.

Kept answers are never evicted to make room: when they are too many, new work is refused. ``Refused`` promises
that it was not done, so the floor remembers that a late copy of a refused ask must not be executed, either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol

from tahoe.errors import Refused
from tahoe.protocol import Answer, NodeId, Refusal
from tahoe.session.credit import Inflow
from tahoe.session.desk import Desk
from tahoe.session.envelope import ANSWER, REFUSAL, Envelope
from tahoe.session.waits import Waiting

SLOWEST_LINE: Final = 10_000.0
"""Bytes per second: no large answer is given again sooner than it takes on such a line, and each further time half as soon."""

LONGEST_WORK: Final = 24 * 3600.0
"""Seconds that a request may take, whatever its asker says."""


class Answerer(Protocol):
    """The peer that a reply goes to."""

    desk: Desk

    def reply(self, reply: Reply, kind: int, message: Answer) -> None:
        """Send what came of a request."""

    def drop(self, reply: Reply) -> None:
        """Nobody waits for it any more."""


class Reply:
    """A request being worked on, and later its kept answer. One of ``answer`` and ``refuse`` is to be called, once.

    Attributes:
        deadline: monotonic time at which the asker stops waiting.
        cancelled: the asker cancelled, is gone, or its time is over: whatever is answered now is dropped.
        on_cancel: called once when ``cancelled`` becomes true; set by the runtime.
    """

    __slots__ = (
        "_flow",
        "_held",
        "_peer",
        "body",
        "cancelled",
        "deadline",
        "expiry",
        "kind",
        "on_cancel",
        "repeatable",
        "size",
        "ticket",
    )

    def __init__(self, peer: Answerer, flow: Inflow, held: int, envelope: Envelope, now: float) -> None:
        self._peer: Answerer | None = peer
        self._flow = flow
        self._held = held
        flow.held += held
        self.ticket = envelope.ticket
        self.repeatable: bool = envelope.body.repeatable
        self.deadline = now + min(envelope.remaining / 1000, LONGEST_WORK)
        self.cancelled = False
        self.on_cancel: Callable[[], None] | None = None
        self.expiry: Waiting[Any] | None = None
        self.kind = ANSWER
        self.body: Any = None
        self.size = 0

    @property
    def working(self) -> bool:
        """Whether the handler has yet to say what came of it."""
        return self._peer is not None

    @property
    def remaining(self) -> float:
        """Seconds that the asker still waits, as of the last event in this node."""
        return max(self.deadline - self._peer.desk.now, 0.0) if self._peer is not None else 0.0

    def answer(self, message: Answer) -> None:
        """It was done."""
        peer = self._peer
        if peer is not None:
            self._release()
            peer.reply(self, ANSWER, message)

    def refuse(self, refused: Refused) -> None:
        """It was not done."""
        peer = self._peer
        if peer is not None:
            self._release()
            peer.reply(self, REFUSAL, Refusal(refused.code, refused.reason))

    def over(self, now: float) -> None:
        """The asker's time is over."""
        if self._peer is not None:
            self._peer.drop(self)

    def charge(self, flow: Inflow) -> None:
        """Hold the request's bytes against another credit."""
        self._flow.held -= self._held
        flow.held += self._held
        self._flow = flow

    def cancel(self) -> None:
        """Nobody waits for the answer any more."""
        on_cancel = self.on_cancel
        self._release()
        self.cancelled = True
        if on_cancel is not None:
            on_cancel()

    def _release(self) -> None:
        self._flow.held -= self._held
        self._held = 0
        self._peer = None
        self.on_cancel = None
        if self.expiry is not None:
            self.expiry.pop(self, None)
            self.expiry = None


class _Leaving(NamedTuple):
    """A large answer on its way: until when it is presumed to be, and how long that was from when it was sent."""

    until: float
    seconds: float


class Answers:
    """Tickets of one peer, as far as they were seen."""

    __slots__ = ("_desk", "_leaving", "floor", "lowest", "replies")

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._leaving: dict[int, _Leaving] = {}
        self.replies: dict[int, Reply] = {}
        self.lowest = 0
        self.floor = -1

    def keep(self, reply: Reply, kind: int, message: Answer, size: int) -> None:
        """Keep an answer of so many bytes, unless the request may simply run again."""
        if reply.repeatable:
            del self.replies[reply.ticket]
            if size > self._desk.settings.bulk_bytes:
                before = self._leaving.get(reply.ticket)
                seconds = size / SLOWEST_LINE if before is None else 2 * before.seconds
                self._leaving[reply.ticket] = _Leaving(self._desk.now + seconds, seconds)
        else:
            reply.kind, reply.body, reply.size = kind, message, size
            self._desk.answer_bytes += size

    def is_leaving(self, node: NodeId, ticket: int) -> bool:
        """Whether the large answer to a repeatable request may still be on its way to its asker."""
        leaving = self._leaving.get(ticket)
        return leaving is not None and (self._desk.now < leaving.until or self._desk.waits_unsent(node))

    def mislaid(self) -> None:
        """What was on its way may be lost."""
        self._leaving.clear()

    def refuses(self, now: float, envelope: Envelope) -> bool:
        """Whether a new ask can't be taken: too much is kept, or it may be a copy of one that was refused."""
        ticket = envelope.ticket
        if self._is_full() and self._is_full_of_needed(now):
            self.floor = max(self.floor, ticket)
            return True
        return ticket <= self.floor and not envelope.body.repeatable

    def charge(self, flow: Inflow) -> None:
        """Hold what is being worked on against the credit of a new session, so that handshakes make no room."""
        for reply in self.replies.values():
            reply.charge(flow)

    def forget_below(self, lowest: int) -> None:
        """The peer has ended all its asks below ``lowest``."""
        before, self.lowest = self.lowest, lowest
        for ticket in [ticket for ticket in self._leaving if ticket < lowest]:
            del self._leaving[ticket]
        if lowest - before > len(self.replies) + 1:  # whatever the peer says costs no more than what is kept
            ended: Iterable[int] = [ticket for ticket in self.replies if ticket < lowest]
        else:
            ended = range(before, lowest)
        for ticket in ended:
            self._forget(ticket)

    def forget_expired(self, now: float) -> None:
        """Forget answers whose asker has given up; none of their tickets may be executed again."""
        ended = [ticket for ticket, reply in self.replies.items() if reply.deadline < now and not reply.working]
        for ticket in ended:
            self._forget(ticket)
            self.floor = max(self.floor, ticket)

    def forget_all(self) -> None:
        """The peer remembers none of its tickets; the next ones are new."""
        for ticket in tuple(self.replies):
            self._forget(ticket)
        self._leaving.clear()
        self.lowest = 0
        self.floor = -1

    def _forget(self, ticket: int) -> None:
        reply = self.replies.pop(ticket, None)
        if reply is not None:
            self._desk.answer_bytes -= reply.size
            if reply.working:
                reply.cancel()

    def _is_full(self) -> bool:
        settings = self._desk.settings
        return len(self.replies) >= settings.answers_kept or self._desk.answer_bytes >= settings.answer_bytes_kept

    def _is_full_of_needed(self, now: float) -> bool:
        self.forget_expired(now)
        if self._desk.answer_bytes >= self._desk.settings.answer_bytes_kept:
            self._desk.sweep(now)
        return self._is_full()
