"""A small busy run to look at: files come and go while servers crash and the broker restarts."""

from __future__ import annotations

from collections.abc import Callable

from tahoe.errors import TahoeError
from tahoe.protocol import CLIENT, Encoding
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.faults import BrokerRestart, Crash, Pause, Restart, Scheduled, Weather
from tahoe.sim.grid import SimGrid

SECONDS = 20.0

FAULTS = (
    Scheduled(1.2, Weather(("client-0", "server-1"), loss=0.1, duplicate=0.2)),
    Scheduled(1.5, Crash("server-2")),
    Scheduled(2.0, BrokerRestart(0.5)),
    Scheduled(4.0, Pause("server-3", 1.5)),
    Scheduled(5.0, Restart("server-2")),
    Scheduled(8.0, Weather(("client-0", "server-1"))),
)


def run(seed: int, show: Callable[[str], None] | None = None) -> str:
    """Run it; ``show`` is handed every line of the trace. Returns the hash of the run."""
    options = GridOptions(encoding=Encoding(2, 3, 4), traced=True)
    grid = SimGrid(seed, servers=5, clients=2, options=options)
    trace = grid.world.trace
    assert trace is not None
    trace.show = show
    grid.apply(FAULTS)
    for client, node in enumerate(grid.clients):
        grid.world.spawn(_busy(grid, client), node.running.life)
    grid.run(SECONDS)
    return trace.digest


async def _busy(grid: SimGrid, client: int) -> None:
    node = grid.clients[client]
    context = node.actor(CLIENT).ctx
    for _ in range(3):
        content = context.rng.randbytes(context.rng.choice((40, 3_000, 60_000)))
        try:
            result = await grid.store(content, client)
            grid.fleet.record("stored", node.profile.nickname, len(content), "bytes, happiness", result.happiness)
            fetched = await grid.fetch(str(result.capability), client)
            grid.fleet.record("fetched", node.profile.nickname, len(fetched), "bytes")
        except TahoeError as error:
            grid.fleet.record("failed", node.profile.nickname, type(error).__name__)
        await context.sleep(1.0)
