"""Asking within a node: what an actor asks of another in the same incarnation needs no session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tahoe.errors import Refused, Unanswered
from tahoe.protocol import Answer
from tahoe.sim.world import World


class LocalAsk:
    """A request under way within a node: the ``Asking`` of who asks and the ``Reply`` of who answers."""

    def __init__(self, world: World, timeout: float, done: Callable[[Any], None]) -> None:
        self._done: Callable[[Any], None] | None = done
        self.on_cancel: Callable[[], None] | None = None
        self.cancelled = False
        self.deadline = world.now() + timeout

    def answer(self, message: Answer) -> None:
        """The handler returned this."""
        self._finish(message)

    def refuse(self, refused: Refused) -> None:
        """The handler refused."""
        self._finish(refused)

    def expire(self, unanswered: Unanswered) -> None:
        """The time is over: the asker hears so, and the handler stops."""
        if self._done is not None:
            self._finish(unanswered)
            self._stop()

    def cancel(self) -> None:
        """Drop the outcome and stop the handler."""
        if self._done is not None:
            self._done = None
            self._stop()

    def _finish(self, outcome: Answer | Refused | Unanswered) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(outcome)

    def _stop(self) -> None:
        self.cancelled = True
        if self.on_cancel is not None:
            self.on_cancel()
