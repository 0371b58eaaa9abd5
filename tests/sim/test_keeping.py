"""Keeping files in whole simulated grids, the same at every fidelity, and real code and twins held to one another."""

from __future__ import annotations

import pytest

from tahoe.actors.checking import check_files
from tahoe.actors.keeping import KeepingDesk, KeepingTerms
from tahoe.actors.repairing import Findings, mend_file
from tahoe.actors.terms import Limits, ignore_progress
from tahoe.actors.verifying import verify_file
from tahoe.codec.capability import parse
from tahoe.protocol import CLIENT
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.faults import DiskFault, Scheduled
from tahoe.sim.grid import SimGrid
from tahoe.sim.phantom import Phantom
from tahoe.storage.faulty import Rots

FIDELITIES = ["wire", "message", "phantom"]
LIMITS = Limits(segment=30_000, small=100_000)
SIZES = pytest.mark.parametrize("size", [20_000, 100_000])


def grid_of(fidelity, servers=12):
    return SimGrid(7, servers=servers, options=GridOptions(fidelity=fidelity, limits=LIMITS))


def desk_of(grid):
    client = grid.clients[0].actor(CLIENT)
    terms = KeepingTerms(client.terms.lease_master, LIMITS)
    return KeepingDesk(client.ctx, client.membership.servers, lambda: terms)


def content(fidelity, size):
    return Phantom(size, "file") if fidelity == "phantom" else bytes(byte * 7 % 251 for byte in range(size))


def put(grid, fidelity, size):
    capability = grid.upload(content(fidelity, size))
    return capability, parse(capability).verifier()


def empty(grid, *names):
    """These servers' disks die, and they come back with new ones."""
    grid.crash(*names)
    grid.restart(*names, empty_disk=True)
    grid.run(5.0)


def holders(grid, verifier):
    return {
        name: tuple(disk.store.shares(verifier.storage_index))
        for name, disk in grid.fleet.disks.items()
        if disk.store.shares(verifier.storage_index)
    }


@pytest.mark.parametrize("fidelity", FIDELITIES)
@SIZES
def test_disks_that_died_are_made_up_for(fidelity, size):
    grid = grid_of(fidelity)
    capability, verifier = put(grid, fidelity, size)
    before = holders(grid, verifier)
    empty(grid, *list(before)[:7])
    desk = desk_of(grid)
    (health,), holdings = grid.run(check_files(desk, [verifier], desk.servers()))
    assert len(health.good) == 3
    mended = grid.run(mend_file(desk, verifier, Findings(holdings), ignore_progress))
    assert mended.successful
    assert mended.after.happiness == 10
    survivors = list(before)[:3]
    grid.crash(*(name for name in holders(grid, verifier) if name not in survivors and name not in list(before)[:4]))
    found = grid.download(capability)
    assert found == content(fidelity, size)


@pytest.mark.parametrize("fidelity", FIDELITIES)
@SIZES
def test_rot_is_found_and_its_server_replaces_the_share(fidelity, size):
    grid = grid_of(fidelity)
    capability, verifier = put(grid, fidelity, size)
    rotten = next(iter(holders(grid, verifier)))
    grid.apply((Scheduled(0.0, DiskFault(rotten, (Rots(),))),))
    desk = desk_of(grid)
    found = grid.run(verify_file(desk, verifier, desk.servers()))
    assert [grid.node(rotten).name] == [each.node for each in found.health.corrupt]
    mended = grid.run(mend_file(desk, verifier, Findings(found.holdings, found.flaws), ignore_progress))
    assert mended.outcome.attempted
    assert len(mended.after.good) >= 9
    assert grid.download(capability) == content(fidelity, size)


def test_a_phantom_repair_sends_as_many_bytes_as_a_real_one():
    sent = {}
    for fidelity in ("message", "phantom"):
        grid = grid_of(fidelity)
        _, verifier = put(grid, fidelity, 100_000)
        empty(grid, *list(holders(grid, verifier))[:2])
        desk = desk_of(grid)
        _, holdings = grid.run(check_files(desk, [verifier], desk.servers()))
        mended = grid.run(mend_file(desk, verifier, Findings(holdings), ignore_progress))
        sent[fidelity] = (mended.outcome.pushed, len(mended.outcome.made))
    assert sent["message"] == sent["phantom"]
