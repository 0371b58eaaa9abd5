"""Keys and secrets, and how each is derived from the one above it.

::

    plaintext + convergence secret --> key (16) --> storage index (16)     (or: key = 16 random bytes)

    lease master --> client secret --(storage index)--> file secret --(lease seed)--> bucket secret
                     (one pair of chains, for renewing and for cancelling)

Servers only ever see the rightmost column. A bucket secret is good for one share set on one server, so a server
can't use what it learns against another server, another file or another client.

The order in which servers are asked about a file is derived here, too: everybody who knows the storage index and the
servers computes the same order, and every file has its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from typing import TYPE_CHECKING, Final

from tahoe.codec import base32
from tahoe.codec.hashing import Tag, TaggedHasher, netstring, tagged_hash, tagged_pair_hash

if TYPE_CHECKING:
    from tahoe.codec.hashing import BytesLike

KEY_SIZE: Final = 16
STORAGE_INDEX_SIZE: Final = 16
SERVER_ID_PREFIX: Final = "v0-"

_KEY_SERVER_ID: Final = re.compile(SERVER_ID_PREFIX + "[0-9a-zA-Z]{52}")
_DISPLAY_LENGTH: Final = 8


def storage_index_of_key(key: bytes) -> bytes:
    """Return the 16-byte name under which servers know the immutable file that ``key`` (16 bytes) decrypts."""
    return tagged_hash(Tag.STORAGE_INDEX, key, STORAGE_INDEX_SIZE)


class ConvergenceHasher:
    """Derives a file's key from its plaintext, so that equal files become equal shares.

    The convergence secret keeps outsiders from testing whether somebody stores a file they can guess. The encoding
    parameters go in because other parameters make other shares, which must have another storage index.

    Args:
        needed: shares that suffice, k.
        total: shares made, N.
        segment_size: bytes of plaintext in a segment, after rounding up to a multiple of k.
        secret: the convergence secret, of any length, also empty.
    """

    __slots__ = ("_hasher",)

    def __init__(self, needed: int, total: int, segment_size: int, secret: bytes) -> None:
        parameters = b"%d,%d,%d" % (needed, total, segment_size)
        self._hasher = TaggedHasher(Tag.CONVERGENT_KEY + netstring(secret) + netstring(parameters))

    def update(self, plaintext: BytesLike) -> None:
        """Take in the next piece of the plaintext."""
        self._hasher.update(plaintext)

    def key(self) -> bytes:
        """Return the 16-byte key for the plaintext seen so far."""
        return self._hasher.digest(KEY_SIZE)


def client_renewal_secret(master: bytes) -> bytes:
    """Return the client's renewal secret; here the *secret* is the tag, a historical swap that can't be mended."""
    return tagged_hash(master, Tag.CLIENT_RENEWAL)


def client_cancel_secret(master: bytes) -> bytes:
    """Return the client's cancel secret, swapped like :func:`client_renewal_secret`."""
    return tagged_hash(master, Tag.CLIENT_CANCEL)


def file_renewal_secret(client_secret: bytes, storage_index: bytes) -> bytes:
    """Return the renewal secret of one file."""
    return tagged_pair_hash(Tag.FILE_RENEWAL, client_secret, storage_index)


def file_cancel_secret(client_secret: bytes, storage_index: bytes) -> bytes:
    """Return the cancel secret of one file."""
    return tagged_pair_hash(Tag.FILE_CANCEL, client_secret, storage_index)


def bucket_renewal_secret(file_secret: bytes, lease_seed: bytes) -> bytes:
    """Return the renewal secret of one file on the server with this 20-byte lease seed."""
    return tagged_pair_hash(Tag.BUCKET_RENEWAL, file_secret, lease_seed)


def bucket_cancel_secret(file_secret: bytes, lease_seed: bytes) -> bytes:
    """Return the cancel secret of one file on the server with this 20-byte lease seed."""
    return tagged_pair_hash(Tag.BUCKET_CANCEL, file_secret, lease_seed)


@dataclass(frozen=True, slots=True)
class LeaseSecrets:
    """The two 32-byte secrets by which one server knows the holder of a lease on one file."""

    renew: bytes = field(repr=False)
    cancel: bytes = field(repr=False)


def lease_secrets(master: bytes, storage_index: bytes, lease_seed: bytes) -> LeaseSecrets:
    """Derive the secrets for a file's lease on one server.

    Args:
        master: the client's lease master secret.
        storage_index: of the file, 16 bytes.
        lease_seed: the server's, 20 bytes.
    """
    file_renewal = file_renewal_secret(client_renewal_secret(master), storage_index)
    file_cancel = file_cancel_secret(client_cancel_secret(master), storage_index)
    return LeaseSecrets(
        renew=bucket_renewal_secret(file_renewal, lease_seed),
        cancel=bucket_cancel_secret(file_cancel, lease_seed),
    )


def permutation_position(storage_index: bytes, seed: bytes) -> bytes:
    """Return where a server stands in a file's order: 20 bytes, to be sorted ascending."""
    return sha1(storage_index + seed, usedforsecurity=False).digest()


def permutation_seed(server_id: str, announced_seed: str | None = None) -> bytes:
    """Return the seed that places a server in every file's order.

    Args:
        server_id: as announced, normally ``v0-`` and the base32 text of a public key.
        announced_seed: base32 text, if the announcement carries a seed of its own.

    Raises:
        ValueError: a seed that does not decode; the announcement is invalid.
    """
    if announced_seed is not None:
        return base32.decode(announced_seed)
    if _KEY_SERVER_ID.fullmatch(server_id):
        return base32.decode(server_id.removeprefix(SERVER_ID_PREFIX))
    return sha256(server_id.encode()).digest()


def display_name(server_id: str) -> str:
    """Return the few characters by which people know a server."""
    return server_id.removeprefix(SERVER_ID_PREFIX)[:_DISPLAY_LENGTH]
