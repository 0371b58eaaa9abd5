"""The running node's answers about usage and trash: for ``tahoe usage`` and ``tahoe undelete``."""

from __future__ import annotations

from typing import Any

from tahoe.actors.storage import StorageServer
from tahoe.codec import base32
from tahoe.net.incarnation import Incarnation
from tahoe.protocol import STORAGE
from tahoe.storage.leaseindex import Entry
from tahoe.web.usage import UsageOf

MOST_LISTED = 1000
"""Shares in the trash that are listed at once, oldest first."""


class UsageReport:
    """Answers of one node.

    Args:
        running: the node.
    """

    def __init__(self, running: Incarnation) -> None:
        self._running = running
        self._usage = UsageOf(running)

    async def usage(self, _words: list[str]) -> dict[str, Any]:
        """What this node's account keeps on every server, and what everybody keeps here."""
        return {"mine": await self._usage.mine(), "here": await self._usage.here()}

    async def trash(self, _words: list[str]) -> dict[str, Any]:
        """What is in the trash of this node's storage, oldest first."""
        server = self._server
        if server is None:
            return {"shares": None}
        index = server.steward.books.index
        entries = await self._running.workshop.run(index.discarded, MOST_LISTED)
        kept = index.trash()
        return {"shares": [_described(entry) for entry in entries], "count": kept.shares, "bytes": kept.bytes}

    async def undelete(self, words: list[str]) -> dict[str, Any]:
        """Bring shares back from the trash, of these storage indexes; "all": of all."""
        server = self._server
        if server is None:
            return {"restored": None}
        indexes = None if words == ["all"] else [base32.decode_strict(word) for word in words]
        return {"restored": await server.steward.undelete(indexes)}

    @property
    def _server(self) -> StorageServer | None:
        server = self._running.actors.get(STORAGE)
        return server if isinstance(server, StorageServer) else None


def _described(entry: Entry) -> dict[str, Any]:
    return {
        "storage_index": base32.encode(entry.name.storage_index),
        "number": entry.name.number,
        "kind": ("file", "slot")[entry.name.kind],
        "bytes": entry.size,
        "expired": entry.expires,
        "discarded": entry.discarded,
    }
