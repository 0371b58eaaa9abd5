"""Who a node is, and who speaks for a grid: long-lived keys, all derived from one 32-byte seed each.

A node has one seed on disk. From it come, by HKDF-SHA256 with different labels, an Ed25519 key that signs
(announcements, presence) and names the node, and an X25519 key that only ever takes part in handshakes. A
grid has an Ed25519 key of its own, used by explicit commands and by no running node.
"""

from __future__ import annotations

import hashlib
from functools import cached_property, lru_cache
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tahoe.codec import base32
from tahoe.errors import BadMessage
from tahoe.protocol import NodeId

SEED_BYTES: Final = 32
KEY_BYTES: Final = 32

_PREFIX: Final = "v0-"
_LONGEST_REMEMBERED: Final = 8192  # longer messages are verified anew each time, so that the cache stays small


class Identity:
    """A node's keys.

    Attributes:
        seed: the 32 secret bytes that everything else follows from.
        node: the node's name, ``v0-`` and base32 of ``public_key``.
        public_key: Ed25519, 32 bytes; also the permutation seed of the node.
        exchange_public: X25519, 32 bytes.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"an identity is made from {SEED_BYTES} bytes, not {len(seed)}")
        self.seed = seed
        self._signing = Ed25519PrivateKey.from_private_bytes(_derive(seed, b"tahoe node signing v1"))
        self._exchange = X25519PrivateKey.from_private_bytes(_derive(seed, b"tahoe node exchange v1"))
        self.public_key: bytes = self._signing.public_key().public_bytes_raw()
        self.exchange_public: bytes = self._exchange.public_key().public_bytes_raw()
        self.node = node_of(self.public_key)

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The identity that this seed stands for.

        Raises:
            ValueError: the seed is not 32 bytes long.
        """
        return cls(seed)

    @cached_property
    def lease_seed(self) -> bytes:
        """What lease secrets for this node are derived from, 20 bytes."""
        return lease_seed_of(self.node)

    def sign(self, message: bytes) -> bytes:
        """A 64-byte Ed25519 signature."""
        return self._signing.sign(message)

    def agree(self, exchange_public: bytes) -> bytes:
        """The 32-byte X25519 secret shared with the owner of ``exchange_public``.

        Raises:
            ValueError: the point is no usable public key.
        """
        return self._exchange.exchange(X25519PublicKey.from_public_bytes(exchange_public))


class GridKey:
    """The key that founded a grid: it signs encoding parameters and named roots.

    Attributes:
        seed: the 32 secret bytes.
        public_key: Ed25519, 32 bytes, in every grid card.
        grid_id: what the grid is called on the wire.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a grid key is made from {SEED_BYTES} bytes, not {len(seed)}")
        self.seed = seed
        self._signing = Ed25519PrivateKey.from_private_bytes(_derive(seed, b"tahoe grid signing v1"))
        self.public_key: bytes = self._signing.public_key().public_bytes_raw()
        self.grid_id = grid_id_of(self.public_key)

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The grid key that this seed stands for.

        Raises:
            ValueError: the seed is not 32 bytes long.
        """
        return cls(seed)

    def sign(self, message: bytes) -> bytes:
        """A 64-byte Ed25519 signature."""
        return self._signing.sign(message)


def grid_id_of(public_key: bytes) -> str:
    """The grid's name on the wire: base32 of half the hash of its public key."""
    return base32.encode(hashlib.sha256(public_key).digest()[:16])


def node_of(public_key: bytes) -> NodeId:
    """The name of the node with this Ed25519 key."""
    return NodeId(_PREFIX + base32.encode(public_key))


@lru_cache(maxsize=16384)
def public_key_of(node: NodeId) -> bytes:
    """The Ed25519 key that a node's name spells, 32 bytes.

    Raises:
        BadMessage: no node has this name.
    """
    try:
        key = base32.decode_strict(node.removeprefix(_PREFIX)) if node.startswith(_PREFIX) else b""
    except ValueError as error:
        raise BadMessage(f"{node[:80]!r} is no node id: {error}") from error
    if len(key) != KEY_BYTES:
        raise BadMessage(f"{node[:80]!r} is no node id")
    return key


def lease_seed_of(node: NodeId) -> bytes:
    """What a client derives its lease secrets for this node from, 20 bytes.

    Raises:
        BadMessage: no node has this name.
    """
    return hashlib.sha256(public_key_of(node)).digest()[:20]


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the owner of an Ed25519 key signed these bytes.

    Remembers what it verified: a hundred nodes of one process that learn the same thousand announcements
    verify a thousand signatures.
    """
    if len(message) > _LONGEST_REMEMBERED or len(signature) != 64:
        return _verify(public_key, message, signature)
    return _verify_remembered(public_key, message, signature)


def _verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


_verify_remembered = lru_cache(maxsize=4096)(_verify)


def _derive(seed: bytes, label: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=label).derive(seed)
