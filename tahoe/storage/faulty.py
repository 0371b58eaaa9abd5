"""A store that is bad on purpose: it rots, tears, slows, fills, fails and lies, on a schedule that is data.

It stands before a sound store and spoils what passes. Two kinds of faults: those of *content* belong to a
share and stay until it is replaced (its own scrub finds them, as a real server's would); those of *calls*
strike some calls and not others, by count. What a faulty store says of its shares (``shares``) stays as
it was: to lie about it is the point.

A schedule is a tuple of frozen structs, which can be saved as JSON, replayed and shrunk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias, cast

import msgspec

from tahoe.codec.share import MAX_HEADER_SIZE, IncompatibleShare, ShareOffsets, parse_header
from tahoe.errors import NoSpace, StorageFailed
from tahoe.protocol import Lease, ShareFacts, Space
from tahoe.storage.books import Books
from tahoe.storage.content import Content, check_content, check_replacement, cut, joined
from tahoe.storage.store import LeaseFacts, ShareStore, Verdict

Section: TypeAlias = Literal["header", "blocks", "crypttext-hashes", "block-hashes", "share-hashes", "uri-extension"]

Verb: TypeAlias = Literal[
    "shares",
    "read",
    "store",
    "allocate",
    "write",
    "close",
    "abort",
    "add_lease",
    "cancel_lease",
    "leases",
    "scrub",
    "discard",
    "purge",
]


class Fault(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something wrong with some shares.

    Args:
        storage_index: of the shares; None: any.
        number: of the share; None: any.
    """

    storage_index: bytes | None = None
    number: int | None = None

    def hits(self, storage_index: bytes, number: int | None) -> bool:
        """Whether it concerns this share (or, number None, some share of this index)."""
        return self.storage_index in {None, storage_index} and (number is None or self.number in {None, number})


class Rots(Fault, frozen=True, kw_only=True):
    """A bit of the share is flipped.

    Args:
        section: where.
        bit: counted from the section's first; one beyond the share rots nothing.
    """

    section: Section = "blocks"
    bit: int = 0


class Tears(Fault, frozen=True, kw_only=True):
    """The share ends after ``size`` bytes."""

    size: int


class Swaps(Fault, frozen=True, kw_only=True):
    """The bytes are those of another share of this store (another file's, or another number)."""

    by_storage_index: bytes
    by_number: int


class Junk(Fault, frozen=True, kw_only=True):
    """A share that nobody uploaded: ``storage_index`` and ``number`` must be given.

    Args:
        data: what reading it gives.
        ueb_hash: what the store says its UEB's hash is.
    """

    data: bytes
    ueb_hash: bytes = b""


class CallFault(Fault, frozen=True, kw_only=True):
    """Something wrong with some calls.

    Args:
        verbs: names of the methods; empty: all that it makes sense for.
        skip: how many calls that it would hit go well before.
        times: how many it then strikes; None: all.
    """

    verbs: tuple[Verb, ...] = ()
    skip: int = 0
    times: int | None = None


class Slows(CallFault, frozen=True, kw_only=True):
    """The call takes longer by so many seconds."""

    seconds: float


class Fails(CallFault, frozen=True, kw_only=True):
    """The disk fails: ``StorageFailed``."""


class Fills(CallFault, frozen=True, kw_only=True):
    """The disk is full: ``NoSpace`` for ``store``, ``allocate`` and ``write``."""


class Forgets(CallFault, frozen=True, kw_only=True):
    """The store says it stored or closed the shares, and did not."""


AnyFault: TypeAlias = Rots | Tears | Swaps | Junk | Slows | Fails | Fills | Forgets
Schedule: TypeAlias = tuple[AnyFault, ...]

_WHOLE: Final = 2**62
_TAKING: Final = frozenset({"store", "allocate", "write"})
_FINISHING: Final = frozenset({"store", "close"})


