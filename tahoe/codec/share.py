"""Share layout: where things stand in a share of an immutable file, and the two small sections that have a form.

::

    header | data: the blocks | plaintext hashes | crypttext tree | block tree | share hashes | UEB
             in segment order   zeros, unused      same in all      this         proof that     same in
                                                   shares           share's      this tree is   all shares
                                                                                 the share's

A reader trusts a capability, which has the hash of the UEB (the URI extension block); the UEB has the roots of two
trees; the share hashes prove the block tree's root, the block tree proves blocks, and the crypttext tree proves what
they decode to. Version 1 has 4-byte header fields; version 2 has 8-byte ones and is written only if something does
not fit. Every length follows from four numbers, so a share's size is known before anything is encoded.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tahoe.codec.hashing import HASH_SIZE, Tag, netstring, tagged_hash
from tahoe.codec.merkle import MerkleTree, layout, siblings
from tahoe.codec.parameters import EncodingParameters
from tahoe.errors import TahoeError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_HEADER_SIZE: Final = 0x44
MAX_UEB_LENGTH: Final = 1999

_HEADERS: Final = {1: struct.Struct(">L8L"), 2: struct.Struct(">L8Q")}
_LENGTH_FIELDS: Final = {1: struct.Struct(">L"), 2: struct.Struct(">Q")}
_VERSION_1_LIMIT: Final = 2**32
_OFFSET_LIMIT: Final = 2**62  # no share is that long, and sums with a length still suit every system call
_ENTRY: Final = struct.Struct(f">H{HASH_SIZE}s")
_UEB_ITEM: Final = re.compile(rb"([a-zA-Z_-]+):([0-9]{1,9}):")


class IncompatibleShare(TahoeError):
    """The share is of a version that this release does not know. It may be good: leave it alone, or upgrade."""


@dataclass(frozen=True, slots=True)
class ShareOffsets:
    """A share's header: where each section begins, counted from the first byte of the share.

    ``block_size`` and ``data_length`` are told to nobody's use: readers take them from the UEB, which is proven.
    """

    version: int
    block_size: int
    data_length: int
    data: int
    plaintext_hashes: int
    crypttext_hashes: int
    block_hashes: int
    share_hashes: int
    uri_extension: int

    @property
    def header(self) -> bytes:
        """The first bytes of the share."""
        fields = (self.block_size, self.data_length, self.data, self.plaintext_hashes)
        hashes = (self.crypttext_hashes, self.block_hashes, self.share_hashes, self.uri_extension)
        return _HEADERS[self.version].pack(self.version, *fields, *hashes)

    @property
    def length_field_size(self) -> int:
        """Bytes of the field before the UEB that tells its length."""
        return _LENGTH_FIELDS[self.version].size

    def block_span(self, parameters: EncodingParameters, segment: int) -> tuple[int, int]:
        """Return offset and length of the block of a segment."""
        return self.data + segment * parameters.block_size, parameters.block_length(segment)

    def uri_extension_length(self, section: bytes) -> int:
        """Return the UEB's length from the first bytes of its section; ValueError if they are too few or too many."""
        field = _LENGTH_FIELDS[self.version]
        if len(section) < field.size:
            raise ValueError("the share ends before its URI extension block")
        length = int(field.unpack_from(section)[0])
        if length > MAX_UEB_LENGTH:
            raise ValueError(f"a URI extension block of {length} bytes")
        return length

    def uri_extension_in(self, section: bytes) -> bytes:
        """Return the UEB out of the bytes from its offset on; ValueError if they are too few."""
        end = self.length_field_size + self.uri_extension_length(section)
        if len(section) < end:
            raise ValueError("the share ends within its URI extension block")
        return section[self.length_field_size : end]


def parse_header(data: bytes) -> ShareOffsets:
    """Parse the first bytes of a share (:data:`MAX_HEADER_SIZE` are always enough).

    Raises:
        IncompatibleShare: a version other than 1 and 2.
        ValueError: too few bytes, or an offset that no share has.
    """
    version = int.from_bytes(data[:4], "big")
    if len(data) >= 4 and version not in _HEADERS:
        raise IncompatibleShare(f"share version {version}")
    if len(data) < 4 or len(data) < _HEADERS[version].size:
        raise ValueError("the share ends within its header")
    offsets = ShareOffsets(*_HEADERS[version].unpack_from(data))
    used = (offsets.data, offsets.crypttext_hashes, offsets.block_hashes, offsets.share_hashes, offsets.uri_extension)
    if max(used) >= _OFFSET_LIMIT:
        raise ValueError("the share's header has an offset that no share has")
    return offsets


