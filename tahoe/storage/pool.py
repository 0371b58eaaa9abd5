"""A bounded number of open things, kept open as long as they are in use and a while longer.

Reading a share again and again must not open its file each time, and a server must not run out of
descriptors. What is least recently used is closed when there are too many, but never under the hands of
another thread: an entry in use is only marked, and closed by its last user. (A descriptor closed too
early is worse than an error: its number may already mean another file.)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from types import TracebackType
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """What can be closed."""

    def close(self) -> None:
        """Close it."""


K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Closable)


class Use(Generic[K, V]):
    """One thing in use: enter to get it, leave to give it back."""

    __slots__ = ("_gone", "_item", "_pool", "_users")

    def __init__(self, pool: Pool[K, V], item: V) -> None:
        self._pool = pool
        self._item = item
        self._users = 1
        self._gone = False

    def __enter__(self) -> V:
        return self._item

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._pool.lock:
            self._users -= 1
            if not self._gone or self._users:
                return
        self._item.close()

    def again(self) -> None:
        """Count one more user; the pool's lock is held."""
        self._users += 1

    def drop(self) -> bool:
        """Take it out of the pool; the pool's lock is held. True: nobody uses it, so close it."""
        self._gone = True
        return not self._users

    def close(self) -> None:
        """Close what :meth:`drop` said may be closed."""
        self._item.close()


class Pool(Generic[K, V]):
    """Open things by key.

    Args:
        open_item: opens one; whatever it raises reaches the user.
        most: how many are kept open beyond those in use.
    """

    def __init__(self, open_item: Callable[[K], V], most: int) -> None:
        self.lock = Lock()
        self._open = open_item
        self._most = most
        self._entries: OrderedDict[K, Use[K, V]] = OrderedDict()

    def find(self, key: K) -> Use[K, V] | None:
        """The thing of this key if it is open; to be used in a ``with`` statement."""
        with self.lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
                entry.again()
            return entry

    def use(self, key: K) -> Use[K, V]:
        """The thing of this key, opened if it is not open; to be used in a ``with`` statement."""
        return self.find(key) or self._add(key, self._open(key))

    def forget(self, key: K) -> None:
        """Next time, open it anew."""
        with self.lock:
            entry = self._entries.pop(key, None)
            idle = entry is not None and entry.drop()
        if entry is not None and idle:
            entry.close()

    def clear(self) -> None:
        """Forget everything."""
        for key in list(self._entries):
            self.forget(key)

    def _add(self, key: K, item: V) -> Use[K, V]:
        """Enter a thing just opened; another thread may have been quicker, and then that one serves both."""
        mine = Use(self, item)
        oldest = None
        with self.lock:
            present = self._entries.get(key)
            if present is None:
                self._entries[key] = mine
                if len(self._entries) > self._most:
                    oldest = self._entries.popitem(last=False)[1]
                    oldest = oldest if oldest.drop() else None
            else:
                present.again()
        if oldest is not None:
            oldest.close()
        if present is not None:
            item.close()
            return present
        return mine
