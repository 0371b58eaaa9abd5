"""Processes that share cores, and packets that cost them time."""

from __future__ import annotations

import pytest

from tahoe.protocol import Encoding
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.grid import SimGrid
from tahoe.sim.labour import Cores, Labour, Process, Toll
from tahoe.sim.laws import Fixed
from tahoe.sim.prices import Price
from tahoe.sim.wire import Access, Link
from tahoe.sim.world import World

NO_WAY_AT_ALL = Access(Link(Fixed(0.0)), Link(Fixed(0.0)))


def run(count: int, *jobs: tuple[int, float]) -> list[tuple[float, int]]:
    """When each piece of work was done, and by which process."""
    world = World(1)
    cores = Cores(world, count)
    processes = [Process(cores) for _ in range(3)]
    done: list[tuple[float, int]] = []
    for number, seconds in jobs:
        processes[number].work(seconds, lambda number=number: done.append((world.now(), number)))
    world.run(1000.0)
    return done


def test_a_process_does_one_thing_after_the_other_however_many_cores_there_are():
    assert run(0, (0, 1.0), (0, 2.0), (1, 1.5)) == [(1.0, 0), (1.5, 1), (3.0, 0)]


def test_processes_without_a_core_wait_and_take_turns():
    assert run(1, (0, 1.0), (0, 1.0), (1, 1.0), (2, 1.0)) == [(1.0, 0), (2.0, 1), (3.0, 2), (4.0, 0)]
    assert run(2, (0, 1.0), (1, 1.0), (2, 1.0)) == [(1.0, 0), (1.0, 1), (2.0, 2)]


def test_cores_are_never_idle_while_there_is_work():
    jobs = [(number % 3, 0.5) for number in range(30)]
    assert run(2, *jobs)[-1][0] == pytest.approx(30 * 0.5 / 2)


def download_seconds(labour: Labour, size: int = 30_000) -> float:
    options = GridOptions(access=lambda _: NO_WAY_AT_ALL, encoding=Encoding(1, 1, 1), labour=labour)
    grid = SimGrid(1, servers=1, options=options)
    capability = grid.upload(b"x" * size)
    grid.download(capability)  # so that all know each other
    began = grid.world.now()
    grid.download(capability)
    return grid.world.now() - began


FREE_WORK = {name: Price(call=0.0) for name in ("read_shares", "decode_stretch", "begin_reading")}


def test_a_question_and_its_answer_pass_three_processors_each():
    tolls = {"client": Toll(0.01), "broker": Toll(0.001), "server": Toll(0.1)}
    assert download_seconds(Labour(tolls=tolls, prices=FREE_WORK)) == pytest.approx(2 * (0.01 + 0.001 + 0.1), rel=1e-6)


def test_bytes_are_paid_for_by_each_who_handles_them():
    without = download_seconds(Labour(prices=FREE_WORK))
    tolls = {"client": Toll(byte=1e-5), "broker": Toll(byte=1e-5), "server": Toll(byte=1e-5)}
    with_tolls = download_seconds(Labour(tolls=tolls, prices=FREE_WORK))
    assert 3 * 30_000 * 1e-5 < with_tolls - without < 3 * 32_000 * 1e-5


def test_a_price_of_the_place_stands_above_the_general_one():
    slow = Labour(prices=FREE_WORK | {"read_shares": Price(call=0.5, wait=2.0)})
    assert download_seconds(slow) - download_seconds(Labour(prices=FREE_WORK)) == pytest.approx(2.5, rel=1e-6)


def test_fewer_cores_make_a_grid_slower_and_nothing_else():
    tolls = dict.fromkeys(("client", "server", "broker"), Toll(0.001))
    times = []
    for cores in (1, 2, 0):
        options = GridOptions(encoding=Encoding(3, 7, 10), labour=Labour(cores=cores, tolls=tolls))
        grid = SimGrid(1, options=options)
        began = grid.world.now()
        assert grid.download(grid.upload(b"the same bytes" * 999)) == b"the same bytes" * 999
        times.append(grid.world.now() - began)
    assert times == sorted(times, reverse=True)
    assert times[0] > 1.3 * times[2]


def test_a_node_that_stands_still_handles_what_came_when_it_goes_on():
    labour = Labour(tolls={"server": Toll(0.001)})
    grid = SimGrid(1, servers=1, options=GridOptions(encoding=Encoding(1, 1, 1), labour=labour))
    capability = grid.upload(b"patience" * 100)
    began = grid.world.now()
    grid.fleet.pause("server-0", 2.0)
    assert grid.download(capability) == b"patience" * 100
    assert 2.0 <= grid.world.now() - began < 3.0


def test_a_crash_voids_what_was_in_its_hands():
    labour = Labour(tolls={"server": Toll(0.5)})
    grid = SimGrid(1, servers=3, options=GridOptions(encoding=Encoding(1, 1, 3), labour=labour))
    capability = grid.upload(b"elsewhere" * 100)
    grid.world.after(0.7, grid.crash, "server-0")
    assert grid.download(capability) == b"elsewhere" * 100
    grid.restart("server-0")
    grid.run(30.0)
    assert grid.download(capability) == b"elsewhere" * 100
