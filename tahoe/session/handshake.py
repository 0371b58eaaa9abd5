"""The handshake: how two incarnations that share a grid's join secret come by a session.

It has the shape of Noise ``IKpsk0+psk2`` over X25519, AES-256-GCM and SHA-256. The initiator knows the
responder's exchange key beforehand::

      initiator                                              responder
                                   <- s                      (known from announcement or grid card)
      hello    psk, e, [gate], es, s, ss, [Hello]   ------>
               <------   e, ee, se, psk, [Welcome]           welcome

Brackets are encrypted and bind everything before them. The *gate* is empty: it opens for whoever knows the join
secret, before the responder does any costly arithmetic or keeps anything, so that strangers cost it a few hashes.
The prologue binds grid, initiator and responder. The Hello carries the initiator's signed announcement, whose
exchange key must be the static key that the handshake proves. Both sides get fresh directional keys.

A first message can be replayed. So a welcome is only an offer: nothing changes until an envelope arrives that was
sealed with the new keys, which the replayer can't make.

Both payloads grow by appended fields. ``life`` is a random number for what one node remembers of a peer: tickets,
kept answers. A peer that comes back with another life remembers nothing, so open asks to it are lost; one that
comes back with the same life has just changed keys.
"""

from __future__ import annotations

import hashlib
import hmac
from copy import copy
from random import Random
from typing import Any, Final, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tahoe.errors import BadMessage
from tahoe.protocol import Announcement, NodeId
from tahoe.session.envelope import TAG_BYTES, Packet, PlainPacket, Reader, Ruler, encode
from tahoe.session.identity import KEY_BYTES, Identity
from tahoe.session.sealing import Dropped, Parties, PlainSession, SealedSession, Session, SessionKeys
from tahoe.session.settings import GridAccess
from tahoe.session.statement import open_announcement

HELLO: Final = 0xF1
WELCOME: Final = 0xF2
"""First bytes of handshake packets, where envelopes have their version."""

_PROTOCOL: Final = b"Noise_IKpsk0+psk2_25519_AESGCM_SHA256 tahoe 1"
_LABEL_BYTES: Final = 8
_HELLO_OVERHEAD: Final = 1 + KEY_BYTES + TAG_BYTES + KEY_BYTES + TAG_BYTES + TAG_BYTES
_WELCOME_OVERHEAD: Final = 1 + _LABEL_BYTES + KEY_BYTES + TAG_BYTES


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """What the initiator says of itself.

    ``number`` counts the handshakes it began in this incarnation; ``window`` is how many bytes the other
    side may send before any grant.
    """

    versions: tuple[int, int]
    life: int
    number: int
    window: int
    announcement: bytes


class Welcome(msgspec.Struct, frozen=True, array_like=True):
    """What the responder answers. ``version`` 0: there is none that both speak."""

    version: int
    versions: tuple[int, int]
    life: int
    window: int


class Opening(Protocol):
    """A handshake that we began: the first packet, to be repeated until a welcome comes."""

    packet: Packet
    size: int
    label: int


class Knock(Protocol):
    """An authentic hello, to be answered or not."""

    hello: Hello
    announcement: Announcement

    def welcome(self, welcome: Welcome) -> tuple[Packet, int, Session]:
        """The answering packet, its size, and the session it offers."""


class Handshakes(Protocol):
    """How sessions come about: sealed ones, or the simulator's."""

    def begin(self, to: NodeId, exchange_key: bytes, hello: Hello) -> Opening:
        """Begin a handshake with a node of which we know the X25519 key."""

    def read_hello(self, sender: NodeId, packet: Any) -> Knock:
        """Take a first packet.

        Raises:
            Dropped: nobody who may talk to us said this.
        """

    def read_welcome(self, opening: Any, packet: Any) -> tuple[Welcome, Session]:
        """Take the answer to our first packet.

        Raises:
            Dropped: it is not the answer.
        """

    def label(self, packet: Any) -> tuple[int, int]:
        """First byte of a packet (its version, ``HELLO`` or ``WELCOME``) and the session or handshake it belongs to.

        Raises:
            Dropped: it is no packet at all.
        """


# --- sealed ------------------------------------------------------------------------------------------------


