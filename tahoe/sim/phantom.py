"""Phantoms: content that only has a size, an identity and a state of health.

At phantom fidelity a share is not computed, stored or sent byte by byte. What travels is a ``Phantom``, as
long as the bytes would be (links, credit and disks feel its weight), equal to another phantom exactly
when the bytes would be equal, and spoiled when they would be. It can be cut and joined as bytes can::

    Phantom(1000, b"file 7")[200:300]  ==  Phantom(100, b"file 7", offset=200)

A join of neighbours is whole again; a join of anything else is something new, named after its parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import overload

IDENTITY_BYTES = 16


class Phantom:
    """Bytes that nobody needs to look at.

    Args:
        size: how many.
        identity: names the whole that these are a part of.
        offset: where in the whole they begin.
        intact: whether a check of every hash would find nothing.
        ueb_hash: of the share that this is a part of; empty where it is part of none.
    """

    __slots__ = ("identity", "intact", "offset", "size", "ueb_hash")

    def __init__(
        self, size: int, identity: bytes, offset: int = 0, *, intact: bool = True, ueb_hash: bytes = b""
    ) -> None:
        self.size = size
        self.identity = identity
        self.offset = offset
        self.intact = intact
        self.ueb_hash = ueb_hash

    def __len__(self) -> int:
        return self.size

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Phantom):
            return self.size == 0 and other == b""
        return (self.size, self.identity, self.offset, self.intact) == (
            other.size,
            other.identity,
            other.offset,
            other.intact,
        )

    def __hash__(self) -> int:
        return hash((self.size, self.identity, self.offset))

    def __repr__(self) -> str:
        health = "" if self.intact else ", spoiled"
        return f"Phantom({self.identity.hex()[:8]}[{self.offset}:{self.offset + self.size}]{health})"

    @overload
    def __getitem__(self, key: slice) -> Phantom: ...
    @overload
    def __getitem__(self, key: int) -> int: ...
    def __getitem__(self, key: slice | int) -> Phantom | int:
        if isinstance(key, int):
            raise TypeError("a phantom has no bytes to look at")
        start, stop, step = key.indices(self.size)
        assert step == 1, "bytes are cut in order"
        return self.slice(start, max(0, stop - start))

    def slice(self, offset: int, length: int) -> Phantom:
        """The part from ``offset`` on, at most ``length`` bytes."""
        size = max(0, min(length, self.size - offset))
        if size == self.size:
            return self
        return Phantom(size, self.identity, self.offset + offset, intact=self.intact, ueb_hash=self.ueb_hash)

    def join(self, pieces: Sequence[Phantom | bytes]) -> Phantom:
        """All pieces in order as one; ``self`` is among them, others may be bytes."""
        first = pieces[0]
        size = sum(map(len, pieces))
        phantoms = [piece for piece in pieces if isinstance(piece, Phantom)]
        intact = all(piece.intact for piece in phantoms)
        ueb_hash = next((piece.ueb_hash for piece in reversed(phantoms) if piece.ueb_hash), b"")
        if isinstance(first, Phantom) and _are_neighbours(pieces):
            return Phantom(size, first.identity, first.offset, intact=intact, ueb_hash=ueb_hash)
        return Phantom(size, identity_of(*map(_name, pieces)), intact=intact, ueb_hash=ueb_hash)

    def spoiled(self) -> Phantom:
        """The same, no longer intact."""
        return Phantom(self.size, self.identity, self.offset, intact=False, ueb_hash=self.ueb_hash)


def identity_of(*parts: object) -> bytes:
    """A name for what is made from these parts (bytes, strings, numbers), the same in every interpreter."""
    digest = blake2b(digest_size=IDENTITY_BYTES)
    for part in parts:
        encoded = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.digest()


def _name(piece: Phantom | bytes) -> bytes:
    if isinstance(piece, bytes):
        return identity_of("bytes", piece)
    return identity_of("phantom", piece.identity, piece.offset, piece.size)


def _are_neighbours(pieces: Sequence[Phantom | bytes]) -> bool:
    first = pieces[0]
    assert isinstance(first, Phantom)
    reached = first.offset
    for piece in pieces:
        if not isinstance(piece, Phantom) or piece.identity != first.identity or piece.offset != reached:
            return False
        reached += piece.size
    return True
