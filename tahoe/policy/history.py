"""What a node remembers of servers: how quickly they answer, how often they fail, whether they ever lied.

Memory fades: each failure and each lie counts one on the day it happens, half after a half-life, and next to nothing
after some months, so that who has mended his ways is trusted again. Response times move towards what is measured.

A downloader asks those first that are likely to answer soon and truly. Classes of speed are powers of two, and distrust
counts as slowness: a server that lied yesterday is asked like one that takes a hundred times as long, which still is
better than not at all when there is nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log2
from typing import Final

import msgspec

from tahoe.policy.retrieval import ResponseTimes
from tahoe.protocol import NodeId

HALF_LIFE: Final = 14 * 86_400.0
"""Seconds in which a failure or a lie comes to count half."""

LIE_WEIGHT: Final = 64.0
"""How many times slower a server seems that lied once."""

FAILURE_WEIGHT: Final = 0.5
"""How much slower, in times, each failure makes a server seem."""

MOST_DISTRUST: Final = 8
"""Classes of speed that distrust takes at most."""


class ServerRecord(msgspec.Struct, array_like=True):
    """What is remembered of one server; counts are as of ``when`` (seconds since the epoch)."""

    answers: float = 0.0
    failures: float = 0.0
    lies: float = 0.0
    when: float = 0.0

    def fade(self, now: float) -> None:
        """Let the counts be as of now. A clock that was set back fades nothing."""
        factor = 0.5 ** (max(0.0, now - self.when) / HALF_LIFE)
        self.answers *= factor
        self.failures *= factor
        self.lies *= factor
        self.when = max(self.when, now)


class _Kept(msgspec.Struct, array_like=True):
    records: dict[str, ServerRecord]
    times: dict[str, tuple[float, float, float]]


class History(ResponseTimes):
    """Response times, failures and lies of servers, as all downloads of a node know them.

    Args:
        wall_time: what time it is, in seconds since the epoch.
    """

    __slots__ = ("_records", "_wall_time", "changed")

    def __init__(self, wall_time: Callable[[], float]) -> None:
        super().__init__()
        self._wall_time = wall_time
        self._records: dict[NodeId, ServerRecord] = {}
        self.changed = False

    def learn(self, node: NodeId, seconds: float, ahead: int = 0) -> None:
        """See ``ResponseTimes``; it counts as an answer, too."""
        super().learn(node, seconds, ahead)
        self._of(node).answers += 1

    def failed(self, node: NodeId) -> None:
        """See ``ResponseTimes``."""
        self._of(node).failures += 1

    def lied(self, node: NodeId) -> None:
        """See ``ResponseTimes``."""
        self._of(node).lies += 1

    def speed_class(self, node: NodeId, ahead: int = 0) -> int:
        """See ``ResponseTimes``; a server that fails or lies seems slower than it is."""
        return super().speed_class(node, ahead) + self.distrust(node)

    def distrust(self, node: NodeId) -> int:
        """Classes of speed that a server's failures and lies cost it."""
        record = self._records.get(node)
        if record is None:
            return 0
        record.fade(self._wall_time())
        failures = record.failures if record.answers < record.failures else 0.0
        return min(MOST_DISTRUST, round(log2(1 + LIE_WEIGHT * record.lies + FAILURE_WEIGHT * failures)))

    def record(self, node: NodeId) -> ServerRecord:
        """What is remembered of a server, as of now."""
        found = self._records.get(node, ServerRecord())
        found.fade(self._wall_time())
        return msgspec.structs.replace(found)

    def pack(self) -> bytes:
        """Everything, to be kept over a restart."""
        return msgspec.msgpack.encode(_Kept(dict(self._records.items()), dict(self.estimates().items())))

    def unpack(self, data: bytes) -> None:
        """Remember what was kept; what can't be read is forgotten."""
        try:
            kept = msgspec.msgpack.decode(data, type=_Kept)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        self._records = {NodeId(node): record for node, record in kept.records.items()}
        self.assume({NodeId(node): estimate for node, estimate in kept.times.items()})

    def _of(self, node: NodeId) -> ServerRecord:
        record = self._records.setdefault(node, ServerRecord(when=self._wall_time()))
        record.fade(self._wall_time())
        self.changed = True
        return record