class _Transcript:
    """Noise's symmetric state: all that was said (a hash), and the keys that follow from it."""

    __slots__ = ("_chain", "_cipher", "_nonce", "hash")

    def __init__(self, prologue: bytes) -> None:
        self._chain = hashlib.sha256(_PROTOCOL).digest()
        self.hash = self._chain
        self._cipher: AESGCM | None = None
        self._nonce = 0
        self.mix_hash(prologue)

    def copy(self) -> _Transcript:
        """One to go on with, while this one can be tried again."""
        return copy(self)

    def mix_hash(self, data: bytes) -> None:
        self.hash = hashlib.sha256(self.hash + data).digest()

    def mix_key(self, secret: bytes) -> None:
        self._chain, key = _expand(self._chain, secret, 2)
        self._cipher, self._nonce = AESGCM(key), 0

    def mix_shared_key(self, secret: bytes) -> None:
        self._chain, hashed, key = _expand(self._chain, secret, 3)
        self.mix_hash(hashed)
        self._cipher, self._nonce = AESGCM(key), 0

    def encrypt(self, text: bytes) -> bytes:
        assert self._cipher is not None
        sealed = self._cipher.encrypt(self._next_nonce(), text, self.hash)
        self.mix_hash(sealed)
        return sealed

    def decrypt(self, sealed: bytes, kind: str) -> bytes:
        assert self._cipher is not None
        try:
            text = self._cipher.decrypt(self._next_nonce(), sealed, self.hash)
        except InvalidTag:
            raise Dropped(kind) from None
        self.mix_hash(sealed)
        return text

    def split(self) -> tuple[int, bytes, bytes]:
        """The session's name, the initiator's sending key, the responder's sending key."""
        initiator, responder = _expand(self._chain, b"", 2)
        return int.from_bytes(self.hash[:8]), initiator, responder

    def _next_nonce(self) -> bytes:
        nonce = self._nonce.to_bytes(12)
        self._nonce += 1
        return nonce


class SealedOpening:
    """A handshake that we began, with its secrets."""

    __slots__ = ("ephemeral", "label", "packet", "size", "to", "transcript")

    def __init__(self, to: NodeId, ephemeral: X25519PrivateKey, transcript: _Transcript, packet: bytes) -> None:
        self.to = to
        self.ephemeral = ephemeral
        self.transcript = transcript
        self.packet = packet
        self.size = len(packet)
        self.label = int.from_bytes(packet[1 : 1 + _LABEL_BYTES])


class SealedKnock:
    """An authentic hello, with what it takes to answer it."""

    __slots__ = ("_handshakes", "_initiator", "_transcript", "announcement", "hello")

    def __init__(
        self,
        handshakes: SealedHandshakes,
        initiator: tuple[bytes, bytes],
        transcript: _Transcript,
        hello: Hello,
        announcement: Announcement,
    ) -> None:
        self._handshakes = handshakes
        self._initiator = initiator
        self._transcript = transcript
        self.hello = hello
        self.announcement = announcement

    def welcome(self, welcome: Welcome) -> tuple[bytes, int, SealedSession]:
        """The answering packet, its size, and the session it offers."""
        ephemeral_public, static_public = self._initiator
        transcript = self._transcript
        ephemeral = self._handshakes.draw()
        own_public = ephemeral.public_key().public_bytes_raw()
        transcript.mix_hash(own_public)
        transcript.mix_key(own_public)
        transcript.mix_key(_agree(ephemeral, ephemeral_public))
        transcript.mix_key(_agree(ephemeral, static_public))
        transcript.mix_shared_key(self._handshakes.access.join_secret)
        sealed = transcript.encrypt(encode(welcome))
        packet = bytes((WELCOME,)) + ephemeral_public[:_LABEL_BYTES] + own_public + sealed
        name, theirs, ours = transcript.split()
        keys = SessionKeys(name, ours, theirs)
        return packet, len(packet), self._handshakes.session(self.announcement.node, keys, welcome.version)


