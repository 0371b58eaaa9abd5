"""Whole simulated grids: files come back at every fidelity, and faults do what they say."""

from __future__ import annotations

import gc
import weakref

import pytest

from tahoe.errors import NotEnoughServers, NotEnoughShares, TahoeError
from tahoe.protocol import CLIENT, MEMBER, STORAGE, Address, Encoding, HaveShares
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.disks import VolatilePlatter
from tahoe.sim.faults import (
    BrokerRestart,
    ClockFault,
    Crash,
    DiskFault,
    Heal,
    Partition,
    Pause,
    Restart,
    Scheduled,
    Weather,
)
from tahoe.sim.grid import SimGrid
from tahoe.sim.laws import Fixed
from tahoe.sim.phantom import Phantom
from tahoe.sim.wire import Access, Link
from tahoe.storage.faulty import Fills, Forgets, Rots, Slows

FIDELITIES = pytest.mark.parametrize("fidelity", ["wire", "message", "phantom"])
DATA = bytes(byte * 7 % 251 for byte in range(5000))
SEVEN_SERVERS = [f"server-{number}" for number in range(7)]
EIGHT_SERVERS = [f"server-{number}" for number in range(8)]


@FIDELITIES
@pytest.mark.parametrize("size", [0, 55, 56, 5000, 3_000_000])
def test_a_file_comes_back_at_every_fidelity_also_in_parts(fidelity, size):
    grid = SimGrid(1, options=GridOptions(fidelity=fidelity))
    data = bytes(byte * 7 % 251 for byte in range(251)) * (size // 251 + 1)
    data = data[:size]
    capability = grid.upload(data)
    assert grid.download(capability) == data
    assert grid.download(capability, offset=size // 3, length=100) == data[size // 3 :][:100]


def test_all_fidelities_send_the_same_messages_at_the_same_times():
    runs = []
    for fidelity in ("wire", "message"):
        grid = SimGrid(1, options=GridOptions(fidelity=fidelity))
        grid.download(grid.upload(DATA))
        runs.append((grid.world.now(), grid.network.delivered, grid.network.bytes_sent))
    assert runs[0] == runs[1]


def test_a_phantom_file_weighs_on_the_network_what_a_real_one_would():
    sizes = []
    for fidelity, data in (("message", DATA * 100), ("phantom", Phantom(len(DATA) * 100, "file"))):
        grid = SimGrid(1, options=GridOptions(fidelity=fidelity))
        before = grid.network.bytes_sent
        grid.upload(data)
        sizes.append(grid.network.bytes_sent - before)
    assert abs(sizes[0] - sizes[1]) < 0.001 * sizes[0]


@FIDELITIES
def test_any_three_of_ten_servers_give_the_file_back_and_two_do_not(fidelity):
    grid = SimGrid(2, options=GridOptions(fidelity=fidelity))
    capability = grid.upload(DATA)
    grid.crash(*SEVEN_SERVERS)
    assert grid.download(capability) == DATA
    grid.crash("server-7")
    with pytest.raises(NotEnoughShares) as caught:
        grid.download(capability)
    assert (caught.value.found, caught.value.needed) == (2, 3)
    grid.restart(*EIGHT_SERVERS)
    grid.run(5.0)
    assert grid.download(capability) == DATA


def test_a_phantom_share_that_rots_is_found_out_and_another_takes_its_place():
    grid = SimGrid(3, options=GridOptions(fidelity="phantom"))
    data = Phantom(1_000_000, "file")  # no server keeps so much of a share in memory
    capability = grid.upload(data)
    grid.apply(tuple(Scheduled(0.0, DiskFault(server, (Rots(),))) for server in SEVEN_SERVERS))
    assert grid.download(capability) == data
    grid.apply((Scheduled(0.0, DiskFault("server-8", (Rots(),))),))
    with pytest.raises(NotEnoughShares):
        grid.download(capability)


def test_an_upload_without_enough_servers_says_so_and_works_when_they_are_back():
    grid = SimGrid(4)
    grid.crash(*SEVEN_SERVERS)
    grid.run(5.0)
    with pytest.raises(NotEnoughServers):
        grid.upload(DATA)
    grid.restart(*SEVEN_SERVERS)
    grid.run(5.0)
    assert grid.download(grid.upload(DATA)) == DATA


def test_the_real_store_keeps_an_acknowledged_file_through_a_power_cut():
    grid = SimGrid(5, options=GridOptions(platter=VolatilePlatter))
    capability = grid.upload(DATA)
    servers = [f"server-{number}" for number in range(10)]
    grid.crash(*servers, power=True)
    grid.restart(*servers)
    grid.run(5.0)
    assert grid.download(capability) == DATA


def test_an_empty_disk_has_forgotten_its_shares():
    grid = SimGrid(6, servers=3, options=GridOptions(encoding=Encoding(3, 3, 3)))
    capability = grid.upload(DATA)
    grid.restart("server-0", empty_disk=True)
    grid.run(5.0)
    with pytest.raises(NotEnoughShares):
        grid.download(capability)


def test_a_client_restarted_without_introducers_still_knows_its_servers():
    grid = SimGrid(7)
    capability = grid.upload(DATA)
    grid.crash("introducer-0")
    grid.restart("client-0")
    grid.run(5.0)
    assert grid.download(capability) == DATA


# --- faults -----------------------------------------------------------------------------------------------


def ask(grid, server=0, timeout=5.0):
    """Ask a server something, and return when it answered."""
    ctx = grid.clients[0].actor(CLIENT).ctx
    grid.run(ctx.ask(Address(grid.servers[server].name, STORAGE), HaveShares(()), timeout=timeout))
    return grid.world.now()


def unanswered(grid, server=0):
    try:
        ask(grid, server)
    except TahoeError:
        return True
    return False


def now(grid, *faults):
    grid.apply(tuple(Scheduled(0.0, fault) for fault in faults))
    grid.run(0.01)


def test_a_partition_cuts_both_ways_or_one_and_heals():
    grid = SimGrid(8, servers=2)
    ask(grid)
    now(grid, Partition("split", ("client-0",), ("server-0",), one_way=False))
    assert unanswered(grid, 0)
    assert not unanswered(grid, 1)
    now(grid, Heal("split"))
    assert not unanswered(grid, 0)
    now(grid, Partition("one way", ("server-0",), ("client-0",), one_way=True))
    assert unanswered(grid, 0)


def test_a_paused_server_answers_when_it_goes_on():
    grid = SimGrid(9, servers=1)
    ask(grid)
    now(grid, Pause("server-0", 3.0))
    begun = grid.world.now()
    assert ask(grid, timeout=10.0) - begun > 2.9


def test_a_server_that_crashes_while_it_is_paused_comes_back_clean():
    grid = SimGrid(10, servers=1)
    ask(grid)
    now(grid, Pause("server-0", 3.0), Crash("server-0"), Restart("server-0"))
    grid.run(1.0)
    assert not unanswered(grid)
    grid.run(5.0)
    assert not unanswered(grid)


def test_bad_weather_is_survived_and_ends():
    grid = SimGrid(11, servers=3, options=GridOptions(encoding=Encoding(2, 3, 3)))
    nodes = tuple(grid.fleet.nodes)
    now(grid, Weather(nodes, loss=0.2, duplicate=0.3, reorder=0.3, delay=0.1))
    assert grid.download(grid.upload(DATA)) == DATA
    for trouble in ("lost", "duplicated", "reordered"):
        assert grid.network.counters[trouble] > 0
    now(grid, Weather(nodes))
    before = dict(grid.network.counters)
    ask(grid)
    assert dict(grid.network.counters) == before


def test_a_clock_jumps_and_drifts_but_time_outs_do_not_care():
    grid = SimGrid(12, servers=1)
    node = grid.servers[0]
    before = node.wall_time()
    now(grid, ClockFault("server-0", offset=3600.0, rate=0.5))
    grid.run(10.0)
    assert node.wall_time() - before == pytest.approx(3600.0 + 0.01 + 15.0, abs=0.02)
    assert not unanswered(grid)


def test_a_full_disk_takes_nothing_until_there_is_room_again():
    grid = SimGrid(13, servers=3, options=GridOptions(encoding=Encoding(1, 3, 3)))
    now(grid, DiskFault("server-0", (Fills(),), seconds=60.0))
    with pytest.raises(NotEnoughServers):
        grid.upload(DATA)
    grid.run(60.0)
    assert grid.download(grid.upload(DATA)) == DATA


def test_a_slow_disk_delays_its_answers_in_simulated_time():
    grid = SimGrid(14, servers=1, options=GridOptions(encoding=Encoding(1, 1, 1)))
    capability = grid.upload(DATA)
    now(grid, DiskFault("server-0", (Slows(seconds=2.0, verbs=("read",)),), seconds=0.0))
    begun = grid.world.now()
    assert grid.download(capability) == DATA
    assert grid.world.now() - begun > 2.0


@pytest.mark.parametrize("size", [100_000, 4_000_000])
def test_a_file_comes_down_a_line_on_which_one_answer_takes_longer_than_a_server_is_waited_for(size):
    line = Access(up=Link(Fixed(0.02)), down=Link(Fixed(0.02), 15_000.0))
    options = GridOptions(fidelity="phantom", access=lambda name: line if name == "client-1" else Access())
    grid = SimGrid(21, servers=10, clients=2, options=options)
    capability = grid.upload(Phantom(size, "a film"))
    begun = grid.world.now()
    assert grid.download(capability, client=1) == Phantom(size, "a film")
    assert size / 15_000.0 < grid.world.now() - begun < 3 * size / 15_000.0


def test_a_server_that_lies_about_storing_has_nothing_later():
    grid = SimGrid(15, servers=1, options=GridOptions(encoding=Encoding(1, 1, 1)))
    now(grid, DiskFault("server-0", (Forgets(),), seconds=30.0))
    capability = grid.upload(DATA)
    grid.run(30.0)
    with pytest.raises(NotEnoughShares):
        grid.download(capability)


def test_a_broker_restart_loses_what_was_under_way_and_everything_goes_on():
    slow = Access(Link(Fixed(0.2)), Link(Fixed(0.2)))
    grid = SimGrid(16, options=GridOptions(access=lambda _: slow))
    grid.apply((Scheduled(grid.world.now() + 0.5, BrokerRestart(2.0)),))
    assert grid.download(grid.upload(DATA)) == DATA
    assert grid.network.counters["broker lost"] > 0


# --- the grid itself ----------------------------------------------------------------------------------------


def test_the_others_forget_a_crashed_node_and_its_next_incarnation_has_a_greater_epoch():
    grid = SimGrid(17, servers=2)
    epochs = [grid.servers[0].epoch]
    now(grid, ClockFault("server-0", offset=-86400.0))
    grid.crash("server-0")
    grid.run(1.0)
    assert grid.clients[0].running.presence(grid.servers[0].name) is False
    grid.restart("server-0")
    grid.run(1.0)
    epochs.append(grid.servers[0].epoch)
    assert epochs == sorted(set(epochs))
    assert grid.clients[0].running.presence(grid.servers[0].name) is True


def test_acquainted_clients_need_no_introducer_and_a_large_grid_is_built_at_once():
    options = GridOptions(fidelity="message", introducers=0, acquainted=True)
    grid = SimGrid(18, servers=200, clients=5, options=options)
    assert grid.world.now() < 2.0
    assert all(len(node.actor(MEMBER).servers()) == 200 for node in grid.clients)
    assert grid.download(grid.upload(DATA)) == DATA


def test_a_world_ends_with_its_grid():
    grid = SimGrid(19, servers=1)
    ended = []

    async def endless(ctx):
        try:
            await ctx.sleep(1e9)
        finally:
            ended.append("unwound")
            await ctx.sleep(1.0)

    grid.world.spawn(endless(grid.clients[0].actor(CLIENT).ctx), grid.clients[0].running.life)
    grid.run(1.0)
    reference = weakref.ref(grid)
    del grid
    gc.collect()
    assert reference() is None
    assert ended == ["unwound"]
