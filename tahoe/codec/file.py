"""Immutable files: from ciphertext to shares and back, each step small, with memory for one segment at a time.

:class:`FileEncoder` takes segments and gives blocks; it keeps only hashes, of which :meth:`FileEncoder.finish` makes
what stands behind the data in every share. :class:`FileDecoder` holds what a reader could prove so far, starting from
the capability alone; whatever a server says goes in through an ``accept_`` method, which proves it or names the share
that lied::

    capability --> accept_ueb --> accept_share(number) --> accept_block(number, segment)
                        '-------> accept_segment_path(segment)  ---------'---> decode_segment --> decrypt

A share that fails a hash is corrupt and another takes its place. But when blocks that were all proven decode to a
segment that fails, no share is to blame: the file was made wrong.

Objects here belong to one story; their methods are made to be run in threads (what is slow in them releases the
interpreter's lock), and a decoder's may overlap, since it only ever adds what it has proven.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from tahoe.codec.capability import ImmutableRead, ImmutableVerify, Literal
from tahoe.codec.cipher import StreamCipher
from tahoe.codec.erasure import erasure
from tahoe.codec.hashing import Tag, TaggedHasher, tagged_hash
from tahoe.codec.merkle import BadHash, MerkleTree, PartialTree, layout
from tahoe.codec.parameters import DEFAULT_MAX_SEGMENT_SIZE, EncodingParameters
from tahoe.codec.share import (
    ShareLayout,
    UriExtension,
    field_number,
    hash_of_uri_extension,
    parse_uri_extension,
    serialise_share_hashes,
)
from tahoe.codec.verification import VerifiedShare, verify_share
from tahoe.errors import CorruptFile, CorruptShare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tahoe.codec.hashing import BytesLike

__all__ = [
    "DEFAULT_MAX_SEGMENT_SIZE",
    "LITERAL_LIMIT",
    "EncodedFile",
    "EncodingParameters",
    "FileDecoder",
    "FileEncoder",
    "VerifiedShare",
    "crypt",
    "encode_whole",
    "make_literal",
    "verify_share",
]

LITERAL_LIMIT: Final = 55  # bytes: up to here the cap holds the file, and no server sees it


def make_literal(data: bytes) -> Literal:
    """Return the capability that holds a small file.

    Raises:
        ValueError: more than :data:`LITERAL_LIMIT` bytes.
    """
    if len(data) > LITERAL_LIMIT:
        raise ValueError(f"a literal holds at most {LITERAL_LIMIT} bytes, not {len(data)}")
    return Literal(bytes(data))


def crypt(key: bytes, data: BytesLike, offset: int = 0) -> bytes:
    """Encrypt or decrypt (it is the same) bytes of a file that stand at ``offset``."""
    return StreamCipher(key, offset).process(data)


class EncodedFile(NamedTuple):
    """What is known once the last segment is encoded.

    Attributes:
        uri_extension: the serialised UEB.
        ueb_hash: its hash, for the capability.
        trailers: for each share, everything after its data.
    """

    uri_extension: bytes
    ueb_hash: bytes
    trailers: list[bytes]


class FileEncoder:
    """Encodes one file's ciphertext, segment after segment.

    Args:
        parameters: of the file.
        layout: of its shares, if not the usual one.
    """

    __slots__ = ("_block_hashes", "_crypttext", "_segment_hashes", "layout", "parameters")

    def __init__(self, parameters: EncodingParameters, layout: ShareLayout | None = None) -> None:
        self.parameters = parameters
        self.layout = layout or ShareLayout.of(parameters)
        self._crypttext = TaggedHasher(Tag.CRYPTTEXT)
        self._segment_hashes: list[bytes] = []
        self._block_hashes: list[list[bytes]] = [[] for _ in range(parameters.total)]

    def encode_segment(self, ciphertext: bytes) -> list[bytes]:
        """Return the N blocks of the next segment, block r for share r.

        Raises:
            ValueError: the segment has not the length that is due.
        """
        segment = len(self._segment_hashes)
        due = self.parameters.segment_length(segment) if segment < self.parameters.segment_count else 0
        if len(ciphertext) != due or not due:
            raise ValueError(f"segment {segment} has {due} bytes, not {len(ciphertext)}")
        self._crypttext.update(ciphertext)
        self._segment_hashes.append(tagged_hash(Tag.CRYPTTEXT_SEGMENT, ciphertext))
        block_length = self.parameters.block_length(segment)
        padded = ciphertext.ljust(block_length * self.parameters.needed, b"\0")
        pieces = [padded[start : start + block_length] for start in range(0, len(padded), block_length)]
        blocks = erasure(self.parameters.needed, self.parameters.total).encode(pieces)
        for hashes, block in zip(self._block_hashes, blocks, strict=True):
            hashes.append(tagged_hash(Tag.BLOCK, block))
        return blocks

    def finish(self) -> EncodedFile:
        """Return what only the whole file gives; call it after the last segment."""
        assert len(self._segment_hashes) == self.parameters.segment_count, "segments are missing"
        crypttext_tree = MerkleTree(self._segment_hashes)
        block_trees = [MerkleTree(hashes) for hashes in self._block_hashes]
        share_tree = MerkleTree([tree.root for tree in block_trees])
        extension = UriExtension(self.parameters, self._crypttext.digest(), crypttext_tree.root, share_tree.root)
        ueb = extension.serialise()
        trailers = [
            self.layout.trailer(crypttext_tree, tree, serialise_share_hashes(share_tree, number), ueb)
            for number, tree in enumerate(block_trees)
        ]
        return EncodedFile(ueb, hash_of_uri_extension(ueb), trailers)


def encode_whole(
    parameters: EncodingParameters, ciphertext: bytes, layout: ShareLayout | None = None
) -> tuple[EncodedFile, list[bytes]]:
    """Encode a file that fits in memory; return what :meth:`FileEncoder.finish` does and the N whole shares."""
    encoder = FileEncoder(parameters, layout)
    starts = range(0, parameters.size, parameters.segment_size)
    segments = [encoder.encode_segment(ciphertext[start : start + parameters.segment_size]) for start in starts]
    finished = encoder.finish()
    columns = zip(*segments, strict=True)
    header = encoder.layout.header
    return finished, [b"".join((header, *blocks, end)) for blocks, end in zip(columns, finished.trailers, strict=True)]


@dataclass(frozen=True, slots=True)
class _Proof:
    """What follows from the UEB: a trusted root for every tree."""

    extension: UriExtension
    segments: PartialTree
    shares: PartialTree
    blocks: dict[int, PartialTree] = field(default_factory=dict)


class FileDecoder:
    """What is proven about one file, and the way from proven blocks to its ciphertext.

    Args:
        cap: a read or verify cap.

    Raises:
        BadCapability: the cap's numbers make no sense.
    """

    __slots__ = ("_known", "cap")

    def __init__(self, cap: ImmutableRead | ImmutableVerify) -> None:
        cap.check_served()
        self.cap = cap
        self._known: _Proof | None = None

    @property
    def has_ueb(self) -> bool:
        """Whether a UEB has been accepted, without which nothing else can be."""
        return self._known is not None

    @property
    def uri_extension(self) -> UriExtension:
        """The accepted UEB."""
        return self._proof.extension

    @property
    def parameters(self) -> EncodingParameters:
        """The file's encoding: k, N and size by the cap, the segment size by the UEB."""
        return self._proof.extension.parameters

    @property
    def _proof(self) -> _Proof:
        assert self._known is not None, "accept a UEB first"
        return self._known

    def accept_ueb(self, data: bytes, number: int = -1) -> UriExtension:
        """Prove a UEB by the cap.

        Args:
            data: the serialised UEB.
            number: of the share it came from, for the error.

        Raises:
            CorruptShare: it is not the one the cap names.
            CorruptFile: it is, and makes no sense.
        """
        if hash_of_uri_extension(data) != self.cap.ueb_hash:
            raise CorruptShare("", number, "the URI extension block is not the capability's")
        if self._known is not None:
            return self._known.extension
        try:
            fields = parse_uri_extension(data)
            segment_size = field_number(fields, "segment_size")
            parameters = EncodingParameters(self.cap.needed, self.cap.total, segment_size, self.cap.size)
            extension = UriExtension.from_fields(fields, parameters)
        except ValueError as error:
            raise CorruptFile(str(error)) from error
        segments = PartialTree(parameters.segment_count, extension.crypttext_root_hash)
        self._known = _Proof(extension, segments, PartialTree(parameters.total, extension.share_root_hash))
        return extension

    def accept_share(self, number: int, share_hashes: Mapping[int, bytes]) -> bytes:
        """Prove the root of a share's block tree.

        Args:
            number: of the share.
            share_hashes: entries of its share hash section.

        Returns:
            The root, 32 bytes.

        Raises:
            CorruptShare: the entries don't prove it.
        """
        proof = self._proof
        leaf = layout(self.parameters.total)[0] + number
        if not 0 <= number < self.parameters.total:
            raise CorruptShare("", number, f"the file has {self.parameters.total} shares")
        try:
            if not proof.shares.has_leaf(number) or leaf in share_hashes:
                leaves = {number: share_hashes[leaf]} if leaf in share_hashes else {}
                proof.shares.add(leaves, share_hashes)
            root = proof.shares.leaf(number)
        except (BadHash, KeyError) as error:
            raise CorruptShare("", number, f"share hashes: {error}") from error
        proof.blocks.setdefault(number, PartialTree(self.parameters.segment_count, root))
        return root

    def has_share(self, number: int) -> bool:
        """Tell whether this share's root has been proven."""
        return number in self._proof.blocks

    def needed_block_nodes(self, number: int, segment: int) -> list[int]:
        """Return the nodes of an accepted share's block tree still missing to prove a block."""
        return self._proof.blocks[number].needed(segment)

    def accept_block(self, number: int, segment: int, block: BytesLike, nodes: Mapping[int, bytes]) -> None:
        """Prove a block of an accepted share.

        Args:
            number: of the share.
            segment: the block's segment.
            block: the block.
            nodes: nodes of the share's block tree, at least those of :meth:`needed_block_nodes`.

        Raises:
            CorruptShare: the block is not the share's, or nodes are missing.
        """
        length = self.parameters.block_length(segment)
        if len(block) != length:
            raise CorruptShare("", number, f"block {segment} has {len(block)} bytes instead of {length}")
        try:
            self._proof.blocks[number].add({segment: tagged_hash(Tag.BLOCK, block)}, nodes)
        except BadHash as error:
            raise CorruptShare("", number, f"block {segment}: {error}") from error

    def needed_segment_nodes(self, segment: int) -> list[int]:
        """Return the nodes of the crypttext tree still missing to know a segment's hash, that leaf included."""
        tree = self._proof.segments
        if tree.has_leaf(segment):
            return []
        return [layout(self.parameters.segment_count)[0] + segment, *tree.needed(segment)]

    def accept_segment_path(self, segment: int, nodes: Mapping[int, bytes], number: int = -1) -> None:
        """Prove the hash of a segment's ciphertext.

        Args:
            segment: the segment.
            nodes: nodes of the crypttext tree, at least those of :meth:`needed_segment_nodes`.
            number: of the share they came from, for the error.

        Raises:
            CorruptShare: they are not the file's, or some are missing.
        """
        tree = self._proof.segments
        leaf = layout(self.parameters.segment_count)[0] + segment
        try:
            leaves = {} if tree.has_leaf(segment) and leaf not in nodes else {segment: nodes[leaf]}
            tree.add(leaves, nodes)
        except (BadHash, KeyError) as error:
            raise CorruptShare("", number, f"crypttext hashes of segment {segment}: {error}") from error

    def decode_segment(self, segment: int, blocks: Mapping[int, BytesLike]) -> bytes:
        """Return a segment's ciphertext from k or more accepted blocks, share number to block.

        The segment's path must have been accepted before.

        Raises:
            CorruptFile: the blocks are proven and yet decode to something else.
        """
        numbers = sorted(blocks)[: self.parameters.needed]
        pieces = erasure(self.parameters.needed, self.parameters.total).decode(
            numbers, [blocks[number] for number in numbers]
        )
        ciphertext = b"".join(pieces)[: self.parameters.segment_length(segment)]
        if tagged_hash(Tag.CRYPTTEXT_SEGMENT, ciphertext) != self._proof.segments.leaf(segment):
            raise CorruptFile(f"segment {segment} of {self.parameters.segment_count}")
        return ciphertext
