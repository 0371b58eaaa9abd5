"""The running node's answers about usage and trash: for ``tahoe usage`` and ``tahoe undelete``."""

from __future__ import annotations

from typing import Any

from tahoe.actors.client import Client
from tahoe.actors.leases import usage_by_server
from tahoe.actors.membership import Membership
from tahoe.actors.storage import StorageServer
from tahoe.codec import base32
from tahoe.net.incarnation import Incarnation
from tahoe.policy.lease import DAY
from tahoe.protocol import CLIENT, MEMBER, STORAGE, AccountUsage, Space, UsageTold
from tahoe.storage.leaseindex import Entry

MOST_LISTED = 1000
"""Shares in the trash that are listed at once, oldest first."""


class UsageReport:
    """Answers of one node.

    Args:
        running: the node.
    """

    def __init__(self, running: Incarnation) -> None:
        self._running = running

    async def usage(self, _words: list[str]) -> dict[str, Any]:
        """What this node's account keeps on every server, and what everybody keeps here."""
        return {"mine": await self._mine(), "here": await self._here()}

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

    async def _mine(self) -> list[dict[str, Any]] | None:
        client = self._running.actors.get(CLIENT)
        if not isinstance(client, Client):
            return None
        servers = client.membership.servers()
        told = await usage_by_server(client.ctx, servers)
        return [
            {"server": server.label, **_mine_on(told[server.node])}
            for server in sorted(servers, key=lambda each: each.label)
        ]

    async def _here(self) -> dict[str, Any] | None:
        server = self._server
        if server is None:
            return None
        told = server.steward.usage_of_all()
        index, now = server.steward.books.index, server.steward.now()
        trash = index.trash()
        week = await self._running.workshop.run(index.ending, now, now + 7 * DAY)
        collectable = await self._running.workshop.run(index.ending, float("-inf"), now)
        return {
            "counted": index.complete,
            "time": now,
            "week": week._asdict(),
            "collectable": collectable._asdict(),
            "space": _space(told.space),
            "trash": {"bytes": trash.bytes, "shares": trash.shares},
            "accounts": [{**_account(each), "nickname": self._nickname(each.account)} for each in told.accounts],
        }

    def _nickname(self, account: str) -> str:
        """What the node calls itself whose account this is; empty if it is no node's that we know."""
        member = self._running.actors.get(MEMBER)
        if not isinstance(member, Membership):
            return ""
        return next((said.nickname for said in member.announcements() if said.node == account), "")


def _mine_on(told: UsageTold | Exception) -> dict[str, Any]:
    if isinstance(told, Exception):
        return {"problem": str(told)}
    (mine,) = told.accounts
    return {"problem": "", **_account(mine), "space": _space(told.space)}


def _account(usage: AccountUsage) -> dict[str, Any]:
    return {
        "account": usage.account,
        "bytes": usage.bytes,
        "shares": usage.shares,
        "quota": None if usage.quota < 0 else usage.quota,
        "pooled": usage.pooled,
        "pool_bytes": usage.pool_bytes,
    }


def _space(space: Space) -> dict[str, int]:
    return {"capacity": space.capacity, "available": space.available, "accepts": space.accepts, "shares": space.shares}


def _described(entry: Entry) -> dict[str, Any]:
    return {
        "storage_index": base32.encode(entry.name.storage_index),
        "number": entry.name.number,
        "kind": ("file", "slot")[entry.name.kind],
        "bytes": entry.size,
        "expired": entry.expires,
        "discarded": entry.discarded,
    }
