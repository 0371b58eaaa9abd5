"""Immutable containers: the file in which a server keeps one share, and the leases behind it.

::

    0        4           8         12               12 + A
    version | allocated | leases n | share data (A) | n lease records of 72 bytes
                                                      owner 4 | renew 32 | cancel 32 | expires 4

Nothing tells A but the file's length: ``A = size - 12 - 72 n``. That decides the order of every change: at no moment,
wherever a crash cuts it off, may the share seem shorter than it is. A lease too many in the file is junk behind the
share, which harms nobody; a lease too few eats the share's end. So a record is written before the count goes up, and
the count goes down before the file is cut.

Version 1 keeps lease secrets as they came, version 2 (which is written) their BLAKE2b hashes, so that who reads the
disk can't renew or cancel. This module changes no file: it tells the changes, to be carried out durably one by one.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tahoe.codec.keys import LeaseSecrets

HEADER_SIZE: Final = 12
LEASE_SIZE: Final = 72
LEASE_PERIOD: Final = 31 * 24 * 60 * 60  # seconds
WRITTEN_VERSION: Final = 2
UPLOAD_OWNER: Final = 0  # of leases that an allocation brings
LATER_OWNER: Final = 1  # of leases that are added afterwards
RELEASED_OWNER: Final = 2**32 - 1  # of the record that stays when the last lease is cancelled; it is nobody's

_HEADER: Final = struct.Struct(">LLL")
_LEASE: Final = struct.Struct(">L32s32sL")
_COUNT: Final = struct.Struct(">L")
_COUNT_OFFSET: Final = 8
_EXPIRES_OFFSET: Final = LEASE_SIZE - _COUNT.size
_SECRET_SIZE: Final = 32
_MAX_FIELD: Final = 2**32 - 1


class Write(NamedTuple):
    """Put bytes at an offset of the container file, which grows as needed."""

    offset: int
    data: bytes


class Truncate(NamedTuple):
    """Cut the container file to a size."""

    size: int


class Delete(NamedTuple):
    """Remove the container file: nobody has a lease on it."""


Instruction: TypeAlias = Write | Truncate | Delete


@dataclass(frozen=True, slots=True)
class Lease:
    """One lease record as it is stored.

    Args:
        owner: the number of an account; :data:`UPLOAD_OWNER` and :data:`LATER_OWNER` are nobody's.
        renew: the renewal secret, hashed in version 2.
        cancel: the cancel secret, hashed in version 2.
        expires: seconds since the epoch.
    """

    owner: int
    renew: bytes = field(repr=False)
    cancel: bytes = field(repr=False)
    expires: int

    @classmethod
    def of(cls, secrets: LeaseSecrets, expires: float, *, owner: int, version: int = WRITTEN_VERSION) -> Lease:
        """Make the record of a lease, from secrets as a client sends them."""
        renew, cancel = stored_secret(version, secrets.renew), stored_secret(version, secrets.cancel)
        return cls(owner, renew, cancel, min(int(expires), _MAX_FIELD))

    def pack(self) -> bytes:
        """Return the record's 72 bytes."""
        return _LEASE.pack(self.owner, self.renew, self.cancel, self.expires)


def released(now: int) -> Lease:
    """The record of a share that nobody has leased since ``now`` (seconds since the epoch). No secret fits it."""
    return Lease(RELEASED_OWNER, bytes(_SECRET_SIZE), bytes(_SECRET_SIZE), min(now, _MAX_FIELD))


def renewed(present: Lease, wanted: Lease) -> Lease:
    """A lease after its renewal: it never ends earlier than before, and what was nobody's becomes somebody's."""
    owner = wanted.owner if present.owner <= LATER_OWNER < wanted.owner else present.owner
    return replace(present, owner=owner, expires=max(present.expires, wanted.expires))


def stored_secret(version: int, secret: bytes) -> bytes:
    """Return what a container of this version keeps of a 32-byte lease secret."""
    if len(secret) != _SECRET_SIZE:
        raise ValueError(f"a lease secret has {_SECRET_SIZE} bytes, not {len(secret)}")
    return secret if version == 1 else blake2b(secret, digest_size=_SECRET_SIZE).digest()


