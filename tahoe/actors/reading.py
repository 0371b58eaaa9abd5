"""What a storage server reads for ``ReadShares``: blocks, each with its proof, in terms of the file.

A reader asks for bytes of the file. The share itself says how the file is cut up (its UEB), so the server
can tell which blocks cover them, and adds to each block the siblings of its leaf in the share's block
tree and in the ciphertext tree. Nothing is trusted: the reader proves all of it against its capability.

A share's header, UEB and trees are read once and kept, within bounds, in a ``ProofCache``; a share
small enough is read whole in one go.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock

from tahoe.codec.hashing import HASH_SIZE
from tahoe.codec.merkle import layout, siblings
from tahoe.codec.parameters import EncodingParameters
from tahoe.codec.share import (
    MAX_HEADER_SIZE,
    MAX_UEB_LENGTH,
    IncompatibleShare,
    ShareOffsets,
    UriExtension,
    parse_header,
    parse_share_hashes,
    parse_uri_extension,
)
from tahoe.protocol import BlockRead, HashNode, ReadShares, ShareFacts, ShareRead, SharesRead
from tahoe.storage.store import ShareStore

CACHE_BYTES = 16 * 2**20
WHOLE_SHARE_BYTES = 64 * 1024
"""A share up to this size is read at once rather than section by section."""

_LONGEST_LENGTH_FIELD = 8

_NODE_BYTES = HASH_SIZE + 8
"""What a node of a proof takes in a message."""


@dataclass(frozen=True, slots=True)
class ShareProofs:
    """Everything of one share but its blocks. ``small`` holds a small share whole, blocks included."""

    size: int
    offsets: ShareOffsets
    parameters: EncodingParameters
    uri_extension: bytes
    share_hashes: tuple[HashNode, ...]
    block_tree: bytes
    ciphertext_tree: bytes
    small: bytes

    @property
    def weight(self) -> int:
        """Bytes that it takes in a cache, roughly."""
        return 1024 + len(self.block_tree) + len(self.ciphertext_tree) + len(self.small)

    def segments(self, offset: int, length: int) -> range:
        """The segments that cover a part of the file."""
        end = min(offset + length, self.parameters.size)
        if offset >= end:
            return range(0)
        return range(offset // self.parameters.segment_size, -(-end // self.parameters.segment_size))


class ProofCache:
    """The proofs of shares read lately, oldest out first, at most ``CACHE_BYTES`` of them. Thread-safe."""

    def __init__(self, most_bytes: int = CACHE_BYTES) -> None:
        self._most_bytes = most_bytes
        self._entries: OrderedDict[tuple[bytes, int], ShareProofs] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, store: ShareStore, storage_index: bytes, facts: ShareFacts) -> ShareProofs | None:
        """The proofs of a share, read from the store where they are not at hand; None if it does not parse."""
        key = (storage_index, facts.number)
        with self._lock:
            found = self._entries.get(key)
            if found is not None and found.size == facts.size:
                self._entries.move_to_end(key)
                return found
        proofs = _read_proofs(store, storage_index, facts)
        if proofs is not None and proofs.weight <= self._most_bytes // 4:
            self._keep(key, proofs)
        return proofs

    def forget(self, storage_index: bytes, number: int) -> None:
        """Read this share anew next time: it was found corrupt, or replaced."""
        with self._lock:
            self._drop((storage_index, number))

    def _keep(self, key: tuple[bytes, int], proofs: ShareProofs) -> None:
        with self._lock:
            self._drop(key)
            self._entries[key] = proofs
            self._bytes += proofs.weight
            while self._bytes > self._most_bytes:
                self._drop(next(iter(self._entries)))

    def _drop(self, key: tuple[bytes, int]) -> None:
        gone = self._entries.pop(key, None)
        if gone is not None:
            self._bytes -= gone.weight


def read_shares(store: ShareStore, proofs: ProofCache, request: ReadShares) -> SharesRead:
    """Answer ``ReadShares`` from a store: facts of all shares, contents of those wanted, as far as there is room."""
    held = store.shares(request.storage_index)
    wanted = request.numbers or tuple(held)
    room = request.room
    shares: list[ShareRead] = []
    for number in wanted:
        if len(shares) >= request.most or number not in held:
            continue
        found = proofs.get(store, request.storage_index, held[number])
        if found is None:
            continue
        blocks, taken = _read_blocks(store, request, found, number, room)
        room -= taken
        shares.append(_share_read(request, number, found, blocks))
        if room <= 0:
            break
    return SharesRead(tuple(held.values()), tuple(shares))


def _share_read(request: ReadShares, number: int, found: ShareProofs, blocks: tuple[BlockRead, ...]) -> ShareRead:
    return ShareRead(
        number=number,
        size=found.size,
        uri_extension=b"" if request.proven else found.uri_extension,
        share_hashes=() if request.proven else found.share_hashes,
        data_offset=found.offsets.data,
        blocks=blocks,
    )


def _read_blocks(
    store: ShareStore, request: ReadShares, found: ShareProofs, number: int, room: int
) -> tuple[tuple[BlockRead, ...], int]:
    """The blocks that fit with their proofs, and what they take; the first one is cut short rather than left out."""
    blocks: list[BlockRead] = []
    taken = 0
    for segment in found.segments(request.offset, request.length):
        offset, length = found.offsets.block_span(found.parameters, segment)
        fits = min(length, room - taken)
        if fits <= 0 or (blocks and fits < length):
            break
        data = found.small[offset : offset + fits] or store.read(request.storage_index, number, offset, fits)
        count = found.parameters.segment_count
        block_path = _nodes(found.block_tree, siblings(count, segment))
        ciphertext_path = _nodes(found.ciphertext_tree, [layout(count)[0] + segment, *siblings(count, segment)])
        blocks.append(BlockRead(segment, data, block_path, ciphertext_path))
        taken += fits + _NODE_BYTES * (len(block_path) + len(ciphertext_path))
    return tuple(blocks), taken


def _nodes(tree: bytes, numbers: Iterable[int]) -> tuple[HashNode, ...]:
    return tuple(HashNode(node, tree[node * HASH_SIZE : (node + 1) * HASH_SIZE]) for node in numbers)


def _read_proofs(store: ShareStore, storage_index: bytes, facts: ShareFacts) -> ShareProofs | None:
    """Read everything but the blocks; None if the share does not parse (its own scrub will say why)."""
    whole = store.read(storage_index, facts.number, 0, facts.size) if facts.size <= WHOLE_SHARE_BYTES else b""

    def section(offset: int, length: int) -> bytes:
        if whole:
            return whole[offset : offset + length]
        return store.read(storage_index, facts.number, offset, length)

    try:
        offsets = parse_header(section(0, MAX_HEADER_SIZE))
        tail = section(offsets.uri_extension, _LONGEST_LENGTH_FIELD + MAX_UEB_LENGTH)
        uri_extension = offsets.uri_extension_in(tail)
        parameters = UriExtension.from_fields(parse_uri_extension(uri_extension)).parameters
        tree_size = HASH_SIZE * layout(parameters.segment_count)[1]
        chain = parse_share_hashes(
            section(offsets.share_hashes, _bounded(offsets.uri_extension - offsets.share_hashes, facts.size))
        )
        return ShareProofs(
            size=facts.size,
            offsets=offsets,
            parameters=parameters,
            uri_extension=uri_extension,
            share_hashes=tuple(HashNode(node, digest) for node, digest in chain.items()),
            block_tree=section(offsets.block_hashes, _bounded(tree_size, facts.size)),
            ciphertext_tree=section(offsets.crypttext_hashes, _bounded(tree_size, facts.size)),
            small=whole,
        )
    except (IncompatibleShare, ValueError):
        return None


def _bounded(length: int, size: int) -> int:
    """A section's length; ValueError where the share can't hold it, so that junk makes us read nothing big."""
    if not 0 <= length <= size:
        raise ValueError("a section of this share is longer than the share")
    return length
