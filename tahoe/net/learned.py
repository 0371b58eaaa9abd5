"""What a node has learned of its brokers, kept for its next start.

A broker that refuses large packets by hanging up costs a node a few connections until it knows how large they may be.
That is not learned anew at every start. It is forgotten when it is old, or when the configuration asks for another size
or names other brokers: the limit only ever falls, so a broker that carries more by now would never be found out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from tahoe.net.keys import replace_file

FRESH_SECONDS: Final = 7 * 86_400.0


class _File(msgspec.Struct, frozen=True):
    configured: int
    brokers: tuple[str, ...]
    packet_bytes: int
    learned: float


class LearnedLimit:
    """The packet limit that a node found its brokers to have. Its methods may block.

    Args:
        path: of the file.
        configured: bytes; the largest packet that the node would send.
        brokers: their addresses.
    """

    def __init__(self, path: Path, configured: int, brokers: Sequence[str]) -> None:
        self._path = path
        self._configured = configured
        self._brokers = tuple(brokers)

    def recall(self, now: float) -> int:
        """Bytes to begin with: those found before, or those configured. A file that can't be read tells nothing.

        Args:
            now: seconds since the epoch.
        """
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=_File)
        except (OSError, msgspec.DecodeError):
            return self._configured
        is_fresh = 0 <= now - found.learned < FRESH_SECONDS
        if not is_fresh or (found.configured, found.brokers) != (self._configured, self._brokers):
            return self._configured
        return max(1, min(found.packet_bytes, self._configured))

    def keep(self, packet_bytes: int, now: float) -> None:
        """Remember a limit found now. Errors are ``OSError``."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = _File(self._configured, self._brokers, packet_bytes, now)
        replace_file(self._path, msgspec.json.encode(content) + b"\n")
