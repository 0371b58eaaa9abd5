"""What a node would say of itself, for views and pages."""

from __future__ import annotations

from typing import Any, Final

DAY: Final = 86_400.0


def history(**more: float | None) -> dict[str, float | None]:
    """How a server has behaved, as a status tells of it."""
    return {"response": 0.018, "answers": 240.0, "failures": 0.0, "lies": 0.0, "availability": 0.987} | more


def server(number: int, **more: Any) -> dict[str, Any]:
    """One server as a status tells of it."""
    told = {
        "node": f"v0-server{number}",
        "nickname": f"server{number}",
        "location": "attic/shelf/box",
        "online": True,
        "capacity": 10**12,
        "available": 3 * 10**11,
        "software": "tahoe-grid/0.1.0",
        "protocol_versions": [1, 1],
        "epoch": 1,
        "round_trip": 0.012,
        "heard": 1_700_000_000.0,
        "leaving": False,
        "history": history(),
    }
    return told | more


def storage_of_a_server(**more: Any) -> dict[str, Any]:
    """What a node keeps for others, as its status tells of it."""
    told = {
        "capacity": 10**12,
        "available": 4 * 10**11,
        "accepts": 10**9,
        "shares": 1234,
        "bytes": 5 * 10**11,
        "corrupt": 0,
        "trash": 5 * 10**10,
        "counted": True,
        "sizelimit": 10**12,
        "reserved_space": 10**9,
        "readonly": False,
        "keep_expired": 180 * DAY,
        "keep_trash": 14 * DAY,
    }
    return told | more


def account(name: str, size: int, **more: Any) -> dict[str, Any]:
    """Somebody who keeps something, as a server's books tell of him."""
    told = {"account": name, "bytes": size, "shares": 7, "quota": None, "pooled": True, "pool_bytes": 0, "nickname": ""}
    return told | more


class Books:
    """What a node's books tell: of two friends on this server, and of this node on all of them."""

    async def mine(self) -> list[dict[str, Any]]:
        """See ``Bookkeeper``."""
        told = [{"server": f"server{number}", "node": f"v0-server{number}", "problem": ""} for number in range(3)]
        told[2]["problem"] = "did not answer within 8 s"
        return [each | account("v0-client", 10**9 * (number + 1), quota=10**11) for number, each in enumerate(told)]

    async def here(self) -> dict[str, Any]:
        """See ``Bookkeeper``."""
        sizes = [2 * 10**10, 10**9, 0, 5 * 10**9, 3 * 10**11, 10**10, 0]
        moments = [None, *range(6), None]
        return {
            "counted": True,
            "time": 0.0,
            "leases": [
                {"from": moments[number], "to": moments[number + 1], "bytes": size, "shares": size // 10**8}
                for number, size in enumerate(sizes)
            ],
            "trash": {"bytes": 5 * 10**10, "shares": 12},
            "pool": 10**12,
            "accounts": [
                account("v0-aliceaaaaaaaaaaa", 3 * 10**11, quota=4 * 10**11, pooled=False, nickname="alice"),
                account("v0-bobbbbbbbbbbbbbb", 10**11, quota=10**12, pool_bytes=98 * 10**10),
                account("", 10**9),
            ],
        }


HISTORIES: Final = (
    history(),
    history(failures=40.0, availability=0.5),
    history(lies=0.8),
    history(response=None, answers=0.0, availability=None),
)


def status_of_a_grid(now: float, count: int = 4, **more: Any) -> dict[str, Any]:
    """The state of a node in a grid of 2 of 4."""
    told = {
        "now": now,
        "node": {
            "id": "v0-client",
            "nickname": "kitchen",
            "location": "home",
            "roles": ["client"],
            "software": "tahoe-grid/0.1.0",
            "protocol_versions": [1],
            "started": now - 7200,
        },
        "gateway": None,
        "grid": {"id": "grid", "name": "friends", "encoding": [2, 3, 4], "problem": ""},
        "brokers": [{"url": "mqtts://broker.example", "connected": True, "since": now - 7000, "problem": ""}],
        "introducers": [
            {"node": "v0-introducer", "nickname": "hub", "connected": True, "since": now - 7000, "problem": ""}
        ],
        "servers": [server(number, heard=now - 3 * number, history=HISTORIES[number % 4]) for number in range(count)],
        "storage": storage_of_a_server(),
        "dropped": {},
        "failures": 0,
    }
    return told | more
