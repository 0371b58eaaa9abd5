"""Transfers of a gateway, running and recent: what moves, how far it is, and how long each server took.

Actors do not know on whose behalf they ask. The gateway does: it makes the transfer the watcher (``net/watching.py``) of
all that is asked inside ``Transfers.watch``.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from tahoe.net.watching import WATCHER, Asked
from tahoe.protocol import NodeId
from tahoe.web.errors import without_capabilities

MOST_KEPT: Final = 50
MOST_ASKS: Final = 1000
"""Asks of one transfer that are remembered one by one, the newest; of all of them the sums are kept."""


@dataclass(slots=True)
class ServerSum:
    """All questions to one server together; ``seconds`` and ``slowest`` are of those that were answered."""

    asked: int = 0
    answered: int = 0
    failed: int = 0
    bytes: int = 0
    seconds: float = 0.0
    slowest: float = 0.0

    def add(self, asked: Asked) -> None:
        """Count one."""
        seconds = asked.ended - asked.began
        self.asked += 1
        self.bytes += asked.size
        if asked.outcome == "answered":
            self.answered += 1
            self.seconds += seconds
            self.slowest = max(self.slowest, seconds)
        elif asked.outcome != "cancelled":
            self.failed += 1


@dataclass(slots=True, eq=False)
class Transfer:
    """One file on its way.

    Args:
        kind: ``upload`` or ``download``.
        name: of the file, as far as it is known; never a capability.
        size: bytes to be moved; None while nobody knows.
    """

    kind: str
    name: str = ""
    size: int | None = None
    identity: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    moved: int = 0
    state: str = "running"
    error: str | None = None
    began: float = field(default_factory=time.time)
    ended: float | None = None
    servers: dict[NodeId, ServerSum] = field(default_factory=dict)
    asks: deque[Asked] = field(default_factory=lambda: deque(maxlen=MOST_ASKS))
    clock: float = field(default_factory=time.monotonic)

    def note(self, asked: Asked) -> None:
        """Remember a question."""
        self.asks.append(asked)
        self.servers.setdefault(asked.server, ServerSum()).add(asked)

    def progress(self, done: int, total: int) -> None:
        """Say how far it is."""
        self.moved = done
        self.size = total

    def describe(self) -> dict[str, Any]:
        """Return what is known of it, JSON-able, without single questions."""
        return {
            "id": self.identity,
            "kind": self.kind,
            "name": self.name,
            "size": self.size,
            "moved": self.moved,
            "state": self.state,
            "error": self.error,
            "began": self.began,
            "ended": self.ended,
            "servers": {node: _rounded(total) for node, total in self.servers.items()},
        }

    def timeline(self) -> list[dict[str, Any]]:
        """Return its questions in the order in which they ended, JSON-able: seconds count from its beginning."""
        return [
            {
                "server": asked.server,
                "what": asked.what,
                "began": round(asked.began - self.clock, 6),
                "seconds": round(asked.ended - asked.began, 6),
                "bytes": asked.size,
                "outcome": asked.outcome,
            }
            for asked in self.asks
        ]


@dataclass(slots=True)
class Totals:
    """What all transfers of a kind that have ended came to."""

    ended: int = 0
    failed: int = 0
    bytes: int = 0


class Transfers:
    """The transfers of a gateway."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Transfer] = OrderedDict()
        self.totals: dict[str, Totals] = {"upload": Totals(), "download": Totals()}

    def all(self) -> list[Transfer]:
        """Running and recent ones, the newest first."""
        return list(reversed(self._kept.values()))

    def get(self, identity: str) -> Transfer | None:
        """One of them."""
        return self._kept.get(identity)

    @contextmanager
    def watch(self, kind: str, name: str = "", size: int | None = None) -> Iterator[Transfer]:
        """Keep an account of what happens inside as one transfer."""
        transfer = Transfer(kind, name, size)
        self._kept[transfer.identity] = transfer
        self._forget()
        token = WATCHER.set(transfer)
        try:
            yield transfer
        except BaseException as error:
            transfer.state = "failed" if isinstance(error, Exception) else "cancelled"
            transfer.error = without_capabilities(str(error)) or type(error).__name__
            raise
        else:
            transfer.state = "done"
        finally:
            WATCHER.reset(token)
            transfer.ended = time.time()
            self._count(transfer)

    def _count(self, transfer: Transfer) -> None:
        totals = self.totals[transfer.kind]
        totals.ended += 1
        totals.failed += transfer.state != "done"
        totals.bytes += transfer.moved

    def _forget(self) -> None:
        ended = [each.identity for each in self._kept.values() if each.ended is not None]
        for identity in ended[: max(0, len(self._kept) - MOST_KEPT)]:
            del self._kept[identity]


def forget_watchers() -> None:
    """Begin a request's account anew.

    A connection that was told to go on reading inside a transfer hands that transfer's context to all requests that come by it
    later: asyncio remembers the context in which it was told.
    """
    WATCHER.set(None)


def _rounded(total: ServerSum) -> dict[str, Any]:
    return {
        "asked": total.asked,
        "answered": total.answered,
        "failed": total.failed,
        "bytes": total.bytes,
        "seconds": round(total.seconds, 6),
        "slowest": round(total.slowest, 6),
    }
