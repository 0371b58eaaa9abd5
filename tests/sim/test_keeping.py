"""Keeping files in whole simulated grids, the same at every fidelity, and real code and twins held to one another."""

from __future__ import annotations

import pytest

from tahoe.actors.checking import check_files
from tahoe.actors.children import NewChild
from tahoe.actors.deepkeeping import Action, Order, TreeKeeping
from tahoe.actors.keeping import KeepingDesk, KeepingTerms
from tahoe.actors.repairing import Findings, mend_file
from tahoe.actors.terms import Limits, ignore_progress
from tahoe.actors.tree import Walk
from tahoe.actors.verifying import verify_file
from tahoe.codec.capability import parse
from tahoe.protocol import CLIENT
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.faults import DiskFault, Scheduled
from tahoe.sim.grid import SimGrid
from tahoe.sim.phantom import Phantom
from tahoe.storage.faulty import Fills, Rots

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


# --- trees ------------------------------------------------------------------------------------------------------


def plant(grid, fidelity, files=5):
    """A directory with files, a literal, and a directory below it that links back; returns its cap and the files'."""
    client = grid.clients[0].actor(CLIENT)
    names = {f"file {number}": content(fidelity, 2000 + number) for number in range(files)}
    caps = {name: parse(grid.upload(data)) for name, data in names.items()}
    literal = grid.run(client.store_whole(b"short", None))
    children = {name: NewChild(cap) for name, cap in caps.items()} | {"literal": NewChild(literal)}
    below = grid.run(client.directories.create({"again": NewChild(caps["file 0"])}))
    root = grid.run(client.directories.create({**children, "below": NewChild(below)}))
    grid.run(client.directories.set_children(below, {"loop": NewChild(root)}))
    grid.run(60.0)
    return root, caps


def treat(grid, root, action, told=None, **options):
    client = grid.clients[0].actor(CLIENT)
    story = TreeKeeping(client.keeping, client.keeper, Order(action, **options))
    told = [] if told is None else told
    return grid.run(story.tree(root, Walk(client.directories, root), lambda tally: told.append(dict(tally.counts))))


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_every_object_of_a_tree_is_checked_once(fidelity):
    grid = grid_of(fidelity)
    root, _ = plant(grid, fidelity)
    tally = treat(grid, root, Action.CHECK)
    assert tally.counts["count-objects-checked"] == 7  # five files, two directories; a literal can't be lost
    assert tally.counts["count-objects-healthy"] == 7
    assert tally.problems == []


@pytest.mark.parametrize("fidelity", FIDELITIES)
@pytest.mark.parametrize("action", [Action.REPAIR, Action.VERIFY_AND_REPAIR])
def test_a_tree_is_whole_again_after_three_disks_have_died(fidelity, action):
    grid = grid_of(fidelity)
    root, caps = plant(grid, fidelity)
    empty(grid, "server-0", "server-1", "server-2")
    assert treat(grid, root, Action.CHECK).counts["count-objects-unhealthy"] > 0
    tally = treat(grid, root, action)
    assert tally.counts["count-objects-unhealthy-pre-repair"] > 0
    assert tally.counts["count-objects-unhealthy-post-repair"] == 0
    assert tally.counts["count-repairs-successful"] == tally.counts["count-repairs-attempted"]
    again = treat(grid, root, Action.VERIFY)
    assert again.counts["count-objects-healthy"] == again.counts["count-objects-checked"] == 7
    assert grid.download(str(caps["file 3"])) == content(fidelity, 2003)


def test_what_is_lost_is_named():
    grid = grid_of("message")
    root, caps = plant(grid, "message")
    index = caps["file 2"].storage_index
    for disk in grid.fleet.disks.values():
        for number in disk.store.shares(index):
            disk.platter._store.lose(index, number)
    tally = treat(grid, root, Action.CHECK)
    assert tally.counts["count-objects-unrecoverable"] == 1
    assert [problem["path"] for problem in tally.problems] == [["file 2"]]
    assert tally.problems[0]["results"]["recoverable"] is False