class FaultyStore:
    """A sound store with faults before it.

    Args:
        store: the sound one.
        schedule: the faults; several may hit one call.
        wait: spends the seconds of ``Slows``; the simulator has it priced.
    """

    def __init__(self, store: ShareStore, schedule: Schedule = (), wait: Callable[[float], None] = time.sleep) -> None:
        self._store = store
        self._schedule = schedule
        self._wait = wait
        self._struck: dict[int, int] = {}  # place in the schedule to calls that it would have hit
        self._mended: set[tuple[bytes, int]] = set()

    # --- reading ----------------------------------------------------------------------------------------

    def shares(self, storage_index: bytes) -> dict[int, ShareFacts]:
        """See ``ShareStore``."""
        self._strike("shares", storage_index, None)
        found = self._store.shares(storage_index)
        for fault in self._schedule:
            if isinstance(fault, Junk) and fault.storage_index == storage_index and fault.number is not None:
                found[fault.number] = ShareFacts(fault.number, len(fault.data), fault.ueb_hash)
        return dict(sorted(found.items()))

    def read(self, storage_index: bytes, number: int, offset: int, length: int) -> bytes:
        """See ``ShareStore``."""
        self._strike("read", storage_index, number)
        return cast("bytes", self._read(storage_index, number, offset, length))

    def storage_indexes(self, after: bytes = b"") -> Iterator[bytes]:
        """See ``ShareStore``."""
        return self._store.storage_indexes(after)

    def scrub(self, storage_index: bytes, number: int) -> Verdict:
        """See ``ShareStore``; it finds what has rotted."""
        self._strike("scrub", storage_index, number)
        if not self._content_faults(storage_index, number):
            return self._store.scrub(storage_index, number)
        content = self._read(storage_index, number, 0, _WHOLE)
        if not isinstance(content, bytes) and content != cast(
            "Content", self._store.read(storage_index, number, 0, _WHOLE)
        ):
            return Verdict(number, "it is not what was written")  # rot in what stands for no bytes shows in no hash
        try:
            return check_content(number, content)
        except IncompatibleShare as error:
            return Verdict(number, str(error))

    def space(self) -> Space:
        """See ``ShareStore``."""
        return self._store.space()

    # --- writing ----------------------------------------------------------------------------------------

    def store(
        self, storage_index: bytes, shares: Mapping[int, bytes], lease: Lease, now: float
    ) -> tuple[tuple[int, ...], dict[int, ShareFacts]]:
        """See ``ShareStore``."""
        forgets = self._strike("store", storage_index, None)
        if forgets:
            return tuple(sorted(shares)), {}
        return self._store.store(storage_index, shares, lease, now)

    def allocate(
        self, storage_index: bytes, upload_secret: bytes, numbers: Sequence[int], size: int, lease: Lease, now: float
    ) -> tuple[tuple[int, ...], dict[int, ShareFacts]]:
        """See ``ShareStore``."""
        self._strike("allocate", storage_index, None)
        return self._store.allocate(storage_index, upload_secret, numbers, size, lease, now)

    def write(
        self, storage_index: bytes, upload_secret: bytes, number: int, offset: int, data: bytes, now: float
    ) -> None:
        """See ``ShareStore``."""
        self._strike("write", storage_index, number)
        self._store.write(storage_index, upload_secret, number, offset, data, now)

    def close(self, storage_index: bytes, upload_secret: bytes, numbers: Sequence[int]) -> tuple[int, ...]:
        """See ``ShareStore``."""
        if self._strike("close", storage_index, None):
            self._store.abort(storage_index, upload_secret, numbers)
            return tuple(dict.fromkeys(numbers))
        return self._store.close(storage_index, upload_secret, numbers)

    def abort(self, storage_index: bytes, upload_secret: bytes, numbers: Sequence[int]) -> None:
        """See ``ShareStore``."""
        self._strike("abort", storage_index, None)
        self._store.abort(storage_index, upload_secret, numbers)

    def abort_idle(self, now: float, idle_seconds: float) -> int:
        """See ``ShareStore``."""
        return self._store.abort_idle(now, idle_seconds)

    def replace_corrupt(self, storage_index: bytes, number: int, data: bytes) -> bool:
        """See ``ShareStore``; a share that is replaced is sound again."""
        if not self._content_faults(storage_index, number) or self.scrub(storage_index, number).sound:
            return self._store.replace_corrupt(storage_index, number, data)
        check_replacement(number, data)
        self._mended.add((storage_index, number))
        return True

    # --- leases and advice --------------------------------------------------------------------------------

    def add_lease(self, storage_index: bytes, lease: Lease, owner: int, now: float) -> int:
        """See ``ShareStore``."""
        self._strike("add_lease", storage_index, None)
        return self._store.add_lease(storage_index, lease, owner, now)

    def cancel_lease(self, storage_index: bytes, cancel_secret: bytes, now: float) -> int:
        """See ``ShareStore``."""
        self._strike("cancel_lease", storage_index, None)
        return self._store.cancel_lease(storage_index, cancel_secret, now)

    def leases(self, storage_index: bytes, number: int) -> tuple[LeaseFacts, ...]:
        """See ``ShareStore``."""
        self._strike("leases", storage_index, number)
        return self._store.leases(storage_index, number)

    def advise_corrupt(self, storage_index: bytes, number: int, reason: str, now: float) -> None:
        """See ``ShareStore``."""
        self._store.advise_corrupt(storage_index, number, reason, now)

    # --- what nobody leases ---------------------------------------------------------------------------------

    def discard(self, storage_index: bytes, number: int, expires: int, now: float) -> bool:
        """See ``ShareStore``."""
        self._strike("discard", storage_index, number)
        return self._store.discard(storage_index, number, expires, now)

    def purge(self, storage_index: bytes, number: int) -> bool:
        """See ``ShareStore``."""
        self._strike("purge", storage_index, number)
        return self._store.purge(storage_index, number)

    def restore(self, storage_index: bytes) -> int:
        """See ``ShareStore``."""
        return self._store.restore(storage_index)

    def books(self) -> Books:
        """See ``ShareStore``."""
        return self._store.books()

    def catch_up(self, most: int) -> bool:
        """See ``ShareStore``."""
        return self._store.catch_up(most)

    # --- faults of calls ------------------------------------------------------------------------------------

    def _strike(self, verb: Verb, storage_index: bytes, number: int | None) -> bool:
        """Let the faults of a call happen; True if its effect is to be forgotten."""
        forgets = False
        for place, fault in enumerate(self._schedule):
            if isinstance(fault, CallFault) and _concerns(fault, verb) and fault.hits(storage_index, number):
                forgets |= self._counts(place, fault) and self._happen(fault)
        return forgets

    def _counts(self, place: int, fault: CallFault) -> bool:
        """Count a call that the fault would hit; True if it is its turn."""
        before = self._struck.get(place, 0)
        self._struck[place] = before + 1
        return before >= fault.skip and (fault.times is None or before < fault.skip + fault.times)

    def _happen(self, fault: CallFault) -> bool:
        if isinstance(fault, Slows):
            self._wait(fault.seconds)
        elif isinstance(fault, Fails):
            raise StorageFailed("the disk failed: it was told to")
        elif isinstance(fault, Fills):
            raise NoSpace("the disk is full: it was told to be")
        return isinstance(fault, Forgets)

    # --- faults of content ----------------------------------------------------------------------------------

    def _content_faults(self, storage_index: bytes, number: int) -> list[Fault]:
        if (storage_index, number) in self._mended:
            return []
        return [
            fault for fault in self._schedule if not isinstance(fault, CallFault) and fault.hits(storage_index, number)
        ]

    def _read(self, storage_index: bytes, number: int, offset: int, length: int) -> Content:
        """Content as the faults leave them: swapped or junk first, then torn, then rotten."""
        faults = self._content_faults(storage_index, number)
        for fault in faults:
            if isinstance(fault, Junk):
                return fault.data[offset : offset + length]
            if isinstance(fault, Swaps):
                storage_index, number = fault.by_storage_index, fault.by_number
        for fault in faults:
            if isinstance(fault, Tears):
                length = max(0, min(length, fault.size - offset))
        content: Content = self._store.read(storage_index, number, offset, length)
        for fault in faults:
            if isinstance(fault, Rots):
                content = self._rotten(content, storage_index, number, offset, fault)
        return content

    def _rotten(self, data: Content, storage_index: bytes, number: int, offset: int, fault: Rots) -> Content:
        try:
            offsets = parse_header(self._store.read(storage_index, number, 0, MAX_HEADER_SIZE))
        except (ValueError, IncompatibleShare):
            return data
        place = _start(offsets, fault.section) + fault.bit // 8 - offset
        if not 0 <= place < len(data):
            return data
        return joined(
            [cut(data, 0, place), _flipped(cut(data, place, 1), fault.bit % 8), cut(data, place + 1, len(data))]
        )


def _flipped(byte: Content, bit: int) -> Content:
    """One byte with one bit flipped."""
    return bytes([byte[0] ^ 1 << bit]) if isinstance(byte, bytes) else byte.spoiled()


def _concerns(fault: CallFault, verb: Verb) -> bool:
    """Whether a fault may happen to this kind of call."""
    if isinstance(fault, Fills) and verb not in _TAKING:
        return False
    if isinstance(fault, Forgets) and verb not in _FINISHING:
        return False
    return not fault.verbs or verb in fault.verbs


def _start(offsets: ShareOffsets, section: Section) -> int:
    """The first byte of a section of a share."""
    return {
        "header": 0,
        "blocks": offsets.data,
        "crypttext-hashes": offsets.crypttext_hashes,
        "block-hashes": offsets.block_hashes,
        "share-hashes": offsets.share_hashes,
        "uri-extension": offsets.uri_extension + offsets.length_field_size,
    }[section]
