"""Checking a whole share, byte for byte, in memory that does not grow with the share.

A server that scrubs its disk knows no capability, but a share can be checked inside: its blocks make its block tree,
the root of that is what the share hashes prove, they lead to the root in the UEB, and so on. What comes out is the
hash of the UEB: whoever has a capability compares it and then knows the share is the file's. So should a server that
noted it when the share arrived, because one field of the UEB, the hash over the whole ciphertext, is out of reach of
a single share. Bytes that no reader ever uses (the unused plaintext section, the header's block size and data length,
anything behind the end) may be damaged without harm and are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from tahoe.codec.hashing import HASH_SIZE, Tag, TaggedHasher
from tahoe.codec.merkle import PartialTree, TreeStream, layout, siblings
from tahoe.codec.share import (
    MAX_HEADER_SIZE,
    MAX_UEB_LENGTH,
    ShareOffsets,
    UriExtension,
    hash_of_uri_extension,
    parse_header,
    parse_share_hashes,
    parse_uri_extension,
    share_hashes_length,
)
from tahoe.errors import CorruptShare

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tahoe.codec.capability import ImmutableVerify
    from tahoe.codec.parameters import EncodingParameters

Read: TypeAlias = Callable[[int, int], bytes]  # offset, length; fewer bytes come back at the end of the share

_PIECE: Final = 2**20  # bytes of a block that are read at once
_WINDOW: Final = 128  # nodes of one tree level that are read at once


@dataclass(frozen=True, slots=True)
class VerifiedShare:
    """What a share that passed turned out to be.

    Attributes:
        number: of the share.
        ueb_hash: compare it with a capability's.
        uri_extension: the parsed UEB.
        offsets: the parsed header.
    """

    number: int
    ueb_hash: bytes
    uri_extension: UriExtension
    offsets: ShareOffsets


def verify_share(number: int, share: Read | bytes, cap: ImmutableVerify | None = None) -> VerifiedShare:
    """Check everything in a share that any reader may ever use.

    Args:
        number: the share number it is stored under.
        share: its bytes, or what reads them: ``read(offset, length)``.
        cap: if known, the share must be one of this file.

    Raises:
        CorruptShare: with the reason; the server is left empty.
        IncompatibleShare: of a version this release does not know.
    """
    read = share if callable(share) else _reader(share)
    try:
        return _verify(number, read, cap)
    except ValueError as error:
        raise CorruptShare("", number, str(error)) from error


def _reader(data: bytes) -> Read:
    return lambda offset, length: data[offset : offset + length]


def _verify(number: int, read: Read, cap: ImmutableVerify | None) -> VerifiedShare:
    verified, root = _proven_facts(number, read, cap)
    offsets, extension = verified.offsets, verified.uri_extension
    count = extension.parameters.segment_count
    if _check_tree(_StoredTree(read, offsets.block_hashes), count, _block_hashes(read, offsets, extension)) != root:
        raise ValueError("the block tree is not the one that the share hashes prove")
    _check_crypttext(read, verified)
    return verified


@dataclass(frozen=True, slots=True)
class ShareFrame:
    """Everything of a share but its blocks, proven; and what these must hash to, by segment."""

    share: VerifiedShare
    block_hashes: tuple[bytes, ...]


def verify_frame(number: int, read: Read, cap: ImmutableVerify) -> ShareFrame:
    """Check all of a share but its blocks, for whoever gets these one after the other.

    Raises:
        CorruptShare, IncompatibleShare: as :func:`verify_share`.
    """
    try:
        return _frame(number, read, cap)
    except ValueError as error:
        raise CorruptShare("", number, str(error)) from error


def _frame(number: int, read: Read, cap: ImmutableVerify) -> ShareFrame:
    verified, root = _proven_facts(number, read, cap)
    count = verified.uri_extension.parameters.segment_count
    blocks = _StoredTree(read, verified.offsets.block_hashes)
    block_hashes = tuple(blocks.leaves(count))
    if _check_tree(blocks, count, block_hashes) != root:
        raise ValueError("the block tree is not the one that the share hashes prove")
    _check_crypttext(read, verified)
    return ShareFrame(verified, block_hashes)


def _proven_facts(number: int, read: Read, cap: ImmutableVerify | None) -> tuple[VerifiedShare, bytes]:
    """What the share says of itself, as far as the UEB and the share hashes prove it, and the root of its block tree."""
    offsets = parse_header(read(0, MAX_HEADER_SIZE))
    section = read(offsets.uri_extension, offsets.length_field_size + MAX_UEB_LENGTH)
    ueb = offsets.uri_extension_in(section)
    extension = _check_uri_extension(ueb, cap)
    _check_sections(offsets, extension.parameters)
    root = _proven_root(number, read, offsets, extension)
    return VerifiedShare(number, hash_of_uri_extension(ueb), extension, offsets), root


def _check_crypttext(read: Read, share: VerifiedShare) -> None:
    count = share.uri_extension.parameters.segment_count
    crypttext = _StoredTree(read, share.offsets.crypttext_hashes)
    if _check_tree(crypttext, count, crypttext.leaves(count)) != share.uri_extension.crypttext_root_hash:
        raise ValueError("the crypttext tree is not the URI extension block's")


def _check_uri_extension(ueb: bytes, cap: ImmutableVerify | None) -> UriExtension:
    """Parse the UEB, whose fields must agree with one another and with the cap."""
    if cap is not None and hash_of_uri_extension(ueb) != cap.ueb_hash:
        raise ValueError("the URI extension block is not the capability's")
    fields = parse_uri_extension(ueb)
    extension = UriExtension.from_fields(fields)
    wrong = extension.contradictions(fields)
    if wrong:
        raise ValueError(f"the URI extension block contradicts itself in {', '.join(wrong)}")
    encoding = extension.parameters
    if cap is not None and (encoding.needed, encoding.total, encoding.size) != (cap.needed, cap.total, cap.size):
        raise ValueError("the URI extension block contradicts the capability")
    return extension


def _check_sections(offsets: ShareOffsets, parameters: EncodingParameters) -> None:
    tree = HASH_SIZE * layout(parameters.segment_count)[1]
    lengths = {
        "crypttext hash": (offsets.block_hashes - offsets.crypttext_hashes, tree),
        "block hash": (offsets.share_hashes - offsets.block_hashes, tree),
        "share hash": (offsets.uri_extension - offsets.share_hashes, share_hashes_length(parameters.total)),
    }
    for name, (found, due) in lengths.items():
        if found != due:
            raise ValueError(f"the {name} section has {found} bytes instead of {due}")


def _proven_root(number: int, read: Read, offsets: ShareOffsets, extension: UriExtension) -> bytes:
    """Return the root of this share's block tree, as its share hashes prove it."""
    total = extension.parameters.total
    if not 0 <= number < total:
        raise ValueError(f"the file has {total} shares")
    entries = parse_share_hashes(read(offsets.share_hashes, share_hashes_length(total)))
    leaf = layout(total)[0] + number
    if entries.keys() != {leaf, *siblings(total, number)}:
        raise ValueError("the share hashes are not those that prove this share")
    tree = PartialTree(total, extension.share_root_hash)
    tree.add({number: entries[leaf]}, entries)
    return entries[leaf]


