"""Asking the broker how large a packet it carries.

::

    this node ── a packet of that size ──► broker ──►┐
              ── the mark, a few bytes ──►    "   ──►┴──► this node

Both go to the node itself, over the connection that large packets take. A broker keeps the order of what one
connection publishes to one topic, so a mark that comes back alone tells that the packet before it was dropped (as
mosquitto's ``message_size_limit`` does), and it tells so without a clock: on a slow line the answer is late, never
wrong. A broker that hangs up on large packets answers by hanging up. One that lets nobody write to himself does not
answer, and large packets are tried on it as they are.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Final

from tahoe.net.packets import PacketLimit

MARK_BYTES: Final = 16


class Probe:
    """One question: are packets of ``size`` bytes carried?"""

    def __init__(self, size: int) -> None:
        assert size > MARK_BYTES
        self.size = size
        self._mark = secrets.token_bytes(MARK_BYTES)

    def packets(self) -> tuple[bytes, bytes]:
        """What to send to oneself, in this order."""
        return self._mark + bytes(self.size - MARK_BYTES), self._mark

    def is_part(self, packet: bytes) -> bool:
        """Whether a packet that came back is one of them."""
        return packet[:MARK_BYTES] == self._mark


class Gauge:
    """Finds out over one new connection whether the limit holds, and lowers it until it does.

    Attributes:
        done: set when the limit is known to be right.

    Args:
        limit: what is known, for whatever connection.
        send: sends a packet to this node by way of the broker.
        lowered: is called when the limit has become lower.
    """

    def __init__(self, limit: PacketLimit, send: Callable[[bytes], None], lowered: Callable[[], None]) -> None:
        self.done = asyncio.Event()
        self._limit = limit
        self._send = send
        self._lowered = lowered
        self._probe: Probe | None = None

    def ask(self) -> None:
        """Ask whether packets of the present limit are carried, if that is not known."""
        if self._limit.proven:
            self.done.set()
            return
        self._probe = Probe(self._limit.bytes)
        self._limit.sent(time.monotonic(), self._probe.size)
        for packet in self._probe.packets():
            self._send(packet)

    def took(self, packet: bytes) -> bool:
        """Whether a packet to ourselves was part of the present question; the first one that comes is the answer."""
        probe = self._probe
        if probe is None or not probe.is_part(packet):
            return False
        if self.done.is_set():
            return True
        if len(packet) == probe.size:
            self._limit.carried(probe.size)
        elif self._limit.vanished(probe.size):
            self._lowered()
        self.ask()
        return True
