"""What shares are made of: bytes on the grid, and in the simulator also things that only have a length.

A store in memory keeps whatever was written as pieces in order, so it serves both: bytes are cut and
joined here, anything else is asked to cut and join itself (``Sliceable``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Protocol, Self, TypeAlias

from tahoe.codec.share import MAX_HEADER_SIZE, MAX_UEB_LENGTH, IncompatibleShare, hash_of_uri_extension, parse_header
from tahoe.codec.verification import verify_share
from tahoe.errors import CorruptShare, Refused
from tahoe.storage.store import Verdict

Read: TypeAlias = Callable[[int, int], bytes]
"""``read(offset, length)`` of one share; shorter where it ends."""


class Sliceable(Protocol):
    """Content that nobody needs to look at: a size with an identity. Equal means: stands for the same bytes.

    ``ueb_hash`` is what a server would find in the whole share (empty: junk); ``intact`` whether its
    hashes would agree.
    """

    @property
    def ueb_hash(self) -> bytes:
        """Hash of the UEB of the share this is (a part of)."""

    @property
    def intact(self) -> bool:
        """Whether a check of every hash would find nothing."""

    def __len__(self) -> int:
        """Bytes it stands for."""

    def slice(self, offset: int, length: int) -> Self:
        """The part from ``offset`` on, at most ``length`` bytes."""

    def join(self, pieces: Sequence[Content]) -> Self:
        """All pieces in order as one; ``self`` is among them, others may be bytes."""

    def spoiled(self) -> Self:
        """The same, no longer intact."""


Content: TypeAlias = bytes | Sliceable


def cut(content: Content, offset: int, length: int) -> Content:
    """The part of the content from ``offset`` on, at most ``length`` bytes."""
    if isinstance(content, bytes):
        return content[offset : offset + length]
    return content.slice(offset, length)


def joined(pieces: Sequence[Content]) -> Content:
    """All pieces in order as one; empty ones don't count."""
    pieces = [piece for piece in pieces if len(piece)]
    if len(pieces) == 1:
        return pieces[0]
    for piece in pieces:
        if not isinstance(piece, bytes):
            return piece.join(pieces)
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


def ueb_hash_of(content: Content) -> bytes:
    """Hash of the UEB in a whole share; empty if there is none to be read."""
    if isinstance(content, bytes):
        return read_ueb_hash(lambda offset, length: content[offset : offset + length])
    return content.ueb_hash


def read_ueb_hash(read: Read) -> bytes:
    """Hash of the UEB of a share that can be read piecemeal; empty if there is none to be read."""
    try:
        offsets = parse_header(read(0, MAX_HEADER_SIZE))
        section = read(offsets.uri_extension, offsets.length_field_size + MAX_UEB_LENGTH)
        return hash_of_uri_extension(offsets.uri_extension_in(section))
    except (ValueError, IncompatibleShare):
        return b""


def check(number: int, share: Read | bytes) -> Verdict:
    """Check everything inside a share; memory does not grow with its size.

    Raises:
        IncompatibleShare: its version is not known here.
    """
    try:
        verify_share(number, share)
    except CorruptShare as error:
        return Verdict(number, error.reason)
    return Verdict(number, "")


def check_content(number: int, content: Content) -> Verdict:
    """:func:`check` for content of either kind."""
    if isinstance(content, bytes):
        return check(number, content)
    return Verdict(number, "" if content.intact else "a hash does not match")


def check_replacement(number: int, content: Content) -> None:
    """Refuse to replace a corrupt share by something that is no better.

    Raises:
        Refused: ``conflict``.
    """
    try:
        verdict = check_content(number, content)
    except IncompatibleShare as error:
        verdict = Verdict(number, str(error))
    if not verdict.sound:
        raise Refused("conflict", f"the share that is to replace ours is corrupt: {verdict.reason}")


class Pieces:
    """The content of a share being written: disjoint pieces in order."""

    __slots__ = ("_contents", "_ends", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._contents: list[Content] = []

    def write(self, offset: int, data: Content) -> int:
        """Put ``data`` at ``offset``; return how many bytes of it are new.

        Raises:
            Refused: ``conflict``: other bytes are there.
        """
        end = offset + len(data)
        if not self._ends or offset >= self._ends[-1]:
            self._put(len(self._starts), offset, data)
            return end - offset
        gaps = self._gaps(offset, data, end)
        for start, stop in reversed(gaps):
            self._put(bisect_right(self._starts, start), start, cut(data, start - offset, stop - start))
        return sum(stop - start for start, stop in gaps)

    def whole(self, size: int) -> Content | None:
        """All of it as one, or None as long as bytes are missing."""
        if not size:
            return b""
        if not self._starts or self._starts[0] or self._ends[-1] != size or self._starts[1:] != self._ends[:-1]:
            return None
        return joined(self._contents)

    def _put(self, position: int, offset: int, data: Content) -> None:
        if len(data):
            self._starts.insert(position, offset)
            self._ends.insert(position, offset + len(data))
            self._contents.insert(position, data)

    def _gaps(self, offset: int, data: Content, end: int) -> list[tuple[int, int]]:
        """The parts of ``[offset, end)`` not yet written, ascending; what is written must be equal."""
        gaps = []
        reached = offset
        position = bisect_right(self._ends, offset)
        while position < len(self._starts) and self._starts[position] < end:
            start, stop = max(self._starts[position], offset), min(self._ends[position], end)
            present = cut(self._contents[position], start - self._starts[position], stop - start)
            if present != cut(data, start - offset, stop - start):
                raise Refused("conflict", f"bytes {start} to {stop} were written before and differ")
            if start > reached:
                gaps.append((reached, start))
            reached = stop
            position += 1
        if reached < end:
            gaps.append((reached, end))
        return gaps
