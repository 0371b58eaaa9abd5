"""What a node says of its state, to programs at ``/status`` and to ``tahoe status``: plain facts, JSON-able.

Times are seconds since the epoch, sizes bytes. ``online`` is true, false, or null for "the network does not tell".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tahoe.actors.history import Historian
from tahoe.actors.membership import Membership
from tahoe.actors.storage import StorageServer
from tahoe.errors import BadConfiguration
from tahoe.net.incarnation import Incarnation
from tahoe.protocol import HISTORIAN, MEMBER, PROTOCOL_VERSIONS, STORAGE, Announcement, Encoding, NodeId
from tahoe.session.statement import open_announcement


class StatusOf:
    """Tells the state of a running node whenever it is called."""

    def __init__(self, running: Incarnation) -> None:
        self._running = running
        self._started = time.time()

    async def __call__(self) -> dict[str, Any]:
        """Return the state as of now."""
        running = self._running
        member = running.actors[MEMBER]
        assert isinstance(member, Membership)
        return {
            "now": time.time(),
            "node": self._node(),
            "gateway": _gateway(running.papers.directory.url),
            "grid": self._grid(member),
            "brokers": self._brokers(),
            "introducers": self._introducers(member),
            "servers": [self._server(said) for said in member.announcements() if STORAGE in said.roles],
            "storage": await self._storage(),
            "dropped": dict(running.endpoint.counters),
            "failures": len(running.failures),
        }

    def _node(self) -> dict[str, Any]:
        said = open_announcement(self._running.endpoint.announcement)
        return {
            "id": said.node,
            "nickname": said.nickname or self._running.papers.directory.path.name,
            "location": said.location,
            "roles": list(said.roles),
            "software": said.software,
            "protocol_versions": list(PROTOCOL_VERSIONS),
            "started": self._started,
        }

    def _grid(self, member: Membership) -> dict[str, Any]:
        card = self._running.papers.card
        encoding, problem = _encoding(member.encoding)
        numbers = None if encoding is None else [encoding.needed, encoding.happy, encoding.total]
        return {"id": card.grid_id, "name": card.name, "encoding": numbers, "problem": problem}

    def _brokers(self) -> list[dict[str, Any]]:
        """Of several brokers one is in use; the others stand by."""
        state = self._running.transport.state
        idle = {"connected": False, "since": None, "problem": "stands by"}
        return [
            state._asdict() if entry.url == state.url else {"url": entry.url, **idle}
            for entry in self._running.papers.card.brokers
        ]

    def _introducers(self, member: Membership) -> list[dict[str, Any]]:
        names = {entry.node: entry.nickname for entry in self._running.papers.card.introducers}
        return [status._asdict() | {"nickname": names.get(status.node, "")} for status in member.introducers()]

    def _server(self, said: Announcement) -> dict[str, Any]:
        return {
            "node": said.node,
            "nickname": said.nickname or said.node[:12],
            "location": said.location,
            "online": self._running.presence(said.node),
            "capacity": said.capacity,
            "available": said.available,
            "software": said.software,
            "protocol_versions": list(said.protocol_versions),
            "epoch": said.epoch,
            "round_trip": self._running.endpoint.round_trip(said.node),
            "heard": self._heard(said.node),
            "leaving": said.leaving,
            "history": self._history(said.node),
        }

    def _history(self, node: NodeId) -> dict[str, float | None] | None:
        """How a server has answered this node's downloads, and how much of the time it was there; counts fade."""
        historian = self._running.actors.get(HISTORIAN)
        if not isinstance(historian, Historian):
            return None
        record = historian.history.record(node)
        return {
            "response": historian.history.expected(node),
            "answers": record.answers,
            "failures": record.failures,
            "lies": record.lies,
            "availability": historian.uptime.availability(node, time.time()),
        }

    def _heard(self, node: NodeId) -> float | None:
        """When the node last said something to us, in seconds since the epoch."""
        heard = self._running.endpoint.heard(node)
        return None if heard is None else time.time() - (asyncio.get_running_loop().time() - heard)

    async def _storage(self) -> dict[str, Any] | None:
        server = self._running.actors.get(STORAGE)
        if not isinstance(server, StorageServer):
            return None
        space = await self._running.workshop.run(server.store.space)
        index, limits = server.steward.books.index, self._running.papers.config.storage
        live = index.live()
        return {
            "capacity": space.capacity,
            "available": space.available,
            "accepts": space.accepts,
            "shares": space.shares,
            "bytes": None if live is None else live.bytes,
            "corrupt": len(server.corrupt),
            "trash": index.trash().bytes,
            "counted": index.complete,
            "sizelimit": int(limits.sizelimit) or None,
            "reserved_space": int(limits.reserved_space),
            "readonly": limits.readonly,
            "keep_expired": float(limits.keep_expired),
            "keep_trash": float(limits.keep_trash),
        }


def _encoding(ask: Callable[[], Encoding]) -> tuple[Encoding | None, str]:
    try:
        return ask(), ""
    except BadConfiguration as error:
        return None, str(error)


def _gateway(url_file: Path) -> str | None:
    return url_file.read_text().strip() if url_file.exists() else None
