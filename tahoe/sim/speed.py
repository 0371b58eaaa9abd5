"""How quick the simulator is, as figures and as a ratio to a bare heap.

Machines differ, so what counts is the ratio: messages per second divided by pushes and pops per second of
a bare ``heapq`` in the same run. Seconds are those of the processor.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from random import Random
from typing import Any, NamedTuple

from tahoe.actors.storage import Upkeep
from tahoe.protocol import CLIENT, STORAGE, Address, HaveShares, SharesHeld
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.grid import SimGrid
from tahoe.sim.phantom import Phantom
from tahoe.sim.world import settle_memory

HEAP_ENTRIES = 1000
HEAP_ROUNDS = 300_000
NEIGHBOURS = 10
"""How many servers a client asks at once."""
PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class Load:
    """What is measured.

    Args:
        clients: that work at once, each one thing after the other.
        servers: to work with.
        uploads: in all.
        size: of a file, in bytes.
        asks: in all, for the rate of messages alone.
    """

    clients: int = 100
    servers: int = 1000
    uploads: int = 10_000
    size: int = 100_000
    asks: int = 200_000


SNUG = Load(clients=1, servers=10, asks=100_000)
"""A world whose nodes fit into a processor's caches: what the same code does when it need not wait for memory."""


class Figures(NamedTuple):
    """What came of it: processor seconds, packets that arrived, and seconds simulated."""

    seconds: float
    messages: int
    simulated: float

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.messages / self.seconds


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


def large_grid(load: Load) -> SimGrid:
    """A grid at phantom fidelity whose clients know everybody from the start and whose servers just serve."""
    options = GridOptions(fidelity="phantom", introducers=0, acquainted=True, upkeep=Upkeep(0.0, 0.0, 0.0))
    grid = SimGrid("speed", load.servers, load.clients, options)
    settle_memory()
    return grid


def measure_asks(grid: SimGrid, load: Load) -> Figures:
    """Questions that cost their servers nothing: what sessions, network and stories take."""
    _run(grid, [_asks(grid, client, 1) for client in range(load.clients)])  # shakes hands
    rounds = load.asks // load.clients // NEIGHBOURS
    return _run(grid, [_asks(grid, client, rounds) for client in range(load.clients)])


def measure_uploads(grid: SimGrid, load: Load) -> Figures:
    """Whole uploads of phantoms, first handshakes included."""
    count = load.uploads // load.clients
    return _run(grid, [_uploads(grid, client, count, load.size) for client in range(load.clients)])


def _run(grid: SimGrid, stories: list[Coroutine[Any, Any, None]]) -> Figures:
    messages, simulated = grid.network.delivered, grid.world.now()
    begun = time.process_time()
    for ending in [node.observe(story) for node, story in zip(grid.clients, stories, strict=True)]:
        grid.run(ending)
    seconds = time.process_time() - begun
    return Figures(seconds, grid.network.delivered - messages, grid.world.now() - simulated)


async def _asks(grid: SimGrid, client: int, rounds: int) -> None:
    """Ask a few servers, all at once, again and again."""
    ctx = grid.clients[client].actor(CLIENT).ctx
    servers = [grid.servers[(client * NEIGHBOURS + number) % len(grid.servers)] for number in range(NEIGHBOURS)]
    addresses = [Address(server.name, STORAGE) for server in servers]
    answers = ctx.queue()
    for _ in range(rounds):
        for address in addresses:
            ctx.ask_into(answers, address, address, HaveShares(()), timeout=PATIENCE)
        for _ in addresses:
            _, answer = await answers.get(PATIENCE)
            assert isinstance(answer, SharesHeld), answer


async def _uploads(grid: SimGrid, client: int, count: int, size: int) -> None:
    for number in range(count):
        await grid.store(Phantom(size, f"file {client}.{number}"), client)
