"""What the codec's tests share: vectors, reproducible contents, and a reader that drives the decoder."""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from pathlib import Path

from tahoe.codec.capability import ImmutableRead
from tahoe.codec.file import EncodingParameters, FileDecoder, crypt, encode_whole
from tahoe.codec.share import parse_header, parse_share_hashes
from tahoe.errors import CorruptShare

VECTORS = Path(__file__).parent.parent / "vectors"


@cache
def cases(name: str) -> list[dict]:
    return json.loads((VECTORS / f"{name}.json").read_text())["cases"]


def stream(seed: bytes, size: int) -> bytes:
    """Return the vectors' plaintext: SHA-256 of the seed and a counter."""
    blocks = (sha256(seed + index.to_bytes(8, "big")).digest() for index in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def make_file(plaintext: bytes, parameters: EncodingParameters, key: bytes = bytes(range(16)), layout=None):
    """Return a cap and all its shares."""
    finished, shares = encode_whole(parameters, crypt(key, plaintext), layout)
    cap = ImmutableRead(key, finished.ueb_hash, parameters.needed, parameters.total, parameters.size)
    return cap, shares


def read_file(cap: ImmutableRead, shares: dict[int, bytes]) -> bytes:
    """Read a file from exactly k whole shares, as a downloader would: proving everything, trusting only the cap."""
    decoder = FileDecoder(cap)
    offsets = {}
    for number, share in shares.items():
        try:
            offsets[number] = parse_header(share)
            decoder.accept_ueb(offsets[number].uri_extension_in(share[offsets[number].uri_extension :]), number)
            section = share[offsets[number].share_hashes : offsets[number].uri_extension]
            decoder.accept_share(number, parse_share_hashes(section))
        except ValueError as error:
            raise CorruptShare("", number, str(error)) from error
    plaintext = b""
    for segment in range(decoder.parameters.segment_count):
        blocks = {}
        for number, share in shares.items():
            offset, length = offsets[number].block_span(decoder.parameters, segment)
            blocks[number] = share[offset : offset + length]
            nodes = _nodes(share, offsets[number].block_hashes, decoder.needed_block_nodes(number, segment))
            decoder.accept_block(number, segment, blocks[number], nodes)
        number = min(shares)
        wanted = decoder.needed_segment_nodes(segment)
        nodes = _nodes(shares[number], offsets[number].crypttext_hashes, wanted)
        decoder.accept_segment_path(segment, nodes, number)
        plaintext += crypt(cap.key, decoder.decode_segment(segment, blocks), len(plaintext))
    return plaintext


def _nodes(share: bytes, section: int, wanted: list[int]) -> dict[int, bytes]:
    return {node: share[section + 32 * node : section + 32 * node + 32] for node in wanted}
