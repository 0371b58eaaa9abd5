"""Phantoms: content that only has a size, an identity and a state of health.

At phantom fidelity blocks are not computed, stored or sent byte by byte. What travels is a ``Phantom``, as
long as the bytes would be (links, credit and disks feel its weight), equal to another phantom exactly
when the bytes would be equal, and spoiled when they would be. It can be cut and joined as bytes can::

    Phantom(1000, "file 7")[200:300]  ==  Phantom(100, "file 7", offset=200)

What is small is real even here: a share is a ``Patchwork`` of a real header, phantom blocks and real hash
trees and UEB, so the servers' and readers' own code finds its way in it::

    | header | block | block | ... | trees, share hashes, UEB |
      bytes    phantoms              bytes
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Sequence
from hashlib import sha256
from itertools import accumulate
from typing import Any, NamedTuple, TypeAlias

from tahoe.codec.share import MAX_HEADER_SIZE
from tahoe.storage.content import read_ueb_hash


class Phantom:
    """Bytes that nobody needs to look at.

    Args:
        size: how many.
        identity: names the whole that these are a part of; its ``repr`` must be the same in every interpreter.
        offset: where in the whole they begin.
        intact: whether a check of every hash would find nothing.
    """

    __slots__ = ("identity", "intact", "offset", "size")

    def __init__(self, size: int, identity: Hashable, offset: int = 0, *, intact: bool = True) -> None:
        self.size = size
        self.identity = identity
        self.offset = offset
        self.intact = intact

    @property
    def ueb_hash(self) -> bytes:
        """Blocks alone name no file."""
        return b""

    def __len__(self) -> int:
        return self.size

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Phantom):
            return self.size == 0 and other == b""
        return self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash((self.size, self.identity, self.offset))

    def __repr__(self) -> str:
        health = "" if self.intact else ", spoiled"
        return f"Phantom({self.identity!r}[{self.offset}:{self.offset + self.size}]{health})"

    def __getitem__(self, key: slice) -> Phantom:
        start, stop, step = key.indices(self.size)
        assert step == 1, "bytes are cut in order"
        return self.slice(start, max(0, stop - start))

    def _facts(self) -> tuple[Hashable, ...]:
        return (self.size, self.identity, self.offset, self.intact)

    @property
    def fingerprint(self) -> bytes:
        """32 bytes that stand for a hash of the bytes this stands for."""
        return sha256(repr(self._facts()).encode()).digest()

    def slice(self, offset: int, length: int) -> Phantom:
        """The part from ``offset`` on, at most ``length`` bytes."""
        size = max(0, min(length, self.size - offset))
        return self if size == self.size else Phantom(size, self.identity, self.offset + offset, intact=self.intact)

    def join(self, pieces: Sequence[Content]) -> Any:
        """All pieces in order as one."""
        return joined(pieces)

    def spoiled(self) -> Phantom:
        """The same, no longer intact."""
        return Phantom(self.size, self.identity, self.offset, intact=False)

    def _follows(self, other: object) -> bool:
        return (
            isinstance(other, Phantom)
            and other.identity == self.identity
            and other.offset + other.size == self.offset
            and other.intact == self.intact
        )


class Patchwork:
    """Real bytes and phantoms in order. ``joined`` makes one."""

    __slots__ = ("_ends", "_ueb_hash", "pieces")

    def __init__(self, pieces: tuple[bytes | Phantom, ...], ueb_hash: bytes | None = None) -> None:
        self.pieces = pieces
        self._ends = list(accumulate(map(len, pieces)))
        self._ueb_hash = ueb_hash

    @property
    def ueb_hash(self) -> bytes:
        """Hash of the UEB in the whole share that this is; empty where there is none to be read."""
        if self._ueb_hash is None:
            self._ueb_hash = read_ueb_hash(self.slice)
        return self._ueb_hash

    @property
    def intact(self) -> bool:
        """Whether no phantom in it is spoiled."""
        return all(piece.intact for piece in self.pieces if isinstance(piece, Phantom))

    def __len__(self) -> int:
        return self._ends[-1]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Patchwork) and self.pieces == other.pieces

    def __hash__(self) -> int:
        return hash(self.pieces)

    def __repr__(self) -> str:
        return f"Patchwork({', '.join(f'{len(p)} bytes' if isinstance(p, bytes) else repr(p) for p in self.pieces)})"

    def __getitem__(self, key: slice) -> Any:
        start, stop, step = key.indices(len(self))
        assert step == 1, "bytes are cut in order"
        return self.slice(start, max(0, stop - start))

    def slice(self, offset: int, length: int) -> Any:
        """The part from ``offset`` on: bytes or a phantom where it lies within one, else a patchwork.

        A glance at the beginning is always bytes, zeros where phantoms are: readers look for a header
        without knowing how long it is.
        """
        end = min(offset + length, len(self))
        parts: list[bytes | Phantom] = []
        number = bisect_right(self._ends, offset)
        while offset < end:
            piece = self.pieces[number]
            start = self._ends[number] - len(piece)
            parts.append(piece[offset - start : end - start])
            offset, number = self._ends[number], number + 1
        if not parts:
            return b""
        if len(parts) > 1 and length <= MAX_HEADER_SIZE:
            return b"".join(part if isinstance(part, bytes) else bytes(len(part)) for part in parts)
        return joined(parts)

    def join(self, pieces: Sequence[Content]) -> Any:
        """All pieces in order as one."""
        return joined(pieces)

    def spoiled(self) -> Patchwork:
        """The same, with every phantom in it spoiled."""
        pieces = tuple(piece.spoiled() if isinstance(piece, Phantom) else piece for piece in self.pieces)
        return Patchwork(pieces, self._ueb_hash)


Content: TypeAlias = bytes | Phantom | Patchwork


def joined(pieces: Iterable[Content], ueb_hash: bytes | None = None) -> Content:
    """All pieces in order as one; neighbours become whole again.

    Args:
        pieces: in order.
        ueb_hash: where the whole is a share and this is known; else it is read when it is asked for.
    """
    parts: list[bytes | Phantom] = []
    for piece in pieces:
        for part in piece.pieces if isinstance(piece, Patchwork) else (piece,):
            if not len(part):
                continue
            before = parts[-1] if parts else None
            if isinstance(part, bytes) and isinstance(before, bytes):
                parts[-1] = before + part
            elif isinstance(part, Phantom) and isinstance(before, Phantom) and part._follows(before):  # noqa: SLF001  # one idea
                parts[-1] = Phantom(before.size + part.size, before.identity, before.offset, intact=before.intact)
            else:
                parts.append(part)
    if not parts:
        return b""
    return parts[0] if len(parts) == 1 else Patchwork(tuple(parts), ueb_hash)


class Real(NamedTuple):
    """The identity of a phantom that is made of real bytes: the bytes."""

    data: bytes


def as_phantom(content: Content) -> Phantom:
    """Content as one phantom: what it is made of becomes its identity."""
    if isinstance(content, Phantom):
        return content
    if isinstance(content, bytes):
        return Phantom(len(content), Real(content))
    return Phantom(len(content), ("joined", *map(_describe, content.pieces)), intact=content.intact)


def _describe(piece: bytes | Phantom) -> Hashable:
    return piece if isinstance(piece, bytes) else (piece.size, piece.identity, piece.offset)
