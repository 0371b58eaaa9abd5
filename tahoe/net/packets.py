"""How large a packet the broker carries, learned from what becomes of the packets.

MQTT 5 tells the limit. MQTT 3.1.1 does not: a packet over the limit ends the connection without a word,
and at QoS 0 nothing tells that one was carried. So this counts evidence:

* a packet to ourselves that came back (``probe.py``) has proven its size, and so has one that was sent a while ago
  over a connection that still stands;
* a packet to ourselves that did not come back makes its size suspect, and so does a connection that ends soon
  after a packet of unproven size; when that happens twice in a row (a broker that was merely restarted does it
  once), the limit falls to a quarter of it, though never below what is proven.

So a refused packet costs a few reconnections before the node takes up its work, and never loops for ever. Every new
connection may be to another broker, or to one with another configuration, and has everything to prove.
"""

from __future__ import annotations

from collections import deque
from typing import Final

SMALLEST_LIMIT: Final = 16 * 1024
PROOF_SECONDS: Final = 5.0
LOSSES_TO_CONVICT: Final = 2
STEP: Final = 4

PACKET_OVERHEAD: Final = 256
"""Bytes that topic and MQTT's own headers add to a payload at most."""


class PacketLimit:
    """The largest payload to send.

    Args:
        configured: bytes; never exceeded.
    """

    def __init__(self, configured: int) -> None:
        self.bytes = configured
        self._proven = SMALLEST_LIMIT
        self._unproven: deque[tuple[float, int]] = deque()
        self._losses = 0

    @property
    def proven(self) -> bool:
        """Whether packets of the present limit are known to be carried."""
        return self._proven >= self.bytes

    def doubt(self) -> None:
        """This is a new connection: nothing is known of the broker behind it."""
        self._proven = min(SMALLEST_LIMIT, self.bytes)
        self._unproven.clear()

    def carried(self, size: int) -> None:
        """A packet came through."""
        self._proven = max(self._proven, size)
        self._losses = 0

    def vanished(self, size: int) -> bool:
        """A packet did not come back, a later one did. Returns whether the limit is lower now."""
        self._unproven.clear()
        return self._suspect(size, certain=False)

    def sent(self, now: float, size: int) -> None:
        """A packet was handed to the socket."""
        if size > self._proven:
            self._unproven.append((now, size))

    def prove(self, now: float) -> None:
        """The connection stands, and its socket has taken everything: what went out a while ago was carried."""
        while self._unproven and now - self._unproven[0][0] >= PROOF_SECONDS:
            self.carried(self._unproven.popleft()[1])

    def told(self, packet_bytes: int) -> bool:
        """The broker told its limit for whole packets. Returns whether ours is lower now."""
        return self._lower(max(packet_bytes - PACKET_OVERHEAD, 1))

    def lost(self, *, too_large: bool) -> bool:
        """The connection ended; ``too_large``: the broker said why. Returns whether the limit is lower now."""
        suspect = max((size for _, size in self._unproven if size > self._proven), default=0)
        self._unproven.clear()
        if not suspect:
            self._losses = 0
            return False
        return self._suspect(suspect, certain=too_large)

    def _suspect(self, size: int, *, certain: bool) -> bool:
        self._losses += 1
        if self._losses < LOSSES_TO_CONVICT and not certain:
            return False
        self._losses = 0
        return self._lower(max(size // STEP, self._proven))

    def _lower(self, limit: int) -> bool:
        if limit >= self.bytes:
            return False
        self.bytes = limit
        self._proven = min(self._proven, limit)
        return True
