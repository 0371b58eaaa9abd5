"""How a file is cut up: all sizes that follow from k, N, the segment size and the file's size.

::

    file      |  segment 0  |  segment 1  | tail |          all segments are equal but the last,
    segment   | block 0 | block 1 | ... | block k-1 |       which is padded with zeros to a multiple of k
    share r   | block of segment 0 | of segment 1 | of the tail |

Whoever knows these four numbers knows every offset and every length in every share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tahoe.codec.erasure import check_bounds

DEFAULT_MAX_SEGMENT_SIZE: Final = 2**20


@dataclass(frozen=True, slots=True)
class EncodingParameters:
    """The encoding of one file.

    Args:
        needed: k, shares that suffice.
        total: N, shares made.
        segment_size: bytes of all segments but the last; a multiple of k.
        size: of the file in bytes, at least 1.

    Raises:
        ValueError: numbers that no encoding has.
    """

    needed: int
    total: int
    segment_size: int
    size: int

    def __post_init__(self) -> None:
        check_bounds(self.needed, self.total)
        if self.size < 1:
            raise ValueError(f"a file of {self.size} bytes has no shares")
        if self.segment_size < 1 or self.segment_size % self.needed:
            raise ValueError(f"a segment of {self.segment_size} bytes can't be cut into {self.needed} equal blocks")

    @classmethod
    def of(
        cls, size: int, needed: int, total: int, max_segment_size: int = DEFAULT_MAX_SEGMENT_SIZE
    ) -> EncodingParameters:
        """Choose the segment size for a new file: first the smaller of file and maximum, then rounded up."""
        check_bounds(needed, total)
        return cls(needed, total, _round_up(min(max_segment_size, size), needed), size)

    @property
    def segment_count(self) -> int:
        """How many segments, the tail included."""
        return -(-self.size // self.segment_size)

    @property
    def tail_size(self) -> int:
        """Bytes of the last segment, without padding."""
        return self.size % self.segment_size or self.segment_size

    @property
    def padded_tail_size(self) -> int:
        """Bytes of the last segment as it is coded."""
        return _round_up(self.tail_size, self.needed)

    @property
    def block_size(self) -> int:
        """Bytes of every block but the last of a share."""
        return self.segment_size // self.needed

    @property
    def tail_block_size(self) -> int:
        """Bytes of the last block of a share."""
        return self.padded_tail_size // self.needed

    @property
    def data_length(self) -> int:
        """Bytes of all blocks of a share."""
        return (self.segment_count - 1) * self.block_size + self.tail_block_size

    def segment_length(self, segment: int) -> int:
        """Return the bytes of a segment, without padding."""
        return self.tail_size if segment == self.segment_count - 1 else self.segment_size

    def block_length(self, segment: int) -> int:
        """Return the bytes of a segment's blocks."""
        return self.tail_block_size if segment == self.segment_count - 1 else self.block_size


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
