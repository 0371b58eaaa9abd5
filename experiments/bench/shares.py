"""What a storage directory of a million shares costs its server: ``python -m experiments.bench.shares DIRECTORY``.

Makes the directory if it is not there (a share of a file each, in a container with one lease whose end lies within some
months), and measures with the store that real nodes have: the start after a clean end, what the lease index answers, the
collection of ten thousand shares while others are read and stored, the start after a crash and (with ``--count``) the
count that follows it. The figures stand in docs/storage.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Final, TypeVar

import click

from tahoe.actors.steward import AT_A_TIME, COUNT, PORTION, QUESTION, discard_all
from tahoe.codec.container import Lease as LeaseRecord
from tahoe.protocol import Lease
from tahoe.storage.disk import DiskStore
from tahoe.storage.filesystem import RealFileSystem
from tahoe.storage.layout import INDEX_MARK, path_of
from tahoe.storage.leaseindex import FILE, Entry, ShareName
from tahoe.storage.sharefile import whole_container
from tahoe.storage.sqliteindex import LEASE_INDEX, SqliteLeaseIndex

DAY: Final = 86_400
NOW: Final = 1_800_000_000
SPREAD: Final = range(-60, 120)
"""Days, from now, in which leases end."""

T = TypeVar("T")


def index_of(number: int) -> bytes:
    """The storage index of a share made here."""
    return sha256(b"share %d" % number).digest()[:16]


def fill(root: Path, shares: int, size: int) -> None:
    """Make shares, as fast as the disk takes them: nothing is synced. The index learns of them as they come."""
    store, rng = opened(root), Random(shares)
    for number in range(shares):
        owner, day = rng.randrange(2, 50), rng.choice(SPREAD)
        record = LeaseRecord(owner, sha256(b"renew %d" % number).digest(), bytes(32), NOW + day * DAY + number % DAY)
        content = whole_container(bytes(size), (record,))
        path = root / path_of(index_of(number), 0)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        name = ShareName(FILE, index_of(number), 0)
        store.books().index.put(Entry(name, len(content), {owner: record.expires}))
    store.shut()


def opened(root: Path) -> DiskStore:
    """The store, as a node opens it."""
    return DiskStore(RealFileSystem(root), index=SqliteLeaseIndex(root / LEASE_INDEX)).open()


def timed(what: str, function: Callable[[], T]) -> T:
    """Do it, and say how long it took."""
    begin, spent = time.perf_counter(), time.thread_time()
    result = function()
    print(f"{what:60} {time.perf_counter() - begin:9.3f} s   {time.thread_time() - spent:9.3f} s of this thread")
    return result


def count(store: DiskStore) -> None:
    """Report everything to an index that can't be trusted."""
    while not store.catch_up(COUNT):
        pass


@contextmanager
def served(store: DiskStore, shares: int) -> Iterator[None]:
    """Reads and stores shares meanwhile, and says how many and how long the slowest took."""
    stop, rng = Event(), Random(7)
    times: list[float] = []

    def serve() -> None:
        while not stop.is_set():
            begin = time.perf_counter()
            number = rng.randrange(shares)
            if store.shares(index_of(number)):
                store.read(index_of(number), 0, 0, 100)
            store.store(index_of(shares + len(times)), {0: bytes(500)}, Lease(bytes(32), bytes(32)), NOW)
            times.append(time.perf_counter() - begin)

    thread = Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        times.sort()
        print(f"    meanwhile {len(times)} reads and stores: median {times[len(times) // 2] * 1000:.1f} ms,", end="")
        print(f" slowest {times[-1] * 1000:.1f} ms")


def collect(store: DiskStore, wanted: int) -> int:
    """Put as many shares into the trash as a steward would, in his portions."""
    done = 0
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        while done < wanted:
            entries = store.books().index.expiring(float("-inf"), NOW, min(QUESTION, wanted - done))
            portions = [entries[start : start + PORTION] for start in range(0, len(entries), PORTION)]
            done += sum(pool.map(lambda portion: discard_all((store, store.slots), portion, NOW), portions))
    return done


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--shares", default=1_000_000, show_default=True, help="How many.")
@click.option("--size", default=500, show_default=True, help="Bytes of each.")
@click.option("--collected", default=10_000, show_default=True, help="Shares to collect.")
@click.option("--count", "counts", is_flag=True, help="Count all shares anew at the end.")
def main(directory: Path, shares: int, size: int, collected: int, *, counts: bool) -> None:
    """Make DIRECTORY, unless it is there, and measure."""
    if not directory.exists():
        directory.mkdir()
        timed(f"make {shares} shares of {size} bytes", lambda: fill(directory, shares, size))
    store = timed("start after a clean end", lambda: opened(directory))
    index = store.books().index
    week = timed("how much expires this week", lambda: index.ending(NOW, NOW + 7 * DAY))
    print(f"    {week.shares} shares, {week.bytes} bytes")
    timed("all of them, one by one", lambda: index.expiring(NOW, NOW + 7 * DAY, shares))
    timed("the next 512 that expire", lambda: index.expiring(float("-inf"), NOW, 512))
    timed("who keeps how much", store.books().usage)
    with served(store, shares):
        timed(f"collect {collected} shares, while serving", lambda: collect(store, collected))
    trash = index.discarded(collected)
    timed("bring 100 back, durably", lambda: [store.restore(entry.name.storage_index) for entry in trash[:100]])
    timed("clean end", store.shut)
    (directory / INDEX_MARK).unlink()
    store = timed("start after a crash", lambda: opened(directory))
    if counts:
        with served(store, shares):
            timed("count everything, while serving", lambda: count(store))
    store.shut()
    file = directory / LEASE_INDEX
    print(f"the index has {file.stat().st_size} bytes, {file.stat().st_size / shares:.0f} a share")


if __name__ == "__main__":
    main()
