"""Twins of ``actors/coding.py``: what stories hand to ``compute``, done to phantoms instead of bytes.

A phantom's identity tells what was done to the plaintext, so that decoding is undoing::

    plaintext    "file 7"
    ciphertext   Encrypted(key, "file 7")                           encrypting twice is decrypting
    block r      Coded(k, N, ciphertext's identity, offset, size)   [r * length : (r + 1) * length]

Where the codec hashes contents, the twin takes the phantom's fingerprint; the hashes above the leaves, the
UEB and the capability are computed from those by the codec itself. Thus a spoiled or misplaced block fails
the same check of the same tree, a share has the same size to the byte, and rot and liars still work.

Real bytes may be among the sources at phantom fidelity (a small directory, a test's file). They travel in
the identity and come back as what they were.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple, cast

from tahoe.actors import coding
from tahoe.actors.coding import Decoded, ShareStretch, SmallFile
from tahoe.codec.capability import ImmutableRead, ImmutableVerify
from tahoe.codec.file import FileDecoder, FileEncoder
from tahoe.codec.merkle import BadHash
from tahoe.codec.parameters import EncodingParameters
from tahoe.errors import CorruptFile, CorruptShare
from tahoe.protocol import HashNode
from tahoe.sim.phantom import Content, Phantom, Real, as_phantom, joined
from tahoe.sim.twins import register_twin


class Encrypted(NamedTuple):
    """The identity of something encrypted."""

    key: bytes
    identity: Any


class Coded(NamedTuple):
    """The identity of the blocks of one segment of ciphertext."""

    needed: int
    total: int
    identity: Hashable
    offset: int
    size: int


# --- key -------------------------------------------------------------------------------------------------


class KeyMaker:
    """Derives a convergent key: the same key for the same contents, parameters and secret."""

    def __init__(self, parameters: EncodingParameters, secret: bytes) -> None:
        self._facts = (parameters.needed, parameters.total, parameters.segment_size, secret)
        self._pieces: list[Content] = []

    def update(self, plaintext: Content) -> None:
        """Take in the next part of the file."""
        self._pieces.append(plaintext)

    def key(self) -> bytes:
        """The key, 16 bytes."""
        whole = as_phantom(joined(self._pieces))
        return sha256(repr((self._facts, whole.fingerprint)).encode()).digest()[:16]


def feed_key(maker: KeyMaker, plaintext: Content) -> None:
    """Take in the next bytes of the file."""
    maker.update(plaintext)


def end_key(maker: KeyMaker) -> bytes:
    """The key, 16 bytes."""
    return maker.key()


def crypt(key: bytes, content: Content) -> Phantom:
    """Encrypt or decrypt: doing it twice undoes it."""
    whole = as_phantom(content)
    inner: Any = whole.identity
    undone = isinstance(inner, Encrypted) and inner.key == key
    identity = inner.identity if undone else Encrypted(key, inner)
    return Phantom(whole.size, identity, whole.offset, intact=whole.intact)


# --- encoding --------------------------------------------------------------------------------------------


class PhantomEncoder(FileEncoder):
    """Encodes phantom ciphertext: real trees over the fingerprints of phantom blocks."""

    __slots__ = ()

    def encode_segment(self, ciphertext: Any) -> list[Any]:
        """The N blocks of the next segment."""
        parameters = self.parameters
        segment = len(self._segment_hashes)
        due = parameters.segment_length(segment) if segment < parameters.segment_count else 0
        if len(ciphertext) != due or not due:
            raise ValueError(f"segment {segment} has {due} bytes, not {len(ciphertext)}")
        fingerprint = ciphertext.fingerprint
        self._crypttext.update(fingerprint)
        self._segment_hashes.append(fingerprint)
        blocks = [coded_block(parameters, segment, ciphertext, number) for number in range(parameters.total)]
        for number, hashes in enumerate(self._block_hashes):
            hashes.append(block_fingerprint(fingerprint, number, intact=ciphertext.intact))
        return blocks


def coded_block(parameters: EncodingParameters, segment: int, ciphertext: Any, number: int) -> Phantom:
    """The block of one share."""
    length = parameters.block_length(segment)
    identity = Coded(parameters.needed, parameters.total, ciphertext.identity, ciphertext.offset, ciphertext.size)
    return Phantom(length, identity, number * length, intact=ciphertext.intact)


class Workbench(NamedTuple):
    """One file being encoded."""

    key: bytes
    encoder: PhantomEncoder


def begin_file(parameters: EncodingParameters, key: bytes) -> Workbench:
    """Begin to encode a file."""
    return Workbench(key, PhantomEncoder(parameters))


def encode_segment(bench: Workbench, plaintext: Content) -> list[Any]:
    """The N blocks of the next segment."""
    return bench.encoder.encode_segment(crypt(bench.key, plaintext))


def encode_small(parameters: EncodingParameters, key: bytes, plaintext: Content) -> SmallFile:
    """Encode a file of any size in one go under a given key."""
    encoder = PhantomEncoder(parameters)
    ciphertext = crypt(key, plaintext)
    starts = range(0, parameters.size, parameters.segment_size)
    segments = [encoder.encode_segment(ciphertext.slice(start, parameters.segment_size)) for start in starts]
    finished = encoder.finish()
    header = encoder.layout.header
    shares = [
        joined((header, *blocks, trailer), finished.ueb_hash)
        for blocks, trailer in zip(zip(*segments, strict=True), finished.trailers, strict=True)
    ]
    return SmallFile(key, finished.ueb_hash, cast("list[bytes]", shares))


def encode_small_convergent(parameters: EncodingParameters, secret: bytes, plaintext: Content) -> SmallFile:
    """Encode a file of any size in one go under its convergent key."""
    maker = KeyMaker(parameters, secret)
    maker.update(plaintext)
    return encode_small(parameters, maker.key(), plaintext)


def block_fingerprint(segment_fingerprint: bytes, number: int, *, intact: bool) -> bytes:
    """The leaf of a block in its share's tree, from the fingerprint of the segment that it codes."""
    return sha256(b"block %d %d " % (number, intact) + segment_fingerprint).digest()


