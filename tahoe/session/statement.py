"""Signed facts that outlive a conversation: announcements, the grid's statements, presence.

Whoever passes them on (an introducer, a broker's retained message) can leave them out or deliver old
ones, but not change them. All have one form, a msgpack array ``[kind, body, signature]``, and the kind is
signed with the body: nothing signed for one purpose can be shown for another.

What is newest is for the reader to decide: announcements by ``Announcement.age``, grid statements by
``sequence``, presence by epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Protocol, TypeVar

import msgspec

from tahoe.errors import BadMessage
from tahoe.protocol import Announcement, Encoding, NodeId
from tahoe.session.identity import KEY_BYTES, GridKey, Identity, public_key_of, verify

LONGEST_ANNOUNCEMENT: Final = 8192
"""Bytes of a signed announcement; larger ones are nobody's."""

ENCODING_STATEMENT: Final = "encoding"
"""Name of the grid statement that carries the grid's encoding parameters."""

_DOMAIN: Final = b"tahoe signed statement v1\0"
_ANNOUNCEMENT: Final = "announcement"
_GRID: Final = "grid-statement"
_PRESENCE: Final = "presence"

T = TypeVar("T")


class GridStatement(msgspec.Struct, frozen=True, array_like=True):
    """Something the grid key says under a name; of two with one name the higher ``sequence`` counts.

    A retraction is a statement, too: it takes back whatever had a lower sequence number.
    """

    name: str
    sequence: int
    value: bytes
    retracted: bool = False


class _Signed(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    body: bytes
    signature: bytes


class _Presence(msgspec.Struct, frozen=True, array_like=True):
    epoch: int
    online: bool


class _Signer(Protocol):
    def sign(self, message: bytes) -> bytes: ...


_encoder: Final = msgspec.msgpack.Encoder()
_signed_decoder: Final = msgspec.msgpack.Decoder(_Signed)
_announcement_decoder: Final = msgspec.msgpack.Decoder(Announcement)
_statement_decoder: Final = msgspec.msgpack.Decoder(GridStatement)
_presence_decoder: Final = msgspec.msgpack.Decoder(_Presence)
_encoding_decoder: Final = msgspec.msgpack.Decoder(Encoding)


# --- announcements ------------------------------------------------------------------------------------


def sign_announcement(identity: Identity, announcement: Announcement) -> bytes:
    """An announcement as it travels.

    Raises:
        ValueError: it speaks of another node, or is longer than anybody would take.
    """
    if announcement.node != identity.node or announcement.exchange_key != identity.exchange_public:
        raise ValueError("a node announces itself only")
    signed = _sign(identity, _ANNOUNCEMENT, announcement)
    if len(signed) > LONGEST_ANNOUNCEMENT:
        raise ValueError(f"an announcement may have {LONGEST_ANNOUNCEMENT} bytes, not {len(signed)}")
    return signed


def open_announcement(signed: bytes) -> Announcement:
    """The announcement, certainly said by the node it speaks of (but maybe not its newest).

    Raises:
        BadMessage: it does not parse, is too long, or the signature is not the node's.
    """
    if len(signed) > LONGEST_ANNOUNCEMENT:
        raise BadMessage(f"an announcement of {len(signed)} bytes")
    return _open_announcement(bytes(signed))


@lru_cache(maxsize=4096)
def _open_announcement(signed: bytes) -> Announcement:
    statement = _parse(signed, _ANNOUNCEMENT)
    announcement = _decode(_announcement_decoder, statement.body)
    _check(public_key_of(announcement.node), statement)
    if len(announcement.exchange_key) != KEY_BYTES:
        raise BadMessage("an announcement with a malformed exchange key")
    return announcement


# --- what the grid says --------------------------------------------------------------------------------


def sign_statement(grid_key: GridKey, statement: GridStatement) -> bytes:
    """A grid statement as it travels."""
    return _sign(grid_key, _GRID, statement)


def open_statement(grid_public_key: bytes, signed: bytes) -> GridStatement:
    """The statement, certainly made by the owner of the grid key (but maybe not the newest of its name).

    Raises:
        BadMessage: it does not parse, or the signature is not the grid key's.
    """
    statement = _parse(signed, _GRID)
    _check(grid_public_key, statement)
    return _decode(_statement_decoder, statement.body)


def encode_encoding(encoding: Encoding) -> bytes:
    """Encoding parameters as the value of an ``ENCODING_STATEMENT``."""
    return _encoder.encode(encoding)


def decode_encoding(value: bytes) -> Encoding:
    """The value of an ``ENCODING_STATEMENT``.

    Raises:
        BadMessage: these are no possible encoding parameters.
    """
    encoding = _decode(_encoding_decoder, value)
    if not 1 <= encoding.needed <= encoding.happy <= encoding.total <= 255:
        raise BadMessage(f"{encoding} are no encoding parameters: 1 <= needed <= happy <= total <= 255")
    return encoding


# --- presence ------------------------------------------------------------------------------------------


def sign_presence(identity: Identity, epoch: int, online: bool) -> bytes:  # noqa: FBT001 - it is the fact itself
    """What a node leaves with the broker at its birth (online) and as its will (offline)."""
    return _sign(identity, _PRESENCE, _Presence(epoch, online))


def open_presence(node: NodeId, signed: bytes) -> tuple[int, bool]:
    """Epoch and presence, certainly said by ``node`` (but maybe long ago).

    Raises:
        BadMessage: it does not parse, or the signature is not the node's.
    """
    statement = _parse(signed, _PRESENCE)
    _check(public_key_of(node), statement)
    presence = _decode(_presence_decoder, statement.body)
    return presence.epoch, presence.online


# --- other facts ---------------------------------------------------------------------------------------


def sign_fact(signer: _Signer, kind: str, fact: Any) -> bytes:
    """Any fact as it travels; ``kind`` is this module's word, or another's that tells its facts from all others."""
    return _sign(signer, kind, fact)


def open_signed(signed: bytes, kind: str, public_key_in: Callable[[bytes], bytes]) -> bytes:
    """The body of a signed fact.

    Args:
        signed: as it travels.
        kind: that it must be of.
        public_key_in: whose key has to have signed a body.

    Raises:
        BadMessage: it does not parse, or the signature is somebody else's.
    """
    statement = _parse(signed, kind)
    _check(public_key_in(statement.body), statement)
    return statement.body


# --- the common form ------------------------------------------------------------------------------------


def _sign(signer: _Signer, kind: str, fact: Any) -> bytes:
    body = _encoder.encode(fact)
    return _encoder.encode(_Signed(kind, body, signer.sign(_text(kind, body))))


def _parse(signed: bytes, kind: str) -> _Signed:
    statement = _decode(_signed_decoder, signed)
    if statement.kind != kind:
        raise BadMessage(f"a signed {statement.kind[:40]!r} where {kind!r} was expected")
    return statement


def _check(public_key: bytes, statement: _Signed) -> None:
    if not verify(public_key, _text(statement.kind, statement.body), statement.signature):
        raise BadMessage(f"the signature of this {statement.kind} is not its author's")


def _text(kind: str, body: bytes) -> bytes:
    return _DOMAIN + kind.encode() + b"\0" + body


def _decode(decoder: msgspec.msgpack.Decoder[T], data: bytes) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessage(f"a signed statement does not parse: {error}") from error
