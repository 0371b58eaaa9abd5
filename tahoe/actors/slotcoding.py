"""What stories of slots hand to ``ctx.compute``: proving answers, decoding segments, coding and signing versions.

A share of a slot is proven from the top down: the signature vouches for the version, its root hash (with the chain) for
the root of the share's block tree, that (with a path) for a block. What was proven is kept as a ``SparseTree``, which
is also what a writer needs: to know the roots of *all* N shares after a change, he needs of every share the nodes
beside what he changes, and nothing else.

Two trees also tell which segments a server lacks (``differing_segments``): below a node that both have alike,
nothing differs. So a share that is one version behind, or carries a rival's, is brought up by a few segments, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tahoe.codec.merkle import pair_hash
from tahoe.codec.slot import (
    SALT_SIZE,
    Place,
    SlotProof,
    SlotReader,
    SlotSegment,
    SlotShape,
    SlotVersion,
    SlotWriter,
    SparseTree,
    block_leaf,
    climb,
    decode_slot_segment,
    encode_slot_segment,
    padding_node,
    path_places,
    share_root_tree,
    tree_height,
)
from tahoe.errors import CorruptFile
from tahoe.protocol import SignedVersion, SlotBlock, SlotRead, SlotShareRead

# --- proving ---------------------------------------------------------------------------------------------


class ProvenShare(NamedTuple):
    """A share whose version is signed, and what of it is proven.

    Args:
        number: share number.
        version: that it carries.
        tree: proven nodes of its block tree.
        blocks: proven blocks by segment, each with its salt.
        flaw: what is wrong with the rest; empty if nothing is.
    """

    number: int
    version: SlotVersion
    tree: SparseTree
    blocks: dict[int, SlotBlock]
    flaw: str


def prove_shares(storage_index: bytes, answer: SlotRead) -> list[ProvenShare]:
    """The shares of an answer whose versions are signed by the slot's owner; others are as good as not there."""
    proven = (_prove(storage_index, share) for share in answer.shares)
    return [share for share in proven if share is not None]


def checked_version(storage_index: bytes, signed: SignedVersion | None) -> SlotVersion | None:
    """The version that a server says it carries; None if it is not the owner's, or there is none."""
    if signed is None:
        return None
    try:
        return SlotProof(signed.version, signed.signature, signed.public_key, signed.read_key_hash).check(storage_index)
    except ValueError:
        return None


def _prove(storage_index: bytes, share: SlotShareRead) -> ProvenShare | None:
    version = checked_version(storage_index, share.signed)
    if version is None or not 0 <= share.number < version.shape.total:
        return None
    tree = SparseTree(version.shape.segment_count)
    blocks: dict[int, SlotBlock] = {}
    flaw = _prove_root(version, share, tree) or _prove_edge(share, tree)
    if not flaw:
        flaw = _prove_blocks(version.shape, share.blocks, tree, blocks)
    return ProvenShare(share.number, version, tree, blocks, flaw)


def _prove_root(version: SlotVersion, share: SlotShareRead, tree: SparseTree) -> str:
    total, number = version.shape.total, share.number
    places = path_places(total, number)
    if not share.root:
        return "the server's own share is damaged"
    if len(places) != len(share.chain):
        return "the share's chain is of a wrong length"
    if climb(number, share.root, total, dict(zip(places, share.chain, strict=True))) != version.root_hash:
        return "the share is not the one that was signed"
    if tree.leaf_count:
        tree.nodes[tree_height(tree.leaf_count), 0] = share.root
    elif share.root != padding_node((0, 0)):
        return "the root of an empty share is wrong"
    return ""


def _prove_edge(share: SlotShareRead, tree: SparseTree) -> str:
    if not share.edge or not tree.leaf_count:
        return ""
    is_proven = _accept(tree, tree.leaf_count - 1, share.edge[0], share.edge[1:])
    return "" if is_proven else "the edge of the block tree is wrong"


def _prove_blocks(shape: SlotShape, blocks: Sequence[SlotBlock], tree: SparseTree, proven: dict[int, SlotBlock]) -> str:
    for block in blocks:
        segment = block.segment
        if not 0 <= segment < shape.segment_count:
            return "a block lies beyond the slot's end"
        if len(block.salt) != SALT_SIZE or len(block.data) != shape.block_length(segment):
            return f"block {segment} is of a wrong length"
        if not _accept(tree, segment, block_leaf(block.salt, block.data), block.path):
            return f"block {segment} is not the one that was signed"
        proven[segment] = block
    return ""


def _accept(tree: SparseTree, leaf: int, value: bytes, path: Sequence[bytes]) -> bool:
    """Climb from a leaf to the first node that is proven already; if it is reached, all on the way is proven, too."""
    places = path_places(tree.leaf_count, leaf)
    if len(places) != len(path):
        return False
    learned: dict[Place, bytes] = {}
    for (height, index), sibling in zip(places, path, strict=True):
        own = height, index ^ 1
        known = tree.nodes.get(own)
        if known is not None:
            break
        learned[own] = value
        if index << height < tree.leaf_count:
            learned[height, index] = sibling
        value = pair_hash(value, sibling) if index % 2 else pair_hash(sibling, value)
    else:
        known = tree.nodes[tree_height(tree.leaf_count), 0]
    if known != value:
        return False
    tree.nodes.update(learned)
    return True


