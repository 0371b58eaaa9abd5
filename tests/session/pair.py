"""Two endpoints and the wire between them, for tests: nothing is sent but what a test lets through."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from random import Random
from typing import Any

from tahoe.errors import Refused
from tahoe.protocol import (
    PROTOCOL_VERSIONS,
    STORAGE,
    Address,
    Announcement,
    Answer,
    HaveShares,
    NodeId,
    SharesHeld,
    Space,
)
from tahoe.session.endpoint import Endpoint
from tahoe.session.identity import Identity
from tahoe.session.settings import GridAccess, Settings
from tahoe.session.statement import sign_announcement

JOIN_SECRET = b"j" * 32
ACCESS = GridAccess("grid", JOIN_SECRET)


QUESTION = HaveShares((b"i" * 16,))


def nothing_held(request: Any) -> Answer:
    return SharesHeld((), Space(0, 0, 0))


class Outcomes(list):
    """What came of one ask: at most one thing."""

    asking: Any = None


class Side:
    """One node: an endpoint with a host that records, and a handler that answers at once if told how."""

    def __init__(self, wire: deque, seed: bytes, settings: Settings, access: GridAccess = ACCESS, epoch: int = 1):
        self.identity = Identity.from_seed(seed.ljust(32, b"."))
        self.node = self.identity.node
        self.wire = wire
        self.known: dict[NodeId, bytes] = {}
        self.handler: Callable[[Any], Answer] | None = nothing_held
        self.delivered: list[Any] = []
        self.replies: list[Any] = []
        self.wakes: list[float] = []
        self.shown: list[bytes] = []
        self.epoch = epoch
        self.waiting_bytes = 0
        self.endpoint = Endpoint(self.identity, access, self, settings, Random(f"{seed!r}/{epoch}"))
        self.endpoint.announcement = sign_announcement(
            self.identity,
            Announcement(
                self.node,
                self.identity.exchange_public,
                (STORAGE,),
                "n",
                "a/b/c",
                0,
                0,
                PROTOCOL_VERSIONS,
                "0",
                epoch,
                0,
            ),
        )

    def ask(self, now, to, request, timeout):
        outcomes = Outcomes()
        outcomes.asking = self.endpoint.ask(now, Address(to.node, STORAGE), request, timeout, outcomes.append)
        return outcomes

    def wakes_or_never(self):
        return self.wakes or [inf]

    def transmit(self, to, channel, packet, size):
        self.wire.append((self.node, to, channel, packet, size))

    def wake_at(self, when):
        self.wakes.append(when)

    def exchange_key(self, node):
        return self.known.get(node)

    def introduced(self, announcement):
        self.shown.append(announcement)

    def unsent(self, node):
        return self.waiting_bytes

    def deliver(self, sender, role, message, reply):
        self.delivered.append(message)
        if reply is None:
            return
        if self.handler is None:
            self.replies.append(reply)
            return
        try:
            reply.answer(self.handler(message))
        except Refused as refused:
            reply.refuse(refused)


class Pair:
    """``left`` knows ``right`` and the other way round."""

    def __init__(self, settings: Settings | None = None, answer: Callable[[Any], Answer] | None = nothing_held):
        self.settings = settings or Settings()
        self.wire: deque = deque()
        self.now = 0.0
        self.left = Side(self.wire, b"left", self.settings)
        self.right = Side(self.wire, b"right", self.settings)
        self.introduce()
        self.right.handler = answer

    def introduce(self):
        self.left.known[self.right.node] = self.right.identity.exchange_public
        self.right.known[self.left.node] = self.left.identity.exchange_public

    def restart(self, side: Side) -> Side:
        """A new incarnation in place of ``side``."""
        name = "left" if side is self.left else "right"
        fresh = Side(self.wire, name.encode(), self.settings, epoch=side.epoch + 1)
        fresh.handler = side.handler
        setattr(self, name, fresh)
        self.introduce()
        return fresh

    def side(self, node: NodeId) -> Side:
        return self.left if node == self.left.node else self.right

    def hand_over(self, item) -> None:
        """Let one packet arrive."""
        sender, to, channel, packet, _ = item
        self.side(to).endpoint.receive(self.now, sender, channel, packet)

    def other(self, side: Side) -> Side:
        return self.right if side is self.left else self.left

    def run_untimed(self, losing: Callable[[Any], bool] | None = None) -> None:
        """Let everything through that is on the wire, in order, in no time, and all that comes of it."""
        while self.wire:
            item = self.wire.popleft()
            if losing is None or not losing(item):
                self.hand_over(item)

    def run(self, seconds: float = 0.0, losing: Callable[[Any], bool] | None = None) -> None:
        """As ``run_untimed``, and then let time pass, with every wake-up on the way."""
        end = self.now + seconds
        self.run_untimed(losing)
        while (when := min(self.left.wakes_or_never() + self.right.wakes_or_never())) <= end:
            self.now = max(self.now, when)
            for side in (self.left, self.right):
                if min(side.wakes_or_never()) <= self.now:
                    side.wakes.clear()
                    side.endpoint.poll(self.now)
            self.run_untimed(losing)
        self.now = end

    def ask(self, request: Any = QUESTION, timeout: float = 15.0):
        """Left asks right; the outcome will be in the returned list."""
        return self.left.ask(self.now, self.right, request, timeout)

    def ask_back(self, request: Any = QUESTION, timeout: float = 15.0):
        """Right asks left."""
        return self.right.ask(self.now, self.left, request, timeout)

    def connect(self) -> None:
        """Shake hands by a first ask."""
        outcomes = self.ask()
        self.run_untimed()
        assert len(outcomes) == 1, outcomes
