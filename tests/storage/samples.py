"""What the storage tests share: names, leases and real shares."""

from __future__ import annotations

from functools import cache
from hashlib import sha256

from tahoe.codec.file import EncodedFile, encode_whole
from tahoe.codec.parameters import EncodingParameters
from tahoe.protocol import Lease

NOW = 1_700_000_000.0
PERIOD = 31 * 24 * 3600
MINE = b"m" * 32
THEIRS = b"t" * 32


def index(number: int) -> bytes:
    """A storage index that is spread as real ones are."""
    return sha256(b"index %d" % number).digest()[:16]


def lease(number: int = 0) -> Lease:
    return Lease(sha256(b"renew %d" % number).digest(), sha256(b"cancel %d" % number).digest())


def content(seed: int, size: int) -> bytes:
    """Reproducible bytes that are no share."""
    blocks = (sha256(b"%d %d" % (seed, block)).digest() for block in range(size // 32 + 1))
    return b"".join(blocks)[:size]


@cache
def encoded(seed: int, size: int = 1000, segment_size: int = 300) -> tuple[EncodedFile, list[bytes]]:
    """A file of three shares, two of which suffice."""
    return encode_whole(EncodingParameters(2, 3, segment_size, size), content(seed, size))


def share(seed: int, number: int, size: int = 1000) -> bytes:
    return encoded(seed, size)[1][number]


def ueb_hash(seed: int, size: int = 1000) -> bytes:
    return encoded(seed, size)[0].ueb_hash


def flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