class SealedHandshakes:
    """Handshakes whose packets are bytes.

    Ephemeral keys come from ``rng``, so that a simulated run can be repeated; on the grid that is the system's.
    """

    def __init__(self, identity: Identity, access: GridAccess, rng: Random) -> None:
        self.access = access
        self._identity = identity
        self._rng = rng
        self._reader = Reader()
        self._read_hello = msgspec.msgpack.Decoder(Hello).decode
        self._read_welcome = msgspec.msgpack.Decoder(Welcome).decode

    def begin(self, to: NodeId, exchange_key: bytes, hello: Hello) -> SealedOpening:
        """Begin a handshake with a node of which we know the X25519 key."""
        ephemeral = self.draw()
        public = ephemeral.public_key().public_bytes_raw()
        transcript = self._transcript(self._identity.node, to, exchange_key)
        transcript.mix_hash(public)
        transcript.mix_key(public)
        gate = transcript.encrypt(b"")
        transcript.mix_key(_agree(ephemeral, exchange_key))
        static = transcript.encrypt(self._identity.exchange_public)
        transcript.mix_key(self._identity.agree(exchange_key))
        sealed = transcript.encrypt(encode(hello))
        packet = b"".join((bytes((HELLO,)), public, gate, static, sealed))
        return SealedOpening(to, ephemeral, transcript, packet)

    def read_hello(self, sender: NodeId, packet: bytes) -> SealedKnock:
        """Take a first packet.

        Raises:
            Dropped: nobody who may talk to us said this.
        """
        if len(packet) < _HELLO_OVERHEAD:
            raise Dropped("malformed")
        public, gate, static, sealed = packet[1:33], packet[33:49], packet[49:97], packet[97:]
        transcript = self._transcript(sender, self._identity.node, self._identity.exchange_public)
        transcript.mix_hash(public)
        transcript.mix_key(public)
        transcript.decrypt(gate, "stranger")
        transcript.mix_key(self._agree(public))
        static_public = transcript.decrypt(static, "bad-handshake")
        transcript.mix_key(self._agree(static_public))
        hello = self._parse(self._read_hello, transcript.decrypt(sealed, "bad-handshake"))
        announcement = check_introduction(sender, hello)
        if announcement.exchange_key != static_public:
            raise Dropped("bad-handshake")
        return SealedKnock(self, (public, static_public), transcript, hello, announcement)

    def read_welcome(self, opening: SealedOpening, packet: bytes) -> tuple[Welcome, SealedSession]:
        """Take the answer to our first packet.

        Raises:
            Dropped: it is not the answer.
        """
        if len(packet) < _WELCOME_OVERHEAD:
            raise Dropped("malformed")
        public, sealed = packet[9:41], packet[41:]
        transcript = opening.transcript.copy()
        transcript.mix_hash(public)
        transcript.mix_key(public)
        transcript.mix_key(_agree(opening.ephemeral, public))
        transcript.mix_key(self._agree(public))
        transcript.mix_shared_key(self.access.join_secret)
        welcome = self._parse(self._read_welcome, transcript.decrypt(sealed, "bad-handshake"))
        name, ours, theirs = transcript.split()
        return welcome, self.session(opening.to, SessionKeys(name, ours, theirs), welcome.version)

    def label(self, packet: bytes) -> tuple[int, int]:
        """First byte of a packet and the session or handshake it belongs to.

        Raises:
            Dropped: it is no packet at all.
        """
        if len(packet) <= _LABEL_BYTES:
            raise Dropped("malformed")
        return packet[0], int.from_bytes(packet[1:9])

    def draw(self) -> X25519PrivateKey:
        """A fresh ephemeral key."""
        return X25519PrivateKey.from_private_bytes(self._rng.randbytes(KEY_BYTES))

    def session(self, remote: NodeId, keys: SessionKeys, version: int) -> SealedSession:
        """A session with a node."""
        return SealedSession(keys, Parties(self.access.grid_id, self._identity.node, remote), version, self._reader)

    def _transcript(self, initiator: NodeId, responder: NodeId, responder_key: bytes) -> _Transcript:
        transcript = _Transcript(encode((self.access.grid_id, initiator, responder)))
        transcript.mix_hash(responder_key)
        transcript.mix_shared_key(self.access.join_secret)
        return transcript

    def _agree(self, public: bytes) -> bytes:
        try:
            return self._identity.agree(public)
        except ValueError:
            raise Dropped("bad-handshake") from None

    def _parse(self, decode: Any, text: bytes) -> Any:
        try:
            return decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Dropped("malformed") from None