@dataclass(frozen=True, slots=True)
class ShareLayout:
    """A share to be written, all of whose lengths follow from the encoding parameters."""

    parameters: EncodingParameters
    offsets: ShareOffsets
    uri_extension_length: int

    @classmethod
    def of(cls, parameters: EncodingParameters, version: int | None = None) -> ShareLayout:
        """Lay out the shares of a file, in the given version or the smallest that fits."""
        if version is None:
            layout_1 = cls.of(parameters, 1)
            offsets = layout_1.offsets
            fits = max(offsets.block_size, offsets.data_length, offsets.uri_extension) < _VERSION_1_LIMIT
            return layout_1 if fits else cls.of(parameters, 2)
        data = _HEADERS[version].size
        tree = HASH_SIZE * layout(parameters.segment_count)[1]
        plaintext = data + parameters.data_length
        share_hashes = plaintext + 3 * tree
        offsets = ShareOffsets(
            version=version,
            block_size=parameters.block_size,
            data_length=parameters.data_length,
            data=data,
            plaintext_hashes=plaintext,
            crypttext_hashes=plaintext + tree,
            block_hashes=plaintext + 2 * tree,
            share_hashes=share_hashes,
            uri_extension=share_hashes + share_hashes_length(parameters.total),
        )
        no_hash = bytes(HASH_SIZE)
        return cls(parameters, offsets, len(UriExtension(parameters, no_hash, no_hash, no_hash).serialise()))

    @property
    def header(self) -> bytes:
        """The first bytes of every share, before the data."""
        return self.offsets.header

    @property
    def size(self) -> int:
        """Bytes of every share."""
        return self.offsets.uri_extension + self.offsets.length_field_size + self.uri_extension_length

    @property
    def trailer_offset(self) -> int:
        """Where the trailer, which is everything after the data, begins."""
        return self.offsets.plaintext_hashes

    def block_span(self, segment: int) -> tuple[int, int]:
        """Return offset and length of the block of a segment."""
        return self.offsets.block_span(self.parameters, segment)

    def trailer(self, crypttext_tree: MerkleTree, block_tree: MerkleTree, share_hashes: bytes, ueb: bytes) -> bytes:
        """Return everything of a share after its data."""
        unused = bytes(self.offsets.crypttext_hashes - self.offsets.plaintext_hashes)
        length = _LENGTH_FIELDS[self.offsets.version].pack(len(ueb))
        return b"".join((unused, crypttext_tree.serialised, block_tree.serialised, share_hashes, length, ueb))


@dataclass(frozen=True, slots=True)
class UriExtension:
    """The URI extension block (UEB): parameters and Merkle roots of an immutable file. Its hash is in the cap."""

    parameters: EncodingParameters
    crypttext_hash: bytes
    crypttext_root_hash: bytes
    share_root_hash: bytes

    @classmethod
    def from_fields(cls, fields: Mapping[str, bytes], parameters: EncodingParameters | None = None) -> UriExtension:
        """Build it from parsed fields, with parameters from them or, where they are known better, as given.

        Raises:
            ValueError: a field is missing or makes no sense. Redundant fields are not looked at: see
                :meth:`contradictions`.
        """
        if parameters is None:
            numbers = (field_number(fields, name) for name in ("needed_shares", "total_shares", "segment_size", "size"))
            parameters = EncodingParameters(*numbers)
        hashes = [fields.get(name, b"") for name in ("crypttext_hash", "crypttext_root_hash", "share_root_hash")]
        if any(len(value) != HASH_SIZE for value in hashes):
            raise ValueError("the URI extension block lacks a hash")
        return cls(parameters, *hashes)

    @property
    def fields(self) -> dict[str, bytes]:
        """All fields in the order in which they are written."""
        encoding = self.parameters
        return {
            "codec_name": b"crs",
            "codec_params": b"%d-%d-%d" % (encoding.segment_size, encoding.needed, encoding.total),
            "crypttext_hash": self.crypttext_hash,
            "crypttext_root_hash": self.crypttext_root_hash,
            "needed_shares": b"%d" % encoding.needed,
            "num_segments": b"%d" % encoding.segment_count,
            "segment_size": b"%d" % encoding.segment_size,
            "share_root_hash": self.share_root_hash,
            "size": b"%d" % encoding.size,
            "tail_codec_params": b"%d-%d-%d" % (encoding.padded_tail_size, encoding.needed, encoding.total),
            "total_shares": b"%d" % encoding.total,
        }

    def serialise(self) -> bytes:
        """Return the block's bytes."""
        return b"".join(key.encode() + b":" + netstring(value) for key, value in self.fields.items())

    def contradictions(self, fields: Mapping[str, bytes]) -> list[str]:
        """Return the names of those of the block's fields that differ in ``fields``; unknown ones don't matter."""
        return [name for name, value in self.fields.items() if fields.get(name) != value]


