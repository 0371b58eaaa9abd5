"""The complete shares on a disk: how they appear, are found, are leased and go.

Small shares and all changes of leases go through a redo log (redo.py), which makes them whole and durable for one sync:
a small share with new directories of its own takes four without it. What the log holds of a file would be done to it
again at the next start, so whoever gives a file another name first lets the log begin anew.

Each storage index has one of a few locks, held while names change and until they are durable, and while
leases change; it is free to be taken again by who has it. So whatever another thread finds here would
survive a power cut. Reading a share that is open already takes no lock. Whoever takes a lock first sees to it that what
an error left half done is done.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import RLock
from typing import Final

from tahoe.codec.container import UPLOAD_OWNER, Change, Container, Write
from tahoe.codec.container import Lease as LeaseRecord
from tahoe.codec.keys import LeaseSecrets
from tahoe.errors import Refused
from tahoe.protocol import ShareFacts
from tahoe.storage.filesystem import FileSystem
from tahoe.storage.folders import Folders
from tahoe.storage.layout import (
    LOG,
    SHARES,
    folder_of,
    indexes_in,
    numbers_in,
    path_of,
    prefixes_in,
)
from tahoe.storage.leaseindex import FILE, Entry, ShareName
from tahoe.storage.pool import Pool, Use
from tahoe.storage.redo import FileChange, RedoLog
from tahoe.storage.room import Room
from tahoe.storage.sharefile import ShareFile
from tahoe.storage.slotleases import count_of, ends_of
from tahoe.storage.store import no_such_share
from tahoe.storage.trash import DiskTrash, Shelf

_LOCKS: Final = 64
_MOST_FACTS: Final = 32_768
_LOG_BYTES: Final = 8 * 2**20
"""The log begins anew when it is longer, about every two thousand small shares."""

Key = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class Granted:
    """A lease as the server grants it: whose number it bears, and until when (seconds since the epoch)."""

    secrets: LeaseSecrets
    owner: int
    expires: int


class Shelves:
    """Complete shares. May be used from several threads at once.

    Args:
        filesystem: the disk.
        folders: of the same disk.
        room: its books are told what comes and goes.
        open_files: how many to keep open for reading.
    """

    def __init__(self, filesystem: FileSystem, folders: Folders, room: Room, open_files: int) -> None:
        self._filesystem = filesystem
        self._folders = folders
        self._books = room.books
        self._trash = DiskTrash(filesystem, folders, room.books, Shelf(FILE, folder_of, self._report_file))
        self._locks = [RLock() for _ in range(_LOCKS)]
        self._facts: OrderedDict[Key, ShareFacts] = OrderedDict()
        self._open: Pool[Key, ShareFile] = Pool(self._open_share, open_files)
        self._log = RedoLog(filesystem, folders, LOG, _LOG_BYTES)
        self._unreported: set[bytes] = set()  # indexes of which the books may not know what the log has yet to do
        self._unsettled: set[str] = set()  # directories with names that may not be durable, and are in no log
        self.doubtful: set[Key] = set()

    @contextmanager
    def lock(self, storage_index: bytes) -> Iterator[None]:
        """Hold the lock of an index's names and leases."""
        with self._locks[storage_index[-1] % _LOCKS]:
            self._log.mend(folder_of(storage_index))
            if storage_index in self._unreported:
                self._unreported.discard(storage_index)
                self.report(storage_index)
            yield

    # --- beginning and end --------------------------------------------------------------------------------

    def recover(self) -> None:
        """Do what the log holds. What a process that was killed wrote must be durable by now."""
        self._log.recover()

    def shut(self) -> bool:
        """Close all files; tell whether everything but names is durable."""
        self._open.clear()
        try:
            self._log.checkpoint()
        except OSError:
            return False
        self._log.close()
        return not self.doubtful

    # --- finding ------------------------------------------------------------------------------------------

    def facts(self, storage_index: bytes) -> dict[int, ShareFacts]:
        """Facts of all shares of an index, ascending."""
        with self.lock(storage_index):
            found = {number: self._facts_of(storage_index, number) for number in self._numbers(storage_index)}
            return {number: facts for number, facts in found.items() if facts is not None}

    def use(self, storage_index: bytes, number: int) -> Use[Key, ShareFile]:
        """A share open for reading, in a ``with`` statement.

        Raises:
            Refused: ``no-such-share``.
        """
        key = storage_index, number
        found = self._open.find(key)
        if found is not None:
            return found
        with self.lock(storage_index):  # or else what we open might be replaced before it is in the pool
            return self._open.use(key)

    def storage_indexes(self, after: bytes) -> Iterator[bytes]:
        """All indexes with a share that are greater than ``after``, ascending."""
        for storage_index in self.indexes_with_folders(after):
            if self._numbers(storage_index):
                yield storage_index

    def indexes_with_folders(self, after: bytes = b"") -> Iterator[bytes]:
        """All indexes that may have a share, be it in the trash, and are greater than ``after``, ascending."""
        for prefix in prefixes_in(self._filesystem.listdir(SHARES), after):
            yield from indexes_in(self._names(f"{SHARES}/{prefix}"), after)

    def report(self, storage_index: bytes) -> None:
        """Tell the books of all shares of an index, as they are on the disk."""
        with self.lock(storage_index):
            self._trash.report(storage_index)

    # --- coming and going -----------------------------------------------------------------------------------

    def make_folder(self, storage_index: bytes) -> None:
        """Make the directory of an index, not yet durably: done early, the sync of a file may cover it."""
        folder = folder_of(storage_index)
        try:
            self._folders.make(folder)
        except FileNotFoundError:
            self._folders.make(folder.rpartition("/")[0])
            self._folders.make(folder)

    def store(self, storage_index: bytes, contents: Mapping[int, bytes]) -> None:
        """Let containers become shares that are not there yet, all of them or none, durably. The index's lock is held.

        Args:
            storage_index: theirs.
            contents: share number to the bytes of the file, which should be few.

        Raises:
            Refused: ``conflict``: a file that is no share of ours has the name.
        """
        self._expect_free(storage_index, contents)
        self._log_changes(
            storage_index,
            [
                FileChange(path_of(storage_index, number), len(content), is_new=True, patches=((0, content),))
                for number, content in contents.items()
            ],
        )
        self.doubtful.difference_update((storage_index, number) for number in contents)

    def publish(self, storage_index: bytes, arrivals: Mapping[int, str]) -> None:
        """Let synced files become shares that are not there yet, durably. The index's lock is held.

        Args:
            storage_index: theirs.
            arrivals: share number to path.

        Raises:
            Refused: ``conflict``: a file that is no share of ours has the name.
        """
        self._expect_free(storage_index, arrivals)
        try:
            for number, path in arrivals.items():
                self._rename(storage_index, number, path)
            self._settle(storage_index)
        except OSError:
            for number in arrivals:
                self._withdraw(storage_index, number)
            raise
        self.doubtful.difference_update((storage_index, number) for number in arrivals)

    def replace(self, storage_index: bytes, number: int, path: str) -> None:
        """Let a synced file take a share's place, durably. The index's lock is held."""
        self._forget(storage_index, number)
        self._release(path_of(storage_index, number))
        self._rename(storage_index, number, path)
        self._settle(storage_index)
        self._report_file(storage_index, number, path_of(storage_index, number))

    def enter(self, storage_index: bytes, number: int, size: int, lease: LeaseRecord) -> None:
        """Tell the books of a new share, whose container has ``size`` bytes and this lease."""
        self._books.enter(Entry(ShareName(FILE, storage_index, number), size, ends_of((lease,))))

    def remember(self, storage_index: bytes, facts: ShareFacts) -> None:
        """Spare the reading of facts that are known. The index's lock is held."""
        self._facts[storage_index, facts.number] = facts
        if len(self._facts) > _MOST_FACTS:
            with suppress(KeyError):  # another thread may have emptied it
                self._facts.popitem(last=False)

    # --- leases -----------------------------------------------------------------------------------------------

    def add_lease(self, storage_index: bytes, lease: Granted) -> dict[int, ShareFacts]:
        """Add the lease to all shares of an index, or move its expiry forward; return their facts.

        Raises:
            Refused: ``over-quota``: shares would be new to its account, which may not have so much.
        """
        with self.lock(storage_index):
            self.restore(storage_index)
            self._settle(storage_index)  # a lease is no better than its share's name
            present = self.facts(storage_index)
            changes = {}
            for number in present:
                container = self._container(storage_index, number)
                if container is not None:
                    change = container.add_or_renew(lease.secrets, lease.expires, owner=lease.owner)
                    changes[number] = container, change
            self._ration(lease.owner, list(changes.values()))
            self._change(storage_index, {number: change for number, (_, change) in changes.items()})
            return present

    def cancel_lease(self, storage_index: bytes, secret: bytes, now: float) -> int:
        """Remove leases by their cancel secret; a share that loses its last is nobody's. Return how many leases."""
        with self.lock(storage_index):
            changes, count = {}, 0
            for number in self.facts(storage_index):
                container = self._container(storage_index, number)
                if container is None:
                    continue
                with suppress(LookupError):
                    change = container.release(secret, int(now))
                    assert change.container is not None
                    changes[number] = change
                    count += count_of(container.leases) - count_of(change.container.leases)
            self._change(storage_index, changes)
            return count

    # --- the trash --------------------------------------------------------------------------------------------

    def discard(self, storage_index: bytes, number: int, expires: int, now: float) -> bool:
        """Put a share into the trash if its last lease still ends then; see ``ShareStore``."""
        with self.lock(storage_index):
            try:
                container = self._container(storage_index, number)
            except Refused:
                self._books.index.remove(ShareName(FILE, storage_index, number))
                return False
            if container is None or max(ends_of(container.leases).values(), default=0) != expires:
                self._report_file(storage_index, number, path_of(storage_index, number))
                return False
            self._forget(storage_index, number)
            stamp = max(1, int(now))
            self._release(path_of(storage_index, number))
            self._trash.put(storage_index, number, stamp)
            self._enter(storage_index, number, container, stamp)
            return True

    def purge(self, storage_index: bytes, number: int) -> bool:
        """Remove a share from the trash; see ``ShareStore``. Nobody is waited for, so locks may be held."""
        return self._trash.purge(storage_index, number, self._locks[storage_index[-1] % _LOCKS])

    def restore(self, storage_index: bytes) -> int:
        """Bring shares back from the trash, durably; see ``ShareStore``."""
        with self.lock(storage_index):
            try:
                return self._trash.restore(storage_index)
            except OSError:
                self._unsettled.add(folder_of(storage_index))
                raise

    # --- helpers ----------------------------------------------------------------------------------------------

    def _names(self, folder: str) -> list[str]:
        try:
            return self._filesystem.listdir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _report_file(self, storage_index: bytes, number: int, path: str, stamp: int = 0) -> None:
        """Tell the books of a share's file; one whose container can't be read is everybody's for ever, a hidden one nobody's."""
        if not stamp and (storage_index, number) in self.doubtful:
            return
        file = self._filesystem.open(path)
        try:
            share, size = ShareFile(file), file.size()
            ends = {} if share.flaw else ends_of(share.container().leases)
        except ValueError:
            ends = {}
        finally:
            file.close()
        if not share.mutable:
            self._books.enter(Entry(ShareName(FILE, storage_index, number), size, ends, discarded=stamp))

    def _enter(self, storage_index: bytes, number: int, container: Container, stamp: int = 0) -> None:
        """Tell the books of a share."""
        name, ends = ShareName(FILE, storage_index, number), ends_of(container.leases)
        self._books.enter(Entry(name, container.file_size, ends, discarded=stamp))

    def _ration(self, owner: int, changes: list[tuple[Container, Change]]) -> None:
        """Refuse leases that would be new to an account, if it may not have so much."""
        new = [
            before.file_size
            for before, change in changes
            if change.container != before and owner not in {lease.owner for lease in before.leases}
        ]
        if new and owner > UPLOAD_OWNER:
            self._books.check(owner, sum(new))

    def _numbers(self, storage_index: bytes) -> list[int]:
        numbers = numbers_in(self._names(folder_of(storage_index)))
        return [number for number in numbers if (storage_index, number) not in self.doubtful]

    def _facts_of(self, storage_index: bytes, number: int) -> ShareFacts | None:
        """Facts of a share that is there; None if it is none of ours."""
        known = self._facts.get((storage_index, number))
        if known is not None:
            return known
        try:
            with self.use(storage_index, number) as share:
                facts = ShareFacts(number, share.size, share.ueb_hash())
        except Refused:
            return None
        self.remember(storage_index, facts)
        return facts

    def _open_share(self, key: Key) -> ShareFile:
        if key in self.doubtful:
            raise no_such_share(key[1])
        try:
            file = self._filesystem.open(path_of(*key))
        except FileNotFoundError:
            raise no_such_share(key[1]) from None
        try:
            share = ShareFile(file)
        except BaseException:
            file.close()
            raise
        if share.mutable:
            share.close()
            raise no_such_share(key[1])
        return share

    def _expect_free(self, storage_index: bytes, numbers: Iterable[int]) -> None:
        for number in numbers:
            if self._is_taken(storage_index, number):
                raise Refused("conflict", f"a file that is no immutable share has the name of share {number}")

    def _is_taken(self, storage_index: bytes, number: int) -> bool:
        """Whether there is a file with a share's name, other than one we could not make durable."""
        try:
            self._filesystem.size(path_of(storage_index, number))
        except FileNotFoundError:
            return False
        return (storage_index, number) not in self.doubtful

    def _rename(self, storage_index: bytes, number: int, path: str) -> None:
        """Give a file its share's name; the directory may have gone with another share since it was made."""
        try:
            self._filesystem.rename(path, path_of(storage_index, number))
        except FileNotFoundError:
            self.make_folder(storage_index)
            self._filesystem.rename(path, path_of(storage_index, number))
        self._folders.changed(folder_of(storage_index))
        self._unsettled.add(folder_of(storage_index))

    def _settle(self, storage_index: bytes) -> None:
        """Return when the names of an index's shares are durable; what the log holds is."""
        folder = folder_of(storage_index)
        if folder in self._unsettled:
            self._folders.settle(folder)
            self._unsettled.discard(folder)

    def _release(self, path: str) -> None:
        """Let the log hold nothing of a file that is going to have another name, or another content under this one."""
        if self._log.holds(path):
            self._log.checkpoint()

    def _withdraw(self, storage_index: bytes, number: int) -> None:
        """Remove a share whose name may not be durable; hide it if even that fails."""
        self._forget(storage_index, number)
        try:
            self._filesystem.unlink(path_of(storage_index, number))
            self._folders.changed(folder_of(storage_index))
            self._unsettled.add(folder_of(storage_index))
            self._settle(storage_index)
        except FileNotFoundError:
            return
        except OSError:
            self.doubtful.add((storage_index, number))

    def _forget(self, storage_index: bytes, number: int) -> None:
        self._facts.pop((storage_index, number), None)
        self._open.forget((storage_index, number))

    def _container(self, storage_index: bytes, number: int) -> Container | None:
        """The state of a share's container; None if it can't be read, which a scrub will tell."""
        try:
            with self.use(storage_index, number) as share:
                return share.container()
        except ValueError:
            return None

    def _change(self, storage_index: bytes, changes: Mapping[int, Change]) -> None:
        """Change leases, of all these shares or of none, durably."""
        wanted = {number: each.container for number, each in changes.items() if each.instructions and each.container}
        if not wanted:
            return
        record = []
        for number, container in wanted.items():
            writes = [each for each in changes[number].instructions if isinstance(each, Write)]
            patches = tuple((write.offset, write.data) for write in writes)
            record.append(FileChange(path_of(storage_index, number), container.file_size, patches=patches))
        self._log_changes(storage_index, record)
        for number, container in wanted.items():
            self._enter(storage_index, number, container)

    def _log_changes(self, storage_index: bytes, record: list[FileChange]) -> None:
        """Change files of an index: all of them or (after an error) none, or all of them later."""
        try:
            self._log.change(tuple(record))
        except OSError:
            self._unreported.add(storage_index)
            raise
