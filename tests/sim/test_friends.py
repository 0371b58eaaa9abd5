"""Slots and directories in whole simulated grids: sessions, losses, doubled packets, crashes and dead brokers included."""

from __future__ import annotations

import statistics

import pytest

from tahoe.actors.directories import NewChild
from tahoe.codec.capability import ImmutableRead
from tahoe.errors import Indefinite, TahoeError
from tahoe.protocol import CLIENT, Encoding
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.disks import VolatilePlatter
from tahoe.sim.faults import BrokerRestart, Crash, Restart, Scheduled, Weather
from tahoe.sim.grid import SimGrid
from tahoe.sim.laws import Uniform
from tahoe.sim.wire import Access, Link

FIDELITIES = pytest.mark.parametrize("fidelity", ["wire", "message", "phantom"])


def file(number: int) -> NewChild:
    return NewChild(ImmutableRead(number.to_bytes(16, "big"), bytes(32), 3, 10, 1000 + number))


def client(grid: SimGrid, number: int = 0):
    return grid.clients[number].actor(CLIENT)


def names(grid: SimGrid, directory, number: int = 0) -> list[str]:
    return list(grid.run(client(grid, number).directories.list(directory), number))


@FIDELITIES
def test_slots_and_directories_work_at_every_fidelity(fidelity):
    grid = SimGrid(1, clients=2, options=GridOptions(fidelity=fidelity))
    slot = grid.run(client(grid).slots.create(b"contents" * 10_000))
    grid.run(client(grid, 1).slots.update(slot, 3, b"!"), 1)
    assert grid.run(client(grid).slots.read(slot)).data == b"con!ents" + b"contents" * 9999
    root = grid.run(client(grid).directories.create({"file": file(1)}))
    grid.run(client(grid, 1).directories.mkdir(root, "below"), 1)
    assert names(grid, root) == ["below", "file"]


@FIDELITIES
def test_an_immutable_directory_is_kept_as_a_file(fidelity):
    grid = SimGrid(1, clients=2, options=GridOptions(fidelity=fidelity))
    made = grid.run(client(grid).directories.create_immutable({"a": file(1), "b": file(2)}, b"convergence"))
    assert str(made).startswith("URI:DIR2-CHK:")
    assert names(grid, made, 1) == ["a", "b"]


def test_equal_immutable_directories_are_one_capability_whenever_and_by_whomever_they_are_made():
    grid = SimGrid(1, clients=2)
    children = {"a": file(1)._replace(metadata={"mtime": 1.5}), "b": file(2)}
    made = grid.run(client(grid).directories.create_immutable(children, b"convergence"))
    grid.run(100.0)
    again = client(grid, 1).directories.create_immutable(dict(reversed(children.items())), b"convergence")
    assert grid.run(again, 1) == made
    assert grid.run(client(grid).directories.list(made))["a"].metadata == {"mtime": 1.5}
    assert grid.run(client(grid).directories.create_immutable(children, b"another")) != made


@pytest.mark.parametrize("seed", range(4))
def test_five_friends_edit_one_directory_while_packets_are_lost_and_doubled_and_servers_come_and_go(seed):
    options = GridOptions(fidelity="wire" if seed % 2 else "message", platter=VolatilePlatter)
    grid = SimGrid(seed, clients=5, options=options)
    root = grid.run(client(grid).directories.create())
    everybody = tuple(grid.fleet.nodes)
    now = grid.world.now()
    grid.apply(
        (
            Scheduled(now + 0.1, Weather(everybody, loss=0.1, duplicate=0.1, reorder=0.1)),
            Scheduled(now + 0.5, Crash("server-1", power=True)),
            Scheduled(now + 1.0, Crash("server-2")),
            Scheduled(now + 3.0, BrokerRestart(2.0)),
            Scheduled(now + 6.0, Restart("server-1")),
            Scheduled(now + 7.0, Restart("server-2")),
        )
    )
    done: dict[str, None] = {}

    async def edit(number: int) -> None:
        for step in range(5):
            name = f"{number}-{step}"
            try:
                await client(grid, number).directories.set_children(root, {name: file(step)})
            except Indefinite:
                continue
            done[name] = None
            await client(grid, number).ctx.sleep(1.0)

    promises = [grid.clients[number].observe(edit(number)) for number in range(5)]
    for promise in promises:
        grid.run(promise)
    grid.apply((Scheduled(grid.world.now(), Weather(everybody)),))
    grid.run(30.0)
    found = names(grid, root, 3)
    assert set(done) <= set(found), "every acknowledged edit is there"
    assert len(done) >= 20