def hash_of_uri_extension(data: bytes) -> bytes:
    """Return the hash that stands in the capability."""
    return tagged_hash(Tag.URI_EXTENSION, data)


def parse_uri_extension(data: bytes) -> dict[str, bytes]:
    """Return a UEB's fields, whatever they are.

    Raises:
        ValueError: the bytes are no such block.
    """
    fields: dict[str, bytes] = {}
    position = 0
    while position < len(data):
        item = _UEB_ITEM.match(data, position)
        if item is None:
            raise ValueError("the URI extension block does not parse")
        key, end = item[1].decode(), item.end() + int(item[2])
        if data[end : end + 1] != b"," or key in fields:
            raise ValueError("the URI extension block does not parse")
        fields[key] = data[item.end() : end]
        position = end + 1
    return fields


def field_number(fields: Mapping[str, bytes], name: str) -> int:
    """Return a field that is a number; ValueError if it is missing or none."""
    value = fields.get(name, b"")
    if not re.fullmatch(rb"[0-9]{1,20}", value):
        raise ValueError(f"the URI extension block has no number {name}")
    return int(value)


def share_hashes_length(total: int) -> int:
    """Return the bytes of the share hash section: one entry for each level of the tree."""
    return _ENTRY.size * layout(total)[1].bit_length()


def serialise_share_hashes(tree: MerkleTree, number: int) -> bytes:
    """Return the section that proves the root of share ``number``'s block tree."""
    order = share_hash_order(tree.leaf_count, number)
    return b"".join(_ENTRY.pack(node, tree.nodes[node]) for node in order)


def parse_share_hashes(section: bytes) -> dict[int, bytes]:
    """Return the section's entries, node number to hash. Their order means nothing.

    Raises:
        ValueError: not a whole number of entries, or one node twice.
    """
    if len(section) % _ENTRY.size:
        raise ValueError("the share hash section is no whole number of entries")
    entries: dict[int, bytes] = dict(_ENTRY.iter_unpack(section))
    if len(entries) * _ENTRY.size != len(section):
        raise ValueError("the share hash section has a node twice")
    return entries


@lru_cache(maxsize=1024)
def share_hash_order(total: int, number: int) -> tuple[int, ...]:
    """Return the node numbers of the share hash section as they are written: leaf ``number`` and its siblings.

    The first writer of this format wrote them as a CPython set gives them out. That order is frozen here, spelled
    out, so that shares stay identical byte for byte whatever a later interpreter does.
    """
    nodes = [*siblings(total, number), layout(total)[0] + number]
    table: list[int | None] = [None] * 8
    for used, node in enumerate(nodes, start=1):
        _place(table, node)
        if used * 5 >= (len(table) - 1) * 3:
            table = _grown(table, used)
    return tuple(node for node in table if node is not None)


def _grown(table: list[int | None], used: int) -> list[int | None]:
    size = 8
    while size <= used * 4:
        size *= 2
    grown: list[int | None] = [None] * size
    for node in table:
        if node is not None:
            _place(grown, node)
    return grown


def _place(table: list[int | None], node: int) -> None:
    """Put a number where open addressing with runs of ten probes puts it."""
    mask = len(table) - 1
    perturbation, slot = node, node & mask
    while True:
        for probe in range(slot, slot + (10 if slot + 9 <= mask else 1)):
            if table[probe] is None:
                table[probe] = node
                return
        perturbation >>= 5
        slot = (slot * 5 + 1 + perturbation) & mask
