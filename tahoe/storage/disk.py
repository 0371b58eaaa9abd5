"""The store on a disk: the files of Tahoe-LAFS 1.20, made durable.

A small share goes through a log, for one sync (``shelves.py``). A large one is made in ``incoming`` and renamed to its
place (``layout.py`` has the names): *file synced, renamed, directory synced*, in this order, and only then may anybody
see it. New directories are made before the file is synced: on file systems with a journal that one sync covers them.
Nothing in ``incoming`` survives a start.

A process that was killed between renaming and syncing leaves a share that its successor can see but a
power cut would take. So whoever finds ``serving`` left behind first lets the system write everything.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from hashlib import sha256
from itertools import count, islice
from typing import Concatenate, Final, ParamSpec, Self, TypeVar

from tahoe.codec import base32
from tahoe.codec.container import WRITTEN_VERSION
from tahoe.codec.container import Lease as LeaseRecord
from tahoe.codec.keys import LeaseSecrets
from tahoe.codec.share import IncompatibleShare
from tahoe.errors import BadConfiguration, Refused, TahoeError
from tahoe.policy.lease import purge
from tahoe.protocol import Lease, ShareFacts, Space
from tahoe.storage.advisories import IMMUTABLE, Advisories
from tahoe.storage.books import Books, owner_of
from tahoe.storage.content import check, check_replacement, ueb_hash_of
from tahoe.storage.diskerrors import told
from tahoe.storage.diskslots import DiskSlotStore
from tahoe.storage.filesystem import FileSystem
from tahoe.storage.folders import Folders
from tahoe.storage.layout import ADVISORIES, FORMAT, INCOMING, INDEX_MARK, SERVING, SHARES, incoming_path
from tahoe.storage.leaseindex import FILE, LeaseIndex, MemoryLeaseIndex
from tahoe.storage.room import Room
from tahoe.storage.sharefile import upgraded, whole_container
from tahoe.storage.shelves import Granted, Shelves
from tahoe.storage.slotleases import facts_of
from tahoe.storage.store import (
    CONTAINER_ROOM,
    DEFAULT_OPTIONS,
    LeaseFacts,
    StoreOptions,
    Verdict,
    check_names,
    check_secrets,
    no_such_share,
    no_such_upload,
)
from tahoe.storage.uploads import Upload, Uploads

FORMAT_VERSION: Final = 1
OPEN_FILES: Final = 64
"""Files kept open for reading, and as many for writing: several nodes of one process must get along with 1,024."""

MOST_LOGGED: Final = 64 * 1024
"""Bytes of shares that are worth being written twice, to the log and to their files, for being synced once."""

ROOM_TO_LOG: Final = 64 * 2**20
"""Bytes free on the disk without which nothing is written twice."""

FIRST_COUNT: Final = 500
"""Storage indexes that a start reports at once to an index that can't be trusted; small stores are known then."""

MOST_PURGED: Final = 1000
"""Shares in the trash looked at together."""

_KEY_LENGTH: Final = 16

P = ParamSpec("P")
R = TypeVar("R")


