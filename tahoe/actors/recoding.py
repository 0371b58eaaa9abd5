"""What stories that repair files hand to ``ctx.compute``: making shares that are missing, and nothing more.

Making a share takes more than its blocks. Its chain in the tree over all shares has hashes of others, which come from
the chains of good shares as far as these go; of the rest the blocks must be computed and hashed, too, though nobody sends
them. ``Recoder`` finds out which those are, and does nothing more. What comes out is proven by the UEB before anybody
sees it: byte for byte the share that was there at first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tahoe.codec.erasure import erasure
from tahoe.codec.hashing import HASH_SIZE, Tag, tagged_hash
from tahoe.codec.merkle import BadHash, MerkleTree, PartialTree, layout, padding_leaf, pair_hash, siblings
from tahoe.codec.share import ShareLayout, UriExtension, serialise_share_hashes
from tahoe.errors import CorruptFile


class RepairPlan(NamedTuple):
    """What is to be made of a file, from its ciphertext.

    Args:
        uri_extension: the proven UEB, byte for byte.
        version: of the share layout.
        numbers: of the shares to be made.
        chains: proven nodes of the tree over all shares.
    """

    uri_extension: bytes
    extension: UriExtension
    version: int
    numbers: tuple[int, ...]
    chains: Mapping[int, bytes]

    @property
    def layout(self) -> ShareLayout:
        """Where things stand in each share."""
        return ShareLayout.of(self.extension.parameters, self.version)

    @property
    def share_size(self) -> int:
        """Bytes of each share."""
        offsets = self.layout.offsets
        return offsets.uri_extension + offsets.length_field_size + len(self.uri_extension)


class Recoder:
    """Makes missing shares of one file, segment after segment.

    Args:
        plan: which.
    """

    def __init__(self, plan: RepairPlan) -> None:
        self.plan = plan
        self.parameters = plan.extension.parameters
        self.hashed = numbers_to_hash(self.parameters.total, plan.numbers, plan.chains)
        self._segments: list[bytes] = []
        self._block_hashes: dict[int, list[bytes]] = {number: [] for number in self.hashed}

    def recode(self, ciphertext: bytes) -> list[bytes]:
        """The blocks of the next segment by share number, empty for shares that are not made."""
        segment = len(self._segments)
        blocks = self._encode(segment, ciphertext)
        self._segments.append(self._segment_hash(ciphertext))
        for number, block in blocks.items():
            self._block_hashes[number].append(self._block_hash(number, block))
        made = dict.fromkeys(self.plan.numbers)
        return [blocks[number] if number in made else b"" for number in range(self.parameters.total)]

    def _encode(self, segment: int, ciphertext: bytes) -> dict[int, bytes]:
        length = self.parameters.block_length(segment)
        padded = memoryview(ciphertext.ljust(length * self.parameters.needed, b"\0"))
        pieces = [padded[start : start + length] for start in range(0, len(padded), length)]
        made = erasure(self.parameters.needed, self.parameters.total).encode_some(pieces, self.hashed)
        return dict(zip(self.hashed, made, strict=True))

    def _segment_hash(self, ciphertext: bytes) -> bytes:
        return tagged_hash(Tag.CRYPTTEXT_SEGMENT, ciphertext)

    def _block_hash(self, number: int, block: bytes) -> bytes:
        return tagged_hash(Tag.BLOCK, block)

    def finish(self) -> list[bytes]:
        """What stands behind the blocks in each share that is made; empty for others.

        Raises:
            CorruptFile: the file was made wrong, so what was made is not what the UEB says.
        """
        total, layout_ = self.parameters.total, self.plan.layout
        segments = MerkleTree(self._segments)
        trees = {number: MerkleTree(hashes) for number, hashes in self._block_hashes.items()}
        shares = ShareTree(total, self.plan.chains, {number: tree.root for number, tree in trees.items()})
        if segments.root != self.plan.extension.crypttext_root_hash:
            raise CorruptFile("the segments are not those of the URI extension block")
        trailers = [b""] * total
        for number in self.plan.numbers:
            shares.check(number, self.plan.extension.share_root_hash)
            chain = serialise_share_hashes(shares, number)
            trailers[number] = layout_.trailer(segments, trees[number], chain, self.plan.uri_extension)
        return trailers


class ShareTree(MerkleTree):
    """The tree over all shares, as far as it is known; unknown nodes are empty.

    Args:
        total: N.
        nodes: what is known of it.
        roots: of the block trees of some shares.
    """

    def __init__(self, total: int, nodes: Mapping[int, bytes], roots: Mapping[int, bytes]) -> None:
        self.leaf_count = total
        first, count = layout(total)
        known = dict(nodes)
        known |= {first + number: root for number, root in roots.items()}
        known |= {first + leaf: padding_leaf(leaf) for leaf in range(total, first + 1)}
        for node in reversed(range(first)):
            left, right = known.get(2 * node + 1), known.get(2 * node + 2)
            if left is not None and right is not None:
                known.setdefault(node, pair_hash(left, right))
        self.nodes = [known.get(node, b"") for node in range(count)]

    def check(self, number: int, root: bytes) -> None:
        """Make sure that a share's chain leads to the root.

        Raises:
            CorruptFile: it does not.
        """
        first = layout(self.leaf_count)[0]
        try:
            PartialTree(self.leaf_count, root).add({number: self.nodes[first + number]}, dict(self.path(number)))
        except BadHash as error:
            raise CorruptFile(f"share {number} is not the one that the URI extension block names: {error}") from error


def chain_nodes(total: int, number: int, share_hashes: Mapping[int, bytes]) -> dict[int, bytes]:
    """Those of a proven share's hashes that its proof has looked at."""
    wanted = (layout(total)[0] + number, *siblings(total, number))
    return {node: share_hashes[node] for node in wanted if len(share_hashes.get(node, b"")) == HASH_SIZE}


def numbers_to_hash(total: int, numbers: Sequence[int], chains: Iterable[int]) -> tuple[int, ...]:
    """Which shares' roots must be computed to make some of them: these, and what no chain tells.

    Args:
        total: N.
        numbers: of the shares to be made.
        chains: nodes of the tree over all shares that are known.
    """
    first, count = layout(total)
    hashed = dict.fromkeys(numbers)
    known = dict.fromkeys(chains)

    def is_known(node: int) -> bool:
        if node in known or (node >= first and (node - first in hashed or node - first >= total)):
            return True
        return node < first and is_known(2 * node + 1) and is_known(2 * node + 2)

    def leaves(node: int) -> Iterable[int]:
        if node >= first:
            return (node - first,)
        return (*leaves(2 * node + 1), *leaves(2 * node + 2))

    for number in numbers:
        for node in siblings(total, number):
            assert node < count, "a sibling is in the tree"
            if not is_known(node):
                hashed.update(dict.fromkeys(leaf for leaf in leaves(node) if leaf < total))
    return tuple(sorted(hashed))


def begin_recoding(plan: RepairPlan) -> Recoder:
    """Begin to make missing shares."""
    return Recoder(plan)


def recode_segment(recoder: Recoder, ciphertext: bytes) -> list[bytes]:
    """The blocks of the next segment by share number; empty for shares that are not made."""
    return recoder.recode(ciphertext)


def finish_recoding(recoder: Recoder) -> list[bytes]:
    """What stands behind the blocks in each share; empty for those that are not made."""
    return recoder.finish()