def check_introduction(sender: NodeId, hello: Hello) -> Announcement:
    """The announcement in a hello, if it is the sender's own.

    Raises:
        Dropped: it is not signed, or of another node.
    """
    try:
        announcement = open_announcement(hello.announcement)
    except BadMessage:
        raise Dropped("bad-handshake") from None
    if announcement.node != sender:
        raise Dropped("misdirected")
    return announcement


def _agree(ephemeral: X25519PrivateKey, public: bytes) -> bytes:
    try:
        return ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise Dropped("bad-handshake") from None


def _expand(chain: bytes, secret: bytes, count: int) -> list[bytes]:
    """Noise's HKDF: ``count`` keys of 32 bytes from a chaining key and a secret."""
    extracted = hmac.digest(chain, secret, "sha256")
    keys: list[bytes] = []
    for number in range(1, count + 1):
        keys.append(hmac.digest(extracted, (keys[-1] if keys else b"") + bytes((number,)), "sha256"))
    return keys


# --- plain ---------------------------------------------------------------------------------------------------


class _PlainHello(msgspec.Struct, frozen=True):
    access: GridAccess
    to: NodeId
    hello: Hello


class PlainOpening:
    """A handshake that we began, in the simulator."""

    __slots__ = ("label", "packet", "size")

    def __init__(self, packet: PlainPacket) -> None:
        self.packet = packet
        self.size = packet.size
        self.label = packet.session


class PlainKnock:
    """A hello in the simulator."""

    __slots__ = ("_handshakes", "_label", "announcement", "hello")

    def __init__(self, handshakes: PlainHandshakes, label: int, hello: Hello, announcement: Announcement) -> None:
        self._handshakes = handshakes
        self._label = label
        self.hello = hello
        self.announcement = announcement

    def welcome(self, welcome: Welcome) -> tuple[PlainPacket, int, PlainSession]:
        """The answering packet, its size, and the session it offers."""
        keys = SessionKeys(self._handshakes.draw())
        size = len(encode(welcome)) + _WELCOME_OVERHEAD
        packet = PlainPacket(WELCOME, self._label, 0, size, (keys, welcome))
        return packet, size, self._handshakes.session(keys, welcome.version)


class PlainHandshakes:
    """The simulator's handshakes: the same round trip and the same sizes, no cryptography."""

    def __init__(self, identity: Identity, access: GridAccess, rng: Random) -> None:
        self._node = identity.node
        self._access = access
        self._rng = rng
        self._ruler = Ruler()

    def begin(self, to: NodeId, exchange_key: bytes, hello: Hello) -> PlainOpening:
        """Begin a handshake."""
        size = len(encode(hello)) + _HELLO_OVERHEAD
        return PlainOpening(PlainPacket(HELLO, self.draw(), 0, size, _PlainHello(self._access, to, hello)))

    def read_hello(self, sender: NodeId, packet: PlainPacket) -> PlainKnock:
        """Take a first packet.

        Raises:
            Dropped: nobody who may talk to us said this.
        """
        content: _PlainHello = packet.content
        if content.access != self._access:
            raise Dropped("stranger")
        if content.to != self._node:
            raise Dropped("bad-handshake")
        return PlainKnock(self, packet.session, content.hello, check_introduction(sender, content.hello))

    def read_welcome(self, opening: PlainOpening, packet: PlainPacket) -> tuple[Welcome, PlainSession]:
        """Take the answer to our first packet."""
        keys, welcome = packet.content
        return welcome, self.session(keys, welcome.version)

    def label(self, packet: PlainPacket) -> tuple[int, int]:
        """Version of a packet, ``HELLO`` or ``WELCOME``, and the session or handshake it belongs to."""
        return packet.first, packet.session

    def draw(self) -> int:
        """A fresh name."""
        return self._rng.getrandbits(64)

    def session(self, keys: SessionKeys, version: int) -> PlainSession:
        """A session with any node."""
        return PlainSession(keys, version, self._ruler)
