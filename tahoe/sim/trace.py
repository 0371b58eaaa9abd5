"""The trace of a run: what happened, in order, and a hash of all of it.

Two runs are the same run when their hashes are. The hash covers times (as ``repr`` gives them, so that
every bit counts) and the bytes of every packet; it is BLAKE2b and not Python's ``hash``, so it is the
same in any interpreter, with any ``PYTHONHASHSEED``.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any


class Trace:
    """Records what happens.

    Args:
        clock: gives the seconds of the world.

    Attributes:
        show: is handed every line, to print or keep it; None: only the hash is kept.
        nicknames: what to call nodes.
        count: how much happened.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._hash = blake2b(digest_size=16)
        self.show: Callable[[str], None] | None = None
        self.nicknames: dict[str, str] = {}
        self.count = 0

    @property
    def digest(self) -> str:
        """The hash of everything so far, in hex."""
        return self._hash.hexdigest()

    def record(self, kind: str, *facts: object) -> None:
        """Something happened. ``facts`` must print the same in every interpreter: no sets, no addresses."""
        self.count += 1
        text = " ".join(map(str, facts))
        self._hash.update(f"{self._clock()!r} {kind} {text}\n".encode())
        if self.show is not None:
            self.show(f"{self._clock():12.6f}  {kind:<10} {text}".rstrip())

    def packet(self, sender: str, to: str, channel: str, packet: Any) -> None:
        """A packet arrived: its bytes, or the size that they would have."""
        if isinstance(packet, bytes):
            self._hash.update(packet)
        size = len(packet) if isinstance(packet, bytes) else packet.size
        self.record("packet", self.name(sender), ">", self.name(to), channel, size)

    def name(self, node: str) -> str:
        """What a node is called."""
        return self.nicknames.get(node, node)
