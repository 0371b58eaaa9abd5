"""A world of two endpoints and a channel that loses, doubles, reorders, delays and replays, driven by a seed.

Every ask carries a number of its own, so that it can be told how often each was executed, and where.
"""

from __future__ import annotations

import heapq
from collections import Counter
from random import Random
from typing import ClassVar, NamedTuple

from tahoe.errors import Refused, Unanswered
from tahoe.protocol import STORAGE, Address, Answer, Message, Request
from tahoe.session.settings import GridAccess, Settings
from tests.session.pair import ACCESS, Side

SMALL = Settings(
    message_bytes=16 * 1024,
    bulk_bytes=2048,
    receive_budget=64 * 1024,
    first_window=2048,
    answers_kept=12,
    answer_bytes_kept=4096,
    asks_open=40,
    half_open=4,
    shortest_retransmission=0.1,
    first_retransmission=0.2,
    longest_retransmission=2.0,
)


class Counted(Answer, frozen=True, tag="test-counted"):
    number: int
    padding: bytes = b""


class Count(Request[Counted], frozen=True, tag="test-count"):
    """To be executed once."""

    number: int
    padding: bytes = b""


class Look(Request[Counted], frozen=True, tag="test-look"):
    """May be executed again."""

    repeatable: ClassVar[bool] = True

    number: int
    padding: bytes = b""


class Note(Message, frozen=True, tag="test-note"):
    number: int


class Weather(NamedTuple):
    """What the channel does: probabilities, and the longest delay in seconds."""

    loss: float
    doubling: float
    replay: float
    delay: float


CALM = Weather(0.0, 0.0, 0.0, 0.01)