def test_a_round_that_was_cut_short_is_taken_up_where_it_was():
    grid = grid_of("message")
    root, _ = plant(grid, "message", files=300)
    client = grid.clients[0]
    asked = grid.network.delivered
    treat(grid, root, Action.VERIFY)
    whole = grid.network.delivered - asked

    class Stopped(Exception):
        pass

    def stop(tally):
        if tally.counts["count-objects-checked"] >= 200:
            raise Stopped

    actor = client.actor(CLIENT)
    story = TreeKeeping(actor.keeping, actor.keeper, Order(Action.VERIFY))
    with pytest.raises(Stopped):
        grid.run(story.tree(root, Walk(actor.directories, root), stop))
    grid.crash("client-0")
    grid.restart("client-0")
    grid.run(5.0)
    asked = grid.network.delivered
    tally = treat(grid, root, Action.VERIFY)
    assert tally.counts["count-objects-checked"] == 302
    assert grid.network.delivered - asked < whole / 2


def test_leases_are_added_to_all_that_is_found():
    grid = grid_of("message")
    root, caps = plant(grid, "message")
    grid.run(1000.0)
    name, index = next(iter(holders(grid, caps["file 1"].verifier()))), caps["file 1"].storage_index
    number = next(iter(grid.fleet.disks[name].store.shares(index)))
    before = grid.fleet.disks[name].store.leases(index, number)
    treat(grid, root, Action.CHECK, add_lease=True)
    after = grid.fleet.disks[name].store.leases(index, number)
    assert len(after) == len(before)
    assert after[0].expires >= before[0].expires + 900


# --- trouble on the way -------------------------------------------------------------------------------------------


def damaged(grid, fidelity="message", size=100_000):
    """A file of which three shares are gone; its cap, and its verifier."""
    capability, verifier = put(grid, fidelity, size)
    empty(grid, *list(holders(grid, verifier))[:3])
    return capability, verifier


def repair(grid, verifier):
    """The story of a check and a repair."""
    desk = desk_of(grid)

    async def story():
        _, holdings = await check_files(desk, [verifier], desk.servers())
        return await mend_file(desk, verifier, Findings(holdings), ignore_progress)

    return story()


@pytest.mark.parametrize("after", [0.005, 0.01, 0.02, 0.04, 0.08, 0.16])
def test_a_repairer_that_dies_half_way_does_no_harm_and_the_next_one_ends_it(after):
    grid = grid_of("message")
    capability, verifier = damaged(grid)
    grid.clients[0].observe(repair(grid, verifier))
    grid.run(after)
    grid.crash("client-0")
    grid.run(5.0)
    grid.restart("client-0")
    grid.run(5.0)
    assert grid.download(capability) == content("message", 100_000)
    grid.run(repair(grid, verifier))
    desk = desk_of(grid)
    (health,), _ = grid.run(check_files(desk, [verifier], desk.servers()))
    assert health.is_healthy


def test_two_who_repair_the_same_file_at_once_are_both_right():
    grid = SimGrid(7, servers=12, clients=2, options=GridOptions(fidelity="message", limits=LIMITS))
    capability, verifier = damaged(grid)
    both = []
    for client in grid.clients:
        actor = client.actor(CLIENT)
        desk = KeepingDesk(actor.ctx, actor.membership.servers, desk_of(grid).terms)

        async def story(desk=desk):
            _, holdings = await check_files(desk, [verifier], desk.servers())
            return await mend_file(desk, verifier, Findings(holdings), ignore_progress)

        both.append(client.observe(story()))
    results = [grid.run(promise) for promise in both]
    assert all(mended.after.is_healthy for mended in results)
    sizes = {
        number: {
            disk.store.read(verifier.storage_index, number, 0, 10**6)
            for disk in grid.fleet.disks.values()
            if number in disk.store.shares(verifier.storage_index)
        }
        for number in range(10)
    }
    assert all(len(copies) == 1 for copies in sizes.values())
    assert grid.download(capability) == content("message", 100_000)


@pytest.mark.parametrize("size", [20_000, 100_000])
def test_shares_that_a_full_disk_refuses_go_to_the_next_one(size):
    grid = grid_of("message")
    _, verifier = damaged(grid, size=size)
    full = next(name for name in grid.fleet.disks if name not in holders(grid, verifier))
    grid.apply((Scheduled(0.0, DiskFault(full, (Fills(),))),))
    mended = grid.run(repair(grid, verifier))
    assert mended.successful
    assert grid.node(full).name not in mended.outcome.made.values()
