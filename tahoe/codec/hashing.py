"""Every hash the formats use, and the one table of their tags.

**Never change a tag, never reuse one for something else.** A tag is part of every capability and every share
ever made: change a letter and all of them are unreadable, silently. What needs another hash gets a new tag with
a new version at its end.

A tag says what a hash is *for*, so that a value hashed for one purpose can never pass for another::

    netstring(x)               decimal length ":" x ","
    tagged hash(tag, x)        SHA-256d(netstring(tag) x)
    tagged pair hash(tag, a, b)  SHA-256d(netstring(tag) netstring(a) netstring(b))

SHA-256d is SHA-256 twice, which keeps anyone from extending a message whose hash he knows. ``hashlib`` releases
the interpreter's lock while it hashes more than 2 KiB, so block hashes may run in threads.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, TypeAlias

BytesLike: TypeAlias = bytes | bytearray | memoryview

HASH_SIZE: Final = 32


class Tag:
    """What each hash is for. Read the warning at the top of this module before touching a line."""

    STORAGE_INDEX: Final = b"allmydata_immutable_key_to_storage_index_v1"
    CONVERGENT_KEY: Final = b"allmydata_immutable_content_to_key_with_added_secret_v1+"  # two netstrings follow

    BLOCK: Final = b"allmydata_encoded_subshare_v1"
    CRYPTTEXT_SEGMENT: Final = b"allmydata_crypttext_segment_v1"
    CRYPTTEXT: Final = b"allmydata_crypttext_v1"
    URI_EXTENSION: Final = b"allmydata_uri_extension_v1"
    MERKLE_EMPTY_LEAF: Final = b"Merkle tree empty leaf"
    MERKLE_NODE: Final = b"Merkle tree internal node"

    CLIENT_RENEWAL: Final = b"allmydata_client_renewal_secret_v1"
    CLIENT_CANCEL: Final = b"allmydata_client_cancel_secret_v1"
    FILE_RENEWAL: Final = b"allmydata_file_renewal_secret_v1"
    FILE_CANCEL: Final = b"allmydata_file_cancel_secret_v1"
    BUCKET_RENEWAL: Final = b"allmydata_bucket_renewal_secret_v1"
    BUCKET_CANCEL: Final = b"allmydata_bucket_cancel_secret_v1"
    DELEGATED_LEASES: Final = b"tahoe_lease_master_and_account_to_delegated_lease_master_v1"

    RSA_READ_KEY: Final = b"allmydata_mutable_writekey_to_readkey_v1"
    RSA_STORAGE_INDEX: Final = b"allmydata_mutable_readkey_to_storage_index_v1"

    SLOT_SIGNING_KEY: Final = b"tahoe_slot_seed_to_signing_key_v1"
    SLOT_READ_KEY: Final = b"tahoe_slot_seed_to_read_key_v1"
    SLOT_READ_KEY_HASH: Final = b"tahoe_slot_read_key_to_read_key_hash_v1"
    SLOT_STORAGE_INDEX: Final = b"tahoe_slot_read_key_hash_and_public_key_to_storage_index_v1"
    SLOT_SEGMENT_KEY: Final = b"tahoe_slot_salt_and_read_key_to_segment_key_v1"
    SLOT_BLOCK: Final = b"tahoe_slot_salt_and_block_v1"
    SLOT_SIGNED_VERSION: Final = b"tahoe_slot_signed_version_v1"
    DIRECTORY_CHILD_KEY: Final = b"tahoe_directory_seed_to_child_key_v1"


def netstring(value: bytes) -> bytes:
    """Return ``value`` with its length before it and a comma behind, so that concatenations are unambiguous."""
    return b"%d:%b," % (len(value), value)


class TaggedHasher:
    """A tagged hash of bytes that come piece by piece."""

    __slots__ = ("_inner",)

    def __init__(self, tag: bytes) -> None:
        self._inner = sha256(netstring(tag))

    def update(self, data: BytesLike) -> None:
        """Hash ``data`` after what was given before."""
        self._inner.update(data)

    def digest(self, size: int = HASH_SIZE) -> bytes:
        """Return the first ``size`` bytes of the hash of all data so far; more data may follow."""
        return sha256(self._inner.digest()).digest()[:size]


def tagged_hash(tag: bytes, value: BytesLike, size: int = HASH_SIZE) -> bytes:
    """Return the first ``size`` bytes of the hash of ``value`` for the purpose ``tag``."""
    hasher = TaggedHasher(tag)
    hasher.update(value)
    return hasher.digest(size)


def tagged_pair_hash(tag: bytes, first: bytes, second: bytes, size: int = HASH_SIZE) -> bytes:
    """Return the first ``size`` bytes of the hash of two values, in this order, for the purpose ``tag``."""
    return tagged_hash(tag, netstring(first) + netstring(second), size)
