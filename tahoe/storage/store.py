"""What a store of shares promises, whatever it keeps them in.

A store holds immutable shares by (storage index, share number), each whole or not at all, with leases
beside them. It is synchronous: actors reach it only through ``ctx.compute``. Methods of one store may
be called from several threads at once.

Guarantees
    * *Whole or not at all.* A share becomes visible by ``close`` (or ``store``) and only after every byte
      of it and its name are durable: after a crash at any point it is there whole, or not there.
    * *First complete stays.* A visible share is never replaced, shortened or removed by an upload.
      ``replace_corrupt`` replaces it only when the store's own check finds it corrupt.
    * *Uploads are private.* Uploads in progress are keyed by (storage index, number, upload secret):
      nobody who lacks the secret can write into, finish, abort or block one.
    * *Room is reserved.* ``allocate`` sets aside the bytes an upload may take; ``NoSpace`` comes then,
      not half way (a disk that others fill may still say so later).
    * *Nobody keeps more than he may.* What would be new to an account over its quota is refused
      (``over-quota``); a renewal never is.
    * *Nothing goes by itself.* A share whose leases have ended, or which lost its last, stays until it is discarded; it
      is in the trash then, seen by nobody, until it is purged or a lease brings it back.
    * *Idempotent.* Any call may be repeated after a lost answer and says the same.

Errors: ``NoSpace``, ``StorageFailed`` (the disk), ``Refused`` with code ``no-such-share``,
``no-such-upload``, ``conflict`` (bytes written twice that differ; a share of another size; bytes missing
at ``close``; another share was complete first) or ``bad-request`` (a storage index that has not 16
bytes, a secret that has not 32, a share number or offset out of range).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from tahoe.codec.container import HEADER_SIZE, LEASE_PERIOD, LEASE_SIZE
from tahoe.codec.keys import STORAGE_INDEX_SIZE
from tahoe.errors import Refused
from tahoe.protocol import Lease, ShareFacts, Space
from tahoe.storage.books import Books

MOST_SHARES: Final = 256
"""Share numbers are below this (the erasure code has no more)."""

CONTAINER_ROOM: Final = HEADER_SIZE + LEASE_SIZE
"""Bytes that a new share takes beyond its own: the container's header and the first lease."""

MOST_ADVISORIES: Final = 1000
"""Corruption advisories kept; the oldest go."""

SECRET_SIZE: Final = 32


class StoreOptions(msgspec.Struct, frozen=True):
    """What the operator lets a store do.

    Args:
        sizelimit: most bytes of containers to keep; None: what the disk has.
        reserved_space: bytes of the disk left free for others.
        readonly: take no new shares; what is there is served, its leases renewed.
        lease_seconds: how long a lease lasts.
    """

    sizelimit: int | None = None
    reserved_space: int = 0
    readonly: bool = False
    lease_seconds: int = LEASE_PERIOD


DEFAULT_OPTIONS: Final = StoreOptions()


def check_names(storage_index: bytes, numbers: Iterable[int]) -> None:
    """Refuse what can be no name of a share, before it becomes the name of a file.

    Raises:
        Refused: ``bad-request``.
    """
    if len(storage_index) != STORAGE_INDEX_SIZE:
        raise Refused("bad-request", f"a storage index has {STORAGE_INDEX_SIZE} bytes")
    for number in numbers:
        if not 0 <= number < MOST_SHARES:
            raise Refused("bad-request", f"a share number is at least 0 and below {MOST_SHARES}")


def check_secrets(*secrets: bytes) -> None:
    """Refuse secrets that are none.

    Raises:
        Refused: ``bad-request``.
    """
    for secret in secrets:
        if len(secret) != SECRET_SIZE:
            raise Refused("bad-request", f"a secret has {SECRET_SIZE} bytes")


def no_such_share(number: int) -> Refused:
    """Say that a share is not here."""
    return Refused("no-such-share", f"share {number} is not here")


def no_such_upload(number: int) -> Refused:
    """Say that there is no upload of a share with this secret."""
    return Refused("no-such-upload", f"no upload of share {number} bears this secret")


class LeaseFacts(NamedTuple):
    """One lease as stored. ``expires`` is seconds since the epoch; secrets are as in the container (v2: hashed)."""

    owner: int
    renew_secret: bytes
    cancel_secret: bytes
    expires: int


class Verdict(NamedTuple):
    """What a scrub of one share found; ``reason`` is empty when it is sound."""

    number: int
    reason: str

    @property
    def sound(self) -> bool:
        """Whether every hash inside the share agrees."""
        return not self.reason


