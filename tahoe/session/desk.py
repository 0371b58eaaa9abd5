"""What all conversations of one node share: memory, time-outs, rates, counters, and the way out.

One desk, many peers. Two things are bounded here for the whole node: the room for answers that are
expected (asks beyond it wait in line), and the bytes of answers that are kept for repetition.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from random import Random
from typing import Protocol

from tahoe.protocol import NodeId
from tahoe.session.asking import Asking, Outcome
from tahoe.session.credit import Budget
from tahoe.session.envelope import CHANNELS, CONTROL, Packet
from tahoe.session.handshake import Handshakes
from tahoe.session.host import Host
from tahoe.session.pace import Bucket
from tahoe.session.settings import Settings
from tahoe.session.waits import Alarm, Ladder, Waits


class Repeated(Protocol):
    """Something that is done again until it succeeds."""

    def again(self, now: float) -> None:
        """Its wait is over."""


class Limited(Protocol):
    """Something with a deadline."""

    def over(self, now: float) -> None:
        """Its time is over."""


class Thirsty(Protocol):
    """A peer that gets no more credit for the time being."""

    def offer_credit(self) -> None:
        """Grant more if that is worth a packet."""


class Desk:
    """What the peers of one node share."""

    __slots__ = (
        "_answers_room",
        "_download",
        "_host",
        "_outbox",
        "_upload",
        "alarm",
        "announcement",
        "answer_bytes",
        "budget",
        "counters",
        "deadlines",
        "deliver",
        "endings",
        "exchange_key",
        "half_open",
        "handshakes",
        "hellos",
        "introduced",
        "ladder",
        "limits_download",
        "line",
        "node",
        "now",
        "repetitions",
        "reserved",
        "rng",
        "settings",
        "sweep",
        "thirsty",
        "transmit",
        "unsent",
    )

    def __init__(self, node: NodeId, host: Host, settings: Settings, handshakes: Handshakes, rng: Random) -> None:
        self.node = node
        self.settings = settings
        self.handshakes = handshakes
        self.rng = rng
        self.announcement = b""
        self.counters: Counter[str] = Counter()
        self.now = 0.0
        self.alarm = Alarm(host.wake_at)
        self.deadlines: Waits[Limited] = Waits(self.alarm, _over)
        self.repetitions: Waits[Repeated] = Waits(self.alarm, _again)
        self.ladder = Ladder(
            settings.shortest_retransmission, settings.first_retransmission, settings.longest_retransmission
        )
        self.budget = Budget(settings.receive_budget, settings.first_window, settings.message_bytes)
        self.endings: deque[tuple[Asking, Outcome]] = deque()
        self.line: dict[Asking, None] = {}
        self.half_open: dict[NodeId, None] = {}
        self.reserved = 0
        self.answer_bytes = 0
        self.hellos = 0
        self.thirsty: dict[Thirsty, None] = {}
        self.sweep: Callable[[float], None] = _sweep_nothing
        self._host = host
        self._answers_room = settings.receive_budget
        self._upload = Bucket(settings.upload_rate) if settings.upload_rate else None
        self._download = Bucket(settings.download_rate) if settings.download_rate else None
        self.limits_download = self._download is not None
        self._outbox: tuple[deque[tuple[NodeId, Packet, int]], ...] = (deque(), deque())
        self.deliver = host.deliver
        self.introduced = host.introduced
        self.exchange_key = host.exchange_key
        self.transmit: Callable[[NodeId, int, Packet, int], None] = (
            self._transmit if self._upload is None else self._pace
        )
        self.unsent: Callable[[NodeId], int] = getattr(host, "unsent", _nothing_waits)

    # --- the way out ---------------------------------------------------------------------------------

    def _transmit(self, to: NodeId, channel: int, packet: Packet, size: int) -> None:
        self._host.transmit(to, CHANNELS[channel], packet, size)

    def _pace(self, to: NodeId, channel: int, packet: Packet, size: int) -> None:
        """Send at the upload rate, small packets before large ones."""
        self._outbox[channel].append((to, packet, size))
        self._drain_outbox(self.now)

    def _drain_outbox(self, now: float) -> None:
        assert self._upload is not None
        control, bulk = self._outbox
        while control or bulk:
            delay = self._upload.delay(now)
            if delay > 0:
                self.alarm.set(now + delay)
                return
            channel = CONTROL if control else 1 - CONTROL
            to, packet, size = self._outbox[channel].popleft()
            self._upload.take(now, size)
            self._transmit(to, channel, packet, size)

    def waits_unsent(self, node: NodeId) -> bool:
        """Whether bytes of ours for this node still wait in this process."""
        return any(self._outbox) or self.unsent(node) > 0

    # --- the way in ----------------------------------------------------------------------------------

    def arrived(self, now: float, size: int) -> None:
        """Count a packet against the download rate."""
        if self._download is not None:
            self._download.take(now, size)

    def may_grant(self, owed: int = 0) -> bool:
        """Whether the download rate allows more than ``owed`` bytes to come; if not, the alarm is set for when it does."""
        if self._download is None:
            return True
        delay = self._download.delay(self.now, owed)
        if delay > 0:
            self.alarm.set(self.now + delay)
        return delay <= 0

    def reserve(self, asking: Asking, room: int) -> bool:
        """Keep room for an answer; without it the ask stands in line, and ``admit`` is called in its turn."""
        if self.line or not self._has_room(room):
            self.line[asking] = None
            return False
        self.reserved += room
        asking.room = room
        return True

    def release(self, asking: Asking) -> None:
        """The answer has come, or won't."""
        self.reserved -= asking.room
        asking.room = 0
        if self.line:
            self.line.pop(asking, None)
            self.alarm.set(self.now)

    def _has_room(self, room: int) -> bool:
        fits = self.reserved + room <= self._answers_room or not self.reserved
        return fits and (not self.limits_download or self.may_grant(self.reserved))

    def _refresh(self) -> None:
        """Grant what the download rate held back."""
        if self.thirsty and self.may_grant():
            thirsty, self.thirsty = self.thirsty, {}
            for peer in thirsty:
                peer.offer_credit()

    def _admit_line(self, now: float) -> None:
        while self.line:
            asking = next(iter(self.line))
            assert asking.request is not None
            room = asking.request.answer_room()
            if not self._has_room(room):
                return
            del self.line[asking]
            self.reserved += room
            asking.room = room
            asking.peer.admit(now, asking)

    # --- time ------------------------------------------------------------------------------------------

    def end_later(self, asking: Asking, outcome: Outcome) -> None:
        """End an ask, but not in the middle of what is going on."""
        self.endings.append((asking, outcome))
        self.alarm.set(self.now)

    def run_endings(self) -> None:
        """End what was to be ended later."""
        while self.endings:
            asking, outcome = self.endings.popleft()
            asking.peer.close(asking, outcome)

    def poll(self, now: float) -> None:
        """Do everything that is due."""
        self.now = now
        self.alarm.rang(now)
        try:
            self.run_endings()
            self.deadlines.run(now)
            self.repetitions.run(now)
            if self._upload is not None:
                self._drain_outbox(now)
            self._admit_line(now)
            self._refresh()
            self.run_endings()
        finally:
            self._arm(now)

    def _arm(self, now: float) -> None:
        self.deadlines.arm()
        self.repetitions.arm()
        if self.endings:
            self.alarm.set(now)


def _sweep_nothing(now: float) -> None:
    """Before there are any peers."""


def _again(thing: Repeated, now: float) -> None:
    thing.again(now)


def _over(thing: Limited, now: float) -> None:
    thing.over(now)


def _nothing_waits(node: NodeId) -> int:  # noqa: ARG001 - stands in for a host's method
    return 0
