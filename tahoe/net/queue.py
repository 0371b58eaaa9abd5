"""The grid's queue between stories of one node; its twin is ``sim/queue.py``.

asyncio's own has no time-out but by cancelling a task made for every wait. Here a waiting story is woken
and then takes an item itself, rather than being handed one, so that an item is never lost with a story
that was cancelled between the two.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from tahoe.context import TimedOut

T = TypeVar("T")

_Turn = asyncio.Future[bool]
"""True when it is this story's turn, False when its time is over."""


class AsyncioQueue(Generic[T]):
    """First in, first out; ``put`` waits while there are ``bound`` items (0: never)."""

    __slots__ = ("_bound", "_getters", "_items", "_loop", "_putters")

    def __init__(self, bound: int = 0) -> None:
        self._bound = bound
        self._items: deque[T] = deque()
        self._getters: deque[_Turn] = deque()
        self._putters: deque[_Turn] = deque()
        self._loop = asyncio.get_running_loop()

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
        _wake_one(self._getters)

    async def get(self, timeout: float | None = None) -> T:
        """Wait for an item.

        Raises:
            TimedOut: nothing came within ``timeout`` seconds.
        """
        end = None if timeout is None else self._loop.time() + timeout
        while not self._items:
            in_time = await self._turn(self._getters, end)
            if not in_time and not self._items:
                raise TimedOut(f"nothing came within {timeout:g} s")
        item = self._items.popleft()
        _wake_one(self._putters)
        return item

    async def _turn(self, waiting: deque[_Turn], end: float | None) -> bool:
        turn: _Turn = self._loop.create_future()
        waiting.append(turn)
        timer = None if end is None else self._loop.call_at(end, _end_turn, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was our turn: whoever is next gets it
                _wake_one(waiting)
            raise
        finally:
            if timer is not None:
                timer.cancel()


def _end_turn(turn: _Turn) -> None:
    if not turn.done():
        turn.set_result(False)


def _wake_one(waiting: deque[_Turn]) -> None:
    while waiting:
        turn = waiting.popleft()
        if not turn.done():
            turn.set_result(True)
            return
