"""Small packets that were sent while there was no broker, kept for the moment when there is one.

A node sends its first questions as it starts, usually before it is connected; after a broker's restart all
sessions repeat themselves at longer and longer intervals. Both would wait for seconds on account of a
connection that comes in milliseconds. Only what is young is kept, and only a little: sessions repeat what
matters, and a stale packet would only be dropped by its receiver.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from tahoe.protocol import NodeId

FRESH_SECONDS: Final = 5.0
MOST_BYTES: Final = 512 * 1024


class Letter(NamedTuple):
    """A packet that waits."""

    at: float
    to: NodeId
    packet: bytes


class Outbox:
    """The youngest packets, oldest first."""

    def __init__(self) -> None:
        self._letters: deque[Letter] = deque()
        self._bytes = 0

    def put(self, letter: Letter) -> int:
        """Keep a packet. Returns how many older ones had to go for it."""
        self._letters.append(letter)
        self._bytes += len(letter.packet)
        gone = 0
        while self._bytes > MOST_BYTES or letter.at - self._letters[0].at > FRESH_SECONDS:
            self._bytes -= len(self._letters.popleft().packet)
            gone += 1
        return gone

    def take(self, now: float) -> list[Letter]:
        """Empty the box; what is still fresh is returned."""
        fresh = [letter for letter in self._letters if now - letter.at <= FRESH_SECONDS]
        self._letters.clear()
        self._bytes = 0
        return fresh
