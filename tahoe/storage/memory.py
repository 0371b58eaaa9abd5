"""A store in memory: the twin of the one on disk, quick enough for the simulator's millions of calls.

It promises what ``store.py`` says, with the same verdicts and the same account of room as the store on
disk, and forgets everything when the process ends. Content may be bytes or anything ``Sliceable``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import RLock
from typing import Final, NamedTuple, cast

from tahoe.codec.container import LATER_OWNER, LEASE_SIZE, RELEASED_OWNER, UPLOAD_OWNER, WRITTEN_VERSION, stored_secret
from tahoe.codec.share import IncompatibleShare
from tahoe.errors import Refused
from tahoe.policy.lease import purge
from tahoe.protocol import Lease, ShareFacts, Space
from tahoe.storage.books import Books, owner_of
from tahoe.storage.content import Content, Pieces, check_content, check_replacement, cut, ueb_hash_of
from tahoe.storage.filesystem import DiskSpace, VolatileFileSystem
from tahoe.storage.leaseindex import FILE, Entry, MemoryLeaseIndex, ShareName
from tahoe.storage.memoryslots import MemorySlotStore
from tahoe.storage.room import Room
from tahoe.storage.store import (
    CONTAINER_ROOM,
    DEFAULT_OPTIONS,
    MOST_ADVISORIES,
    LeaseFacts,
    StoreOptions,
    Verdict,
    check_names,
    check_secrets,
    no_such_share,
    no_such_upload,
)
from tahoe.storage.trash import MemoryTrash, taken

MOST_PURGED: Final = 1000
"""Shares in the trash looked at together."""

AMPLE: Final = 2**50
"""Bytes of a memory that nobody has limited."""


class Advisory(NamedTuple):
    """A reader's report of a corrupt share."""

    storage_index: bytes
    number: int
    reason: str
    time: float


_NOBODY: Final = Lease(bytes(32), bytes(32))


class _Lease:
    """Secrets are kept as they came and hashed when asked for: that is seldom."""

    __slots__ = ("cancel_secret", "expires", "owner", "renew_secret")

    def __init__(self, owner: int, lease: Lease, expires: int) -> None:
        self.owner = owner
        self.renew_secret = lease.renew_secret
        self.cancel_secret = lease.cancel_secret
        self.expires = expires

    def facts(self) -> LeaseFacts:
        renew, cancel = (stored_secret(WRITTEN_VERSION, each) for each in (self.renew_secret, self.cancel_secret))
        return LeaseFacts(self.owner, renew, cancel, self.expires)


class _Share:
    __slots__ = ("content", "facts", "leases")

    def __init__(self, number: int, content: Content, lease: _Lease) -> None:
        self.content = content
        self.facts = ShareFacts(number, len(content), ueb_hash_of(content))
        self.leases = [lease]

    def entry(self, storage_index: bytes, discarded: int = 0) -> Entry:
        """What the books are told of it."""
        ends: dict[int, int] = {}
        for lease in self.leases:
            ends[lease.owner] = max(ends.get(lease.owner, 0), lease.expires)
        size = len(self.content) + CONTAINER_ROOM + LEASE_SIZE * (len(self.leases) - 1)
        return Entry(ShareName(FILE, storage_index, self.facts.number), size, ends, discarded)


def _entry_of(storage_index: bytes, _number: int, share: _Share, stamp: int) -> Entry:
    return share.entry(storage_index, stamp)


class _Upload:
    __slots__ = ("lease", "missing", "pieces", "size", "touched")

    def __init__(self, size: int, lease: _Lease, now: float) -> None:
        self.size = size
        self.missing = size
        self.lease = lease
        self.touched = now
        self.pieces = Pieces()