def _on_disk(
    method: Callable[Concatenate[DiskStore, P], R],
) -> Callable[Concatenate[DiskStore, P], R]:
    """Let a method's disk errors out as errors of a store."""

    @wraps(method)
    def call(store: DiskStore, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(store, *args, **kwargs)
        except OSError as error:
            raise told(error) from error

    return call


class DiskStore:
    """Shares in a storage directory, which no other process serves. Call :meth:`open` before anything else.

    Args:
        filesystem: of the storage directory.
        options: the operator's limits.
        open_files: how many files to keep open, for reading and for writing each.
        index: of all leases; None: one in memory, for which every start counts anew.

    Attributes:
        slots: the slots beside the shares, opened and shut with them.
    """

    def __init__(
        self,
        filesystem: FileSystem,
        options: StoreOptions = DEFAULT_OPTIONS,
        open_files: int = OPEN_FILES,
        index: LeaseIndex | None = None,
    ) -> None:
        self._filesystem = filesystem
        self._options = options
        self._folders = Folders(filesystem)
        self._books = Books(MemoryLeaseIndex() if index is None else index, filesystem)
        self._room = Room(options, filesystem.space, self._books)
        self._room.purge = self._make_room
        self._walk: Iterator[None] | None = None
        self._shelves = Shelves(filesystem, self._folders, self._room, open_files)
        self._uploads = Uploads(filesystem, self._room, open_files)
        self._advisories = Advisories(filesystem)
        self._serial = count()
        self._replaced = 0
        self.slots = DiskSlotStore(filesystem, self._room, options, self._advisories)

    # --- beginning and end ------------------------------------------------------------------------------

    @_on_disk
    def open(self) -> Self:
        """Recover from however the last run ended, and serve. A read-only disk serves what it has.

        Raises:
            BadConfiguration: a newer release has written here.
        """
        self._check_format()
        try:
            self._recover()
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            self._room.freeze()
        self.slots.open()
        self._books.accounts.load()
        self._books.refresh()
        if not self._books.index.begin(self._take_mark()):
            with suppress(TahoeError):  # a disk that fails may have shares to serve all the same
                self.catch_up(FIRST_COUNT)
        return self

    @_on_disk
    def shut(self) -> None:
        """End serving: all uploads are lost, all files closed. Nothing needs it, but the next start is quicker."""
        self._uploads.close()
        is_durable = self._shelves.shut()
        is_durable &= self.slots.shut()
        mark = self._books.index.end()
        if is_durable:
            self._folders.settle_all()
            if mark:
                self._leave_mark(mark)
            with suppress(FileNotFoundError):
                self._filesystem.unlink(SERVING)

    # --- reading ----------------------------------------------------------------------------------------

    @_on_disk
    def shares(self, storage_index: bytes) -> dict[int, ShareFacts]:
        """See ``ShareStore``."""
        check_names(storage_index, ())
        return self._shelves.facts(storage_index)

    @_on_disk
    def read(self, storage_index: bytes, number: int, offset: int, length: int) -> bytes:
        """See ``ShareStore``."""
        if offset < 0 or length < 0:
            raise Refused("bad-request", "offset and length are never negative")
        with self._shelves.use(storage_index, number) as share:
            return share.read(offset, length)

    def storage_indexes(self, after: bytes = b"") -> Iterator[bytes]:
        """See ``ShareStore``."""
        try:
            yield from self._shelves.storage_indexes(after)
        except OSError as error:
            raise told(error) from error

    @_on_disk
    def scrub(self, storage_index: bytes, number: int) -> Verdict:
        """See ``ShareStore``."""
        try:
            return self._check(storage_index, number)
        except IncompatibleShare as error:
            return Verdict(number, str(error))

    @_on_disk
    def space(self) -> Space:
        """See ``ShareStore``."""
        return self._room.space()

    # --- writing ----------------------------------------------------------------------------------------

    @_on_disk
    def store(
        self, storage_index: bytes, shares: Mapping[int, bytes], lease: Lease, now: float
    ) -> tuple[tuple[int, ...], dict[int, ShareFacts]]:
        """See ``ShareStore``."""
        check_names(storage_index, shares)
        granted = self._grant(lease, owner_of(lease), now)
        if sum(map(len, shares.values())) <= MOST_LOGGED and self._filesystem.space().free > ROOM_TO_LOG:
            return self._store_small(storage_index, shares, granted)
        present = self._shelves.add_lease(storage_index, granted)
        new = {number: shares[number] for number in sorted(shares) if number not in present}
        stored = self._store_new(storage_index, new, granted) if new else ()
        if len(stored) < len(new):  # somebody was quicker
            present = self._shelves.facts(storage_index)
        return stored, {number: present[number] for number in sorted(shares) if number not in stored}

    @_on_disk
    def allocate(
        self, storage_index: bytes, upload_secret: bytes, numbers: Sequence[int], size: int, lease: Lease, now: float
    ) -> tuple[tuple[int, ...], dict[int, ShareFacts]]:
        """See ``ShareStore``."""
        check_names(storage_index, numbers)
        check_secrets(upload_secret)
        if size < 0:
            raise Refused("bad-request", "a share's size is never negative")
        granted = self._grant(lease, owner_of(lease), now)
        record = _record(granted)
        with self._shelves.lock(storage_index):
            present = self._shelves.add_lease(storage_index, granted)
            allocated = tuple(dict.fromkeys(number for number in numbers if number not in present))
            keys = [(storage_index, number, upload_secret) for number in allocated]
            new = [Upload(key, size, _upload_path(key), now, record) for key in keys if not self._has_upload(key, size)]
            self._begin(new, granted.owner)
        return allocated, present

    @_on_disk
    def write(
        self, storage_index: bytes, upload_secret: bytes, number: int, offset: int, data: bytes, now: float
    ) -> None:
        """See ``ShareStore``."""
        upload = self._uploads.find((storage_index, number, upload_secret))
        if upload is None:
            raise no_such_upload(number)
        self._uploads.write(upload, offset, data, now)

    @_on_disk
    def close(self, storage_index: bytes, upload_secret: bytes, numbers: Sequence[int]) -> tuple[int, ...]:
        """See ``ShareStore``."""
        check_names(storage_index, numbers)
        wanted = dict.fromkeys(numbers)
        for number in wanted:
            self._check_upload(storage_index, number, upload_secret)
        for number in wanted:
            upload = self._uploads.find((storage_index, number, upload_secret))
            if upload is not None:
                self._finish(storage_index, upload)
        return tuple(wanted)

    @_on_disk
    def abort(self, storage_index: bytes, upload_secret: bytes, numbers: Sequence[int]) -> None:
        """See ``ShareStore``."""
        for number in numbers:
            self._forget((storage_index, number, upload_secret))

    @_on_disk
    def abort_idle(self, now: float, idle_seconds: float) -> int:
        """See ``ShareStore``."""
        idle = self._uploads.idle_since(now - idle_seconds)
        for key in idle:
            self._forget(key)
        return len(idle)

    @_on_disk
    def replace_corrupt(self, storage_index: bytes, number: int, data: bytes) -> bool:
        """See ``ShareStore``."""
        while True:
            replaced = self._replaced
            try:
                if self._check(storage_index, number).sound:
                    return False
            except IncompatibleShare:
                return False
            check_replacement(number, data)
            with self._shelves.lock(storage_index):
                if replaced == self._replaced:
                    self._replaced += 1
                    self._replace(storage_index, number, data)
                    return True

    # --- leases and advice --------------------------------------------------------------------------------

    @_on_disk
    def add_lease(self, storage_index: bytes, lease: Lease, owner: int, now: float) -> int:
        """See ``ShareStore``."""
        check_names(storage_index, ())
        return len(self._shelves.add_lease(storage_index, self._grant(lease, owner, now)))

    @_on_disk
    def cancel_lease(self, storage_index: bytes, cancel_secret: bytes, now: float) -> int:
        """See ``ShareStore``."""
        check_names(storage_index, ())
        check_secrets(cancel_secret)
        return self._shelves.cancel_lease(storage_index, cancel_secret, now)

    @_on_disk
    def leases(self, storage_index: bytes, number: int) -> tuple[LeaseFacts, ...]:
        """See ``ShareStore``; none if the container is damaged."""
        with self._shelves.lock(storage_index), self._shelves.use(storage_index, number) as share:
            records = () if share.flaw else share.container().leases
        return facts_of(records)

    @_on_disk
    def advise_corrupt(self, storage_index: bytes, number: int, reason: str, now: float) -> None:
        """See ``ShareStore``; a text file each."""
        if number not in self._shelves.facts(storage_index):
            raise no_such_share(number)
        self._advisories.add(IMMUTABLE, storage_index, number, reason, now)

    # --- what nobody leases -------------------------------------------------------------------------------

    @_on_disk
    def discard(self, storage_index: bytes, number: int, expires: int, now: float) -> bool:
        """See ``ShareStore``."""
        return self._shelves.discard(storage_index, number, expires, now)

    @_on_disk
    def purge(self, storage_index: bytes, number: int) -> bool:
        """See ``ShareStore``."""
        return self._shelves.purge(storage_index, number)

    @_on_disk
    def restore(self, storage_index: bytes) -> int:
        """See ``ShareStore``."""
        return self._shelves.restore(storage_index)

    def books(self) -> Books:
        """See ``ShareStore``."""
        return self._books

    @_on_disk
    def catch_up(self, most: int) -> bool:
        """See ``ShareStore``; to be called by one thread at a time."""
        if self._books.index.complete:
            return True
        if self._walk is None:
            self._books.index.count_anew()
            self._walk = self._report_all()
        try:
            for _ in islice(self._walk, most):
                pass
        except BaseException:
            self._walk = None
            raise
        return self._books.index.complete

    def _report_all(self) -> Iterator[None]:
        """Report all shares, one index or slot a step."""
        with suppress(FileNotFoundError):
            for storage_index in self._shelves.indexes_with_folders():
                self._shelves.report(storage_index)
                yield
        for storage_index in self.slots.indexes_with_folders():
            self.slots.report(storage_index)
            yield
        self._walk = None
        self._books.index.counted()

    def _make_room(self, missing: int) -> None:
        """Purge so many bytes of the trash, oldest first. What others are at work on is left alone."""
        for entry in purge(self._books.index.discarded(MOST_PURGED), missing):
            keeper = self._shelves if entry.name.kind == FILE else self.slots
            keeper.purge(entry.name.storage_index, entry.name.number)

    # --- recovery -----------------------------------------------------------------------------------------

    def _take_mark(self) -> int:
        """What the last end has left for the index to be trusted, 0 if nothing; only this start finds it."""
        try:
            file = self._filesystem.open(INDEX_MARK)
        except FileNotFoundError:
            return 0
        text = file.read(0, 32).strip()
        file.close()
        with suppress(OSError):
            self._filesystem.unlink(INDEX_MARK)
            self._filesystem.sync_directory("")
            return int(text) if text.isdigit() else 0
        return 0

    def _leave_mark(self, mark: int) -> None:
        path = f"{INCOMING}/{INDEX_MARK}"
        self._make_file(path, b"%d\n" % mark)
        self._filesystem.rename(path, INDEX_MARK)
        self._filesystem.sync_directory("")

    def _check_format(self) -> None:
        try:
            file = self._filesystem.open(FORMAT)
        except FileNotFoundError:
            return
        text = file.read(0, 32)
        file.close()
        if text.strip() != b"%d" % FORMAT_VERSION:
            raise BadConfiguration(
                f"the storage directory has format {text.strip().decode(errors='replace')!r}, this release knows "
                f"{FORMAT_VERSION}: use the release that wrote it, or a newer one"
            )

    def _recover(self) -> None:
        for folder in (SHARES, INCOMING, ADVISORIES):
            self._folders.make(folder)
        try:
            self._filesystem.create(SERVING).close()
        except FileExistsError:
            self._filesystem.sync()
        self._shelves.recover()
        self._sweep(INCOMING)
        if FORMAT not in self._filesystem.listdir(""):
            path = f"{INCOMING}/{FORMAT}"
            self._make_file(path, b"%d\n" % FORMAT_VERSION)
            self._filesystem.rename(path, FORMAT)
            self._filesystem.sync_directory("")

    def _sweep(self, folder: str) -> None:
        """Remove everything in a directory; Tahoe-LAFS leaves directories in ``incoming``."""
        for name in self._filesystem.listdir(folder):
            path = f"{folder}/{name}"
            try:
                self._filesystem.unlink(path)
            except (IsADirectoryError, PermissionError):
                self._sweep(path)
                self._filesystem.rmdir(path)

    # --- helpers ------------------------------------------------------------------------------------------

    def _grant(self, lease: Lease, owner: int, now: float) -> Granted:
        check_secrets(lease.renew_secret, lease.cancel_secret)
        secrets = LeaseSecrets(lease.renew_secret, lease.cancel_secret)
        return Granted(secrets, owner, int(now + self._options.lease_seconds))

    def _make_file(self, path: str, data: bytes) -> None:
        """Make a file with this content, durable but for its name; leave none behind if that fails."""
        file = self._filesystem.create(path)
        try:
            file.write(0, data)
            file.sync()
        except OSError:
            with suppress(OSError):
                self._filesystem.unlink(path)
            raise
        finally:
            file.close()

    def _store_small(
        self, storage_index: bytes, shares: Mapping[int, bytes], lease: Granted
    ) -> tuple[tuple[int, ...], dict[int, ShareFacts]]:
        """Store shares whose bytes are few: through the log, all of them or none."""
        with self._shelves.lock(storage_index):
            present = self._shelves.add_lease(storage_index, lease)
            new = {number: shares[number] for number in sorted(shares) if number not in present}
            if new:
                record = _record(lease)
                with self._reserved(new, lease.owner):
                    self._shelves.store(storage_index, {each: whole_container(new[each], (record,)) for each in new})
                    self._enter(storage_index, new, record)
            return tuple(new), {number: present[number] for number in sorted(shares) if number not in new}

    @contextmanager
    def _reserved(self, shares: Mapping[int, bytes], owner: int) -> Iterator[None]:
        """Set room aside for shares until they are in the books, or are not going to be."""
        reserved = sum(len(data) + CONTAINER_ROOM for data in shares.values())
        self._room.reserve(reserved, owner)
        try:
            yield
        finally:
            self._room.settle(reserved, reserved, owner)

    def _enter(self, storage_index: bytes, shares: Mapping[int, bytes], record: LeaseRecord) -> None:
        """Tell the books of new shares, and remember what a look at them would tell."""
        for number, data in shares.items():
            self._shelves.enter(storage_index, number, len(data) + CONTAINER_ROOM, record)
            self._shelves.remember(storage_index, ShareFacts(number, len(data), ueb_hash_of(data)))

    def _store_new(self, storage_index: bytes, shares: Mapping[int, bytes], lease: Granted) -> tuple[int, ...]:
        """Store shares that seemed not to be there; return the numbers of those that were not."""
        with self._reserved(shares, lease.owner):
            return self._publish_new(storage_index, shares, _record(lease))

    def _publish_new(self, storage_index: bytes, shares: Mapping[int, bytes], record: LeaseRecord) -> tuple[int, ...]:
        paths: dict[int, str] = {}
        try:
            self._shelves.make_folder(storage_index)
            for number, data in shares.items():
                path = incoming_path(storage_index, number, str(next(self._serial)))
                self._make_file(path, whole_container(data, (record,)))
                paths[number] = path
            with self._shelves.lock(storage_index):
                present = self._shelves.facts(storage_index)
                arrivals = {number: paths[number] for number in shares if number not in present}
                self._shelves.publish(storage_index, arrivals)
                for number in arrivals:
                    paths.pop(number)
                self._enter(storage_index, {number: shares[number] for number in arrivals}, record)
            return tuple(arrivals)
        finally:
            for path in paths.values():
                with suppress(OSError):
                    self._filesystem.unlink(path)

    def _has_upload(self, key: tuple[bytes, int, bytes], size: int) -> bool:
        upload = self._uploads.find(key)
        if upload is not None and upload.size != size:
            raise Refused("conflict", f"share {key[1]} was announced with {upload.size} bytes, now with {size}")
        return upload is not None

    def _begin(self, uploads: Sequence[Upload], owner: int) -> None:
        """Begin all of these uploads or none."""
        if not uploads:
            return
        reserved = sum(upload.reserved for upload in uploads)
        self._room.reserve(reserved, owner)
        try:
            self._uploads.begin(uploads)
        except OSError:
            self._room.settle(reserved, reserved, owner)
            raise

    def _check_upload(self, storage_index: bytes, number: int, upload_secret: bytes) -> None:
        """Refuse to close an upload that is not there or not whole, or came second with other bytes."""
        upload = self._uploads.find((storage_index, number, upload_secret))
        if upload is None:
            if number not in self._shelves.facts(storage_index):
                raise no_such_upload(number)
            return
        with upload.lock:
            if not upload.ended:
                self._check_whole(storage_index, upload)

    def _check_whole(self, storage_index: bytes, upload: Upload) -> None:
        if upload.missing:
            raise Refused("conflict", f"{upload.missing} bytes of share {upload.number} are missing")
        present = self._shelves.facts(storage_index).get(upload.number)
        if present is not None and present != self._uploads.facts(upload):
            raise Refused("conflict", f"another share {upload.number} was complete first")

    def _finish(self, storage_index: bytes, upload: Upload) -> None:
        """Let a whole upload become a share, unless an equal one is there."""
        self._shelves.make_folder(storage_index)
        with upload.lock:
            if upload.ended:
                return
            self._sync(upload)
            with self._shelves.lock(storage_index):
                self._check_whole(storage_index, upload)
                if upload.number in self._shelves.facts(storage_index):
                    self._uploads.drop(upload)
                else:
                    self._publish_upload(storage_index, upload)

    def _sync(self, upload: Upload) -> None:
        """Make an upload's bytes durable. After a failure nobody knows which are, so it must begin anew."""
        try:
            self._uploads.sync(upload)
        except OSError:
            self._uploads.drop(upload)
            raise

    def _publish_upload(self, storage_index: bytes, upload: Upload) -> None:
        try:
            self._shelves.publish(storage_index, {upload.number: upload.path})
        except OSError:
            self._uploads.end(upload)
            with suppress(OSError):
                self._filesystem.unlink(upload.path)
            raise
        self._shelves.enter(storage_index, upload.number, upload.reserved, upload.lease)
        self._uploads.end(upload)

    def _forget(self, key: tuple[bytes, int, bytes]) -> None:
        upload = self._uploads.find(key)
        if upload is not None:
            with upload.lock:
                self._uploads.drop(upload)

    def _check(self, storage_index: bytes, number: int) -> Verdict:
        with self._shelves.use(storage_index, number) as share:
            return Verdict(number, share.flaw) if share.flaw else check(number, share.read)

    def _replace(self, storage_index: bytes, number: int, data: bytes) -> None:
        """Put a sound share in place of ours, with its leases. The index's lock is held."""
        content = whole_container(data, self._lease_records(storage_index, number))
        path = incoming_path(storage_index, number, str(next(self._serial)))
        self._make_file(path, content)
        self._shelves.replace(storage_index, number, path)

    def _lease_records(self, storage_index: bytes, number: int) -> tuple[LeaseRecord, ...]:
        """The leases on a share, secrets hashed; none if its container can't be read."""
        with self._shelves.lock(storage_index), self._shelves.use(storage_index, number) as share:
            return () if share.flaw else upgraded(share.container())


def _upload_path(key: tuple[bytes, int, bytes]) -> str:
    """The file of an upload: its name tells uploads of one share apart and shows nothing of the secret."""
    storage_index, number, upload_secret = key
    return incoming_path(storage_index, number, base32.encode(sha256(upload_secret).digest()[:_KEY_LENGTH]))


def _record(lease: Granted) -> LeaseRecord:
    """The lease as it stands in a new container."""
    return LeaseRecord.of(lease.secrets, lease.expires, owner=lease.owner, version=WRITTEN_VERSION)
