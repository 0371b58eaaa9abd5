"""A store in memory: the twin of the one on disk, quick enough for the simulator's millions of calls.

It promises what ``store.py`` says, with the same verdicts and the same account of room as the store on
disk, and forgets everything when the process ends. Content may be bytes or anything ``Sliceable``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import RLock
from typing import Final, NamedTuple, cast

from tahoe.codec.container import LEASE_SIZE, UPLOAD_OWNER, WRITTEN_VERSION, stored_secret
from tahoe.codec.share import IncompatibleShare
from tahoe.errors import Refused
from tahoe.protocol import Lease, ShareFacts, Space
from tahoe.storage.content import Content, Pieces, check_content, check_replacement, cut, ueb_hash_of
from tahoe.storage.memoryslots import MemorySlotStore
from tahoe.storage.room import DiskSpace, Room
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

AMPLE: Final = 2**50
"""Bytes of a memory that nobody has limited."""


class Advisory(NamedTuple):
    """A reader's report of a corrupt share."""

    storage_index: bytes
    number: int
    reason: str
    time: float


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
        self._room: Room = Room(options, lambda: DiskSpace(capacity, capacity - self._room.on_disk()))
        self.slots = MemorySlotStore(self._room, options)
        self._shares: dict[bytes, dict[int, _Share]] = {}
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
            present = self._lease_all(storage_index, lease, UPLOAD_OWNER, now)
            new = sorted(number for number in shares if number not in present)
            size = sum(len(shares[number]) + CONTAINER_ROOM for number in new)
            if new:
                self._room.reserve(size)
                self._room.settle(size, size, size, len(new))
            for number in new:
                self._publish(storage_index, number, shares[number], self._lease(UPLOAD_OWNER, lease, now))
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
            present = self._lease_all(storage_index, lease, UPLOAD_OWNER, now)
            allocated = tuple(dict.fromkeys(number for number in numbers if number not in present))
            new = [number for number in allocated if not self._has_upload(storage_index, number, upload_secret, size)]
            if new:
                self._room.reserve(len(new) * (size + CONTAINER_ROOM))
            for number in new:
                upload = _Upload(size, self._lease(UPLOAD_OWNER, lease, now), now)
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
                fresh = number not in self._shares.get(storage_index, {})
                self._settle(upload, fresh=fresh)
                if fresh:
                    self._publish(storage_index, number, cast("Content", content), upload.lease)
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
            self._room.grow(len(data) - len(share.content))
            share.content = data
            share.facts = ShareFacts(number, len(data), ueb_hash_of(data))
            return True

    # --- leases and advice --------------------------------------------------------------------------------

    def add_lease(self, storage_index: bytes, lease: Lease, owner: int, now: float) -> int:
        """See ``ShareStore``."""
        check_names(storage_index, ())
        with self._lock:
            return len(self._lease_all(storage_index, lease, owner, now))

    def cancel_lease(self, storage_index: bytes, cancel_secret: bytes) -> int:
        """See ``ShareStore``."""
        check_names(storage_index, ())
        check_secrets(cancel_secret)
        with self._lock:
            held = self._shares.get(storage_index, {})
            return sum(self._cancel(storage_index, number, cancel_secret) for number in list(held))

    def leases(self, storage_index: bytes, number: int) -> tuple[LeaseFacts, ...]:
        """See ``ShareStore``."""
        with self._lock:
            return tuple(lease.facts() for lease in self._share(storage_index, number).leases)

    def advise_corrupt(self, storage_index: bytes, number: int, reason: str, now: float) -> None:
        """See ``ShareStore``; kept in ``advisories``."""
        self._share(storage_index, number)
        self.advisories.append(Advisory(storage_index, number, reason, now))

    # --- helpers ------------------------------------------------------------------------------------------

    def _share(self, storage_index: bytes, number: int) -> _Share:
        try:
            return self._shares[storage_index][number]
        except KeyError:
            raise no_such_share(number) from None

    def _lease(self, owner: int, lease: Lease, now: float) -> _Lease:
        return _Lease(owner, lease, int(now + self._options.lease_seconds))

    def _publish(self, storage_index: bytes, number: int, content: Content, lease: _Lease) -> None:
        self._shares.setdefault(storage_index, {})[number] = _Share(number, content, lease)

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
                self._settle(upload, fresh=False)

    def _settle(self, upload: _Upload, *, fresh: bool) -> None:
        reserved = upload.size + CONTAINER_ROOM
        self._room.settle(reserved, upload.missing + CONTAINER_ROOM, reserved if fresh else 0, int(fresh))

    def _lease_all(self, storage_index: bytes, lease: Lease, owner: int, now: float) -> dict[int, ShareFacts]:
        """Give every share of the index the lease; return their facts."""
        check_secrets(lease.renew_secret, lease.cancel_secret)
        held = self._shares.get(storage_index)
        if not held:
            return {}
        wanted = self._lease(owner, lease, now)
        for share in held.values():
            for present in share.leases:
                if present.renew_secret == wanted.renew_secret:
                    present.expires = max(present.expires, wanted.expires)
                    break
            else:
                share.leases.append(self._lease(owner, lease, now))
                self._room.grow(LEASE_SIZE)
        return {number: held[number].facts for number in sorted(held)}

    def _cancel(self, storage_index: bytes, number: int, cancel_secret: bytes) -> int:
        share = self._shares[storage_index][number]
        kept = [lease for lease in share.leases if lease.cancel_secret != cancel_secret]
        count = len(share.leases) - len(kept)
        self._room.grow(-LEASE_SIZE * count)
        share.leases = kept
        if count and not kept:
            self._remove(storage_index, number)
        return count

    def _remove(self, storage_index: bytes, number: int) -> None:
        held = self._shares[storage_index]
        share = held.pop(number)
        self._room.grow(LEASE_SIZE - CONTAINER_ROOM - len(share.content), shares=-1)
        if not held:
            del self._shares[storage_index]
