"""What stories hand to ``ctx.compute``: the codec's objects in calls of the right size, and nothing else.

On the grid each call is one hop to a thread, which costs as much as hashing 60 kB, so each does all there is to do
with one segment. In the simulator each has a price, and a twin that does the same to contents that are only sizes.
For that reason stories never look into what passes between these calls, but for

* of a ``FileDecoder``: ``has_ueb``, ``parameters``, ``has_share``;
* of an ``EncodedFile``: ``ueb_hash``, ``trailers``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tahoe.codec.capability import ImmutableRead, ImmutableVerify
from tahoe.codec.cipher import StreamCipher
from tahoe.codec.file import EncodedFile, FileDecoder, FileEncoder, crypt, encode_whole
from tahoe.codec.keys import ConvergenceHasher
from tahoe.codec.parameters import EncodingParameters
from tahoe.errors import CorruptShare
from tahoe.protocol import HashNode

# --- the key ---------------------------------------------------------------------------------------------


def begin_key(parameters: EncodingParameters, secret: bytes) -> ConvergenceHasher:
    """Begin to derive a convergent key."""
    return ConvergenceHasher(parameters.needed, parameters.total, parameters.segment_size, secret)


def feed_key(hasher: ConvergenceHasher, plaintext: bytes) -> None:
    """Take in the next bytes of the file."""
    hasher.update(plaintext)


def end_key(hasher: ConvergenceHasher) -> bytes:
    """The key, 16 bytes."""
    return hasher.key()


# --- encoding --------------------------------------------------------------------------------------------


class Workbench(NamedTuple):
    """One file being encoded."""

    cipher: StreamCipher
    encoder: FileEncoder


def begin_file(parameters: EncodingParameters, key: bytes) -> Workbench:
    """Begin to encode a file."""
    return Workbench(StreamCipher(key), FileEncoder(parameters))


def encode_segment(bench: Workbench, plaintext: bytes) -> list[bytes]:
    """The N blocks of the next segment."""
    return bench.encoder.encode_segment(bench.cipher.process(plaintext))


def finish_file(bench: Workbench) -> EncodedFile:
    """What stands behind the blocks in each share."""
    return bench.encoder.finish()


class SmallFile(NamedTuple):
    """A file encoded in one go: its key, the hash for its capability, and its N whole shares."""

    key: bytes
    ueb_hash: bytes
    shares: list[bytes]


def encode_small(parameters: EncodingParameters, key: bytes, plaintext: bytes) -> SmallFile:
    """Encode a file that fits in memory under a given key."""
    encoded, shares = encode_whole(parameters, crypt(key, plaintext))
    return SmallFile(key, encoded.ueb_hash, shares)


def encode_small_convergent(parameters: EncodingParameters, secret: bytes, plaintext: bytes) -> SmallFile:
    """Encode a file that fits in memory under its convergent key."""
    hasher = begin_key(parameters, secret)
    hasher.update(plaintext)
    return encode_small(parameters, hasher.key(), plaintext)


# --- decoding --------------------------------------------------------------------------------------------


def begin_reading(capability: ImmutableRead | ImmutableVerify) -> FileDecoder:
    """Begin to read a file."""
    return FileDecoder(capability)


def prove_share(decoder: FileDecoder, number: int, uri_extension: bytes, share_hashes: Sequence[HashNode]) -> str:
    """Prove that there is a share of the file behind a server's words, by its UEB and its share hashes.

    Returns:
        What is wrong; empty if nothing is.
    """
    try:
        decoder.accept_ueb(uri_extension, number)
        decoder.accept_share(number, _nodes(share_hashes))
    except CorruptShare as error:
        return error.reason
    return ""


class ShareStretch(NamedTuple):
    """The blocks of consecutive segments that one share gave, each with its proofs."""

    number: int
    blocks: Sequence[bytes]
    block_paths: Sequence[Sequence[HashNode]]
    ciphertext_paths: Sequence[Sequence[HashNode]]


class Decoded(NamedTuple):
    """Plaintext of consecutive segments (ciphertext where there was no key), or, where it could not be had, which shares lied and how."""

    plaintext: bytes
    bad: tuple[tuple[int, str], ...]


def decode_stretch(decoder: FileDecoder, key: bytes | None, first: int, shares: Sequence[ShareStretch]) -> Decoded:
    """Prove blocks of k proven shares, decode them, check the result, decrypt it.

    Args:
        decoder: of the file.
        key: of the file, 16 bytes; None: what comes out stays encrypted.
        first: number of the first segment.
        shares: k of them, with equally many blocks each.

    Raises:
        CorruptFile: no share lied, and yet the segment is wrong.
    """
    bad = [(share.number, reason) for share in shares if (reason := _prove_blocks(decoder, first, share))]
    if bad:
        return Decoded(b"", tuple(bad))
    columns = zip(*(share.blocks for share in shares), strict=True)
    numbers = [share.number for share in shares]
    segments = [
        decoder.decode_segment(first + index, dict(zip(numbers, blocks, strict=True)))
        for index, blocks in enumerate(columns)
    ]
    ciphertext = segments[0] if len(segments) == 1 else b"".join(segments)
    if key is None:
        return Decoded(ciphertext, ())
    return Decoded(crypt(key, ciphertext, first * decoder.parameters.segment_size), ())


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