@lru_cache(maxsize=4096)
def _segment_fingerprint(identity: Coded) -> bytes:
    return Phantom(identity.size, identity.identity, identity.offset).fingerprint


# --- decoding --------------------------------------------------------------------------------------------


class PhantomDecoder(FileDecoder):
    """Proves phantom blocks by real trees and undoes their coding."""

    __slots__ = ()

    def accept_block(self, number: int, segment: int, block: Any, nodes: Mapping[int, bytes]) -> None:
        """Prove a block of an accepted share.

        Raises:
            CorruptShare: the block is not the share's, or nodes are missing.
        """
        length = self.parameters.block_length(segment)
        if len(block) != length:
            raise CorruptShare("", number, f"block {segment} has {len(block)} bytes instead of {length}")
        try:
            self._proof.blocks[number].add({segment: leaf_of(block)}, nodes)
        except BadHash as error:
            raise CorruptShare("", number, f"block {segment}: {error}") from error

    def decode_segment(self, segment: int, blocks: Mapping[int, Any]) -> Any:
        """A segment's ciphertext from k or more accepted blocks.

        Raises:
            CorruptFile: the blocks are proven and yet are of different segments.
        """
        first = next(iter(blocks.values())).identity
        same = all(block.identity == first for block in blocks.values())
        ciphertext = Phantom(first.size, first.identity, first.offset)
        if not same or ciphertext.fingerprint != self._proof.segments.leaf(segment):
            raise CorruptFile(f"segment {segment} of {self.parameters.segment_count}")
        return ciphertext


def leaf_of(block: Content) -> bytes:
    """What the tree over a share's blocks has for this block; something else where it is no whole block."""
    if isinstance(block, Phantom) and isinstance(block.identity, Coded) and block.size:
        number, rest = divmod(block.offset, block.size)
        if not rest:
            return block_fingerprint(_segment_fingerprint(block.identity), number, intact=block.intact)
    return as_phantom(block).fingerprint


def begin_reading(capability: ImmutableRead | ImmutableVerify) -> FileDecoder:
    """Begin to read a file."""
    return PhantomDecoder(capability)


def decode_stretch(decoder: FileDecoder, key: bytes | None, first: int, shares: Sequence[ShareStretch]) -> Decoded:
    """Prove blocks of k proven shares, undo their coding and the encryption.

    Raises:
        CorruptFile: no share lied, and yet a segment is wrong.
    """
    bad = [(share.number, reason) for share in shares if (reason := _prove_blocks(decoder, first, share))]
    if bad:
        return Decoded(b"", tuple(bad))
    numbers = [share.number for share in shares]
    columns = zip(*(share.blocks for share in shares), strict=True)
    segments = [
        decoder.decode_segment(first + index, dict(zip(numbers, blocks, strict=True)))
        for index, blocks in enumerate(columns)
    ]
    pieces = segments if key is None else [resolved(crypt(key, segment)) for segment in segments]
    return Decoded(cast("bytes", joined(pieces)), ())


def resolved(content: Phantom) -> Content:
    """The real bytes where a phantom is made of such, else the phantom."""
    if content.intact and isinstance(content.identity, Real):
        return content.identity.data[content.offset : content.offset + content.size]
    return content


def _prove_blocks(decoder: FileDecoder, first: int, share: ShareStretch) -> str:
    try:
        for index, block in enumerate(share.blocks):
            segment = first + index
            decoder.accept_block(share.number, segment, block, _nodes(share.block_paths[index]))
            decoder.accept_segment_path(segment, _nodes(share.ciphertext_paths[index]), share.number)
    except CorruptShare as error:
        return error.reason
    return ""


def _nodes(path: Sequence[HashNode]) -> dict[int, bytes]:
    return {node.number: node.digest for node in path}


def register() -> None:
    """Let the twins stand in for the codec wherever a node computes with phantoms. Idempotent."""
    register_twin(coding.begin_key, KeyMaker)
    register_twin(coding.feed_key, feed_key)
    register_twin(coding.end_key, end_key)
    register_twin(coding.begin_file, begin_file)
    register_twin(coding.encode_segment, encode_segment)
    register_twin(coding.encode_small, encode_small)
    register_twin(coding.encode_small_convergent, encode_small_convergent)
    register_twin(coding.begin_reading, begin_reading)
    register_twin(coding.decode_stretch, decode_stretch)
