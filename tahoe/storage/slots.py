"""What a store of slots promises, whatever it keeps them in.

A slot is a mutable file; a server has of it what it has of any file, shares by number. But a share of a slot
changes: each version replaces the one before, mostly in a few segments only. ``codec/slot.py`` says what
versions, trees and chains are, ``actors/slotkeeping.py`` which change is allowed. A store looks after the rest::

    share = head (signed version, chain to the signed root) + one record (leaf, salt, block) per segment
    change = the next head + the records that differ + the nodes of the block tree that differ

A store is synchronous: actors reach it only through ``ctx.compute``. Methods of one store may be called from
several threads at once. Whoever has to see one state over several calls, or to change what he has seen, holds
the slot's ``lock`` meanwhile.

Guarantees
    * *Old or new.* A change happens wholly and durably before ``write`` returns; after a crash at any point the
      share is there whole as it was before, or whole as it is after. Nobody is shown what a crash could undo.
    * *What was vouched for.* A head that is given out is one whose signature belongs to the storage index. Damage
      to it, or to the tree, is told as ``CorruptShare`` rather than passed on.
    * *Small changes are cheap.* What a change costs depends on what differs, not on the size of the slot.
    * *Room is one.* Slots and immutable shares of a server live within the same limits. ``NoSpace`` comes before
      anything is changed. A read-only server takes no new shares of slots and lets none grow.
    * *Leases.* A write brings its lease to the shares that it changes. A share
      whose leases have ended, or which lost its last, stays until it is discarded, as those of files do.

Errors: ``NoSpace``, ``StorageFailed`` (the disk), ``CorruptShare`` (this share's bytes), ``Refused`` with code
``no-such-share`` or ``bad-request`` (a storage index that has not 16 bytes, secrets that have not 32).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tahoe.codec.slot import Place, SlotProof, SlotVersion, SparseTree, climb, path_places
from tahoe.protocol import Lease
from tahoe.storage.store import LeaseFacts, Verdict

if TYPE_CHECKING:
    from tahoe.storage.slotparts import PartsShelf


@dataclass(frozen=True, slots=True)
class SlotHead:
    """All of a share but its segments.

    Args:
        version: that the share carries.
        proof: the signed form of it.
        chain: the siblings that lead from the root of the share's block tree to the signed root, from the bottom up.
    """

    version: SlotVersion
    proof: SlotProof
    chain: tuple[bytes, ...]

    def vouches_for(self, number: int, root: bytes) -> bool:
        """Whether share ``number`` of this version is the one whose block tree has this root.

        A chain of wrong length vouches for nothing.
        """
        total = self.version.shape.total
        places = path_places(total, number)
        if len(places) != len(self.chain):
            return False
        return climb(number, root, total, dict(zip(places, self.chain, strict=True))) == self.version.root_hash


class SlotRecord(NamedTuple):
    """One segment in a share. ``leaf`` is the hash of salt and block."""

    leaf: bytes
    salt: bytes
    block: bytes


@dataclass(frozen=True, slots=True)
class SlotChange:
    """The next state of a share, checked by whoever made it.

    Args:
        head: the new one.
        records: segments that differ, by their number.
        nodes: nodes of the block tree that differ, leaves included (``slottree.changed_nodes``).
        whole: nothing is kept of a share that may be there: ``records`` are all, and ``nodes`` are too.
    """

    head: SlotHead
    records: Mapping[int, SlotRecord]
    nodes: Mapping[Place, bytes]
    whole: bool


class SlotStore(Protocol):
    """The interface every store of slots implements; ``tests/storage`` has one conformance suite for all."""

    @property
    def parts(self) -> PartsShelf:
        """Parts of shares that are larger than a message."""

    def lock(self, storage_index: bytes) -> AbstractContextManager[object]:
        """The lock of one slot (and of some others); free to be taken again by who has it."""

    def numbers(self, storage_index: bytes) -> tuple[int, ...]:
        """The numbers of all shares of a slot, ascending, damaged ones included."""

    def head(self, storage_index: bytes, number: int) -> SlotHead:
        """What a share carries.

        Raises:
            CorruptShare: it can't be told.
            Refused: ``no-such-share``.
        """

    def tree(self, storage_index: bytes, number: int) -> SparseTree:
        """The whole block tree of a share, which nobody else may change. To be used while the lock is held.

        Raises:
            CorruptShare: the leaves on the disk are not those of the version.
            Refused: ``no-such-share``.
        """

    def read(self, storage_index: bytes, number: int, segments: Iterable[int]) -> list[SlotRecord]:
        """Records of some segments, which the share must have. Where the disk lost bytes, fields are too short.

        Raises:
            CorruptShare: the head is damaged.
            Refused: ``no-such-share``.
        """

    def write(self, storage_index: bytes, changes: Mapping[int, SlotChange], lease: Lease, now: float) -> None:
        """Change shares, each wholly or not at all, durably; those that were not there come to be.

        Who calls this holds the lock since he looked at what he changes.
        """

    def add_lease(self, storage_index: bytes, lease: Lease, owner: int, now: float) -> int:
        """Add the lease to every share of the slot, or move its expiry forward. Returns the number of shares."""

    def cancel_lease(self, storage_index: bytes, cancel_secret: bytes, now: float) -> int:
        """Remove leases by cancel secret; a share that loses its last is nobody's since now. Returns leases removed."""

    def leases(self, storage_index: bytes, number: int) -> tuple[LeaseFacts, ...]:
        """The leases on one share, secrets hashed; none if its head is damaged."""

    def storage_indexes(self, after: bytes = b"") -> Iterator[bytes]:
        """All indexes greater than ``after`` of which there is a share, ascending, without holding them all."""

    def scrub(self, storage_index: bytes, number: int) -> Verdict:
        """Check one share inside: every block, the tree, the chain, the signature. Flat memory."""

    def advise_corrupt(self, storage_index: bytes, number: int, reason: str, now: float) -> None:
        """Keep a reader's report for the operator."""

    def discard(self, storage_index: bytes, number: int, expires: int, now: float) -> bool:
        """Put a share into the trash; see ``ShareStore``."""

    def purge(self, storage_index: bytes, number: int) -> bool:
        """Remove a share from the trash for good; see ``ShareStore``."""

    def restore(self, storage_index: bytes) -> int:
        """Bring the shares of a slot back from the trash. Returns how many."""
