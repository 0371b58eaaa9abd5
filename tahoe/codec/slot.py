"""Slots: mutable files whose every version is signed, and whose place on servers nobody can squat.

One 32-byte seed, the write cap, gives everything, one way only::

    seed ──► signing key ──► public key ─────────┐
      └────► read key ─────► read key hash ──────┴──► storage index
               └─(+ salt of a segment)──► segment key

A share carries public key and read key hash, so a server can recompute the storage index and check the
signature: no secret is shared with servers, and what it accepts is a version the owner signed or nothing.

The signed version has the root of a tree over the shares' roots, each the root of a tree over that share's
blocks. A segment has a random salt of its own, and its leaf covers salt and block; rewriting a segment
changes its leaf, the path above it and the version, and nothing else::

    version (signed): sequence, root, k, N, segment size, length, homes
                         │
              share root 0 … share root N-1              a share's chain: its siblings here
                   │
              leaf 0   leaf 1   leaf 2 …                 leaf = H(salt ‖ block)

Trees here are addressed by (height, index) rather than by breadth-first number, because a slot grows: node
(h, i) covers leaves i·2^h … (i+1)·2^h - 1 whatever the number of leaves, so a proof stays a proof when
a segment is appended. Padding leaves are those of ``merkle.py``, and so is every hash.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tahoe.codec.cipher import StreamCipher
from tahoe.codec.erasure import check_bounds, erasure
from tahoe.codec.hashing import BytesLike, Tag, TaggedHasher, tagged_hash, tagged_pair_hash
from tahoe.codec.merkle import BadHash, padding_leaf, pair_hash

SEED_SIZE: Final = 32
KEY_SIZE: Final = 16
SALT_SIZE: Final = 16
STORAGE_INDEX_SIZE: Final = 16
PUBLIC_KEY_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64
MAX_TOTAL: Final = 255
MAX_LENGTH: Final = 2**63 - 1

Place = tuple[int, int]
"""Height above the leaves, index from the left."""

_VERSION: Final = struct.Struct(">BQ32sBBLQ")
_FORMAT: Final = 1


# --- keys ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class SlotReader:
    """What a read cap gives: the read key, and the public key that versions must be signed by."""

    read_key: bytes
    public_key: bytes

    @property
    def read_key_hash(self) -> bytes:
        """What shares carry of the read key."""
        return tagged_hash(Tag.SLOT_READ_KEY_HASH, self.read_key)

    @property
    def storage_index(self) -> bytes:
        """Where servers keep the slot."""
        return slot_storage_index(self.read_key_hash, self.public_key)

    def segment_key(self, salt: bytes) -> bytes:
        """The key of the segment with this salt."""
        return tagged_pair_hash(Tag.SLOT_SEGMENT_KEY, salt, self.read_key, KEY_SIZE)


class SlotWriter:
    """What a write cap gives: everything.

    Args:
        seed: 32 random bytes.
    """

    __slots__ = ("_signing_key", "reader", "seed")

    def __init__(self, seed: bytes) -> None:
        assert len(seed) == SEED_SIZE
        self.seed = seed
        self._signing_key = Ed25519PrivateKey.from_private_bytes(tagged_hash(Tag.SLOT_SIGNING_KEY, seed))
        public_key = self._signing_key.public_key().public_bytes_raw()
        self.reader = SlotReader(tagged_hash(Tag.SLOT_READ_KEY, seed, KEY_SIZE), public_key)

    def sign(self, version: SlotVersion) -> SlotProof:
        """Sign a version."""
        packed = version.pack()
        signature = self._signing_key.sign(_signed_text(packed))
        return SlotProof(packed, signature, self.reader.public_key, self.reader.read_key_hash)


def slot_storage_index(read_key_hash: bytes, public_key: bytes) -> bytes:
    """The storage index that both halves of a slot's identity give."""
    return tagged_pair_hash(Tag.SLOT_STORAGE_INDEX, read_key_hash, public_key, STORAGE_INDEX_SIZE)