class MemoryStore:
    """Shares in dictionaries.

    Args:
        options: the operator's limits.
        capacity: bytes of the disk it plays.

    Attributes:
        advisories: reports kept.
        slots: the slots beside the shares.
    """

    def __init__(self, options: StoreOptions = DEFAULT_OPTIONS, capacity: int = AMPLE) -> None:
        self.advisories: deque[Advisory] = deque(maxlen=MOST_ADVISORIES)
        self._options = options
        self._books = Books(MemoryLeaseIndex(), VolatileFileSystem())
        self._books.index.count_anew()
        self._books.index.counted()
        self._room: Room = Room(options, lambda: DiskSpace(capacity, capacity - self._room.on_disk()), self._books)
        self._room.purge = self._make_room
        self.slots = MemorySlotStore(self._room, options)
        self._shares: dict[bytes, dict[int, _Share]] = {}
        self._trash = MemoryTrash(self._shares, self._books, FILE, _entry_of)
        self._uploads: dict[tuple[bytes, int, bytes], _Upload] = {}
        self._lock = RLock()

    # --- reading ----------------------------------------------------------------------------------------

    def shares(self, storage_index: bytes) -> dict[int, ShareFacts]:
        """See ``ShareStore``."""
        check_names(storage_index, ())
        with self._lock:
            held = self._shares.get(storage_index)
            return {number: held[number].facts for number in sorted(held)} if held else {}

    def read(self, storage_index: bytes, number: int, offset: int, length: int) -> bytes:
        """See ``ShareStore``; what was written as no bytes comes back as none."""
        if offset < 0 or length < 0:
            raise Refused("bad-request", "offset and length are never negative")
        return cast("bytes", cut(self._share(storage_index, number).content, offset, length))

    def storage_indexes(self, after: bytes = b"") -> Iterator[bytes]:
        """See ``ShareStore``; what comes or goes meanwhile may be missed."""
        with self._lock:
            found = sorted(index for index in self._shares if index > after)
        return iter(found)

    def scrub(self, storage_index: bytes, number: int) -> Verdict:
        """See ``ShareStore``."""
        content = self._share(storage_index, number).content
        try:
            return check_content(number, content)
        except IncompatibleShare as error:
            return Verdict(number, str(error))

    def space(self) -> Space:
        """See ``ShareStore``."""
        return self._room.space()

    # --- writing ----------------------------------------------------------------------------------------

    def store(
        self, storage_index: bytes, shares: Mapping[int, bytes], lease: Lease, now: float
    ) -> tuple[tuple[int, ...], dict[int, ShareFacts]]:
        """See ``ShareStore``."""
        check_names(storage_index, shares)
        with self._lock:
            owner = owner_of(lease)
            present = self._lease_all(storage_index, lease, owner, now)
            new = sorted(number for number in shares if number not in present)
            size = sum(len(shares[number]) + CONTAINER_ROOM for number in new)
            if new:
                self._room.reserve(size, owner)
            for number in new:
                self._publish(storage_index, number, shares[number], self._lease(owner, lease, now))
            if new:
                self._room.settle(size, size, owner)
            return tuple(new), {number: present[number] for number in sorted(shares) if number in present}

    def allocate(
        self, storage_index: bytes, upload_secret: bytes, numbers: Sequence[int], size: int, lease: Lease, now: float
    ) -> tuple[tuple[int, ...], dict[int, ShareFacts]]:
        """See ``ShareStore``."""
        check_names(storage_index, numbers)
        check_secrets(upload_secret)
        if size < 0:
            raise Refused("bad-request", "a share's size is never negative")
        with self._lock:
            owner = owner_of(lease)
            present = self._lease_all(storage_index, lease, owner, now)
            allocated = tuple(dict.fromkeys(number for number in numbers if number not in present))
            new = [number for number in allocated if not self._has_upload(storage_index, number, upload_secret, size)]
            if new:
                self._room.reserve(len(new) * (size + CONTAINER_ROOM), owner)
            for number in new:
                upload = _Upload(size, self._lease(owner, lease, now), now)
                self._uploads[storage_index, number, upload_secret] = upload
            return allocated, present

    def write(
        self, storage_index: bytes, upload_secret: bytes, number: int, offset: int, data: bytes, now: float
    ) -> None:
        """See ``ShareStore``."""
        with self._lock:
            upload = self._uploads.get((storage_index, number, upload_secret))
            if upload is None:
                raise no_such_upload(number)
            if offset < 0 or offset + len(data) > upload.size:
                raise Refused("conflict", f"share {number} was announced with {upload.size} bytes")
            upload.touched = now
            new = upload.pieces.write(offset, data)
            upload.missing -= new
            self._room.written(new)

    def close(self, storage_index: bytes, upload_secret: bytes, numbers: Sequence[int]) -> tuple[int, ...]:
        """See ``ShareStore``."""
        check_names(storage_index, numbers)
        with self._lock:
            ready = {number: self._whole(storage_index, number, upload_secret) for number in numbers}
            for number, content in ready.items():
                upload = self._uploads.pop((storage_index, number, upload_secret), None)
                if upload is None:
                    continue
                if number not in self._shares.get(storage_index, {}):
                    self._publish(storage_index, number, cast("Content", content), upload.lease)
                self._settle(upload)
            return tuple(ready)

    def abort(self, storage_index: bytes, upload_secret: bytes, numbers: Sequence[int]) -> None:
        """See ``ShareStore``."""
        with self._lock:
            self._forget([(storage_index, number, upload_secret) for number in numbers])

    def abort_idle(self, now: float, idle_seconds: float) -> int:
        """See ``ShareStore``."""
        with self._lock:
            idle = [key for key, upload in self._uploads.items() if now - upload.touched >= idle_seconds]
            self._forget(idle)
            return len(idle)

    def replace_corrupt(self, storage_index: bytes, number: int, data: bytes) -> bool:
        """See ``ShareStore``."""
        share = self._share(storage_index, number)
        try:
            if check_content(number, share.content).sound:
                return False
        except IncompatibleShare:
            return False
        check_replacement(number, data)
        with self._lock:
            if self._share(storage_index, number) is not share:
                return self.replace_corrupt(storage_index, number, data)
            share.content = data
            share.facts = ShareFacts(number, len(data), ueb_hash_of(data))
            self._books.enter(share.entry(storage_index))
            return True

    # --- leases and advice --------------------------------------------------------------------------------

    def add_lease(self, storage_index: bytes, lease: Lease, owner: int, now: float) -> int:
        """See ``ShareStore``."""
        check_names(storage_index, ())
        with self._lock:
            return len(self._lease_all(storage_index, lease, owner, now))

    def cancel_lease(self, storage_index: bytes, cancel_secret: bytes, now: float) -> int:
        """See ``ShareStore``."""
        check_names(storage_index, ())
        check_secrets(cancel_secret)
        with self._lock:
            held = self._shares.get(storage_index, {})
            return sum(self._cancel(storage_index, number, cancel_secret, now) for number in list(held))

    def leases(self, storage_index: bytes, number: int) -> tuple[LeaseFacts, ...]:
        """See ``ShareStore``."""
        with self._lock:
            leases = self._share(storage_index, number).leases
            return tuple(lease.facts() for lease in leases if lease.owner != RELEASED_OWNER)

    def advise_corrupt(self, storage_index: bytes, number: int, reason: str, now: float) -> None:
        """See ``ShareStore``; kept in ``advisories``."""
        self._share(storage_index, number)
        self.advisories.append(Advisory(storage_index, number, reason, now))

    # --- what nobody leases -------------------------------------------------------------------------------

    def discard(self, storage_index: bytes, number: int, expires: int, now: float) -> bool:
        """See ``ShareStore``."""
        with self._lock:
            share = self._shares.get(storage_index, {}).get(number)
            if share is None or max(lease.expires for lease in share.leases) != expires:
                return False
            self._trash.put(storage_index, number, max(1, int(now)))
            return True

    def purge(self, storage_index: bytes, number: int) -> bool:
        """See ``ShareStore``."""
        with self._lock:
            return self._trash.purge(storage_index, number)

    def restore(self, storage_index: bytes) -> int:
        """See ``ShareStore``."""
        with self._lock:
            return self._trash.restore(storage_index)

    def lose(self, storage_index: bytes, number: int) -> None:
        """A share is gone, as from a disk that broke; the books still have it. For whoever plays the weather."""
        with self._lock:
            taken(self._shares, storage_index, number)

    def books(self) -> Books:
        """See ``ShareStore``."""
        return self._books

    def catch_up(self, most: int) -> bool:
        """See ``ShareStore``; nothing is ever behind."""
        return True

    def _make_room(self, missing: int) -> None:
        """Purge so many bytes of the trash, oldest first."""
        for entry in purge(self._books.index.discarded(MOST_PURGED), missing):
            keeper = self if entry.name.kind == FILE else self.slots
            keeper.purge(entry.name.storage_index, entry.name.number)

    # --- helpers ------------------------------------------------------------------------------------------

    def _share(self, storage_index: bytes, number: int) -> _Share:
        try:
            return self._shares[storage_index][number]
        except KeyError:
            raise no_such_share(number) from None

    def _lease(self, owner: int, lease: Lease, now: float) -> _Lease:
        return _Lease(owner, lease, int(now + self._options.lease_seconds))

    def _publish(self, storage_index: bytes, number: int, content: Content, lease: _Lease) -> None:
        share = self._shares.setdefault(storage_index, {})[number] = _Share(number, content, lease)
        self._books.enter(share.entry(storage_index))

    def _has_upload(self, storage_index: bytes, number: int, upload_secret: bytes, size: int) -> bool:
        upload = self._uploads.get((storage_index, number, upload_secret))
        if upload is not None and upload.size != size:
            raise Refused("conflict", f"share {number} was announced with {upload.size} bytes, now with {size}")
        return upload is not None

    def _whole(self, storage_index: bytes, number: int, upload_secret: bytes) -> Content | None:
        """The upload's content, checked against what may be there already; None if the share is there."""
        upload = self._uploads.get((storage_index, number, upload_secret))
        present = self._shares.get(storage_index, {}).get(number)
        if upload is None:
            if present is None:
                raise no_such_upload(number)
            return None
        content = upload.pieces.whole(upload.size)
        if content is None:
            raise Refused("conflict", f"{upload.missing} bytes of share {number} are missing")
        if present is not None and present.facts != ShareFacts(number, len(content), ueb_hash_of(content)):
            raise Refused("conflict", f"another share {number} was complete first")
        return content

    def _forget(self, keys: Iterable[tuple[bytes, int, bytes]]) -> None:
        for key in keys:
            upload = self._uploads.pop(key, None)
            if upload is not None:
                self._settle(upload)

    def _settle(self, upload: _Upload) -> None:
        self._room.settle(upload.size + CONTAINER_ROOM, upload.missing + CONTAINER_ROOM, upload.lease.owner)

    def _lease_all(self, storage_index: bytes, lease: Lease, owner: int, now: float) -> dict[int, ShareFacts]:
        """Give every share of the index the lease; return their facts."""
        check_secrets(lease.renew_secret, lease.cancel_secret)
        self.restore(storage_index)
        held = self._shares.get(storage_index)
        if not held:
            return {}
        wanted = self._lease(owner, lease, now)
        self._ration(storage_index, wanted)
        for share in held.values():
            if _leased(share, wanted):
                self._books.enter(share.entry(storage_index))
        return {number: held[number].facts for number in sorted(held)}

    def _ration(self, storage_index: bytes, wanted: _Lease) -> None:
        """Refuse a lease that would be new to an account, if it may not have so much."""
        if wanted.owner <= UPLOAD_OWNER:
            return
        new = [
            share.entry(storage_index).size
            for share in self._shares[storage_index].values()
            if all(lease.owner != wanted.owner and not _is_same(lease, wanted) for lease in share.leases)
        ]
        if new:
            self._books.check(wanted.owner, sum(new))

    def _cancel(self, storage_index: bytes, number: int, cancel_secret: bytes, now: float) -> int:
        share = self._shares[storage_index][number]
        kept = [lease for lease in share.leases if lease.cancel_secret != cancel_secret]
        if len(kept) == len(share.leases):
            return 0
        count = len(share.leases) - len(kept)
        kept = [lease for lease in kept if lease.owner != RELEASED_OWNER]
        share.leases = kept or [_Lease(RELEASED_OWNER, _NOBODY, int(now))]
        self._books.enter(share.entry(storage_index))
        return count


def _is_same(lease: _Lease, other: _Lease) -> bool:
    return lease.renew_secret == other.renew_secret


def _leased(share: _Share, wanted: _Lease) -> bool:
    """Give a share a lease, or renew that of the same secret; tell whether anything changed."""
    for present in share.leases:
        if _is_same(present, wanted):
            owner = wanted.owner if present.owner <= LATER_OWNER < wanted.owner else present.owner
            changed = owner != present.owner or wanted.expires > present.expires
            present.owner, present.expires = owner, max(present.expires, wanted.expires)
            return changed
    share.leases.append(_Lease(wanted.owner, Lease(wanted.renew_secret, wanted.cancel_secret), wanted.expires))
    return True
