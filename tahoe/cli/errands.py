"""Requests of one command under way at once: a few threads work, and the caller's thread alone decides what follows.

So whoever uses this needs no locks: what a worker brings home is handed to a function in the thread that runs
:meth:`Errands.breathe` and :meth:`Errands.finish`. The threads are daemons, because whoever presses Ctrl-C does not
want to wait until a gigabyte has gone through.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, Queue, SimpleQueue
from types import TracebackType
from typing import Any, Final, Self, TypeVar

T = TypeVar("T")

WAITING_PER_WORKER: Final = 4
"""Errands that may wait for a worker before whoever finds new ones is held up."""


class Errands:
    """Runs errands; to be used with ``with``.

    Args:
        workers: how many at once.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._open = 0
        self._orders: SimpleQueue[tuple[Future[Any], Callable[[], Any], Callable[[Future[Any]], None]] | None] = (
            SimpleQueue()
        )
        self._results: Queue[tuple[Future[Any], Callable[[Future[Any]], None]]] = Queue(workers)
        """Bounded, so that little has been done of which nobody has taken note if the process is killed."""

    def __enter__(self) -> Self:
        for _ in range(self._workers):
            threading.Thread(target=self._work, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for left in (self._orders, self._results):
            while not left.empty():  # not so only when an error ends it
                with suppress(Empty):
                    left.get_nowait()
        for _ in range(self._workers):
            self._orders.put(None)

    def start(self, work: Callable[[], T], then: Callable[[Future[T]], None]) -> None:
        """Let a worker do something, and ``then`` be called here with what came of it. Never waits."""
        self._open += 1
        self._orders.put((Future(), work, then))

    def breathe(self) -> None:
        """Wait until there is room for more; whoever starts an unknown number of errands does so before each."""
        while self._open >= self._workers * WAITING_PER_WORKER:
            self.conclude_one()

    def finish(self) -> None:
        """Wait until all errands are done, and those that followed from them."""
        while self.conclude_one():
            pass

    def conclude_one(self) -> bool:
        """Wait until one errand is done; false if none was under way."""
        if not self._open:
            return False
        future, then = self._results.get()
        self._open -= 1
        then(future)
        return True

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            future, work, then = order
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001  # it is raised where the result is asked for
                future.set_exception(error)
            self._results.put((future, then))
