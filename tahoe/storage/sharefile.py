"""One share's container file: reading it, and what a new one consists of.

Leases stand behind the share, and only the file's length tells where the share ends. Releases and programs that change
leases without a log (redo.py) may thus leave a length that belongs to no state, if they crash between two steps::

    header n=1 | share | lease              before
    header n=1 | share | lease | lea        the new record half written
    header n=1 | share | lease | lease      the record written, the count not yet
    header n=2 | share | lease | lease      after

What is longer than the count says is told by the header, which repeats the share's length (all who write containers fill
it in truly); where the share is too long for that field, by the end of its UEB. Superfluous bytes at the end are thus
seen and not read, and the next change overwrites them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tahoe.codec.container import (
    HEADER_SIZE,
    LEASE_SIZE,
    WRITTEN_VERSION,
    Container,
    ContainerHeader,
    Lease,
    parse_container_header,
    stored_secret,
)
from tahoe.codec.share import MAX_HEADER_SIZE, IncompatibleShare, parse_header
from tahoe.storage.content import read_ueb_hash
from tahoe.storage.filesystem import File

MUTABLE_MAGIC: Final = b"Tahoe mutable container v"
_SATURATED: Final = 2**32 - 1


class ShareFile:
    """A container open for reading. Share offsets count from the share's first byte.

    A file with an unreadable header is still a share, since its bytes may be proven good by whoever has
    the capability; ``flaw`` tells what is wrong.

    Args:
        file: open; closed with this.
    """

    __slots__ = ("_file", "flaw", "mutable", "size")

    def __init__(self, file: File) -> None:
        self._file = file
        self.flaw = ""
        header = file.read(0, len(MUTABLE_MAGIC))
        self.mutable = header == MUTABLE_MAGIC
        try:
            self.size = share_length(file, header)
        except ValueError as error:
            self.flaw = str(error)
            self.size = max(file.size() - HEADER_SIZE, 0)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the share; shorter where it ends."""
        length = min(length, self.size - offset)
        return self._file.read(HEADER_SIZE + offset, length) if length > 0 else b""

    def ueb_hash(self) -> bytes:
        """Hash of the UEB; empty if there is none to be read."""
        return read_ueb_hash(self.read)

    def container(self) -> Container:
        """The state of the container as it is now; ValueError if it can't be read."""
        return read_container(self._file)

    def close(self) -> None:
        """Give the descriptor back."""
        self._file.close()


def share_length(file: File, header: bytes) -> int:
    """Bytes of share data in a container that begins with ``header``, whatever a crash left behind its leases.

    Raises:
        ValueError: not a readable container.
    """
    parsed = parse_container_header(header)
    by_size = parsed.data_length(file.size())
    allocated = int.from_bytes(header[4:8], "big")
    return min(by_size, allocated if allocated < _SATURATED else _end_of_share(file, by_size))


def _end_of_share(file: File, limit: int) -> int:
    """Where the UEB ends, or the limit if that can't be told."""
    try:
        offsets = parse_header(file.read(HEADER_SIZE, MAX_HEADER_SIZE))
        section = file.read(HEADER_SIZE + offsets.uri_extension, offsets.length_field_size)
        return offsets.uri_extension + offsets.length_field_size + offsets.uri_extension_length(section)
    except (ValueError, IncompatibleShare, OverflowError):
        return limit


def read_container(file: File) -> Container:
    """The state of a container: all but the share data.

    Raises:
        ValueError: not a readable container.
    """
    header = file.read(0, HEADER_SIZE)
    parsed = parse_container_header(header)
    end = HEADER_SIZE + share_length(file, header)
    records = file.read(end, LEASE_SIZE * parsed.lease_count)
    return Container.parse(ContainerHeader(parsed.version, parsed.lease_count), end + len(records), records)


def whole_container(data: bytes, leases: tuple[Lease, ...]) -> bytes:
    """A container file, ready to be written in one."""
    header, records = Container(WRITTEN_VERSION, len(data), leases).create()
    return b"".join((header.data, data, records.data))


def upgraded(container: Container) -> tuple[Lease, ...]:
    """A container's leases as the version that is written keeps them."""
    if container.version == WRITTEN_VERSION:
        return container.leases

    def hashed(lease: Lease) -> Lease:
        renew, cancel = (stored_secret(WRITTEN_VERSION, each) for each in (lease.renew, lease.cancel))
        return replace(lease, renew=renew, cancel=cancel)

    return tuple(hashed(lease) for lease in container.leases)
