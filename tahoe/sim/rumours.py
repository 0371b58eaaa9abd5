"""What may be told about who is in a grid by somebody who means ill: news that members believe only as far as it is signed.

::

    forged     what nodes say of themselves, changed, under the old signatures
    stale      what they said once: true then
    doubled    what they said, each twice in one message
    fake       many servers that there are not, each signed by a key of its own
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final, Literal, TypeAlias, get_args

from tahoe.protocol import CLIENT, PROTOCOL_VERSIONS, STORAGE, Announcement, RosterChanged
from tahoe.session.identity import Identity
from tahoe.session.statement import sign_announcement

RumourKind: TypeAlias = Literal["forged", "stale", "doubled", "fake"]

ALL_RUMOURS: Final[tuple[RumourKind, ...]] = get_args(RumourKind)

FAKES: Final = 20
"""Servers that a rumour invents."""

AMPLE: Final = 10**12
"""Bytes of room that each of them claims to have."""

SEED_BYTES: Final = 32


def rumour(kind: RumourKind, announced: Sequence[bytes], rng: Random) -> RosterChanged:
    """The message that spreads it.

    Args:
        kind: of rumour.
        announced: what nodes once said of themselves, signed.
        rng: decides details.
    """
    if kind == "fake":
        return RosterChanged(tuple(_fake(rng) for _ in range(FAKES)), ())
    if kind == "doubled":
        return RosterChanged(tuple(signed for signed in announced for _ in range(2)), ())
    if kind == "forged":
        return RosterChanged(tuple(_changed(signed, rng) for signed in announced), ())
    return RosterChanged(tuple(announced), ())


def _changed(signed: bytes, rng: Random) -> bytes:
    """One byte of it is another."""
    place = rng.randrange(len(signed))
    return signed[:place] + bytes([signed[place] ^ 1 << rng.randrange(8)]) + signed[place + 1 :]


def _fake(rng: Random) -> bytes:
    """A server that there is not says where it is."""
    identity = Identity.from_seed(rng.randbytes(SEED_BYTES))
    return sign_announcement(
        identity,
        Announcement(
            node=identity.node,
            exchange_key=identity.exchange_public,
            roles=(STORAGE, CLIENT),
            nickname="nobody",
            location="",
            capacity=AMPLE,
            available=AMPLE,
            protocol_versions=PROTOCOL_VERSIONS,
            software="none",
            epoch=1,
            sequence=1,
        ),
    )
