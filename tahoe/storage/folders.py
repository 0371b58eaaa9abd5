"""The names in a store's directories, made durable at the least cost.

A file's name is durable when its directory is synced; but that directory's own name, if new, only when
the one above is synced, too, and so on up. Syncing all of them for every share would double the price of
a small one, so this remembers which directories have changed since they were synced. What a failed sync
leaves owing is thus made good by the next call that depends on it, and by none that does not.
"""

from __future__ import annotations

from threading import Lock
from typing import Final

from tahoe.storage.filesystem import FileSystem

MOST_FOLDERS: Final = 32
"""If more directories than this are to be synced, the system is asked to write everything: that is quicker."""


class Folders:
    """The directories of one store. May be used from several threads at once.

    What is there when this is made is taken to be durable.
    """

    def __init__(self, filesystem: FileSystem) -> None:
        self._filesystem = filesystem
        self._lock = Lock()
        self._changes: dict[str, int] = {}  # by directory that is to be synced

    def make(self, path: str) -> None:
        """Make a directory if it is not there; the one above must be."""
        with self._lock:  # or else another thread might find the directory before we say that it is new
            try:
                self._filesystem.mkdir(path)
            except FileExistsError:
                return
            self._count(_above(path))

    def remove_if_empty(self, path: str) -> None:
        """Remove a directory that nothing is in."""
        with self._lock:
            try:
                self._filesystem.rmdir(path)
            except OSError:
                return
            self._changes.pop(path, None)
            self._count(_above(path))

    def changed(self, path: str) -> None:
        """A name in this directory came or went."""
        with self._lock:
            self._count(path)

    def settle(self, path: str) -> None:
        """Return when the names in this directory, and its own, are durable."""
        self._sync(path)
        while path:
            path = _above(path)
            self._sync(path)

    def settle_all(self) -> None:
        """Return when all names are durable."""
        if len(self._changes) > MOST_FOLDERS:
            with self._lock:
                changes = dict(self._changes)
            self._filesystem.sync()
            with self._lock:
                self._changes = {path: count for path, count in self._changes.items() if changes.get(path) != count}
        for path in list(self._changes):
            self._sync(path)

    def _count(self, path: str) -> None:
        self._changes[path] = self._changes.get(path, 0) + 1

    def _sync(self, path: str) -> None:
        """Sync a directory if need be, and forget its changes unless there were more meanwhile."""
        count = self._changes.get(path)
        if count is None:
            return
        self._filesystem.sync_directory(path)
        with self._lock:
            if self._changes.get(path) == count:
                del self._changes[path]


def _above(path: str) -> str:
    return path.rpartition("/")[0]
