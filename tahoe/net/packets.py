"""How large a packet the broker carries, learned from what becomes of the packets.

MQTT 5 tells the limit. MQTT 3.1.1 does not: a packet over the limit ends the connection without a word,
and at QoS 0 nothing tells that one was carried. So this counts evidence:

* a packet that was sent a while ago over a connection that still stands has proven its size;
* a connection that ends soon after a packet of unproven size makes that size suspect; when that happens
  twice in a row (a broker that was merely restarted does it once), the limit falls to a quarter of it,
  though never below what is proven.

So a refused packet costs a few reconnections, and never loops for ever. Quarters rather than halves,
because each step costs whoever is in the middle of a transfer that transfer.
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

    def sent(self, now: float, size: int) -> None:
        """A packet was handed to the socket."""
        if size > self._proven:
            self._unproven.append((now, size))

    def prove(self, now: float) -> None:
        """The connection stands, and its socket has taken everything: what went out a while ago was carried."""
        while self._unproven and now - self._unproven[0][0] >= PROOF_SECONDS:
            self._proven = max(self._proven, self._unproven.popleft()[1])
            self._losses = 0

    def told(self, packet_bytes: int) -> bool:
        """The broker told its limit for whole packets. Returns whether ours is lower now."""
        return self._lower(max(packet_bytes - PACKET_OVERHEAD, 1))

    def lost(self, *, too_large: bool) -> bool:
        """The connection ended; ``too_large``: the broker said why. Returns whether the limit is lower now."""
        suspect = max((size for _, size in self._unproven), default=0)
        self._unproven.clear()
        if not suspect:
            self._losses = 0
            return False
        self._losses += 1
        if self._losses < LOSSES_TO_CONVICT and not too_large:
            return False
        self._losses = 0
        return self._lower(max(suspect // STEP, self._proven))

    def _lower(self, limit: int) -> bool:
        if limit >= self.bytes:
            return False
        self.bytes = limit
        self._proven = min(self._proven, limit)
        return True
