"""The recovery file: all that a person has in a grid, in a few kilobytes that a passphrase locks (docs/formats.md, section 9).

::

    0         16       20       24      28     44      56
    | magic   | memory | passes | lanes | salt | nonce | AES-256-GCM of JSON, under Argon2id of the passphrase

It is meant to lie about for years in places that others can reach, so guessing the passphrase must be dear: Argon2id
takes a quarter of a gigabyte of memory for each guess. What a guess costs stands in the file, within bounds, so that
it can grow with machines.
"""

from __future__ import annotations

import struct
import unicodedata
from typing import Final, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from tahoe.codec import base32
from tahoe.errors import BadConfiguration

MAGIC: Final = b"tahoe recovery 1"
SALT_BYTES: Final = 16
NONCE_BYTES: Final = 12
PADDING: Final = 1024
"""The plaintext is filled up to a multiple of this, so that its length does not tell how many aliases there are."""

_HEAD: Final = struct.Struct(f">16sLLL{SALT_BYTES}s{NONCE_BYTES}s")
_KEY_BYTES: Final = 32


class Hardness(NamedTuple):
    """What a guess costs: memory in KiB, passes over it, and how many threads may share the work."""

    memory: int = 256 * 1024
    passes: int = 4
    lanes: int = 4


USUAL_HARDNESS: Final = Hardness()
MOST_HARDNESS: Final = Hardness(2 * 1024 * 1024, 64, 64)
"""What this program is ready to spend on a file that somebody gave it."""


class Belongings(msgspec.Struct, frozen=True):
    """What is in the file. All of it is secret.

    Args:
        card: the text of the grid card.
        account: the seed of the node's key, in base32: as whom leases are held.
        convergence: the convergence secret, in base32.
        lease_secret: what all lease secrets follow from, in base32.
        private_root: the capability of the node's own root.
        aliases: capabilities by alias.
        roots: signed statements about the grid's named roots, in base32.
        made: seconds since the epoch.
    """

    card: str
    account: str
    convergence: str
    lease_secret: str
    private_root: str
    aliases: dict[str, str]
    roots: tuple[str, ...]
    made: int

    def __repr__(self) -> str:
        return "<Belongings>"


def seal(
    belongings: Belongings, passphrase: str, salt: bytes, nonce: bytes, hardness: Hardness = USUAL_HARDNESS
) -> bytes:
    """Return the bytes of a recovery file.

    Args:
        belongings: what is to be in it.
        passphrase: that opens it.
        salt: 16 fresh random bytes.
        nonce: 12 fresh random bytes.
        hardness: what a guess is to cost.
    """
    head = _HEAD.pack(MAGIC, *hardness, salt, nonce)
    plaintext = msgspec.json.encode(belongings)
    plaintext += b" " * (-len(plaintext) % PADDING)
    return head + AESGCM(_key(passphrase, salt, hardness)).encrypt(nonce, plaintext, head)


def unseal(data: bytes, passphrase: str) -> Belongings:
    """Open a recovery file.

    Raises:
        BadConfiguration: it is none, the passphrase is not its, or it is damaged.
    """
    if len(data) <= _HEAD.size or not data.startswith(MAGIC[:-1]):
        raise BadConfiguration("this is no recovery file of tahoe recovery export, or only its beginning")
    magic, *numbers, salt, nonce = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise BadConfiguration("this recovery file was made by a newer program: upgrade this one")
    hardness = Hardness(*numbers)
    if not _is_bearable(hardness):
        raise BadConfiguration("this recovery file asks for more memory and time than any honest one: it is damaged")
    head, sealed = data[: _HEAD.size], data[_HEAD.size :]
    try:
        plaintext = AESGCM(_key(passphrase, salt, hardness)).decrypt(nonce, sealed, head)
    except InvalidTag:
        raise BadConfiguration("this is not the passphrase of this recovery file, or the file is damaged") from None
    try:
        return msgspec.json.decode(plaintext, type=Belongings)
    except msgspec.MsgspecError as error:
        raise BadConfiguration(f"this recovery file says nothing that this program understands: {error}") from error


def secret_text(secret: bytes) -> str:
    """Return how a secret stands in the file."""
    return base32.encode(secret)


def secret_bytes(text: str) -> bytes:
    """Return a secret that stands in the file.

    Raises:
        BadConfiguration: it is none.
    """
    try:
        return base32.decode(text)
    except ValueError as error:
        raise BadConfiguration(f"a secret in this recovery file makes no sense: {error}") from error


def _is_bearable(hardness: Hardness) -> bool:
    memory, passes, lanes = hardness
    within = all(1 <= cost <= most for cost, most in zip(hardness, MOST_HARDNESS, strict=True))
    return within and memory >= 8 * lanes and memory * passes <= MOST_HARDNESS.memory * 8


def _key(passphrase: str, salt: bytes, hardness: Hardness) -> bytes:
    text = unicodedata.normalize("NFC", passphrase).encode()
    memory, passes, lanes = hardness
    try:
        stretched = Argon2id(salt=salt, length=_KEY_BYTES, iterations=passes, lanes=lanes, memory_cost=memory)
        return stretched.derive(text)
    except UnsupportedAlgorithm as error:
        raise BadConfiguration(
            "recovery files need Argon2id, which this machine's OpenSSL (before 3.2) lacks: pip install -U cryptography"
        ) from error
