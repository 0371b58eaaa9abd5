"""An open ask, as the asking side keeps it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol, get_args, get_origin

from tahoe.errors import Refused, Unanswered
from tahoe.protocol import Answer, NodeId, Request, Role
from tahoe.session.waits import Waiting

Outcome = Answer | Refused | Unanswered


class Asker(Protocol):
    """The peer that an open ask belongs to."""

    node: NodeId

    def cancel(self, asking: Asking) -> None:
        """The asker lost interest."""

    def admit(self, now: float, asking: Asking) -> None:
        """There is room for the answer now: send the ask."""

    def repeat(self, now: float, asking: Asking) -> None:
        """No answer came in a while."""

    def expire(self, asking: Asking) -> None:
        """The time is over."""

    def close(self, asking: Asking, outcome: Outcome) -> None:
        """End the ask with this outcome."""


class Asking:
    """An open ask.

    Attributes:
        ticket: its name in all envelopes.
        request, answered: what is asked, and who wants to know; None once it has ended.
        room: bytes reserved for the answer.
        size: bytes of its packet, 0 before it was first measured.
        sent_at: when it first left, negative before.
        tries: how often it was repeated.
        expiry, repetition: the queues in which it waits for its end and for its next repetition.
    """

    __slots__ = (
        "answered",
        "deadline",
        "expiry",
        "peer",
        "repetition",
        "request",
        "role",
        "room",
        "sent_at",
        "size",
        "ticket",
        "tries",
    )

    def __init__(
        self, peer: Asker, role: Role, request: Request[Any], ticket: int, answered: Callable[[Outcome], None]
    ) -> None:
        self.peer = peer
        self.role = role
        self.request: Request[Any] | None = request
        self.ticket = ticket
        self.answered: Callable[[Outcome], None] | None = answered
        self.room = 0
        self.size = 0
        self.tries = 0
        self.sent_at = -1.0
        self.deadline = 0.0
        self.expiry: Waiting[Any] | None = None
        self.repetition: Waiting[Any] | None = None

    def cancel(self) -> None:
        """Drop the answer, and tell the other side to stop working on it. What has ended stays ended."""
        if self.answered is not None:
            self.peer.cancel(self)

    def again(self, now: float) -> None:
        """Its wait for an answer is over."""
        self.peer.repeat(now, self)

    def over(self, now: float) -> None:
        """Its time is over."""
        self.peer.expire(self)


@lru_cache(maxsize=1024)
def answer_type(kind: type[Request[Any]]) -> type[Answer]:
    """The answer that a request names: ``R`` of ``class Kind(Request[R])``."""
    for base in getattr(kind, "__orig_bases__", ()):
        origin = get_origin(base)
        if isinstance(origin, type) and issubclass(origin, Request):
            named = get_args(base)[0]
            return named if isinstance(named, type) else Answer
    return Answer