def _block_hashes(read: Read, offsets: ShareOffsets, extension: UriExtension) -> Iterator[bytes]:
    """Yield the hash of every block, as it is stored."""
    for segment in range(extension.parameters.segment_count):
        offset, length = offsets.block_span(extension.parameters, segment)
        hasher = TaggedHasher(Tag.BLOCK)
        for start in range(offset, offset + length, _PIECE):
            due = min(_PIECE, offset + length - start)
            piece = read(start, due)
            if len(piece) != due:
                raise ValueError(f"the share ends within block {segment}")
            hasher.update(piece)
        yield hasher.digest()


def _check_tree(stored: _StoredTree, leaf_count: int, leaves: Iterable[bytes]) -> bytes:
    """Compare the tree over ``leaves`` with the stored one, node by node, and return its root."""
    stream = TreeStream(leaf_count)
    computed = b""
    for leaf in leaves:
        for node, computed in stream.append(leaf):
            stored.check(node, computed)
    for node, computed in stream.finish():
        stored.check(node, computed)
    return computed


class _StoredTree:
    """A serialised tree, of which each level is read from left to right, some nodes at a time."""

    __slots__ = ("_offset", "_read", "_windows")

    def __init__(self, read: Read, offset: int) -> None:
        self._read = read
        self._offset = offset
        self._windows: dict[int, tuple[int, bytes]] = {}

    def node(self, node: int) -> bytes:
        """Return a stored node; fewer than 32 bytes if the share ends there."""
        level = (node + 1).bit_length()
        first, window = self._windows.get(level, (0, b""))
        if not first <= node < first + len(window) // HASH_SIZE:
            nodes_left = 2**level - 1 - node
            first, window = node, self._read(self._offset + HASH_SIZE * node, HASH_SIZE * min(_WINDOW, nodes_left))
            self._windows[level] = first, window
        start = HASH_SIZE * (node - first)
        return window[start : start + HASH_SIZE]

    def leaves(self, count: int) -> Iterator[bytes]:
        """Yield the stored leaves."""
        first = layout(count)[0]
        return (self.node(first + leaf) for leaf in range(count))

    def check(self, node: int, computed: bytes) -> None:
        """Raise ValueError unless the stored node is the computed one."""
        if self.node(node) != computed:
            raise ValueError(f"stored node {node} of a hash tree does not fit what it covers")
