"""Watching what a story asks of others: whoever wants to know names a watcher, and the story needs not know.

The watcher stands in a context variable. Every task inherits it that the story starts, so that of many stories under way
at once each one's questions reach its own watcher.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from tahoe.context import Task
from tahoe.errors import Refused, Unanswered
from tahoe.protocol import Address, NodeId, Request


class Asked(NamedTuple):
    """One question and what became of it.

    Args:
        server: who was asked.
        what: the kind of message.
        began, ended: monotonic seconds.
        size: bytes of data in question and answer.
        outcome: ``answered``, ``refused``, ``unanswered`` or ``cancelled``.
    """

    server: NodeId
    what: str
    began: float
    ended: float
    size: int
    outcome: str


class Watcher(Protocol):
    """Whoever is told."""

    def note(self, asked: Asked) -> None:
        """A question has come to its end."""


class Machine(Protocol):
    """What asks."""

    def ask(self, to: Address, request: Request[Any], timeout: float, done: Callable[[Any], None]) -> Task:
        """Ask; ``done`` is called once with the outcome, unless the ask is cancelled."""


WATCHER: Final[ContextVar[Watcher | None]] = ContextVar("watcher", default=None)


def ask(machine: Machine, to: Address, request: Request[Any], timeout: float, done: Callable[[Any], None]) -> Task:
    """Ask, and let the watcher of the running story know, if it has one."""
    watcher = WATCHER.get()
    if watcher is None:
        return machine.ask(to, request, timeout, done)
    watched = WatchedAsk(watcher, to.node, request, done)
    watched.asking = machine.ask(to, request, timeout, watched.done)
    return watched


class WatchedAsk:
    """A question under way."""

    def __init__(self, watcher: Watcher, server: NodeId, request: Request[Any], done: Callable[[Any], None]) -> None:
        self.asking: Task | None = None
        self._watcher: Watcher | None = watcher
        self._server = server
        self._what = type(request).__name__
        self._size = data_bytes(request)
        self._done = done
        self._began = time.monotonic()

    def done(self, outcome: Any) -> None:
        """Hand the outcome on."""
        match outcome:
            case Refused():
                self._note("refused", 0)
            case Unanswered():
                self._note("unanswered", 0)
            case _:
                self._note("answered", data_bytes(outcome))
        self._done(outcome)

    def cancel(self) -> None:
        """Drop the question."""
        self._note("cancelled", 0)
        if self.asking is not None:
            self.asking.cancel()

    def _note(self, outcome: str, size: int) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            asked = Asked(self._server, self._what, self._began, time.monotonic(), self._size + size, outcome)
            watcher.note(asked)


def data_bytes(value: Any) -> int:
    """Return how many bytes of byte strings a message holds: roughly what it weighs."""
    total, waiting = 0, [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, _BYTES):
            total += len(each)
        elif isinstance(each, _SEQUENCES):
            waiting += each
        elif isinstance(each, msgspec.Struct):
            waiting += [getattr(each, name) for name in each.__struct_fields__]
    return total


_BYTES: Final = (bytes, bytearray, memoryview)
_SEQUENCES: Final = (tuple, list)
