"""Making directories so that what is put into them can be made durable at the least cost.

A file's name is durable when its directory is synced; but that directory's own name, if new, only when
the one above is synced, too, and so on up. Syncing all of them for every share would double the price of
a small one, so this remembers which directories have names in them that were not yet synced.
"""

from __future__ import annotations

from threading import Lock

from tahoe.storage.filesystem import FileSystem


class Folders:
    """The directories of one store. May be used from several threads at once.

    What is there when this is made is taken to be durable.
    """

    def __init__(self, filesystem: FileSystem) -> None:
        self._filesystem = filesystem
        self._lock = Lock()
        self._unsynced: dict[str, int] = {}  # directory to how many names it was given, ever growing

    def make(self, path: str) -> None:
        """Make a directory if it is not there; the one above must be."""
        with self._lock:  # or else another thread might find the directory before we say that it is new
            try:
                self._filesystem.mkdir(path)
            except FileExistsError:
                return
            above = _above(path)
            self._unsynced[above] = self._unsynced.get(above, 0) + 1

    def settle(self, path: str) -> None:
        """Return when the names of this directory and of all above it are durable."""
        while path:
            path = _above(path)
            count = self._unsynced.get(path)
            if count is not None:
                self._filesystem.sync_directory(path)
                self._synced(path, count)

    def _synced(self, path: str, count: int) -> None:
        """Forget a directory unless it was given more names meanwhile."""
        with self._lock:
            if self._unsynced.get(path) == count:
                del self._unsynced[path]


def _above(path: str) -> str:
    return path.rpartition("/")[0]
