"""The endpoint: one node's side of all its conversations, as a machine without I/O.

A runtime feeds it asks, packets and the time, and carries out what it wants of its ``Host``::

      actors ── ask, tell ──▶ ┌──────────┐ ── transmit ──▶ network
             ◀── answered ─── │ Endpoint │ ◀── receive ─── network
      actors ◀── deliver ──── │          │ ── wake_at ───▶ timer
             ── reply ──────▶ └──────────┘ ◀── poll ────── timer

Simulator and grid run this same code. It is deterministic: randomness comes from ``rng``, time as arguments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from tahoe.protocol import PROTOCOL_VERSIONS, Address, Message, NodeId, Request
from tahoe.session.asking import Asking, Outcome
from tahoe.session.desk import Desk
from tahoe.session.envelope import CHANNELS, Packet, PlainPacket
from tahoe.session.handshake import HELLO, WELCOME, Handshakes, PlainHandshakes, SealedHandshakes
from tahoe.session.host import Host
from tahoe.session.identity import Identity
from tahoe.session.peer import Peer
from tahoe.session.sealing import Dropped
from tahoe.session.settings import GridAccess, Settings

_CHANNEL_NUMBERS = {name: number for number, name in enumerate(CHANNELS)}
_SWEEP_SECONDS = 1.0


class Endpoint:
    """All conversations of one node.

    Attributes:
        announcement: own signed announcement, to be set by the runtime before first use and whenever it changes.
        counters: packets that had no effect, by kind: ``tampered``, ``replayed``, ``misdirected``, ``stranger``,
            ``bad-handshake``, ``unknown-version``, ``no-session``, ``malformed``, ``over-credit``, ``expired``,
            ``stale``, ``duplicate``, ``late-answer``, ``late-welcome``, ``crossed``, ``overloaded``,
            ``unknown-message``, ``tell-dropped``, ``tell-too-large``.
    """

    def __init__(self, identity: Identity, access: GridAccess, host: Host, settings: Settings, rng: Random) -> None:
        handshakes: Any = (SealedHandshakes if settings.sealed else PlainHandshakes)(identity, access, rng)
        self._desk = Desk(identity.node, host, settings, handshakes, rng)
        self._desk.sweep = self._sweep
        self._handshakes: Handshakes = handshakes
        self._label = self._handshakes.label
        self._peers: dict[NodeId, Peer] = {}
        self._swept_at = -_SWEEP_SECONDS

    @property
    def announcement(self) -> bytes:
        """Own signed announcement."""
        return self._desk.announcement

    @announcement.setter
    def announcement(self, signed: bytes) -> None:
        self._desk.announcement = signed

    @property
    def counters(self) -> Counter[str]:
        """What was dropped, by kind."""
        return self._desk.counters

    def ask(
        self, now: float, to: Address, request: Request[Any], timeout: float, done: Callable[[Outcome], None]
    ) -> Asking:
        """Ask another node.

        Args:
            now: monotonic seconds.
            to: node and role; not this node.
            request: what is asked.
            timeout: seconds until the ask ends with ``Unanswered``.
            done: called exactly once with the answer, ``Refused`` or ``Unanswered``, unless the ask is
                cancelled; never before this method has returned.

        Returns:
            The open ask, which can be cancelled.
        """
        self._desk.now = now
        node = to.node
        peer = self._peers.get(node)
        if peer is None:
            peer = self._meet(node)
        return peer.ask(now, to.role, request, timeout, done)

    def tell(self, now: float, to: Address, message: Message) -> None:
        """Send a message that wants no answer: best effort, and executed at most once."""
        self._desk.now = now
        peer = self._peers.get(to.node) or self._meet(to.node)
        peer.tell(now, to.role, message)

    def receive(self, now: float, sender: NodeId, channel: str, packet: Packet) -> None:
        """Take a packet that the network says is from ``sender``. Whatever is wrong with it is counted, nothing is raised."""
        desk = self._desk
        desk.now = now
        try:
            number = _CHANNEL_NUMBERS[channel]
            size = packet.size if type(packet) is PlainPacket else len(packet)  # type: ignore[arg-type]  # bytes then
            if desk.limits_download:
                desk.arrived(now, size)
            first, label = self._label(packet)
            peer = self._peers.get(sender)
            if first > PROTOCOL_VERSIONS[1] or first < PROTOCOL_VERSIONS[0]:
                self._shake_hands(now, sender, first, label, packet)
            elif peer is None:
                self._stray(now, sender)
            else:
                peer.receive(now, number, label, packet, size)
        except Dropped as drop:
            desk.counters[drop.args[0]] += 1
        if desk.endings:
            desk.run_endings()

    def poll(self, now: float) -> None:
        """Do everything that is due."""
        self._desk.poll(now)

    def forget(self, now: float, node: NodeId) -> None:
        """The network says that a node is gone: its open asks end ``Unanswered``, and its session is void."""
        self._desk.now = now
        peer = self._peers.pop(node, None)
        self._desk.half_open.pop(node, None)
        if peer is not None:
            peer.forget("it went offline")
            self._desk.run_endings()

    def mislaid(self, node: NodeId | None = None) -> None:
        """What was on its way to a node, or to all, may be lost: large answers are given again as soon as they are asked for."""
        peers = self._peers.values() if node is None else filter(None, [self._peers.get(node)])
        for peer in peers:
            peer.answers.mislaid()

    def round_trip(self, node: NodeId) -> float | None:
        """Smoothed seconds between an ask and its answer, None if nothing is known."""
        peer = self._peers.get(node)
        return peer.round_trip if peer is not None else None

    def heard(self, node: NodeId) -> float | None:
        """When a node was last heard, on the clock of ``now``; None if it was not, or is forgotten since."""
        peer = self._peers.get(node)
        return peer.heard if peer is not None else None

    def _shake_hands(self, now: float, sender: NodeId, first: int, label: int, packet: Any) -> None:
        peer = self._peers.get(sender)
        if first == HELLO:
            self._on_hello(now, sender, packet)
        elif first == WELCOME and peer is not None:
            peer.meeting.on_welcome(now, label, packet)
        elif first == WELCOME:
            raise Dropped("late-welcome")
        else:
            if peer is not None:
                peer.spoke_strangely(first)
            raise Dropped("unknown-version")

    def _on_hello(self, now: float, sender: NodeId, packet: Any) -> None:
        """Answer a hello; whoever can't make an authentic one leaves nothing behind."""
        peer = self._peers.get(sender) or Peer(self._desk, sender)
        peer.meeting.on_hello(now, packet)
        if sender not in self._peers:
            self._peers[sender] = peer
            self._keep_half_open(sender)

    def _keep_half_open(self, node: NodeId) -> None:
        half_open = self._desk.half_open
        half_open[node] = None
        if len(half_open) > self._desk.settings.half_open:
            oldest = next(iter(half_open))
            del half_open[oldest]
            if not self._peers[oldest].wants_session():
                self._peers.pop(oldest).forget("it never confirmed its handshake")

    def _stray(self, now: float, sender: NodeId) -> None:
        """A node that we don't talk to believes that we do: tell it, if we know who it is."""
        if self._desk.exchange_key(sender) is not None:
            self._meet(sender).stray(now)
        raise Dropped("no-session")

    def _meet(self, node: NodeId) -> Peer:
        assert node != self._desk.node, "a runtime delivers a node's messages to itself"
        peer = self._peers[node] = Peer(self._desk, node)
        return peer

    def _sweep(self, now: float) -> None:
        """Forget all kept answers that nobody can ask for any more; not too often."""
        if now - self._swept_at >= _SWEEP_SECONDS:
            self._swept_at = now
            for peer in self._peers.values():
                peer.answers.forget_expired(now)
