"""How quick the simulator is, as figures and as a ratio to a bare heap.

Machines differ, so what counts is the ratio: messages per second divided by pushes and pops per second of
a bare ``heapq`` in the same run.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from random import Random
from typing import NamedTuple

from tahoe.actors.storage import Upkeep
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.grid import SimGrid
from tahoe.sim.phantom import Phantom
from tahoe.sim.world import settle_memory

HEAP_ENTRIES = 1000
HEAP_ROUNDS = 300_000


@dataclass(frozen=True, slots=True)
class Load:
    """What is measured.

    Args:
        clients: that upload at once, one file after the other.
        servers: to upload to.
        uploads: in all.
        size: of a file, in bytes.
    """

    clients: int = 100
    servers: int = 1000
    uploads: int = 10_000
    size: int = 100_000


class Figures(NamedTuple):
    """What came of it. ``ratio`` is messages per push and pop of a bare heap."""

    building: float
    running: float
    messages: int
    simulated: float
    heap: float

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.messages / self.running

    @property
    def ratio(self) -> float:
        """Messages for each push and pop of a bare heap."""
        return self.rate / self.heap


def heap_rate() -> float:
    """Pushes and pops per second of a bare heap of a thousand entries."""
    rng = Random(1)
    heap = [(rng.random(), number) for number in range(HEAP_ENTRIES)]
    heapify(heap)
    steps = [rng.random() for _ in range(1000)] * (HEAP_ROUNDS // 1000)
    begun = time.process_time()
    for number, step in enumerate(steps):
        heappush(heap, (heap[0][0] + step, number))
        heappop(heap)
    return HEAP_ROUNDS / (time.process_time() - begun)


def measure(load: Load) -> Figures:
    """Build a large grid at phantom fidelity and let its clients upload."""
    heap = heap_rate()
    begun = time.process_time()
    grid = large_grid(load)
    settle_memory()
    built = time.process_time()
    before = grid.network.delivered
    started = grid.world.now()
    stories = [
        node.observe(_uploads(grid, number, load.uploads // load.clients, load.size))
        for number, node in enumerate(grid.clients)
    ]
    for story in stories:
        grid.run(story)
    running = time.process_time() - built
    return Figures(built - begun, running, grid.network.delivered - before, grid.world.now() - started, heap)


def large_grid(load: Load) -> SimGrid:
    """A grid whose clients know everybody from the start and whose servers have nothing to do by themselves."""
    options = GridOptions(fidelity="phantom", introducers=0, acquainted=True, upkeep=Upkeep(0.0, 0.0, 0.0))
    return SimGrid("speed", load.servers, load.clients, options)


async def _uploads(grid: SimGrid, client: int, count: int, size: int) -> None:
    for number in range(count):
        await grid.store(Phantom(size, f"file {client}.{number}"), client)
