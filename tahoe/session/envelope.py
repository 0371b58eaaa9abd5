"""The envelope: what stands around every message, and how it becomes bytes.

A packet is ``version (1) | session (8) | counter (8) | sealed``. Nothing else is readable from outside. The
sealed part is a msgpack array of the fields of :class:`Envelope`. Sender, receiver, grid and channel are
not repeated there: the seal is bound to them, so that a packet opens only where it was meant to.

============  =====================================================================================
kind          meaning
============  =====================================================================================
ASK           do this, within ``remaining`` milliseconds; ``ticket`` names the ask for ever
ANSWER        the ask ``ticket`` was done, here is what came of it
REFUSAL       the ask ``ticket`` was not done; the body is a ``Refusal``
TELL          a message that wants no answer (``ticket`` 0)
CREDIT        only news about credit; a ``ticket`` above 0: the sender waits for room for so many bytes
RETURN        the sender was idle and gave back credit
CANCEL        the ask ``ticket`` is of no interest any more
PROBE         has the ask ``ticket`` arrived? Sent in place of a large ask that is late
WORKING       yes, and it is being worked on
MISSING       no, send it again
============  =====================================================================================

Every envelope carries news that a lost one would have carried: the lowest ticket still open at the sender,
the limit up to which the receiver may spend, and what the sender has spent itself.

Envelopes grow like messages: new fields are appended, with defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, reduce
from operator import or_
from typing import Any, Final

import msgspec

from tahoe.protocol import Message, Role, message_types

ASK: Final = 0
ANSWER: Final = 1
REFUSAL: Final = 2
TELL: Final = 3
CREDIT: Final = 4
RETURN: Final = 5
CANCEL: Final = 6
PROBE: Final = 7
WORKING: Final = 8
MISSING: Final = 9

HEADER_BYTES: Final = 17
TAG_BYTES: Final = 16

CONTROL: Final = 0
BULK: Final = 1
CHANNELS: Final = ("in", "bulk")
"""Names of the two channels, as topics spell them, by number."""

NOBODY: Final = Role("")
"""The role in envelopes that go to the session itself."""


class Envelope(msgspec.Struct, array_like=True, gc=False):
    """The inside of a packet. ``remaining`` is milliseconds; ``limit`` and ``spent`` are bytes since the handshake."""

    role: Role
    kind: int
    ticket: int
    remaining: int
    lowest: int
    limit: int
    spent: int
    body: Any = None


class Unread(Envelope, gc=False):
    """An envelope whose body has not been looked at."""

    body: msgspec.Raw


class PlainPacket(msgspec.Struct, gc=False):
    """A packet of the simulator: the same facts as objects, with the size that the sealed bytes would have."""

    first: int
    session: int
    counter: int
    size: int
    content: Any


Packet = bytes | PlainPacket

encode: Final[Callable[[Any], bytes]] = msgspec.msgpack.Encoder().encode
"""Envelopes and handshake payloads as bytes."""


UNKNOWN: Final[Any] = object()
"""The body of an envelope that carries a message of a kind, or of a shape, that this version does not know."""


class Ruler:
    """Measures what an object would be as bytes, contents included that are there by their length only."""

    __slots__ = ("_absent", "_encode")

    def __init__(self) -> None:
        self._absent = 0
        self._encode = msgspec.msgpack.Encoder(enc_hook=self._stand_in).encode

    def measure(self, thing: Any) -> int:
        """Bytes of ``encode(thing)``, where anything with a length may stand for bytes."""
        self._absent = 0
        return len(self._encode(thing)) + self._absent

    def _stand_in(self, content: Any) -> bytes:
        length = len(content)
        self._absent += length + bin_header_bytes(length) - bin_header_bytes(0)
        return b""


def bin_header_bytes(length: int) -> int:
    """What msgpack puts before ``length`` bytes."""
    return 2 if length < 1 << 8 else 3 if length < 1 << 16 else 5


@lru_cache(maxsize=4)
def _body_decoder(kinds: tuple[type[Message], ...]) -> msgspec.msgpack.Decoder[Message | None]:
    return msgspec.msgpack.Decoder(reduce(or_, kinds, None))


class Reader:
    """Reads envelopes that carry any message that was defined when the reader was made."""

    __slots__ = ("_read_body", "_read_envelope")

    def __init__(self) -> None:
        self._read_envelope = msgspec.msgpack.Decoder(Unread).decode
        self._read_body = _body_decoder(message_types()).decode

    def read(self, data: bytes) -> Envelope:
        """The envelope in ``data``; its body is ``UNKNOWN`` where that is no message of this version.

        Raises:
            msgspec.DecodeError: this is no envelope.
        """
        envelope = self._read_envelope(data)
        try:
            body: Any = self._read_body(envelope.body)
        except msgspec.DecodeError:
            body = UNKNOWN
        envelope.body = body
        return envelope
