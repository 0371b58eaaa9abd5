"""Meeting: how one peer and we come to a session, and to the next one.

At most four sessions per peer are known at any time, and only the first of them is sent on::

      attempt   our hello is out                    ── welcome ──────────────▶  current
      pending   we answered the peer's hello        ── first valid envelope ─▶  current
      current   what we talk on                     ── the next one ─────────▶  previous
      previous  only late packets still come on it

A pending session changes nothing, because the hello may have been a replay. Hellos carry the epoch of the
sender's incarnation and a number, and older ones than the newest seen are dropped; the newest one again gets
the same welcome again. When two hellos cross, that of the smaller node id stands: the smaller ignores the other's, the
larger answers and holds its own back for a while.

Losing track is mended from either side. Who gets a packet of an unknown session begins a handshake (or, with a
session at hand, says something on it); who hears nothing at all in spite of repetitions begins one, too.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from tahoe.errors import VersionMismatch
from tahoe.protocol import PROTOCOL_VERSIONS, NodeId
from tahoe.session.credit import Inflow, Outflow
from tahoe.session.desk import Desk
from tahoe.session.envelope import CONTROL, Packet
from tahoe.session.handshake import Hello, Opening, Welcome
from tahoe.session.sealing import Session

_IDLE_TRIES: Final = 4
"""Hellos sent before giving up when nothing waits for the session."""


class Party(Protocol):
    """What a meeting needs of the peer it is for."""

    node: NodeId
    level: int
    current: Session | None

    def adopt(self, now: float, session: Session) -> None:
        """Talk on this session from now on."""

    def sample(self, seconds: float) -> None:
        """A round trip took so long."""

    def wants_session(self) -> bool:
        """Whether anything waits for a session."""

    def no_session(self, reason: str) -> None:
        """There won't be one, for this reason."""

    def gave_up(self) -> None:
        """Nothing that waits will be sent."""


class Attempt:
    """A handshake that we began; without an opening as long as the peer's key is unknown."""

    __slots__ = ("began", "held_back", "meeting", "opening", "tries")

    def __init__(self, meeting: Meeting) -> None:
        self.meeting = meeting
        self.opening: Opening | None = None
        self.tries = 0
        self.began = 0.0
        self.held_back = False

    def again(self, now: float) -> None:
        """No welcome came in a while."""
        self.meeting.repeat(now, self)


class Offer:
    """A session that we offered in answer to a hello."""

    __slots__ = ("again", "made", "packet", "session", "size")

    def __init__(self, made: float, packet: Packet, size: int, session: Session | None) -> None:
        self.made = made
        self.packet = packet
        self.size = size
        self.session = session
        self.again = False


