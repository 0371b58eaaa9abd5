"""What a node would say of itself, for views and pages."""

from __future__ import annotations

from typing import Any


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
    }
    return told | more


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
        "servers": [server(number, heard=now - 3 * number) for number in range(count)],
        "storage": {"capacity": 10**12, "available": 4 * 10**11, "accepts": 10**9, "shares": 1234, "corrupt": 0},
        "dropped": {},
        "failures": 0,
    }
    return told | more