class Change(NamedTuple):
    """A container after a change (None if it is gone), and how to get there.

    Each instruction must be durable before the next is begun.
    """

    container: Container | None
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True, slots=True)
class Container:
    """A container's state: all but the share data.

    Args:
        version: 1 or 2.
        data_length: bytes of share data.
        leases: in their order.
    """

    version: int
    data_length: int
    leases: tuple[Lease, ...] = ()

    @classmethod
    def parse(cls, header: ContainerHeader, file_size: int, leases: bytes) -> Container:
        """Build it from the header and the bytes of ``header.leases_span(file_size)``.

        Raises:
            ValueError: not that many bytes.
        """
        offset, length = header.leases_span(file_size)
        if len(leases) != length:
            raise ValueError(f"{header.lease_count} leases have {length} bytes, not {len(leases)}")
        return cls(header.version, offset - HEADER_SIZE, tuple(Lease(*fields) for fields in _LEASE.iter_unpack(leases)))

    @property
    def file_size(self) -> int:
        """Bytes of the container file."""
        return self._lease_offset(len(self.leases))

    def create(self) -> tuple[Write, ...]:
        """Return the writes that make the file, with a hole where the share data goes."""
        allocated = min(self.data_length, _MAX_FIELD)
        header = _HEADER.pack(self.version, allocated, len(self.leases))
        return Write(0, header), Write(self._lease_offset(0), _packed(self.leases))

    def add_or_renew(self, secrets: LeaseSecrets, expires: float, *, owner: int = LATER_OWNER) -> Change:
        """Add a lease, or move the expiry of the one with the same renewal secret forward (never back).

        One that was nobody's becomes the owner's who renews it.
        """
        lease = Lease.of(secrets, expires, owner=owner, version=self.version)
        for position, present in enumerate(self.leases):
            if hmac.compare_digest(present.renew, lease.renew):
                return self._renew(position, renewed(present, lease))
        count = len(self.leases)
        instructions = (Write(self._lease_offset(count), lease.pack()), _write_count(count + 1))
        return Change(replace(self, leases=(*self.leases, lease)), instructions)

    def cancel(self, secret: bytes) -> Change:
        """Remove the lease with this cancel secret.

        Raises:
            LookupError: there is none.
        """
        stored = stored_secret(self.version, secret)
        change = self._keep(lambda lease: not hmac.compare_digest(lease.cancel, stored))
        if not change.instructions:
            raise LookupError("no lease has this cancel secret")
        return change

    def release(self, secret: bytes, now: int) -> Change:
        """Remove the lease with this cancel secret; if it was the last, the share stays and is nobody's since ``now``.

        Raises:
            LookupError: there is none.
        """
        stored = stored_secret(self.version, secret)
        others = tuple(lease for lease in self.leases if not hmac.compare_digest(lease.cancel, stored))
        if others == self.leases:
            raise LookupError("no lease has this cancel secret")
        leases = tuple(lease for lease in others if lease.owner != RELEASED_OWNER) or (released(now),)
        return self._shrink(leases)

    def expire(self, now: float) -> Change:
        """Remove the leases that have run out."""
        return self._keep(lambda lease: lease.expires > now)

    def _renew(self, position: int, lease: Lease) -> Change:
        present, offset = self.leases[position], self._lease_offset(position)
        leases = (*self.leases[:position], lease, *self.leases[position + 1 :])
        writes = []
        if lease.owner != present.owner:
            writes.append(Write(offset, _COUNT.pack(lease.owner)))
        if lease.expires != present.expires:
            writes.append(Write(offset + _EXPIRES_OFFSET, _COUNT.pack(lease.expires)))
        return Change(replace(self, leases=leases), tuple(writes))

    def _keep(self, wanted: Callable[[Lease], bool]) -> Change:
        """Keep some leases: move them down, lower the count, cut the file."""
        kept = tuple(filter(wanted, self.leases))
        if kept == self.leases:
            return Change(self, ())
        if not kept:
            return Change(None, (Delete(),))
        return self._shrink(kept)

    def _shrink(self, leases: tuple[Lease, ...]) -> Change:
        """Put these, no more than there are, in place of all: move them down, lower the count, cut the file."""
        after = replace(self, leases=leases)
        moved = Write(self._lease_offset(0), _packed(leases))
        return Change(after, (moved, _write_count(len(leases)), Truncate(after.file_size)))

    def _lease_offset(self, position: int) -> int:
        return HEADER_SIZE + self.data_length + LEASE_SIZE * position


@dataclass(frozen=True, slots=True)
class ContainerHeader:
    """The first 12 bytes of a container that readers use."""

    version: int
    lease_count: int

    def leases_span(self, file_size: int) -> tuple[int, int]:
        """Return offset and length of the lease records in a file of this size.

        Raises:
            ValueError: the file is too short for them.
        """
        length = LEASE_SIZE * self.lease_count
        if file_size < HEADER_SIZE + length:
            raise ValueError(f"a container of {file_size} bytes can't hold {self.lease_count} leases")
        return file_size - length, length

    def data_length(self, file_size: int) -> int:
        """Return how many bytes of share data a file of this size holds, from offset 12 on; ValueError as above."""
        return self.leases_span(file_size)[0] - HEADER_SIZE


def parse_container_header(data: bytes) -> ContainerHeader:
    """Parse the first 12 bytes of a container file.

    Raises:
        ValueError: too few bytes, or not a container of version 1 or 2.
    """
    if len(data) < HEADER_SIZE:
        raise ValueError("the container ends within its header")
    version, _, lease_count = _HEADER.unpack_from(data)
    if version not in {1, 2}:
        raise ValueError("not an immutable container of version 1 or 2")
    return ContainerHeader(version, lease_count)


def _packed(leases: Sequence[Lease]) -> bytes:
    return b"".join(lease.pack() for lease in leases)


def _write_count(count: int) -> Write:
    return Write(_COUNT_OFFSET, _COUNT.pack(count))
