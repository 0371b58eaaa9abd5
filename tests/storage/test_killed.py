"""A process that is killed in the middle of collecting leaves no share lost that was wanted, and an index that comes true."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tahoe.storage.disk import DiskStore
from tahoe.storage.filesystem import RealFileSystem
from tahoe.storage.sqliteindex import LEASE_INDEX, SqliteLeaseIndex
from tests.storage.samples import NOW, index, lease

ROOT = Path(__file__).parents[2]
VICTIM = """
import sys
from itertools import count
from pathlib import Path
from tahoe.storage import sqliteindex
from tahoe.storage.disk import DiskStore
from tahoe.storage.filesystem import RealFileSystem
from tests.storage.samples import NOW, PERIOD, index, lease

sqliteindex.COMMIT_EVERY = 5
root, first = Path(sys.argv[1]), int(sys.argv[2])
store = DiskStore(RealFileSystem(root), index=sqliteindex.SqliteLeaseIndex(root / sqliteindex.LEASE_INDEX)).open()
for number in count(first):
    here, at = index(number), NOW + number
    store.store(here, {0: b"share %d" % number}, lease(number), at)
    print("stored", number, flush=True)
    if number % 2:
        store.discard(here, 0, int(at) + PERIOD, at)
    if number % 4 == 3:
        print("purging", number, flush=True)
        store.purge(here, 0)
    if number % 8 == 1:
        store.add_lease(here, lease(number), 1, at + 7)
        print("renewed", number, flush=True)
    if number % 16 == 2:
        store.cancel_lease(here, lease(number).cancel_secret, at)
"""


def opened(root: Path) -> DiskStore:
    return DiskStore(RealFileSystem(root), index=SqliteLeaseIndex(root / LEASE_INDEX)).open()


def killed_after(root: Path, first: int, lines: int) -> list[tuple[str, int]]:
    """Let a process live until it has said so much, and kill it; return what it said."""
    command = [sys.executable, "-c", VICTIM, str(root), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as victim:
        said = [victim.stdout.readline() for _ in range(lines)]
        victim.send_signal(signal.SIGKILL)
        said += victim.stdout.readlines()
    return [(word, int(number)) for word, number in (line.split() for line in said if line.endswith("\n"))]


def told(store: DiskStore):
    """All that an index says."""
    books = store.books().index
    return books.expiring(0, 2**40, 10_000), books.discarded(10_000), books.live(), books.trash(), books.owners()


@pytest.mark.parametrize("damage", ["none", "deleted", "truncated"])
def test_a_kill_while_collecting_loses_nothing_wanted_and_the_index_comes_true(tmp_path, damage):
    chance, first = Random(damage), 0
    for _ in range(3):
        said = killed_after(tmp_path, first, 40 + chance.randrange(40))
        file = tmp_path / LEASE_INDEX
        if damage == "deleted":
            file.unlink()
        elif damage == "truncated":
            file.write_bytes(file.read_bytes()[: chance.randrange(9000)])
        store = opened(tmp_path)
        while not store.catch_up(100):
            pass
        fresh = DiskStore(RealFileSystem(tmp_path)).open()
        assert told(store) == told(fresh), "what the index says is what a fresh count finds"
        renewed = {number for word, number in said if word == "renewed"}
        purged = {number for word, number in said if word == "purging"}
        for number in (number for word, number in said if word == "stored" and number not in purged):
            if number in renewed:
                assert store.leases(index(number), 0), "what was renewed is out of the trash"
            store.restore(index(number))
            assert store.read(index(number), 0, 0, 100) == b"share %d" % number
        assert store.add_lease(index(said[0][1]), lease(), 1, NOW) in {0, 1}
        store.shut()
        first = max(number for _, number in said) + 1