# --- decoding --------------------------------------------------------------------------------------------


class SegmentPieces(NamedTuple):
    """Proven blocks of one segment, by share number."""

    segment: int
    blocks: Mapping[int, SlotBlock]


def decode_segments(reader: SlotReader, shape: SlotShape, pieces: Sequence[SegmentPieces]) -> list[bytes]:
    """The plaintext of segments, each from k or more proven blocks.

    Raises:
        CorruptFile: the shares were made of different segments.
    """
    return [_decode(reader, shape, segment, blocks) for segment, blocks in pieces]


def _decode(reader: SlotReader, shape: SlotShape, segment: int, blocks: Mapping[int, SlotBlock]) -> bytes:
    salts = {block.salt for block in blocks.values()}
    if len(salts) != 1:
        raise CorruptFile(f"segment {segment} of a slot has several salts")
    data = {number: block.data for number, block in blocks.items()}
    return decode_slot_segment(reader, shape, segment, salts.pop(), data)


# --- coding ----------------------------------------------------------------------------------------------


class VersionOrder(NamedTuple):
    """What the next version is to be, apart from its contents."""

    sequence: int
    shape: SlotShape
    homes: tuple[bytes, ...]


class CodedVersion(NamedTuple):
    """A signed version, and what has to be sent of it.

    Args:
        version: that was signed.
        signed: the signed form of it.
        segments: those that were coded.
        trees: the block tree of every share, as far as it is known.
    """

    version: SlotVersion
    signed: SignedVersion
    segments: dict[int, SlotSegment]
    trees: tuple[SparseTree, ...]

    def chains(self) -> list[tuple[bytes, ...]]:
        """What leads from the root of each share to the signed root, from the bottom up."""
        roots = share_root_tree([tree.root for tree in self.trees])
        return [tuple(roots.path(number).values()) for number in range(len(self.trees))]


class SaltedText(NamedTuple):
    """The plaintext of a segment, and the salt under which it is encrypted."""

    salt: bytes
    plaintext: bytes


def encode_segments(reader: SlotReader, shape: SlotShape, texts: Mapping[int, SaltedText]) -> dict[int, SlotSegment]:
    """Code segments under salts that are given: under an old salt, an old segment comes out as it was."""
    return {each: encode_slot_segment(reader, shape, text.plaintext, text.salt) for each, text in texts.items()}


def encode_version(
    writer: SlotWriter, order: VersionOrder, texts: Mapping[int, SaltedText], base: Sequence[SparseTree]
) -> CodedVersion:
    """Code segments and sign the version that they make.

    Args:
        writer: signs.
        order: sequence number, shape and homes.
        texts: the segments that are new.
        base: the block trees of the N shares before the change; empty: ``texts`` are all there is.

    Raises:
        BadHash: of the trees too little is known.
    """
    shape = order.shape
    segments = encode_segments(writer.reader, shape, texts)
    trees = tuple(base[number].copy() if base else SparseTree(0) for number in range(shape.total))
    for number, tree in enumerate(trees):
        tree.change({each: coded.leaves[number] for each, coded in segments.items()}, shape.segment_count)
    root_hash = share_root_tree([tree.root for tree in trees]).root
    version = SlotVersion(order.sequence, root_hash, shape, order.homes)
    proof = writer.sign(version)
    signed = SignedVersion(proof.version, proof.signature, proof.public_key, proof.read_key_hash)
    return CodedVersion(version, signed, segments, trees)


def differing_segments(old: SparseTree, new: SparseTree) -> list[int]:
    """The segments that may differ between two states of one share, as far as what is known of both tells."""
    found: list[int] = []
    waiting: list[Place] = [(tree_height(new.leaf_count), 0)]
    while waiting:
        height, index = waiting.pop()
        if index << height >= new.leaf_count:
            continue
        before = old.nodes.get((height, index)) if index << height < old.leaf_count else None
        if before is not None and before == new.nodes.get((height, index)):
            continue
        if height:
            waiting += [(height - 1, 2 * index + 1), (height - 1, 2 * index)]
        else:
            found.append(index)
    return found


def has_edge(tree: SparseTree) -> bool:
    """Whether the last leaf, and so what lies beside it, is known."""
    return not tree.leaf_count or (0, tree.leaf_count - 1) in tree.nodes


def edge_of(tree: SparseTree) -> SparseTree:
    """As much of a tree as whoever appends to it needs."""
    if not tree.leaf_count:
        return SparseTree(0)
    last = tree.leaf_count - 1
    known = {place: node for place, node in tree.path(last).items() if place[1] << place[0] < tree.leaf_count}
    return SparseTree(tree.leaf_count, known | {(0, last): tree.nodes[0, last]})