# --- versions --------------------------------------------------------------------------------------------


class VersionId(NamedTuple):
    """Which version: greater is newer. Two of one sequence number are rivals."""

    sequence: int
    root_hash: bytes


@dataclass(frozen=True, slots=True)
class SlotShape:
    """How a slot is cut up: ``needed`` of ``total``, segments of ``segment_size`` bytes, ``length`` bytes in all.

    Raises:
        ValueError: numbers that no slot has.
    """

    needed: int
    total: int
    segment_size: int
    length: int

    def __post_init__(self) -> None:
        check_bounds(self.needed, self.total)
        if self.total > MAX_TOTAL:
            raise ValueError(f"a slot has at most {MAX_TOTAL} shares")
        if self.segment_size < 1 or self.segment_size % self.needed:
            raise ValueError(f"a segment of {self.segment_size} bytes can't be cut into {self.needed} equal blocks")
        if not 0 <= self.length <= MAX_LENGTH:
            raise ValueError(f"a slot of {self.length} bytes")

    @property
    def quorum(self) -> int:
        """Share positions that make a write done: any two quorums have at least k positions in common."""
        return -(-(self.total + self.needed) // 2)

    @property
    def segment_count(self) -> int:
        """How many segments; none for an empty slot."""
        return -(-self.length // self.segment_size)

    def segment_length(self, segment: int) -> int:
        """Bytes of plaintext in a segment."""
        return min(self.segment_size, self.length - segment * self.segment_size)

    def block_length(self, segment: int) -> int:
        """Bytes of each of a segment's blocks."""
        return -(-self.segment_length(segment) // self.needed)

    def segments(self, offset: int, length: int) -> range:
        """The segments that cover a part of the contents."""
        end = min(offset + length, self.length)
        return range(offset // self.segment_size, -(-end // self.segment_size)) if offset < end else range(0)

    def grown(self, length: int) -> SlotShape:
        """The same cut with another length."""
        return SlotShape(self.needed, self.total, self.segment_size, length)


@dataclass(frozen=True, slots=True)
class SlotVersion:
    """What is signed.

    Args:
        sequence: 1 for the first version, then greater.
        root_hash: of the tree over share roots.
        shape: how the contents are cut up.
        homes: the public key of the node that keeps share number i, for every i.
    """

    sequence: int
    root_hash: bytes
    shape: SlotShape
    homes: tuple[bytes, ...]

    @property
    def identity(self) -> VersionId:
        """Which version this is."""
        return VersionId(self.sequence, self.root_hash)

    def pack(self) -> bytes:
        """The bytes that are signed."""
        shape = self.shape
        numbers = (shape.needed, shape.total, shape.segment_size, shape.length)
        return _VERSION.pack(_FORMAT, self.sequence, self.root_hash, *numbers) + b"".join(self.homes)

    @classmethod
    def unpack(cls, data: bytes) -> SlotVersion:
        """Parse what was signed.

        Raises:
            ValueError: it is no version.
        """
        if len(data) < _VERSION.size or data[0] != _FORMAT:
            raise ValueError("not a slot version this release knows")
        _, sequence, root_hash, needed, total, segment_size, length = _VERSION.unpack_from(data)
        shape = SlotShape(needed, total, segment_size, length)
        homes = data[_VERSION.size :]
        if len(homes) != total * PUBLIC_KEY_SIZE or sequence < 1:
            raise ValueError("a slot version with a wrong number of homes or no sequence number")
        parts = (homes[start : start + PUBLIC_KEY_SIZE] for start in range(0, len(homes), PUBLIC_KEY_SIZE))
        return cls(sequence, root_hash, shape, tuple(parts))


@dataclass(frozen=True, slots=True)
class SlotProof:
    """A signed version with what anyone needs to check that it belongs to a storage index."""

    version: bytes
    signature: bytes
    public_key: bytes
    read_key_hash: bytes

    def check(self, storage_index: bytes) -> SlotVersion:
        """Return the version.

        Raises:
            ValueError: it is not signed by the key that this storage index stands for, or makes no sense.
        """
        if slot_storage_index(self.read_key_hash, self.public_key) != storage_index:
            raise ValueError("the public key is not that of the storage index")
        if not _verified(self.public_key, self.version, self.signature):
            raise ValueError("the version's signature is wrong")
        return SlotVersion.unpack(self.version)


def _signed_text(version: bytes) -> bytes:
    return tagged_hash(Tag.SLOT_SIGNED_VERSION, version)


@lru_cache(maxsize=4096)
def _verified(public_key: bytes, version: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _signed_text(version))
    except (InvalidSignature, ValueError):
        return False
    return True


# --- trees -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def padding_node(place: Place) -> bytes:
    """The hash of a node with nothing but padding below it."""
    height, index = place
    if not height:
        return padding_leaf(index)
    return pair_hash(padding_node((height - 1, 2 * index)), padding_node((height - 1, 2 * index + 1)))


def tree_height(leaf_count: int) -> int:
    """Height of the root above the leaves."""
    return max(leaf_count - 1, 0).bit_length()


def path_places(leaf_count: int, leaf: int) -> list[Place]:
    """The siblings that prove a leaf, from the bottom up."""
    return [(height, leaf >> height ^ 1) for height in range(tree_height(leaf_count))]


class Layered(MutableMapping[Place, bytes]):
    """Nodes as they are after a few changes to many, which stay as they are; so whoever has these may keep them.

    Nodes below may come to be known later. Since a node that was taken out is remembered as gone, none of them is shown
    that is of the state before.

    Args:
        below: many nodes.
        changes: those that are others now; None: not known any more.
    """

    __slots__ = ("_below", "_changes")

    def __init__(self, below: Mapping[Place, bytes], changes: Mapping[Place, bytes | None] | None = None) -> None:
        self._below = below
        self._changes: dict[Place, bytes | None] = dict(changes or {})

    def copy(self) -> Layered:
        """The same, to be changed independently."""
        if len(self._changes) <= _MOST_CHANGES:
            return Layered(self._below, self._changes)
        nodes = dict(self._below)
        for place, node in self._changes.items():
            if node is None:
                nodes.pop(place, None)
            else:
                nodes[place] = node
        return Layered(nodes)

    def get(self, place: Place, default: Any = None) -> Any:
        """A node."""
        found = self._changes.get(place, _UNCHANGED)
        if found is _UNCHANGED:
            return self._below.get(place, default)
        return default if found is None else found

    def pop(self, place: Place, default: Any = None) -> Any:
        """Take a node out, known or not."""
        found = self.get(place, default)
        self._changes[place] = None
        return found

    def __getitem__(self, place: Place) -> bytes:
        found: bytes | None = self.get(place)
        if found is None:
            raise KeyError(place)
        return found

    def __contains__(self, place: object) -> bool:
        return self._changes[place] is not None if place in self._changes else place in self._below

    def __setitem__(self, place: Place, node: bytes) -> None:
        self._changes[place] = node

    def __delitem__(self, place: Place) -> None:
        self._changes[place] = None

    def __iter__(self) -> Iterator[Place]:
        yield from (place for place in self._below if place not in self._changes)
        yield from (place for place, node in self._changes.items() if node is not None)

    @property
    def weight(self) -> int:
        """How many nodes, roughly and at once."""
        return len(self._below) + len(self._changes)

    def __len__(self) -> int:
        hidden = sum(place in self._below for place in self._changes)
        return len(self._below) - hidden + sum(node is not None for node in self._changes.values())


_UNCHANGED: Final[Any] = object()
_LARGE: Final = 256
"""Nodes from which on a copy of a tree shares them."""
_MOST_CHANGES: Final = 256
"""Changed nodes from which on a copy does not."""


class SparseTree:
    """Some nodes of a tree, enough to compute its root; leaves may be changed and appended.

    Args:
        leaf_count: leaves without padding.
        nodes: what is known.
    """

    __slots__ = ("leaf_count", "nodes")

    def __init__(self, leaf_count: int, nodes: Mapping[Place, bytes] | None = None) -> None:
        self.leaf_count = leaf_count
        self.nodes: MutableMapping[Place, bytes] = dict(nodes or {})

    @classmethod
    def of_leaves(cls, leaves: Sequence[bytes]) -> SparseTree:
        """The whole tree over these leaves."""
        tree = cls(len(leaves), {(0, index): leaf for index, leaf in enumerate(leaves)})
        for height in range(tree_height(len(leaves))):
            for index in range(-(-len(leaves) >> height + 1) or 1):
                tree.nodes[height + 1, index] = tree._join(height + 1, index)
        return tree

    def copy(self) -> SparseTree:
        """Another one that knows the same. Of a large tree it shares what neither changes."""
        other = SparseTree(self.leaf_count)
        nodes = self.nodes
        if isinstance(nodes, Layered):
            other.nodes = nodes.copy()
        elif len(nodes) > _LARGE:
            other.nodes = Layered(nodes)
        else:
            other.nodes = dict(nodes)
        return other

    @property
    def weight(self) -> int:
        """How many nodes are known, roughly."""
        return self.nodes.weight if isinstance(self.nodes, Layered) else len(self.nodes)

    def knows_beside(self, leaf: int) -> bool:
        """Whether a change of this leaf alone would leave the root computable, without anything being computed."""
        places = path_places(self.leaf_count, leaf)
        return all(place[1] << place[0] >= self.leaf_count or place in self.nodes for place in places)

    @property
    def root(self) -> bytes:
        """The root, computed from what is known.

        Raises:
            BadHash: too little is known.
        """
        return self._node((tree_height(self.leaf_count), 0))

    def path(self, leaf: int) -> dict[Place, bytes]:
        """The siblings that prove a leaf."""
        return {place: self._node(place) for place in path_places(self.leaf_count, leaf)}

    def change(self, leaves: Mapping[int, bytes], leaf_count: int) -> None:
        """Set leaves and the number of leaves; what lies above changed or cut ones is forgotten.

        Unchanged nodes must be known already where the new root needs them.
        """
        touched = set(leaves) | ({leaf_count, self.leaf_count - 1} if leaf_count < self.leaf_count else set())
        if leaf_count > self.leaf_count:
            touched |= {self.leaf_count}
        top = max(tree_height(leaf_count), tree_height(self.leaf_count))
        for height in range(top + 1):
            for leaf in touched:
                self.nodes.pop((height, leaf >> height), None)
        if leaf_count < self.leaf_count:
            self.nodes = {place: node for place, node in self.nodes.items() if place[1] << place[0] < leaf_count}
        self.nodes.update({(0, leaf): value for leaf, value in leaves.items()})
        self.leaf_count = leaf_count

    def _node(self, place: Place) -> bytes:
        height, index = place
        if index << height >= max(self.leaf_count, 1) or (not height and index >= self.leaf_count):
            return padding_node(place)
        known = self.nodes.get(place)
        if known is None:
            if not height:
                raise BadHash(f"leaf {index} is not known")
            known = self.nodes[place] = self._join(height, index)
        return known

    def _join(self, height: int, index: int) -> bytes:
        return pair_hash(self._node((height - 1, 2 * index)), self._node((height - 1, 2 * index + 1)))


def climb(leaf: int, value: bytes, leaf_count: int, path: Mapping[Place, bytes]) -> bytes:
    """The root that a leaf and its siblings give.

    Raises:
        BadHash: a sibling is missing.
    """
    for place in path_places(leaf_count, leaf):
        sibling = path.get(place)
        if sibling is None:
            raise BadHash(f"node {place} is missing to prove leaf {leaf}")
        value = pair_hash(value, sibling) if place[1] % 2 else pair_hash(sibling, value)
    return value


# --- segments --------------------------------------------------------------------------------------------


class SlotSegment(NamedTuple):
    """One coded segment: its salt, and the block and the leaf of every share."""

    salt: bytes
    blocks: tuple[bytes, ...]
    leaves: tuple[bytes, ...]


def block_leaf(salt: bytes, block: BytesLike) -> bytes:
    """The leaf of a block."""
    hasher = TaggedHasher(Tag.SLOT_BLOCK)
    hasher.update(salt)
    hasher.update(block)
    return hasher.digest()


def encode_slot_segment(reader: SlotReader, shape: SlotShape, plaintext: BytesLike, salt: bytes) -> SlotSegment:
    """Encrypt and code one segment.

    Args:
        reader: whose key encrypts.
        shape: of the slot; only k and N matter.
        plaintext: 1 to ``segment_size`` bytes.
        salt: 16 fresh random bytes: a salt never serves two plaintexts.
    """
    ciphertext = StreamCipher(reader.segment_key(salt)).process(plaintext)
    size = -(-len(ciphertext) // shape.needed)
    padded = memoryview(ciphertext.ljust(size * shape.needed, b"\0"))
    pieces = [padded[start : start + size] for start in range(0, size * shape.needed, size)]
    blocks = tuple(erasure(shape.needed, shape.total).encode(pieces))
    return SlotSegment(salt, blocks, tuple(block_leaf(salt, block) for block in blocks))


def decode_slot_segment(
    reader: SlotReader, shape: SlotShape, segment: int, salt: bytes, blocks: Mapping[int, BytesLike]
) -> bytes:
    """The plaintext of one segment from k or more proven blocks, share number to block."""
    numbers = sorted(blocks)[: shape.needed]
    pieces = erasure(shape.needed, shape.total).decode(numbers, [blocks[number] for number in numbers])
    ciphertext = b"".join(pieces)[: shape.segment_length(segment)]
    return StreamCipher(reader.segment_key(salt)).process(ciphertext)


def share_root_tree(share_roots: Sequence[bytes]) -> SparseTree:
    """The tree over the roots of all shares; its root is signed."""
    return SparseTree.of_leaves(share_roots)


@dataclass(frozen=True)
class EncodedSlot:
    """A whole version, coded: what a writer has in hand before it sends anything."""

    proof: SlotProof
    segments: tuple[SlotSegment, ...]

    @cached_property
    def version(self) -> SlotVersion:
        """The version that was signed."""
        return SlotVersion.unpack(self.proof.version)

    @cached_property
    def block_trees(self) -> tuple[SparseTree, ...]:
        """The block tree of every share."""
        return tuple(
            SparseTree.of_leaves([segment.leaves[number] for segment in self.segments])
            for number in range(self.version.shape.total)
        )

    def chain(self, number: int) -> dict[Place, bytes]:
        """What proves the root of one share's block tree."""
        return share_root_tree([tree.root for tree in self.block_trees]).path(number)


def encode_slot(
    writer: SlotWriter,
    shape: SlotShape,
    contents: BytesLike,
    sequence: int,
    homes: Iterable[bytes],
    salt: Callable[[], bytes],
) -> EncodedSlot:
    """Code and sign a whole version.

    Args:
        writer: signs.
        shape: k, N, segment size and length (that of ``contents``).
        contents: plaintext.
        sequence: of the new version.
        homes: public keys of the nodes that will keep shares 0 … N-1.
        salt: gives 16 fresh random bytes per call.
    """
    assert shape.length == len(contents)
    view = memoryview(contents)
    starts = range(0, shape.length, shape.segment_size)
    segments = tuple(
        encode_slot_segment(writer.reader, shape, view[start : start + shape.segment_size], salt()) for start in starts
    )
    roots = [
        SparseTree.of_leaves([segment.leaves[number] for segment in segments]).root for number in range(shape.total)
    ]
    version = SlotVersion(sequence, share_root_tree(roots).root, shape, tuple(homes))
    return EncodedSlot(writer.sign(version), segments)
