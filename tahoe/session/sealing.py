"""A session: the keys, counters, replay windows and credit that two incarnations share after a handshake.

Each direction has a key of its own and each channel a counter of its own; the nonce is ``channel (4) |
counter (8)``, so that no (key, counter) ever seals two texts: counters only go up, and a session that has
used them up refuses to seal. What the packet was meant for (grid, sender, receiver, channel, version,
session) is bound in as associated data. A retransmission is sealed anew under a new counter.

:class:`SealedSession` is the real thing; :class:`PlainSession` is its twin in the simulator, which hands
objects over with the size the bytes would have had. Counters and replay windows are the same.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tahoe.errors import TahoeError
from tahoe.protocol import NodeId
from tahoe.session.credit import Inflow, Outflow
from tahoe.session.envelope import (
    BULK,
    CHANNELS,
    CONTROL,
    HEADER_BYTES,
    TAG_BYTES,
    Envelope,
    Packet,
    PlainPacket,
    Reader,
    Ruler,
    encode,
)

MOST_PACKETS: Final = 1 << 40
"""Packets per channel and direction of one session; then a new handshake is due."""

_WINDOW: Final = 1024
_WINDOW_MASK: Final = (1 << _WINDOW) - 1


class Dropped(TahoeError):
    """A packet that must not have any effect; its first argument is the kind to count it by."""


class ReplayWindow:
    """Which counters of one channel were seen; packets may overtake one another by up to 1,024."""

    __slots__ = ("_highest", "_seen")

    def __init__(self) -> None:
        self._highest = 0
        self._seen = 0  # bit n: counter highest - n was seen

    def refuse_replay(self, counter: int) -> None:
        """Raise ``Dropped`` for a counter that was seen, or is too old to tell."""
        behind = self._highest - counter
        if behind >= 0 and (behind >= _WINDOW or self._seen >> behind & 1):
            raise Dropped("replayed")

    def accept(self, counter: int) -> None:
        """Remember the counter of an authentic packet that ``refuse_replay`` let through."""
        ahead = counter - self._highest
        if ahead == 1:
            self._seen = (self._seen << 1 | 1) & _WINDOW_MASK
            self._highest = counter
        elif ahead > 1:
            self._seen = (self._seen << min(ahead, _WINDOW) | 1) & _WINDOW_MASK
            self._highest = counter
        else:
            self._seen |= 1 << -ahead


class SessionKeys(msgspec.Struct, frozen=True):
    """What a handshake leaves behind: a name for the session that both sides know, and two keys (empty if plain)."""

    session: int
    send: bytes = b""
    receive: bytes = b""

    def __repr__(self) -> str:
        return f"SessionKeys({self.session:016x})"


class Parties(msgspec.Struct, frozen=True):
    """Between whom, seen from one side."""

    grid_id: str
    local: NodeId
    remote: NodeId


class Session(Protocol):
    """One session, seen from one side."""

    id: int
    version: int
    outflow: Outflow
    inflow: Inflow
    confirmed: bool
    life: int

    def write(self, envelope: Envelope) -> tuple[Any, int]:
        """What ``seal`` wants for this envelope, and the size of the packet it will become."""

    def seal(self, channel: int, text: Any, size: int) -> Packet:
        """A packet under the channel's next counter.

        Raises:
            OverflowError: the counters of this session are used up.
        """

    def open(self, channel: int, packet: Any) -> Envelope:
        """The envelope in an authentic, new packet.

        Raises:
            Dropped: tampered, replayed, misdirected or malformed.
        """


class SealedSession:
    """A session whose packets are bytes, sealed with AES-256-GCM."""

    __slots__ = (
        "_bound_in",
        "_bound_out",
        "_header",
        "_open",
        "_own",
        "_read",
        "_seal",
        "_sent",
        "_windows",
        "confirmed",
        "id",
        "inflow",
        "life",
        "outflow",
        "version",
    )

    def __init__(self, keys: SessionKeys, parties: Parties, version: int, reader: Reader) -> None:
        self.id = keys.session
        self.version = version
        self.outflow = Outflow(0)
        self.inflow = Inflow(0)
        self.confirmed = False
        self.life = 0
        self._read = reader.read
        self._header = bytes((version,)) + keys.session.to_bytes(8)
        self._own = AESGCM(keys.send)
        self._seal = self._own.encrypt
        self._open = AESGCM(keys.receive).decrypt
        self._bound_out = _bind(parties.grid_id, parties.local, parties.remote, self._header)
        self._bound_in = _bind(parties.grid_id, parties.remote, parties.local, self._header)
        self._sent = [0, 0]
        self._windows = (ReplayWindow(), ReplayWindow())

    def write(self, envelope: Envelope) -> tuple[bytes, int]:
        """The envelope as bytes, and the size of the packet they will become."""
        text = encode(envelope)
        return text, len(text) + HEADER_BYTES + TAG_BYTES

    def seal(self, channel: int, text: bytes, size: int) -> bytes:
        """A packet of ``size`` bytes under the channel's next counter."""
        counter = _next_counter(self._sent, channel)
        nonce = (channel << 64 | counter).to_bytes(12)
        packet = b"".join((self._header, nonce[4:], self._seal(nonce, text, self._bound_out[channel])))
        assert len(packet) == size
        return packet

    def open(self, channel: int, packet: bytes) -> Envelope:
        """The envelope in an authentic, new packet.

        Raises:
            Dropped: tampered, replayed, misdirected or malformed.
        """
        if len(packet) < HEADER_BYTES + TAG_BYTES:
            raise Dropped("malformed")
        counter = int.from_bytes(packet[9:HEADER_BYTES])
        window = self._windows[channel]
        window.refuse_replay(counter)
        nonce = (channel << 64 | counter).to_bytes(12)
        sealed = memoryview(packet)[HEADER_BYTES:]
        try:
            text = self._open(nonce, sealed, self._bound_in[channel])
        except InvalidTag:
            raise Dropped("misdirected" if self._is_for_elsewhere(channel, counter, sealed) else "tampered") from None
        window.accept(counter)
        try:
            return self._read(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Dropped("malformed") from None

    def _is_for_elsewhere(self, channel: int, counter: int, sealed: memoryview) -> bool:
        """Whether a packet that does not open here is one of this session: of the other channel, or our own."""
        other = BULK if channel == CONTROL else CONTROL
        tries = (
            (self._open, other, self._bound_in),
            (self._own.decrypt, channel, self._bound_out),
            (self._own.decrypt, other, self._bound_out),
        )
        for decrypt, where, bound in tries:
            try:
                decrypt((where << 64 | counter).to_bytes(12), sealed, bound[where])
            except InvalidTag:
                continue
            return True
        return False


class PlainSession:
    """A session of the simulator: packets are objects, sizes and counters as if they were sealed."""

    __slots__ = (
        "_ruler",
        "_sent",
        "_windows",
        "confirmed",
        "id",
        "inflow",
        "life",
        "outflow",
        "version",
    )

    def __init__(self, keys: SessionKeys, version: int, ruler: Ruler) -> None:
        self.id = keys.session
        self.version = version
        self.outflow = Outflow(0)
        self.inflow = Inflow(0)
        self.confirmed = False
        self.life = 0
        self._ruler = ruler
        self._sent = [0, 0]
        self._windows = (ReplayWindow(), ReplayWindow())

    def write(self, envelope: Envelope) -> tuple[Envelope, int]:
        """The envelope, and the size of the packet it will become."""
        return envelope, self._ruler.measure(envelope) + HEADER_BYTES + TAG_BYTES

    def seal(self, channel: int, text: Envelope, size: int) -> PlainPacket:
        """A packet under the channel's next counter."""
        return PlainPacket(self.version, self.id, _next_counter(self._sent, channel), size, text)

    def open(self, channel: int, packet: PlainPacket) -> Envelope:
        """The envelope in a new packet.

        Raises:
            Dropped: replayed.
        """
        window, counter = self._windows[channel], packet.counter
        window.refuse_replay(counter)
        window.accept(counter)
        return packet.content  # type: ignore[no-any-return]  # a packet of an envelope's version holds an envelope


def _next_counter(sent: list[int], channel: int) -> int:
    counter = sent[channel] + 1
    if counter > MOST_PACKETS:
        raise OverflowError("this session has used up its counters")
    sent[channel] = counter
    return counter


def _bind(grid_id: str, sender: NodeId, receiver: NodeId, header: bytes) -> tuple[bytes, bytes]:
    """What a packet is bound to, per channel."""
    control, bulk = (encode((grid_id, sender, receiver, channel, header)) for channel in CHANNELS)
    return control, bulk