@pytest.mark.parametrize("step", range(12))
def test_a_client_that_dies_between_any_two_steps_of_a_move_loses_nothing(step):
    grid = SimGrid(1, clients=2, options=GridOptions(fidelity="message"))
    directories = client(grid).directories
    source, target = grid.run(directories.create({"old": file(1)})), grid.run(directories.create())
    grid.run(1.0)
    grid.clients[0].observe(directories.move(source, "old", target, "new"))
    grid.run(0.002 * step)
    grid.crash("client-0")
    grid.run(1.0)
    here, there = names(grid, source, 1), names(grid, target, 1)
    assert (here, there) in ((["old"], []), (["old"], ["new"]), ([], ["new"]))
    grid.restart("client-0")
    grid.run(5.0)
    if here:
        grid.run(client(grid).directories.move(source, "old", target, "new"))
    assert (names(grid, source, 1), names(grid, target, 1)) == ([], ["new"])


def test_what_was_acknowledged_outlives_a_power_cut_of_all_servers():
    grid = SimGrid(1, clients=2, options=GridOptions(fidelity="message", platter=VolatilePlatter))
    root = grid.run(client(grid).directories.create())
    for number in range(5):
        grid.run(client(grid).directories.set_children(root, {f"{number}": file(number)}))
    servers = [name for name in grid.fleet.nodes if name.startswith("server")]
    grid.crash(*servers, power=True)
    grid.run(1.0)
    grid.restart(*servers)
    grid.run(5.0)
    assert names(grid, root, 1) == [f"{number}" for number in range(5)]


def test_a_broker_that_is_down_makes_edits_fail_and_nothing_worse():
    grid = SimGrid(1, clients=1, options=GridOptions(fidelity="message"))
    root = grid.run(client(grid).directories.create())
    grid.network.stop_broker()
    with pytest.raises(TahoeError):
        grid.run(client(grid).directories.set_children(root, {"a": file(1)}))
    grid.network.start_broker()
    grid.run(30.0)
    grid.run(client(grid).directories.set_children(root, {"b": file(1)}))
    assert names(grid, root) in (["a", "b"], ["b"])


def _cost_of_adds(size: int, adds: int) -> tuple[list[int], list[float]]:
    """Bytes and seconds of every add to a directory."""
    grid = SimGrid(1, clients=1, options=GridOptions(fidelity="message"))
    root = grid.run(
        client(grid).directories.create({f"name of a file {number}": file(number) for number in range(size)})
    )
    sizes, seconds = [], []
    for number in range(adds):
        before, began = grid.network.bytes_sent, grid.world.now()
        grid.run(client(grid).directories.set_children(root, {f"new name {number}": file(number)}))
        seconds.append(grid.world.now() - began)
        grid.run(0.05)
        sizes.append(grid.network.bytes_sent - before)
    return sizes, seconds


def test_adding_to_ten_thousand_costs_what_adding_to_nothing_costs():
    small, large = _cost_of_adds(0, 100), _cost_of_adds(10_000, 100)
    for little, much in zip(small, large, strict=True):
        assert statistics.median(much) <= 1.5 * statistics.median(little)
        assert statistics.mean(much) <= 2 * statistics.mean(little)
    assert statistics.median(large[0]) < 30_000


@pytest.mark.parametrize("seed", [5, 6, 12])
def test_friends_who_take_so_many_positions_from_one_another_that_nothing_is_whole_lose_nothing(seed):
    """With three of five shares, five writers at one moment leave fewer than three of any version."""
    line = Link(Uniform(0.01, 0.1))
    options = GridOptions("message", Encoding(3, 3, 5), access=lambda _: Access(line, line))
    grid = SimGrid(seed, servers=5, clients=5, options=options)
    root = grid.run(client(grid).directories.create({"before": file(1)}))
    for number in range(5):
        names(grid, root, number)
    edits = [client(grid, number).directories.set_children(root, {f"{number}": file(number)}) for number in range(5)]
    promises = [grid.clients[number].observe(edit) for number, edit in enumerate(edits)]
    for promise in promises:
        grid.run(promise)
    assert names(grid, root, 3) == ["0", "1", "2", "3", "4", "before"]


def test_slots_have_no_more_than_half_of_their_shares_as_k_so_that_a_change_which_stops_half_way_tears_nothing():
    grid = SimGrid(1, servers=4, options=GridOptions("message", Encoding(4, 4, 4)))
    slot = grid.run(client(grid).slots.create(b"contents"))
    version = grid.run(client(grid).slots.look(slot)).known.version
    assert (version.shape.needed, version.shape.total, version.shape.quorum) == (2, 4, 3)


@pytest.mark.parametrize("seed", range(4))
def test_changes_of_different_parts_of_a_slot_at_one_moment_all_stay(seed):
    line = Link(Uniform(0.01, 0.1))
    grid = SimGrid(seed, clients=4, options=GridOptions("message", access=lambda _: Access(line, line)))
    slot = grid.run(client(grid).slots.create(bytes(400)))
    for number in range(4):
        grid.run(client(grid, number).slots.read(slot), number)
    changes = [client(grid, number).slots.update(slot, 100 * number, bytes([number + 1]) * 100) for number in range(4)]
    promises = [grid.clients[number].observe(change) for number, change in enumerate(changes)]
    for promise in promises:
        grid.run(promise)
    assert grid.run(client(grid).slots.read(slot)).data == b"".join(bytes([number + 1]) * 100 for number in range(4))