class ShareStore(Protocol):
    """The interface every store implements; ``tests/storage`` has one conformance suite for all."""

    def shares(self, storage_index: bytes) -> dict[int, ShareFacts]:
        """Facts of all complete shares of a storage index, by share number (ascending)."""

    def read(self, storage_index: bytes, number: int, offset: int, length: int) -> bytes:
        """Bytes of a complete share; shorter where it ends.

        Raises:
            Refused: ``no-such-share``.
        """

    def store(
        self, storage_index: bytes, shares: Mapping[int, bytes], lease: Lease, now: float
    ) -> tuple[tuple[int, ...], dict[int, ShareFacts]]:
        """Allocate, write and close whole shares in one. All existing shares of the index get the lease.

        Returns:
            Numbers stored durably now, and facts of those of ``shares`` that were present before.
        """

    def allocate(
        self, storage_index: bytes, upload_secret: bytes, numbers: Sequence[int], size: int, lease: Lease, now: float
    ) -> tuple[tuple[int, ...], dict[int, ShareFacts]]:
        """Begin uploads of ``size`` bytes per share. All existing shares of the index get the lease.

        Returns:
            Numbers that may be written, and facts of all complete shares of the index.
        """

    def write(
        self, storage_index: bytes, upload_secret: bytes, number: int, offset: int, data: bytes, now: float
    ) -> None:
        """Bytes of an upload.

        Raises:
            Refused: ``no-such-upload``; ``conflict`` for a write beyond the size or over other bytes.
        """

    def close(self, storage_index: bytes, upload_secret: bytes, numbers: Sequence[int]) -> tuple[int, ...]:
        """Make uploads visible and durable; a number that is complete already counts as closed.

        Raises:
            Refused: ``no-such-upload``; ``conflict`` when bytes are missing, or when the share that was
                complete first is not of this upload's file (other size or UEB hash). The upload stays.
        """

    def abort(self, storage_index: bytes, upload_secret: bytes, numbers: Sequence[int]) -> None:
        """Forget uploads; unknown ones are fine."""

    def abort_idle(self, now: float, idle_seconds: float) -> int:
        """Abort uploads that saw no write for so long. Returns how many."""

    def add_lease(self, storage_index: bytes, lease: Lease, owner: int, now: float) -> int:
        """Add the lease to every share of the index, or move its expiry forward. Returns the number of shares."""

    def cancel_lease(self, storage_index: bytes, cancel_secret: bytes, now: float) -> int:
        """Remove leases by cancel secret; a share that loses its last is nobody's since now. Returns leases removed."""

    def leases(self, storage_index: bytes, number: int) -> tuple[LeaseFacts, ...]:
        """The leases on one share."""

    def storage_indexes(self, after: bytes = b"") -> Iterator[bytes]:
        """All indexes greater than ``after`` of which there is a complete share, ascending, without holding them all."""

    def scrub(self, storage_index: bytes, number: int) -> Verdict:
        """Check one share inside: every block, both trees, the share's chain, the UEB. Flat memory."""

    def replace_corrupt(self, storage_index: bytes, number: int, data: bytes) -> bool:
        """Replace a share that fails our own scrub by a sound one. False: ours is sound and stays.

        A share of a version not known here is nothing we can judge, and stays, too.

        Raises:
            Refused: ``conflict`` if ``data`` itself is no sound share of this number; ``no-such-share``.
        """

    def advise_corrupt(self, storage_index: bytes, number: int, reason: str, now: float) -> None:
        """Keep a reader's report for the operator."""

    def space(self) -> Space:
        """Room now. ``accepts`` is 0 in read-only mode."""

    # --- what nobody leases -----------------------------------------------------------------------------

    def discard(self, storage_index: bytes, number: int, expires: int, now: float) -> bool:
        """Put a share into the trash, if the last of its leases still ends at ``expires``. False: it stays.

        It need not be durable: who finds the share there after a crash may discard it again.
        """

    def purge(self, storage_index: bytes, number: int) -> bool:
        """Remove a share from the trash for good. False: it is not there, or somebody is at work on this index."""

    def restore(self, storage_index: bytes) -> int:
        """Bring the shares of an index back from the trash. Adding a lease does so, too. Returns how many."""

    def books(self) -> Books:
        """What is kept for whom: the index, the accounts, the time."""

    def catch_up(self, most: int) -> bool:
        """Report some more of what is there to an index that could not be trusted. True: it is complete."""
