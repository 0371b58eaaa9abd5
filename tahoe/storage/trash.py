"""The trash of a store: shares that nobody leases any more, kept for a while in case a lease comes back.

What a store of files and one of slots do with it is the same, on a disk and in memory. On a disk a share in the trash
has another name in its own directory (``layout.discarded_name``), so that it is in the trash or not, whatever happens.
That name need not be durable: what a power cut brings back is discarded again. The one thing that must not be lost is
a lease; so who adds one first brings back what is in the trash, durably.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import RLock
from typing import Generic, NamedTuple, Protocol, TypeVar

from tahoe.storage.books import Books
from tahoe.storage.filesystem import FileSystem
from tahoe.storage.folders import Folders
from tahoe.storage.layout import discarded_in, discarded_name, numbers_in
from tahoe.storage.leaseindex import Entry, ShareName


class ReportFile(Protocol):
    """Tells the books of one share's file; ``stamp`` is since when it is in the trash, 0: it is not."""

    def __call__(self, storage_index: bytes, number: int, path: str, stamp: int = 0) -> None:
        """Tell."""


class Shelf(NamedTuple):
    """Whose trash it is.

    Args:
        kind: of its shares (``leaseindex``).
        folder_of: gives the directory of an index's shares.
        report_file: looks at one file.
    """

    kind: int
    folder_of: Callable[[bytes], str]
    report_file: ReportFile


class DiskTrash:
    """The trash among shares on a disk. Whoever calls holds the lock of the storage index.

    Args:
        filesystem: the disk.
        folders: of the same disk.
        books: are told what comes and goes.
        shelf: whose trash it is.
    """

    def __init__(self, filesystem: FileSystem, folders: Folders, books: Books, shelf: Shelf) -> None:
        self._filesystem = filesystem
        self._folders = folders
        self._books = books
        self._shelf = shelf

    def put(self, storage_index: bytes, number: int, stamp: int) -> None:
        """Put a share into the trash; ``stamp`` is the time on the server's clock, in seconds and not 0."""
        folder = self._shelf.folder_of(storage_index)
        self._filesystem.rename(f"{folder}/{number}", f"{folder}/{discarded_name(number, stamp)}")
        self._folders.changed(folder)

    def purge(self, storage_index: bytes, number: int, lock: RLock) -> bool:
        """Remove a share from the trash, however often it is there; whether it was.

        Args:
            storage_index: of the share.
            number: of the share.
            lock: of the index. Nobody is waited for, so others may be held: if somebody has it, nothing is done.
        """
        if not lock.acquire(blocking=False):
            return False
        try:
            folder = self._shelf.folder_of(storage_index)
            stamps = [stamp for each, stamp in discarded_in(self._names(folder)) if each == number]
            for stamp in stamps:
                self._filesystem.unlink(f"{folder}/{discarded_name(number, stamp)}")
                self._folders.changed(folder)
            known = self._books.index.find(ShareName(self._shelf.kind, storage_index, number))
            if known is not None and known.discarded:
                self._books.index.remove(known.name)
            self._folders.remove_if_empty(folder)
            return bool(stamps)
        finally:
            lock.release()

    def restore(self, storage_index: bytes) -> int:
        """Bring all shares of an index back, durably; how many. One that has come anew meanwhile stays instead."""
        folder = self._shelf.folder_of(storage_index)
        names = self._names(folder)
        discarded, live = discarded_in(names), dict.fromkeys(numbers_in(names))
        for number, stamp in discarded:
            if number not in live:
                self._filesystem.rename(f"{folder}/{discarded_name(number, stamp)}", f"{folder}/{number}")
                self._folders.changed(folder)
                self._books.restored(ShareName(self._shelf.kind, storage_index, number))
                live[number] = None
        if discarded:
            self._folders.settle(folder)
            self.report(storage_index)
        return len(discarded)

    def report(self, storage_index: bytes) -> None:
        """Tell the books of all shares of an index as they are on the disk, in the trash and out of it."""
        folder = self._shelf.folder_of(storage_index)
        names = self._names(folder)
        live = numbers_in(names)
        for number, stamp in discarded_in(names):
            path = f"{folder}/{discarded_name(number, stamp)}"
            if number in live:
                self._filesystem.unlink(path)
            else:
                self._shelf.report_file(storage_index, number, path, stamp)
        for number in live:
            self._shelf.report_file(storage_index, number, f"{folder}/{number}")

    def _names(self, folder: str) -> Sequence[str]:
        try:
            return self._filesystem.listdir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return ()


S = TypeVar("S")

Shares = dict[bytes, dict[int, S]]
"""Shares in memory: by storage index and number. There is no index without shares."""


class MemoryTrash(Generic[S]):
    """The trash of shares in memory. Whoever calls holds the store's lock.

    Args:
        live: the store's shares.
        books: are told what comes and goes.
        kind: of the shares (``leaseindex``).
        entry: what the books are told of a share: storage index, number, share, since when it is in the trash or 0.
    """

    def __init__(self, live: Shares[S], books: Books, kind: int, entry: Callable[[bytes, int, S, int], Entry]) -> None:
        self._live = live
        self._books = books
        self._kind = kind
        self._entry = entry
        self._trash: Shares[S] = {}

    def put(self, storage_index: bytes, number: int, stamp: int) -> None:
        """Put a share into the trash; ``stamp`` is the time on the server's clock, in seconds and not 0."""
        share = taken(self._live, storage_index, number)
        self._trash.setdefault(storage_index, {})[number] = share
        self._books.enter(self._entry(storage_index, number, share, stamp))

    def holds(self, storage_index: bytes, number: int) -> bool:
        """Whether a share is in the trash."""
        return number in self._trash.get(storage_index, ())

    def purge(self, storage_index: bytes, number: int) -> bool:
        """Remove a share from the trash; whether it was there."""
        if not self.holds(storage_index, number):
            return False
        taken(self._trash, storage_index, number)
        if number not in self._live.get(storage_index, ()):
            self._books.index.remove(ShareName(self._kind, storage_index, number))
        return True

    def restore(self, storage_index: bytes) -> int:
        """Bring all shares of an index back; how many. One that has come anew meanwhile stays instead."""
        trash = self._trash.pop(storage_index, {})
        for number, share in trash.items():
            present = self._live.setdefault(storage_index, {}).setdefault(number, share)
            self._books.enter(self._entry(storage_index, number, present, 0))
        return len(trash)


def taken(shares: Shares[S], storage_index: bytes, number: int) -> S:
    """A share that is taken out."""
    share = shares[storage_index].pop(number)
    if not shares[storage_index]:
        del shares[storage_index]
    return share
