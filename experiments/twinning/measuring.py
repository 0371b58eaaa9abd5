"""Measuring: the laws of this machine, found with the live twin while nothing is wrong with it.

Files that are stored in one piece and in four, small and large, are put and fetched, and every process's clock of processor time
is read before and after. The simulator, doing the same, counts packets and bytes. What an operation cost is then so many
packets, so many bytes, and so many requests, and the costs of one of each are the least squares that are not negative
(Lawson and Hanson 1974). Others use the machine, too, so work takes longer than its processor time: by how much, the same
lessons tell when the simulator takes them under the laws found. The plan that is held against reality afterwards has other codes, more servers at a time and faults.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from experiments.framework.extras import extra
from experiments.twinning.laws import Laws
from experiments.twinning.live import LiveTwin
from experiments.twinning.ping import hops
from experiments.twinning.plan import GET, PUT, Operation
from experiments.twinning.processes import processor_seconds
from experiments.twinning.simulated import SimulatedTwin
from tahoe.actors import coding
from tahoe.codec.parameters import EncodingParameters
from tahoe.protocol import Encoding, Lease
from tahoe.sim.labour import Account
from tahoe.sim.prices import price_of
from tahoe.storage.disk import DiskStore
from tahoe.storage.filesystem import RealFileSystem

QUANTILES = 40
LITERAL, SMALL, LARGE = 40, 10_000, 3_000_000
DRIVER = "driver"


class Lesson(NamedTuple):
    """Operations of one sort, done one after the other: they differ in contents only."""

    kind: str
    size: int
    pieces: int
    repeats: int

    @property
    def encoding(self) -> Encoding:
        """In how many pieces, each of which is the whole file."""
        return Encoding(1, 1, self.pieces)

    def operations(self) -> list[Operation]:
        """What is done."""
        return [
            Operation("lesson", self.kind, 0, self.size, f"lesson {self.size} {self.pieces} {number}")
            for number in range(self.repeats)
        ]


def lessons(effort: int) -> list[Lesson]:
    """Small and large files in one piece and in four; and files that their capability holds, for which nobody is asked."""
    sorts = [(LITERAL, 1, 4 * effort), (SMALL, 1, 2 * effort), (SMALL, 4, 2 * effort), (LARGE, 1, 4), (LARGE, 4, 4)]
    return [Lesson(kind, size, pieces, count) for size, pieces, count in sorts for kind in (PUT, GET)]


class Observation(NamedTuple):
    """Of one lesson, for one of its operations: seconds, processor time by kind of process, and what was handled."""

    lesson: Lesson
    seconds: float
    spent: dict[str, float]
    handled: dict[str, Account]


def measure(live: LiveTwin, seed: int, servers: int, effort: int) -> Laws:
    """The laws of the machine that the live twin runs on."""
    processes = live.grid.process_ids()
    waits = asyncio.run(hops(live.broker, processes["broker"], 20 * effort))
    laws = Laws(
        cores=len(os.sched_getaffinity(0)),
        hop=tuple(statistics.quantiles(waits, n=QUANTILES)),
        pace=pace(),
        sync=sync_seconds(live.grid.plan.root, 6),
    )
    counting = SimulatedTwin(replace(laws, hop=(0.0,)), seed, servers)
    counting.wait(5.0)
    seen = [_observe(live, counting, lesson) for lesson in lessons(effort)]
    fitted = _fitted(laws, seen, _farewell(live))
    return replace(fitted, stretch=_stretch(fitted, seen, seed, servers))


def _observe(live: LiveTwin, counting: SimulatedTwin, lesson: Lesson) -> Observation:
    processes = live.grid.process_ids()
    before = {kind: processor_seconds(ids) for kind, ids in processes.items()} | {DRIVER: time.process_time()}
    took = [live.perform(operation, lesson.encoding).seconds for operation in lesson.operations()]
    after = {kind: processor_seconds(ids) for kind, ids in processes.items()} | {DRIVER: time.process_time()}
    accounts = counting.accounts()
    for operation in lesson.operations():
        counting.perform(operation, lesson.encoding)
    handled = {
        kind: _each(accounts.get(kind, Account()), account, lesson.repeats)
        for kind, account in counting.accounts().items()
    }
    spent = {kind: (after[kind] - before[kind]) / lesson.repeats for kind in before}
    return Observation(lesson, statistics.median(took), spent, handled)


def _each(before: Account, after: Account, count: int) -> Account:
    return Account(
        round((after.packets - before.packets) / count),
        round((after.bytes_handled - before.bytes_handled) / count),
        (after.computed - before.computed) / count,
    )


# --- fitting ----------------------------------------------------------------------------------------------------------


def _fitted(laws: Laws, seen: Sequence[Observation], farewell: float) -> Laws:
    broker = least_squares([[*_handled(each, "broker")] for each in seen], [each.spent["broker"] for each in seen])
    server = least_squares(
        [[*_handled(each, "server"), _stores(each.lesson)] for each in seen],
        [each.spent["server"] - each.handled["server"].computed for each in seen],
    )
    client = least_squares(
        [[*_handled(each, "client"), *_request(each.lesson)] for each in seen],
        [each.spent["client"] + each.spent[DRIVER] - each.handled["client"].computed for each in seen],
    )
    literal = [each for each in seen if each.lesson.size == LITERAL]
    waits = [each.seconds - each.spent["client"] - each.spent[DRIVER] for each in literal]
    return replace(
        laws,
        broker_packet=broker[0],
        broker_byte=broker[1],
        server_packet=server[0],
        server_byte=server[1],
        store=server[2],
        client_packet=client[0],
        client_byte=client[1],
        put=client[2],
        put_byte=client[3],
        get=client[4],
        get_byte=client[5],
        request_wait=max(0.0, statistics.fmean(waits)),
        farewell=farewell,
    )


def _stretch(laws: Laws, seen: Sequence[Observation], seed: int, servers: int) -> float:
    """How much longer the lessons took than the laws say, in the middle; processor time is not all that they take."""
    twin = SimulatedTwin(laws, seed, servers)
    twin.wait(5.0)
    ratios = []
    for each in seen:
        operations = each.lesson.operations()
        seconds = statistics.median(twin.perform(operation, each.lesson.encoding).seconds for operation in operations)
        waits = laws.request_wait + (laws.sync if _stores(each.lesson) else 0.0)
        if each.seconds > waits and seconds > waits:
            ratios.append((each.seconds - waits) / (seconds - waits))
    return statistics.median(ratios)


def _handled(observation: Observation, kind: str) -> tuple[float, float]:
    account = observation.handled.get(kind, Account())
    return account.packets, account.bytes_handled


def _stores(lesson: Lesson) -> float:
    return lesson.pieces if lesson.kind == PUT and lesson.size > LITERAL else 0


def _request(lesson: Lesson) -> tuple[float, float, float, float]:
    return (1, lesson.size, 0, 0) if lesson.kind == PUT else (0, 0, 1, lesson.size)


def least_squares(features: list[list[float]], costs: list[float]) -> list[float]:
    """Costs of one of each feature, none below zero; lessons count by how far off the sum is in proportion."""
    numpy, optimize = extra("numpy"), extra("scipy.optimize")
    known = [(row, cost) for row, cost in zip(features, costs, strict=True) if cost > 0 and any(row)]
    weighed = numpy.array([[value / cost for value in row] for row, cost in known], dtype=float)
    scale = weighed.max(axis=0)
    scale[scale == 0] = 1.0
    found, _ = optimize.nnls(weighed / scale, numpy.ones(len(known)))
    return [float(value) for value in found / scale]


# --- single laws ------------------------------------------------------------------------------------------------------


def pace() -> float:
    """How many times as long as the list of prices says it takes to code a megabyte."""
    data = os.urandom(2**20)
    parameters = EncodingParameters.of(len(data), 3, 10)
    times = []
    for _ in range(7):
        bench = coding.begin_file(parameters, b"k" * 16)
        began = time.process_time()
        coding.encode_segment(bench, data)
        times.append(time.process_time() - began)
    return statistics.median(times) / price_of(coding.encode_segment).work((data,))


def sync_seconds(root: Path, at_once: int) -> float:
    """How long a store waits for the disk until a small share is durable, when others wait, too."""
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        stores = [DiskStore(RealFileSystem(Path(scratch) / str(number))).open() for number in range(at_once)]
        with ThreadPoolExecutor(at_once) as pool:
            waits = [wait for turn in range(9) for wait in pool.map(_waited, stores, [turn] * at_once)]
        for store in stores:
            store.shut()
    return statistics.median(waits)


def _waited(store: DiskStore, turn: int) -> float:
    file = coding.encode_small(EncodingParameters.of(SMALL, 1, 1), bytes([turn]) * 16, os.urandom(SMALL))
    began, worked = time.perf_counter(), time.thread_time()
    store.store(bytes([turn]) * 16, {0: file.shares[0]}, Lease(b"r" * 32, b"c" * 32), 0.0)
    return time.perf_counter() - began - (time.thread_time() - worked)


def _farewell(live: LiveTwin) -> float:
    """From the end of a server's process until the client knows of it."""
    (victim, *_), all_servers = live.grid.server_names, live.grid.servers_seen()
    live.grid.kill([victim])
    began = time.perf_counter()
    while live.grid.servers_seen() == all_servers:
        if time.perf_counter() - began > 10:
            raise RuntimeError("the client does not notice that a server has gone")
    seconds = time.perf_counter() - began
    live.grid.start_nodes([victim])
    return seconds