class World:
    def __init__(
        self,
        seed: int,
        weather: Weather,
        settings: Settings = SMALL,
        accesses: tuple[GridAccess, GridAccess] = (ACCESS, ACCESS),
    ):
        self.rng = Random(seed)
        self.weather = weather
        self.settings = settings
        self.accesses = accesses
        self.now = 0.0
        self.events: list = []
        self.count = 0
        self.captured: list = []
        self.numbers = 0
        self.executed: Counter[int] = Counter()
        self.repeatable: set[int] = set()
        self.outcomes: dict[int, list] = {}
        self.due: dict[int, float] = {}
        self.dropped: Counter[str] = Counter()
        self.alive: dict[str, Side] = {}
        self.born = {"left": 0, "right": 0}
        for name in self.born:
            self.start(name)

    # --- nodes

    def start(self, name: str) -> None:
        self.born[name] += 1
        side = Side(self, name.encode(), self.settings, self.accesses[name == "right"], epoch=self.born[name])
        old = self.alive.get(name)
        if old is not None:
            self.dropped += old.endpoint.counters
            for number, outcomes in self.outcomes.items():
                if self.asker[number] is old and not outcomes:
                    outcomes.append("crashed")
        else:
            self.asker: dict[int, Side] = getattr(self, "asker", {})
        self.alive[name] = side
        side.name = name
        side.handler = None
        side.deliver = lambda _sender, _role, message, reply, side=side: self.deliver(side, message, reply)
        side.endpoint._desk.deliver = side.deliver
        side.endpoint._desk.alarm._wake_at = lambda when, side=side: self.at(when, "poll", side)
        for one in self.alive.values():
            for other in self.alive.values():
                one.known[other.node] = other.identity.exchange_public

    def other(self, side: Side) -> Side:
        return self.alive["right" if side.name == "left" else "left"]

    # --- events

    def at(self, when: float, kind: str, *facts) -> None:
        self.count += 1
        heapq.heappush(self.events, (when, self.count, kind, facts))

    def append(self, item) -> None:
        """As the wire of both sides: a packet is sent."""
        self.captured.append(item)
        weather, rng = self.weather, self.rng
        if rng.random() >= weather.loss:
            self.at(self.now + rng.random() * weather.delay, "packet", item)
        if rng.random() < weather.doubling:
            self.at(self.now + rng.random() * weather.delay * 3, "packet", item)
        if rng.random() < weather.replay:
            self.at(self.now + rng.random() * weather.delay * 50, "packet", rng.choice(self.captured))

    def run(self, until: float) -> None:
        while self.events and self.events[0][0] <= until:
            when, _, kind, facts = heapq.heappop(self.events)
            self.now = max(self.now, when)
            getattr(self, "on_" + kind)(*facts)
            self.check_bounds()
        self.now = until

    def on_packet(self, item) -> None:
        sender, to, channel, packet, _ = item
        for side in self.alive.values():
            if side.node == to:
                side.endpoint.receive(self.now, sender, channel, packet)

    def on_poll(self, side: Side) -> None:
        if self.alive[side.name] is side:
            side.endpoint.poll(self.now)

    def on_reply(self, side: Side, reply, answer) -> None:
        if self.alive[side.name] is side and not reply.cancelled:
            if isinstance(answer, Refused):
                reply.refuse(answer)
            else:
                reply.answer(answer)

    # --- work

    def deliver(self, side: Side, message, reply) -> None:
        self.executed[message.number] += 1
        if reply is not None:
            answer = Counted(message.number, message.padding)
            patience = self.rng.choice((0.0, 0.0, 0.05, 1.0))
            if patience:
                self.at(self.now + patience, "reply", side, reply, answer)
            else:
                reply.answer(answer)

    def ask(self, name: str, *, repeatable: bool, size: int, timeout: float):
        side = self.alive[name]
        self.numbers += 1
        number = self.numbers
        kind = Look if repeatable else Count
        if repeatable:
            self.repeatable.add(number)
        self.outcomes[number] = outcomes = []
        self.asker[number] = side
        self.due[number] = self.now + timeout
        to = Address(self.other(side).node, STORAGE)
        return number, side.endpoint.ask(self.now, to, kind(number, b"x" * size), timeout, outcomes.append)

    def cancel(self, number: int, asking) -> None:
        if not self.outcomes[number]:
            asking.cancel()
            self.outcomes[number].append("cancelled")

    def tell(self, name: str) -> None:
        side = self.alive[name]
        self.numbers += 1
        side.endpoint.tell(self.now, Address(self.other(side).node, STORAGE), Note(self.numbers))

    # --- laws

    def check_bounds(self) -> None:
        for side in self.alive.values():
            desk = side.endpoint._desk
            assert len(side.endpoint._peers) <= 1
            assert desk.answer_bytes >= 0
            assert desk.answer_bytes <= self.settings.answer_bytes_kept + self.settings.receive_budget
            for peer in side.endpoint._peers.values():
                assert len(peer.open) <= self.settings.asks_open
                assert len(peer._waiting) <= 2 * self.settings.asks_open
                assert len(peer.answers.replies) <= self.settings.answers_kept
                session = peer.current
                if session is not None:
                    assert session.outflow.spent <= session.outflow.limit
                    assert 0 <= session.inflow.held <= self.settings.receive_budget

    def check_outcomes(self) -> None:
        for number, outcomes in self.outcomes.items():
            times = self.executed[number]
            assert len(outcomes) <= 1, f"ask {number} ended twice: {outcomes}"
            if self.due[number] < self.now - 1:
                assert outcomes, f"ask {number} never ended"
            if number in self.repeatable:
                continue
            assert times <= 1, f"ask {number} was executed {times} times"
            if outcomes and isinstance(outcomes[0], Counted):
                assert times == 1
            if outcomes and isinstance(outcomes[0], Refused):
                assert times == 0
        for outcomes in self.outcomes.values():
            for outcome in outcomes:
                assert isinstance(outcome, (Counted, Refused, Unanswered)) or outcome in ("crashed", "cancelled")

    def check_nothing_left(self) -> None:
        for side in self.alive.values():
            desk = side.endpoint._desk
            assert desk.reserved == 0
            assert not desk.line
            assert not desk.endings
            assert len(desk.deadlines) == 0
            assert desk.budget.lent >= 0
            for peer in side.endpoint._peers.values():
                assert not peer.open
                assert not [reply for reply in peer.answers.replies.values() if reply.working]
                if peer.current is not None:
                    assert peer.current.inflow.held == 0