class Meeting:
    """The handshakes with one peer."""

    __slots__ = ("_desk", "_newest_hello", "_party", "attempt", "life", "pending")

    def __init__(self, desk: Desk, party: Party) -> None:
        self._desk = desk
        self._party = party
        self._newest_hello = (-1, -1)
        self.life = desk.rng.getrandbits(64)
        self.attempt: Attempt | None = None
        self.pending: Offer | None = None

    # --- we begin -----------------------------------------------------------------------------------------

    def begin(self, now: float) -> None:
        """Try to come to a new session, unless we are already trying."""
        if self.attempt is None:
            self.attempt = Attempt(self)
            self._send_hello(now, self.attempt)

    def repeat(self, now: float, attempt: Attempt) -> None:
        """Say hello again, unless nobody needs it any more."""
        if attempt is not self.attempt:
            return
        if attempt.tries >= _IDLE_TRIES and not self._party.wants_session():
            self.attempt = None
            self._party.gave_up()
            return
        attempt.held_back = False
        self._send_hello(now, attempt)

    def _send_hello(self, now: float, attempt: Attempt) -> None:
        if attempt.opening is None:
            attempt.opening = self._open(now, attempt)
        if attempt.opening is not None:
            self._desk.transmit(self._party.node, CONTROL, attempt.opening.packet, attempt.opening.size)
        self._desk.repetitions.add(now, self._desk.ladder.wait(self._desk.ladder.first, attempt.tries), attempt)
        attempt.tries += 1

    def _open(self, now: float, attempt: Attempt) -> Opening | None:
        key = self._desk.exchange_key(self._party.node)
        if key is None:
            return None
        attempt.began = now
        attempt.tries = 0
        self._desk.hellos += 1
        hello = Hello(
            PROTOCOL_VERSIONS, self.life, self._desk.hellos, self._desk.settings.first_window, self._desk.announcement
        )
        return self._desk.handshakes.begin(self._party.node, key, hello)

    def on_welcome(self, now: float, label: int, packet: Any) -> None:
        """The answer to our hello: a session, to be talked on at once.

        Raises:
            Dropped: it is no authentic answer.
        """
        attempt = self.attempt
        if attempt is None or attempt.opening is None or attempt.opening.label != label or attempt.held_back:
            self._desk.counters["late-welcome"] += 1
            return
        welcome, session = self._desk.handshakes.read_welcome(attempt.opening, packet)
        self.attempt = None
        if not _speaks(welcome.version):
            self._party.no_session(_mismatch(self._party.node, welcome.versions))
            return
        if attempt.tries == 1:
            self._party.sample(now - attempt.began)
        self._party.adopt(now, self._furnish(session, welcome.life, welcome.window))

    # --- the peer begins ---------------------------------------------------------------------------------------

    def on_hello(self, now: float, packet: Any) -> None:
        """A first packet: answer it, and wait for an envelope under the new keys.

        Raises:
            Dropped: it is not authentic, or old.
        """
        desk, node = self._desk, self._party.node
        knock = desk.handshakes.read_hello(node, packet)
        age = (knock.announcement.epoch, knock.hello.number)
        if age < self._newest_hello or (age == self._newest_hello and self.pending is None):
            desk.counters["replayed"] += 1
            return
        if age == self._newest_hello and self.pending is not None:
            self.pending.again = True
            desk.transmit(node, CONTROL, self.pending.packet, self.pending.size)
            return
        if self.attempt is not None and self.attempt.opening is not None:
            if desk.node < node:
                desk.counters["crossed"] += 1
                return
            self.attempt.held_back = True
        self._newest_hello = age
        desk.introduced(knock.hello.announcement)
        version = _common(knock.hello.versions)
        welcome = Welcome(version, PROTOCOL_VERSIONS, self.life, desk.settings.first_window)
        answer, size, session = knock.welcome(welcome)
        offered = self._furnish(session, knock.hello.life, knock.hello.window) if version else None
        self.pending = Offer(now, answer, size, offered)
        if not version:
            self._party.no_session(_mismatch(node, knock.hello.versions))
        desk.transmit(node, CONTROL, answer, size)

    def offered(self, session_id: int) -> Session | None:
        """The pending session, if it has this name."""
        offer = self.pending
        if offer is None or offer.session is None or offer.session.id != session_id:
            return None
        return offer.session

    def confirmed(self, now: float) -> None:
        """An envelope under the pending session's keys came: it is the one to talk on."""
        offer = self.pending
        assert offer is not None
        assert offer.session is not None
        self.pending = None
        self.attempt = None
        if not offer.again:
            self._party.sample(now - offer.made)
        self._party.adopt(now, offer.session)

    def forget(self) -> None:
        """The peer is gone."""
        self.attempt = None
        self.pending = None

    # --- both ---------------------------------------------------------------------------------------------------

    def _furnish(self, session: Session, life: int, window: int) -> Session:
        session.life = life
        session.outflow = Outflow(window)
        session.inflow = Inflow(self._desk.settings.first_window)
        return session


def _common(versions: tuple[int, int]) -> int:
    """The highest version that both sides speak, 0 if there is none."""
    highest = min(versions[1], PROTOCOL_VERSIONS[1])
    return highest if highest >= max(versions[0], PROTOCOL_VERSIONS[0]) else 0


def _speaks(version: int) -> bool:
    return PROTOCOL_VERSIONS[0] <= version <= PROTOCOL_VERSIONS[1]


def _mismatch(node: NodeId, versions: tuple[int, int]) -> str:
    """Who is to be upgraded."""
    who = "this node" if versions[0] > PROTOCOL_VERSIONS[1] else node
    low, high = PROTOCOL_VERSIONS
    return str(
        VersionMismatch(
            f"upgrade {who}: {node} speaks protocol versions {versions[0]} to {versions[1]}, this node {low} to {high}"
        )
    )
