"""Files to raw shares on the local disk and back, without a grid: what the ``debug`` commands are made of.

Memory holds one segment, whatever the size of the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from tahoe.codec.capability import Capability, ImmutableRead, Literal
from tahoe.codec.cipher import StreamCipher
from tahoe.codec.container import HEADER_SIZE, Container, parse_container_header
from tahoe.codec.file import LITERAL_LIMIT, FileDecoder, FileEncoder, crypt, make_literal
from tahoe.codec.hashing import HASH_SIZE
from tahoe.codec.keys import ConvergenceHasher
from tahoe.codec.parameters import EncodingParameters
from tahoe.codec.share import MAX_HEADER_SIZE, IncompatibleShare, ShareOffsets, parse_header, parse_share_hashes
from tahoe.errors import CorruptShare, NotEnoughShares

PIECE: Final = 1 << 20

Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class EncodingChoice:
    """How to encode a file: k, N, the largest segment in bytes, and a key (16 bytes) or a convergence secret."""

    needed: int
    total: int
    max_segment_size: int
    key: bytes | None
    convergence: bytes


def encode(file: Path, directory: Path, choice: EncodingChoice) -> Capability:
    """Write all shares of a file into a directory, each under its number; return the read cap.

    A file of up to 55 bytes becomes a literal and no shares.
    """
    size = file.stat().st_size
    with file.open("rb") as source:
        if size <= LITERAL_LIMIT:
            return make_literal(source.read())
        parameters = EncodingParameters.of(size, choice.needed, choice.total, choice.max_segment_size)
        key = choice.key or _convergent_key(source, parameters, choice.convergence)
        source.seek(0)
        ueb_hash = _write_shares(source, directory, parameters, key)
    return ImmutableRead(key, ueb_hash, choice.needed, choice.total, size)


def _convergent_key(source: IO[bytes], parameters: EncodingParameters, secret: bytes) -> bytes:
    hasher = ConvergenceHasher(parameters.needed, parameters.total, parameters.segment_size, secret)
    while piece := source.read(PIECE):
        hasher.update(piece)
    return hasher.key()


def _write_shares(source: IO[bytes], directory: Path, parameters: EncodingParameters, key: bytes) -> bytes:
    """Encode segment after segment; return the UEB's hash."""
    directory.mkdir(parents=True, exist_ok=True)
    encoder, cipher = FileEncoder(parameters), StreamCipher(key)
    with ExitStack() as stack:
        shares = [stack.enter_context((directory / str(number)).open("wb")) for number in range(parameters.total)]
        for share in shares:
            share.write(encoder.layout.header)
        for _ in range(parameters.segment_count):
            blocks = encoder.encode_segment(cipher.process(source.read(parameters.segment_size)))
            for share, block in zip(shares, blocks, strict=True):
                share.write(block)
        finished = encoder.finish()
        for share, trailer in zip(shares, finished.trailers, strict=True):
            share.write(trailer)
    return finished.ueb_hash


def decode(cap: ImmutableRead | Literal, directory: Path) -> Iterator[bytes]:
    """Give a file's plaintext, segment by segment, from raw shares in files named by their numbers.

    Raises:
        NotEnoughShares: fewer than k of them are sound.
        CorruptFile: whoever encoded it did it wrong.
    """
    if isinstance(cap, Literal):
        yield cap.data
        return
    with ExitStack() as stack:
        pile = _Pile(cap)
        for path in sorted(_share_files(directory), key=lambda path: int(path.name)):
            pile.add(int(path.name), _reader(stack.enter_context(path.open("rb"))))
        for segment in range(pile.segment_count):
            yield pile.segment(segment)


def _share_files(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.name.isdecimal() and path.is_file()]


