"""Stories under way in a node: tasks that fail loudly and end with the node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Story:
    """One task. Cancelling is idempotent: what cleans up after itself is not disturbed a second time."""

    __slots__ = ("_cancelled", "_task")

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task
        self._cancelled = False

    def cancel(self) -> None:
        """Stop it where it waits."""
        if not self._cancelled:
            self._cancelled = True
            self._task.cancel()


class Stories:
    """All stories of one node.

    Args:
        failed: is told every error that a story ends with.
    """

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, story: Coroutine[Any, Any, None]) -> Story:
        """Start a story."""
        task = asyncio.create_task(story)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return Story(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._failed(error)

    async def stop(self) -> None:
        """Cancel everything and wait until it has cleaned up."""
        while self._tasks:
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
