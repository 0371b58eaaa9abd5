"""The simulator's queue between stories of one node, with asyncio's semantics."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from tahoe.context import TimedOut
from tahoe.sim.story import Promise
from tahoe.sim.world import EXPIRED, Expired, World

T = TypeVar("T")


class SimQueue(Generic[T]):
    """First in, first out.

    A waiting story is woken and then takes an item itself, rather than being handed one: an item is
    never lost with a story that was cancelled between the two.
    """

    __slots__ = ("_bound", "_getters", "_items", "_putters", "_world")

    def __init__(self, world: World, bound: int = 0) -> None:
        self._world = world
        self._bound = bound
        self._items: deque[T] = deque()
        self._getters: deque[Promise[bool | Expired]] = deque()
        self._putters: deque[Promise[bool | Expired]] = deque()

    def __len__(self) -> int:
        return len(self._items)

    async def put(self, item: T) -> None:
        """Wait for room, then put."""
        while self._bound and len(self._items) >= self._bound:
            await self._turn(self._putters, None)
        self.put_nowait(item)

    def put_nowait(self, item: T) -> None:
        """Put beyond any bound."""
        self._items.append(item)
        if self._getters:
            _wake_one(self._getters)

    async def get(self, timeout: float | None = None) -> T:
        """Wait for an item.

        Raises:
            TimedOut: nothing came within ``timeout`` seconds.
        """
        items = self._items
        if not items:
            end = None if timeout is None else self._world.time + timeout
            while await self._turn(self._getters, timeout) and not items:
                if end is not None:
                    timeout = max(0.0, end - self._world.time)
            if not items:
                raise TimedOut(f"nothing came within {timeout} s")
        item = items.popleft()
        if self._putters:
            _wake_one(self._putters)
        return item

    async def _turn(self, waiting: deque[Promise[bool | Expired]], timeout: float | None) -> bool:
        """Wait in line; False when that took too long."""
        turn: Promise[bool | Expired] = Promise(self._world.ready.append)
        waiting.append(turn)
        if timeout is not None:
            self._world.expire(turn, timeout)
        try:
            return await turn is not EXPIRED
        except BaseException:  # cancelled: whoever is next in line gets the turn
            if turn.pending:
                turn.resolve(False)  # not a flag: a turn nobody will take
            else:
                _wake_one(waiting)
            raise


def _wake_one(waiting: deque[Promise[bool | Expired]]) -> None:
    while waiting:
        turn = waiting.popleft()
        if turn.pending:
            turn.resolve(True)  # not a flag: a turn that is taken
            return
