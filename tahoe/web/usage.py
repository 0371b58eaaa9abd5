"""Who keeps how much where, as plain facts: for ``tahoe usage``, ``/storage`` and the storage page. JSON-able.

*Mine* is what the node's own account keeps on every server; *here* is what everybody keeps on this node, if it is a
server. Times are seconds since the epoch by the server's own time, sizes bytes; a quota of null is none.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from tahoe.actors.client import Client
from tahoe.actors.leases import usage_by_server
from tahoe.actors.membership import Membership
from tahoe.actors.storage import StorageServer
from tahoe.net.incarnation import Incarnation
from tahoe.policy.lease import DAY
from tahoe.policy.quota import UNLIMITED
from tahoe.protocol import CLIENT, MEMBER, STORAGE, AccountUsage, Space, UsageTold
from tahoe.storage.leaseindex import LeaseIndex

WEEKS: Final = 5
"""Weeks that are told one by one: a lease lasts 31 days."""

_NEVER: Final = float("inf")


class UsageOf:
    """Tells of one running node."""

    def __init__(self, running: Incarnation) -> None:
        self._running = running

    async def mine(self) -> list[dict[str, Any]] | None:
        """Ask every server what this node's account keeps there; None for a node that is no client."""
        client = self._running.actors.get(CLIENT)
        if not isinstance(client, Client):
            return None
        servers = client.membership.servers()
        told = await usage_by_server(client.ctx, servers)
        return [
            {"server": server.label, "node": server.node, **_mine_on(told[server.node])}
            for server in sorted(servers, key=lambda each: each.label)
        ]

    async def here(self) -> dict[str, Any] | None:
        """What everybody keeps on this node, and until when; None for a node that is no server."""
        server = self._running.actors.get(STORAGE)
        if not isinstance(server, StorageServer):
            return None
        told, pool = server.steward.usage_of_all(), server.steward.books.allowances.pool
        index, now = server.steward.books.index, server.steward.now()
        ends = await self._running.workshop.run(_ends, index, now)
        return {
            "counted": index.complete,
            "time": now,
            "week": ends[1]["kept"],
            "collectable": ends[0]["kept"],
            "leases": [{"from": each["from"], "to": each["to"], **each["kept"]} for each in ends],
            "space": _space(told.space),
            "trash": index.trash()._asdict(),
            "pool": None if pool == UNLIMITED else pool,
            "accounts": [{**_account(each), "nickname": self._nickname(each.account)} for each in told.accounts],
        }

    def _nickname(self, account: str) -> str:
        """What the node calls itself whose account this is; empty if it is no node's that we know."""
        member = self._running.actors.get(MEMBER)
        if not isinstance(member, Membership):
            return ""
        return next((said.nickname for said in member.announcements() if said.node == account), "")


def _ends(index: LeaseIndex, now: float) -> list[dict[str, Any]]:
    """How much it is whose leases have ended, end in each of the next weeks, and end later."""
    moments = [-_NEVER, *(int(now + week * 7 * DAY) for week in range(WEEKS + 1)), _NEVER]
    return [
        {"from": _moment(begin), "to": _moment(end), "kept": index.ending(begin + 1, end)._asdict()}
        for begin, end in pairwise(moments)  # leases end with a whole second, and each in one stretch only
    ]


def _moment(time: float) -> float | None:
    return time if abs(time) < _NEVER else None


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
