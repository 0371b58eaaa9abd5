"""A delegation: an account lets somebody else lease shares on its behalf, for a while.

A caretaker that knows only verify capabilities can't act as the owner, and must not have to. So the owner signs *who* may
act, for *which account*, *until when*, and the caretaker shows it with every request. It gives no power over shares: what
is leased by it is charged to the account, and only who made a lease can cancel it, for that takes a secret.

The account of a node is signed by the node's own key. The grid's named roots have an account of their own, signed by the
key that signs the roots.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from tahoe.codec import base32
from tahoe.errors import BadCapability, BadMessage, Refused
from tahoe.protocol import NodeId
from tahoe.session.identity import GridKey, Identity, public_key_of
from tahoe.session.statement import open_signed, sign_fact

DELEGATION: Final = "delegation"

ROOTS_ACCOUNT: Final = "roots"
"""The account of the grid's named roots; the grid key speaks for it."""

LONGEST: Final = 1024
"""Bytes of a delegation; longer ones are nobody's."""

TEXT_PREFIX: Final = "tahoe-delegation:"
"""How a delegation begins where people hand it on."""


class Delegation(msgspec.Struct, frozen=True, array_like=True):
    """Who may act for whom.

    Args:
        account: for which: a node id, or ``roots``.
        delegate: who may.
        expires: until when, in seconds since the epoch, by the server's time.
    """

    account: str
    delegate: NodeId
    expires: int


_decoder: Final = msgspec.msgpack.Decoder(Delegation)


def sign_delegation(signer: Identity | GridKey, delegation: Delegation) -> bytes:
    """A delegation as it travels.

    Raises:
        ValueError: the signer does not speak for the account.
    """
    account = signer.node if isinstance(signer, Identity) else ROOTS_ACCOUNT
    if delegation.account != account:
        raise ValueError("a node delegates for itself, the grid key for the named roots")
    return sign_fact(signer, DELEGATION, delegation)


def delegation_text(signed: bytes) -> str:
    """A delegation as people hand it on. It is no secret: it is of use to the delegate only."""
    return TEXT_PREFIX + base32.encode(signed)


def parse_delegation(text: str) -> bytes:
    """The delegation that a text says, still to be opened.

    Raises:
        BadCapability: it says none.
    """
    stripped = text.strip()
    if not stripped.startswith(TEXT_PREFIX):
        raise BadCapability("this is no delegation; tahoe care delegate makes one")
    try:
        return base32.decode_strict(stripped.removeprefix(TEXT_PREFIX))
    except ValueError as error:
        raise BadCapability("this delegation is incomplete or mistyped") from error


def open_delegation(grid_public_key: bytes, signed: bytes) -> Delegation:
    """A delegation, certainly made by who speaks for its account (but maybe long ago: see ``expires``).

    Raises:
        BadMessage: it does not parse, or the signature is somebody else's.
    """
    if len(signed) > LONGEST:
        raise BadMessage(f"a delegation of {len(signed)} bytes")
    return _open_delegation(grid_public_key, bytes(signed))


@lru_cache(maxsize=256)
def _open_delegation(grid_public_key: bytes, signed: bytes) -> Delegation:
    def key_of(body: bytes) -> bytes:
        account = _decoder.decode(body).account
        return grid_public_key if account == ROOTS_ACCOUNT else public_key_of(NodeId(account))

    try:
        return _decoder.decode(open_signed(signed, DELEGATION, key_of))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessage(f"a delegation does not parse: {error}") from error


def account_of(grid_public_key: bytes, signed: bytes, sender: NodeId, now: float) -> str:
    """The account on whose behalf a sender may act by a delegation.

    Raises:
        Refused: ``bad-delegation``: it is none, somebody else's, or has run out.
    """
    try:
        delegation = open_delegation(grid_public_key, signed)
    except BadMessage as error:
        raise Refused("bad-delegation", str(error)) from error
    if delegation.delegate != sender:
        raise Refused("bad-delegation", "it was given to somebody else")
    if delegation.expires < now:
        raise Refused("bad-delegation", "it has run out; ask the owner of the account for a new one")
    return delegation.account
