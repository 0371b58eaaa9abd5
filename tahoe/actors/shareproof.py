"""What stories that verify files hand to ``ctx.compute``: proving a whole share, first its frame and then its blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tahoe.codec.capability import ImmutableVerify
from tahoe.codec.hashing import Tag, tagged_hash
from tahoe.codec.share import MAX_HEADER_SIZE, IncompatibleShare, parse_header
from tahoe.codec.verification import Read, ShareFrame, verify_frame
from tahoe.errors import CorruptShare
from tahoe.storage.content import Content, cut


class FrameFound(NamedTuple):
    """The frame of a share, or what is wrong with it; ``unknown`` if it is of a version not known here."""

    frame: ShareFrame | None
    reason: str = ""
    unknown: bool = False


def tail_offset(header: bytes) -> int:
    """Where everything but header and blocks begins in a share.

    Raises:
        ValueError: this is no header.
        IncompatibleShare: of a version not known here.
    """
    offsets = parse_header(header)
    return min(offsets.crypttext_hashes, offsets.block_hashes, offsets.share_hashes, offsets.uri_extension)


def find_tail(header: bytes) -> FrameFound | int:
    """``tail_offset``, or what is wrong with the header."""
    try:
        return tail_offset(header)
    except IncompatibleShare as error:
        return FrameFound(None, str(error), unknown=True)
    except ValueError as error:
        return FrameFound(None, str(error))


def prove_frame(capability: ImmutableVerify, number: int, header: bytes, offset: int, tail: bytes) -> FrameFound:
    """Prove all of a share but its blocks.

    Args:
        capability: of the file.
        number: of the share.
        header: its first bytes.
        offset: where ``tail`` stands.
        tail: the rest, from behind the blocks on.
    """
    try:
        return FrameFound(verify_frame(number, _reader(header, offset, tail), capability))
    except IncompatibleShare as error:
        return FrameFound(None, str(error), unknown=True)
    except CorruptShare as error:
        return FrameFound(None, error.reason)


def _reader(header: bytes, start: int, tail: bytes) -> Read:
    def read(offset: int, length: int) -> bytes:
        if offset + length <= MAX_HEADER_SIZE and offset < start:
            return header[offset : offset + length]
        return tail[offset - start : offset - start + length] if offset >= start else b""

    return read


def prove_blocks(frame: ShareFrame, first: int, data: Content) -> str:
    """Compare consecutive blocks, the first of which is that of segment ``first``, with the frame.

    Returns:
        What is wrong; empty if nothing is.
    """
    return compare_blocks(frame, first, data, block_hash)


def block_hash(block: Content) -> bytes:
    """What the block tree has for a block."""
    assert isinstance(block, bytes), "phantoms have a twin of prove_blocks"
    return tagged_hash(Tag.BLOCK, block)


def compare_blocks(frame: ShareFrame, first: int, data: Content, digest: Callable[[Content], bytes]) -> str:
    """See ``prove_blocks``; ``digest`` is what hashes a block."""
    parameters = frame.share.uri_extension.parameters
    offset, segment = 0, first
    while offset < len(data):
        block = cut(data, offset, parameters.block_length(segment))
        if digest(block) != frame.block_hashes[segment]:
            return f"block {segment} is not the one that the block tree proves"
        offset += len(block)
        segment += 1
    return ""
