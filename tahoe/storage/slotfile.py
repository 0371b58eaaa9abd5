"""The container of one share of a slot: what stands where in its file (docs/formats.md, section 7).

::

    0        28        28 + V                      D                                      end
    fixed | version | signature, keys, chain | leases, room for L | record 0 | record 1 | …
                                                                    leaf 32 | salt 16 | block

Records are as long as whole blocks need, but for the last; so a segment that is appended shifts nothing, and a
segment that changes is written where it was. Leases stand before the records, in room set aside for them: a file
is written anew when there are more. What lies beyond the end that the version gives means nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tahoe.codec.container import LEASE_SIZE
from tahoe.codec.container import Lease as LeaseRecord
from tahoe.codec.hashing import HASH_SIZE
from tahoe.codec.slot import (
    PUBLIC_KEY_SIZE,
    SALT_SIZE,
    SIGNATURE_SIZE,
    SlotProof,
    SlotShape,
    SlotVersion,
    tree_height,
)
from tahoe.storage.slotleases import Leases
from tahoe.storage.slots import SlotHead, SlotRecord

MAGIC: Final = b"tahoe slot 1\n\0\0\0"
RECORD_HEAD: Final = HASH_SIZE + SALT_SIZE
FIRST_LEASES: Final = 4
"""Leases that a new share has room for."""

_FIXED: Final = struct.Struct(">16sLLL")
_LEASE: Final = struct.Struct(">L32s32sL")
_PROOF_SIZE: Final = SIGNATURE_SIZE + PUBLIC_KEY_SIZE + HASH_SIZE
_LIKELY_SIZE: Final = 4096
_MOST: Final = 2**20
"""Bytes of a version, and leases, beyond which a file is damaged."""


@dataclass(frozen=True, slots=True)
class SlotContainer:
    """A share's file, all but the records.

    Args:
        head: of the share.
        leases: on it.
        capacity: how many leases there is room for.
    """

    head: SlotHead
    leases: Leases
    capacity: int = FIRST_LEASES

    @property
    def data_offset(self) -> int:
        """Where record 0 begins."""
        fixed = _FIXED.size + len(self.head.proof.version) + _PROOF_SIZE
        return fixed + HASH_SIZE * len(self.head.chain) + LEASE_SIZE * self.capacity

    @property
    def end(self) -> int:
        """Bytes of the file."""
        return self.data_offset + records_size(self.head.version.shape)

    def span(self, segment: int) -> tuple[int, int]:
        """Offset and length of a segment's record."""
        offset, length = record_span(self.head.version.shape, segment)
        return self.data_offset + offset, length

    def is_laid_out_as(self, other: SlotContainer) -> bool:
        """Whether a whole record of either stands in the same place in both."""
        mine, theirs = self.head.version.shape, other.head.version.shape
        return (self.data_offset, _stride(mine)) == (other.data_offset, _stride(theirs))

    def with_head(self, head: SlotHead) -> SlotContainer:
        """The same with another version."""
        return replace(self, head=head)

    def leased(self, leases: Leases) -> SlotContainer:
        """The same with other leases, and with room for them."""
        capacity = self.capacity
        while capacity < len(leases):
            capacity *= 2
        return replace(self, leases=leases, capacity=capacity)

    def pack(self) -> bytes:
        """The bytes before record 0."""
        proof, leases = self.head.proof, b"".join(lease.pack() for lease in self.leases)
        fixed = _FIXED.pack(MAGIC, len(proof.version), self.capacity, len(self.leases))
        parts = (fixed, proof.version, proof.signature, proof.public_key, proof.read_key_hash, *self.head.chain)
        return b"".join((*parts, leases.ljust(LEASE_SIZE * self.capacity, b"\0")))

    @classmethod
    def parse(cls, read: Callable[[int, int], bytes]) -> SlotContainer:
        """Parse a file.

        Args:
            read: bytes of the file by offset and length, shorter where it ends.

        Raises:
            ValueError: it is no container of a slot's share, or cut short. The signature is not looked at.
        """
        data = read(0, _LIKELY_SIZE)
        if len(data) < _FIXED.size or not data.startswith(MAGIC):
            raise ValueError("not a container of a slot's share")
        _, version_size, capacity, count = _FIXED.unpack_from(data)
        if max(version_size, capacity) > _MOST or not count <= capacity or not capacity:
            raise ValueError("the container's header makes no sense")
        chain_offset = _FIXED.size + version_size + _PROOF_SIZE
        version, rest = _cut(_longer(read, data, chain_offset), _FIXED.size, version_size)
        signature, rest = _cut(rest, 0, SIGNATURE_SIZE)
        public_key, rest = _cut(rest, 0, PUBLIC_KEY_SIZE)
        read_key_hash, _ = _cut(rest, 0, HASH_SIZE)
        parsed = SlotVersion.unpack(version)
        chain_size = HASH_SIZE * tree_height(parsed.shape.total)
        data = _longer(read, data, chain_offset + chain_size + LEASE_SIZE * capacity)
        chain, rest = _cut(data, chain_offset, chain_size)
        leases = tuple(LeaseRecord(*fields) for fields in _LEASE.iter_unpack(rest[: LEASE_SIZE * count]))
        hashes = tuple(chain[start : start + HASH_SIZE] for start in range(0, chain_size, HASH_SIZE))
        proof = SlotProof(version, signature, public_key, read_key_hash)
        return cls(SlotHead(parsed, proof, hashes), leases, capacity)


def records_size(shape: SlotShape) -> int:
    """Bytes of all records of a share."""
    if not shape.segment_count:
        return 0
    last = shape.segment_count - 1
    return last * _stride(shape) + RECORD_HEAD + shape.block_length(last)


def record_span(shape: SlotShape, segment: int) -> tuple[int, int]:
    """Offset behind record 0, and length, of a segment's record."""
    return segment * _stride(shape), RECORD_HEAD + shape.block_length(segment)


def parse_record(data: bytes) -> SlotRecord:
    """Cut a record's bytes up; fields are short where they were."""
    return SlotRecord(data[:HASH_SIZE], data[HASH_SIZE:RECORD_HEAD], data[RECORD_HEAD:])


def _stride(shape: SlotShape) -> int:
    """Bytes from one record to the next."""
    return RECORD_HEAD + shape.segment_size // shape.needed


def _longer(read: Callable[[int, int], bytes], data: bytes, size: int) -> bytes:
    """The first ``size`` bytes, of which ``data`` are at hand.

    Raises:
        ValueError: the file is shorter.
    """
    if len(data) < size:
        data += read(len(data), size - len(data))
    if len(data) < size:
        raise ValueError("the container ends within its header")
    return data


def _cut(data: bytes, offset: int, size: int) -> tuple[bytes, bytes]:
    """Some bytes, and all behind them."""
    return data[offset : offset + size], data[offset + size :]
