"""What a node asks itself: the same as any ask, without a network in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tahoe.errors import Refused, Unanswered
from tahoe.protocol import Answer, NodeId


class InwardAsk:
    """A request from one actor to another of its node: what the asker holds and what the handler answers to.

    Args:
        node: whose it is.
        timeout: seconds.
        done: takes the outcome, once.
    """

    __slots__ = ("_done", "_node", "_timeout", "_timer", "cancelled", "on_cancel")

    def __init__(self, node: NodeId, timeout: float, done: Callable[[Any], None]) -> None:
        self._node = node
        self._timeout = timeout
        self._done: Callable[[Any], None] | None = done
        self._timer = asyncio.get_running_loop().call_later(timeout, self._expire)
        self.on_cancel: Callable[[], None] | None = None
        self.cancelled = False

    def answer(self, message: Answer) -> None:
        """The handler returned this."""
        self._finish(message)

    def refuse(self, refused: Refused) -> None:
        """The handler refused."""
        self._finish(refused)

    def cancel(self) -> None:
        """Drop the outcome and stop the handler."""
        if self._done is not None:
            self._end()
            self._stop_handler()

    def _expire(self) -> None:
        if self._done is not None:
            self._finish(Unanswered(self._node, self._timeout))
            self._stop_handler()

    def _finish(self, outcome: Answer | Refused | Unanswered) -> None:
        done = self._done
        if done is not None:
            self._end()
            done(outcome)

    def _end(self) -> None:
        self._done = None
        self._timer.cancel()

    def _stop_handler(self) -> None:
        self.cancelled = True
        if self.on_cancel is not None:
            self.on_cancel()
