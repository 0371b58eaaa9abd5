"""Leases over simulated months in whole grids: what is renewed stays, what is not goes when room is short, clocks or no clocks."""

from __future__ import annotations

import pytest

from tahoe.actors.storage import Upkeep
from tahoe.codec.capability import parse
from tahoe.policy.lease import DAY, CollectionTerms
from tahoe.protocol import CLIENT, STORAGE
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.disks import MemoryPlatter, VolatilePlatter
from tahoe.sim.grid import SimGrid

TERMS = CollectionTerms(grace=40 * DAY, window=5 * DAY, headroom=0.0)


def grid_of(platter=MemoryPlatter) -> SimGrid:
    upkeep = Upkeep(idle_upload=DAY, sweep_every=DAY / 4, scrub_every=0)
    options = GridOptions("message", platter=platter, upkeep=upkeep, collection=TERMS, introducers=0, acquainted=True)
    return SimGrid(3, servers=10, options=options)


def put(grid, seed: int) -> tuple[str, bytes]:
    """Store a file; return its capability and storage index."""
    capability = grid.upload(bytes((seed * byte) % 251 for byte in range(20_000)))
    return capability, parse(capability).storage_index


def renew(grid, storage_index: bytes) -> int:
    """What a client's caretaker does; return on how many servers shares are leased now."""
    client = grid.clients[0].actor(CLIENT)
    servers = [server.node for server in client.membership.servers()]
    return len(grid.run(client.keeper.renew({node: [storage_index] for node in servers})))


def holders(grid, storage_index: bytes) -> int:
    return sum(bool(disk.store.shares(storage_index)) for disk in grid.fleet.disks.values())


def server_times(grid) -> list[float]:
    return [node.actor(STORAGE).steward.now() for node in grid.servers]


@pytest.mark.parametrize("platter", [MemoryPlatter, VolatilePlatter])
def test_what_is_renewed_stays_and_what_is_not_goes_after_its_grace(platter):
    grid = grid_of(platter)
    (wanted, kept), (_, forgotten) = put(grid, 3), put(grid, 5)
    for _ in range(8):
        grid.run(10 * DAY)
        assert renew(grid, kept)
    assert holders(grid, forgotten) == 0
    assert holders(grid, kept) == 10
    assert len(grid.download(wanted)) == 20_000


def test_a_server_that_is_killed_and_off_for_months_comes_back_with_everything_in_time_to_be_renewed():
    grid = grid_of(VolatilePlatter)
    _, kept = put(grid, 3)
    grid.run(20 * DAY)
    before = server_times(grid)
    names = [f"server-{number}" for number in range(10)]
    grid.crash(*names, power=True)
    grid.run(300 * DAY)
    grid.restart(*names)
    grid.run(DAY)
    assert all(0 <= after - sooner < 3 * DAY for after, sooner in zip(server_times(grid), before, strict=True))
    grid.run(30 * DAY)
    assert holders(grid, kept) == 10
    assert renew(grid, kept)
