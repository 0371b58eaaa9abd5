"""What tests of slots share: a writer, the versions that it signs, and what it sends of them to a server."""

from __future__ import annotations

from hashlib import sha256
from random import Random

from tahoe.codec.slot import (
    EncodedSlot,
    SlotShape,
    SlotVersion,
    SlotWriter,
    SparseTree,
    VersionId,
    encode_slot_segment,
    share_root_tree,
)
from tahoe.protocol import (
    Lease,
    SignedVersion,
    SlotBlock,
    SlotShareToWrite,
    VersionName,
    WriteSlot,
)
from tahoe.storage.slots import SlotChange, SlotHead, SlotRecord
from tahoe.storage.slottree import changed_nodes
from tests.storage.samples import lease

SHAPE = SlotShape(2, 3, 64, 0)


class Writer:
    """Owner of one slot; what it makes follows from its number.

    ``write`` keeps the segments of the version before whose plaintext stays: only the others get a new salt.
    """

    def __init__(self, number: int = 1, shape: SlotShape = SHAPE) -> None:
        self.keys = SlotWriter(sha256(b"seed %d" % number).digest())
        self.shape = shape
        self.homes = tuple(sha256(b"home %d" % home).digest() for home in range(shape.total))
        self._rng = Random(number)
        self._plaintexts: dict[VersionId, list[bytes]] = {}

    @property
    def index(self) -> bytes:
        return self.keys.reader.storage_index

    def write(self, contents: bytes, base: EncodedSlot | None = None, sequence: int | None = None) -> EncodedSlot:
        shape = self.shape.grown(len(contents))
        size = shape.segment_size
        plaintexts = [contents[start : start + size] for start in range(0, len(contents), size)]
        before = self._plaintexts[base.version.identity] if base else []
        segments = []
        for number, plaintext in enumerate(plaintexts):
            if base and number < len(before) and before[number] == plaintext:
                segments.append(base.segments[number])
            else:
                salt = self._rng.randbytes(16)
                segments.append(encode_slot_segment(self.keys.reader, shape, plaintext, salt))
        trees = [SparseTree.of_leaves([each.leaves[share] for each in segments]) for share in range(shape.total)]
        root = share_root_tree([tree.root for tree in trees]).root
        if sequence is None:
            sequence = base.version.sequence + 1 if base else 1
        encoded = EncodedSlot(self.keys.sign(SlotVersion(sequence, root, shape, self.homes)), tuple(segments))
        self._plaintexts[encoded.version.identity] = plaintexts
        return encoded


def different(encoded: EncodedSlot, base: EncodedSlot | None) -> list[int]:
    """The segments that a server which has ``base`` needs."""
    old = base.segments if base else ()
    return [each for each, segment in enumerate(encoded.segments) if each >= len(old) or old[each] != segment]


def change(encoded: EncodedSlot, number: int, base: EncodedSlot | None = None) -> SlotChange:
    """What a store is told: what differs from ``base``, or everything."""
    shape = encoded.version.shape
    records = {
        each: SlotRecord(segment.leaves[number], segment.salt, segment.blocks[number])
        for each in different(encoded, base)
        if (segment := encoded.segments[each])
    }
    leaves = {each: record.leaf for each, record in records.items()}
    tree = base.block_trees[number] if base else SparseTree(0)
    head = SlotHead(encoded.version, encoded.proof, tuple(encoded.chain(number).values()))
    return SlotChange(head, records, changed_nodes(tree, leaves, shape.segment_count), whole=base is None)


def records_of(encoded: EncodedSlot, number: int) -> list[SlotRecord]:
    """All records of a share."""
    return [SlotRecord(each.leaves[number], each.salt, each.blocks[number]) for each in encoded.segments]


def signed(encoded: EncodedSlot) -> SignedVersion:
    proof = encoded.proof
    return SignedVersion(proof.version, proof.signature, proof.public_key, proof.read_key_hash)


def name(encoded: EncodedSlot | None) -> VersionName | None:
    return None if encoded is None else VersionName(*encoded.version.identity)


def offer(
    encoded: EncodedSlot,
    number: int,
    base: EncodedSlot | None = None,
    *,
    whole: bool = False,
) -> SlotShareToWrite:
    """One share of a request: what differs from ``base`` (or all), to be put on top of it."""
    blocks = tuple(
        SlotBlock(each, encoded.segments[each].salt, encoded.segments[each].blocks[number])
        for each in different(encoded, None if whole else base)
    )
    return SlotShareToWrite(number, name(base), tuple(encoded.chain(number).values()), blocks)


def request(writer: Writer, encoded: EncodedSlot, *shares: SlotShareToWrite, leased: Lease | None = None) -> WriteSlot:
    return WriteSlot(writer.index, leased or lease(), signed(encoded), shares)
