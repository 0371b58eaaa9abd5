"""Asking within a node: what an actor asks of another in the same incarnation needs no session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from tahoe.errors import Refused, Unanswered
from tahoe.protocol import Answer


class Reply(Protocol):
    """How a handler's outcome gets back to the asker, from wherever it asked."""

    on_cancel: Callable[[], None] | None

    def answer(self, message: Answer) -> None:
        """It was done."""

    def refuse(self, refused: Refused) -> None:
        """It was not done."""


class LocalAsk:
    """A request under way within a node: the ``Asking`` of who asks and the ``Reply`` of who answers."""

    def __init__(self, done: Callable[[Any], None]) -> None:
        self._done: Callable[[Any], None] | None = done
        self.on_cancel: Callable[[], None] | None = None

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
        if self.on_cancel is not None:
            self.on_cancel()