@dataclass(slots=True)
class _Pile:
    """The shares of one file that have proven sound so far, and why others have not."""

    cap: ImmutableRead
    decoder: FileDecoder = field(init=False)
    sound: dict[int, tuple[Read, ShareOffsets]] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.decoder = FileDecoder(self.cap)

    @property
    def segment_count(self) -> int:
        """How many segments; known only when a share was sound."""
        self._check_enough()
        return self.decoder.parameters.segment_count

    def add(self, number: int, read: Read) -> None:
        """Take a share in if its header, UEB and share hashes are right."""
        try:
            offsets = parse_header(read(0, MAX_HEADER_SIZE))
            length = offsets.uri_extension_length(read(offsets.uri_extension, offsets.length_field_size))
            section = read(offsets.uri_extension, offsets.length_field_size + length)
            self.decoder.accept_ueb(offsets.uri_extension_in(section), number)
            hashes = read(offsets.share_hashes, offsets.uri_extension - offsets.share_hashes)
            self.decoder.accept_share(number, parse_share_hashes(hashes))
        except (CorruptShare, IncompatibleShare, ValueError) as error:
            self._reject(number, error)
        else:
            self.sound[number] = (read, offsets)

    def segment(self, segment: int) -> bytes:
        """Return a segment's plaintext, from whichever shares are sound there."""
        blocks: dict[int, bytes] = {}
        while len(blocks) < self.cap.needed:
            self._check_enough()
            number = next(number for number in self.sound if number not in blocks)
            block = self._block(number, segment)
            if block is not None:
                blocks[number] = block
        ciphertext = self.decoder.decode_segment(segment, blocks)
        return crypt(self.cap.key, ciphertext, segment * self.decoder.parameters.segment_size)

    def _block(self, number: int, segment: int) -> bytes | None:
        """Return a proven block and prove the segment's hash by the way; None, and the share is out, if that fails."""
        read, offsets = self.sound[number]
        try:
            path = _nodes(read, offsets.crypttext_hashes, self.decoder.needed_segment_nodes(segment))
            self.decoder.accept_segment_path(segment, path, number)
            block = read(*offsets.block_span(self.decoder.parameters, segment))
            siblings = _nodes(read, offsets.block_hashes, self.decoder.needed_block_nodes(number, segment))
            self.decoder.accept_block(number, segment, block, siblings)
        except (CorruptShare, ValueError) as error:
            self._reject(number, error)
            return None
        return block

    def _reject(self, number: int, error: Exception) -> None:
        self.sound.pop(number, None)
        self.reasons.append(f"share {number}: {error.reason if isinstance(error, CorruptShare) else error}")

    def _check_enough(self) -> None:
        if len(self.sound) < self.cap.needed:
            raise NotEnoughShares(len(self.sound), self.cap.needed, tuple(self.reasons))


def _nodes(read: Read, tree: int, numbers: list[int]) -> dict[int, bytes]:
    return {number: read(tree + number * HASH_SIZE, HASH_SIZE) for number in numbers}


def _reader(file: IO[bytes], start: int = 0, end: int | None = None) -> Read:
    """Return what reads a share that lies between two positions of a file."""

    def read(offset: int, length: int) -> bytes:
        room = length if end is None else min(length, end - start - offset)
        file.seek(start + offset)
        return file.read(max(0, room))

    return read


@dataclass(frozen=True, slots=True)
class ShareFile:
    """A share as it lies on a disk: raw, or in a server's container with leases behind it."""

    read: Read
    size: int
    container: Container | None

    def offsets(self) -> ShareOffsets:
        """The share's header."""
        return parse_header(self.read(0, MAX_HEADER_SIZE))


def open_share(file: IO[bytes]) -> ShareFile:
    """Find out whether a file is a container or a raw share; both begin with a small version number.

    Raises:
        ValueError: it is neither.
    """
    size = file.seek(0, os.SEEK_END)
    raw = _reader(file)
    if _looks_like_share(raw, size):
        return ShareFile(raw, size, None)
    header = parse_container_header(raw(0, HEADER_SIZE))
    container = Container.parse(header, size, raw(*header.leases_span(size)))
    read = _reader(file, HEADER_SIZE, HEADER_SIZE + container.data_length)
    parse_header(read(0, MAX_HEADER_SIZE))
    return ShareFile(read, container.data_length, container)


def _looks_like_share(read: Read, size: int) -> bool:
    """Whether sections follow one another as in a share; a container's lengths and counts can't imitate that."""
    try:
        offsets = parse_header(read(0, MAX_HEADER_SIZE))
    except ValueError:
        return False
    order = (offsets.data, offsets.plaintext_hashes, offsets.crypttext_hashes, offsets.block_hashes)
    rest = (offsets.share_hashes, offsets.uri_extension, size)
    return offsets.data == len(offsets.header) and list(order + rest) == sorted(order + rest)
