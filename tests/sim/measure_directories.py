"""What adding to a large directory costs, and listing it: ``python -m tests.sim.measure_directories`` (a few minutes).

Bytes and simulated time of 1,000 adds, one after the other, to an empty directory and to one of 10,000 names; processor time of
a listing of 10,000 names beyond the fetching of its bytes.
"""

from __future__ import annotations

import statistics
import time

import click

from tahoe.actors.directories import NewChild
from tahoe.codec.capability import ImmutableRead
from tahoe.protocol import CLIENT
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.grid import SimGrid

ADDS, SIZE = 1000, 10_000


def child(number: int) -> NewChild:
    return NewChild(ImmutableRead(number.to_bytes(16, "big"), bytes(32), 3, 10, 1000 + number))


def directory(size: int):
    """A grid, its client, and a directory of so many names."""
    grid = SimGrid(1, clients=2, options=GridOptions(fidelity="message"))
    client = grid.clients[0].actor(CLIENT)
    children = {f"name of a file {number}": child(number) for number in range(size)}
    return grid, client, grid.run(client.directories.create(children))


def adds(size: int) -> tuple[list[int], list[float]]:
    """Bytes and seconds of each."""
    grid, client, root = directory(size)
    sizes, seconds = [], []
    for number in range(ADDS):
        before, began = grid.network.bytes_sent, grid.world.now()
        grid.run(client.directories.set_children(root, {f"new name {number}": child(number)}))
        seconds.append(grid.world.now() - began)
        grid.run(0.05)
        sizes.append(grid.network.bytes_sent - before)
    return sizes, seconds


def listing() -> tuple[float, float]:
    """Milliseconds of processor time: fetching the contents of the slot, and listing beyond that."""
    grid, _, root = directory(SIZE)
    best = {"fetch": 1e9, "list": 1e9}
    for _ in range(5):
        grid.restart("client-1")
        grid.run(5.0)
        client = grid.clients[1].actor(CLIENT)
        began = time.process_time()
        grid.run(client.slots.look(root.file), 1)
        best["fetch"] = min(best["fetch"], time.process_time() - began)
        grid.restart("client-1")
        grid.run(5.0)
        client = grid.clients[1].actor(CLIENT)
        began = time.process_time()
        found = grid.run(client.directories.list(root), 1)
        assert len(list(found)) == SIZE
        best["list"] = min(best["list"], time.process_time() - began)
    return 1000 * best["fetch"], 1000 * (best["list"] - best["fetch"])


def main() -> None:
    fetch, beyond = listing()
    click.echo(f"listing {SIZE} names: {beyond:.0f} ms of processor time beyond the {fetch:.0f} ms of fetching")
    empty, large = adds(0), adds(SIZE)
    for name, little, much in (("bytes", empty[0], large[0]), ("seconds", empty[1], large[1])):
        median = statistics.median(much) / statistics.median(little)
        mean = statistics.mean(much) / statistics.mean(little)
        click.echo(
            f"{ADDS} adds to {SIZE} names, {name}: median {median:.2f} and mean {mean:.2f} times those to none", end=""
        )
        click.echo(f" (median {statistics.median(much):.4g}, mean {statistics.mean(much):.4g}, most {max(much):.4g})")


if __name__ == "__main__":
    main()
