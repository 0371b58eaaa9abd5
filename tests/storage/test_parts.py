"""The small parts of the stores: spans, pieces, pools, folders, names, accounts of room."""

from __future__ import annotations

from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.errors import NoSpace, Refused
from tahoe.storage.books import Books
from tahoe.storage.content import Pieces
from tahoe.storage.filesystem import DiskSpace, VolatileFileSystem
from tahoe.storage.folders import Folders
from tahoe.storage.layout import folder_of, indexes_in, numbers_in, path_of, prefixes_in
from tahoe.storage.leaseindex import FILE, Entry, MemoryLeaseIndex, ShareName
from tahoe.storage.pool import Pool
from tahoe.storage.room import Room
from tahoe.storage.spans import Spans
from tahoe.storage.store import StoreOptions
from tests.storage.samples import content, index

RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=20)


@given(RANGES, st.integers(0, 40), st.integers(0, 12))
def test_spans_are_a_set_of_positions(ranges, start, length):
    spans, model = Spans(), set()
    for begin, size in ranges:
        spans.add(begin, begin + size)
        model |= set(range(begin, begin + size))
        assert len(spans) == len(model)
        assert set(range(spans.prefix)) <= model
        assert spans.prefix not in model
    overlaps = spans.overlaps(start, start + length)
    covered = [position for begin, end in overlaps for position in range(begin, end)]
    assert covered == sorted(model & set(range(start, start + length)))


@given(RANGES)
def test_pieces_put_together_what_was_written_in_any_order(ranges):
    data, pieces, model = content(1, 60), Pieces(), set()
    for start, size in ranges:
        new = set(range(start, start + size)) - model
        assert pieces.write(start, data[start : start + size]) == len(new)
        model |= new
        assert (pieces.whole(52) == data[:52]) == (model == set(range(52)))


def test_pieces_refuse_other_bytes_and_then_change_nothing():
    pieces = Pieces()
    pieces.write(2, b"234")
    with pytest.raises(Refused, match="bytes 2 to 5"):
        pieces.write(0, b"01x3456")
    pieces.write(0, b"01")
    assert pieces.whole(5) == b"01234"


class Thing:
    def __init__(self, key) -> None:
        self.key = key
        self.closed = False

    def close(self) -> None:
        assert not self.closed
        self.closed = True


def test_a_pool_opens_once_and_closes_the_least_recently_used():
    things = []
    pool = Pool(lambda key: things.append(Thing(key)) or things[-1], most=2)
    for key in (1, 2, 1, 3, 1, 2):
        with pool.use(key) as thing:
            assert not thing.closed
            assert thing.key == key
    assert [(thing.key, thing.closed) for thing in things] == [(1, False), (2, True), (3, True), (2, False)]
    pool.clear()
    assert all(thing.closed for thing in things)


def test_a_pool_never_closes_what_is_in_use():
    pool = Pool(Thing, most=1)
    with pool.use(1) as first, pool.use(1) as same, pool.use(2):
        assert first is same
        pool.forget(2)
        pool.forget(1)
        assert not first.closed
        with pool.use(1) as fresh:
            assert fresh is not first
    assert first.closed
    assert not fresh.closed


def test_two_threads_that_open_the_same_get_one():
    opening, go, found = Event(), Event(), []

    def open_slowly(key):
        thing = Thing(key)
        found.append(thing)
        if len(found) == 1:
            opening.set()
            assert go.wait(10)
        return thing

    pool = Pool(open_slowly, most=4)
    used = []

    def work():
        with pool.use(1) as thing:
            used.append(thing)

    slow = Thread(target=work)
    slow.start()
    assert opening.wait(10)
    work()
    go.set()
    slow.join()
    assert used == [found[1], found[1]]
    assert [thing.closed for thing in found] == [True, False]


def test_folders_are_synced_once_and_only_where_new():
    disk = VolatileFileSystem()
    folders = Folders(disk)
    for path in ("a", "a/b", "a/b/c"):
        folders.make(path)
    folders.settle("a/b/c")
    assert disk.verbs["sync_directory"] == 3
    folders.make("a/b/c")
    folders.settle("a/b/c")
    assert disk.verbs["sync_directory"] == 3
    folders.make("a/b/d")
    folders.settle("a/b/c")
    folders.settle("a/b/d")
    assert disk.verbs["sync_directory"] == 4


def test_a_sync_that_failed_is_owed():
    disk = VolatileFileSystem()
    folders = Folders(disk)
    folders.make("a")
    disk.trouble = lambda _call, verb: OSError("told to") if verb == "sync_directory" else None
    for _ in range(2):
        with pytest.raises(OSError, match="told to"):
            folders.settle("a")
    disk.trouble = lambda _call, _verb: None
    folders.settle("a")
    folders.settle("a")
    assert disk.verbs["sync_directory"] == 3


def test_a_directory_that_is_removed_owes_its_parent_a_sync():
    disk = VolatileFileSystem()
    folders = Folders(disk)
    folders.make("a")
    folders.make("a/b")
    folders.settle("a/b")
    folders.changed("a/b")
    folders.remove_if_empty("a")
    folders.remove_if_empty("a/b")
    disk.verbs.clear()
    folders.settle("a/b")
    assert disk.listdir("a") == []
    assert disk.verbs["sync_directory"] == 1


@given(st.lists(st.binary(min_size=16, max_size=16), unique=True), st.binary(min_size=16, max_size=16))
def test_names_of_directories_are_walked_in_the_order_of_indexes(indexes, after):
    folders = [folder_of(each).split("/")[1:] for each in indexes]
    found = [
        each
        for prefix in prefixes_in({prefix for prefix, _ in folders}, after)
        for each in indexes_in([name for above, name in folders if above == prefix], after)
    ]
    assert found == sorted(each for each in indexes if each > after)


def test_paths_are_those_of_tahoe_lafs():
    assert path_of(bytes(16), 7) == "shares/aa/aaaaaaaaaaaaaaaaaaaaaaaaaa/7"
    assert path_of(index(0), 0) == f"{folder_of(index(0))}/0"
    assert numbers_in(["0", "10", "9", "01", "x", "", "-1", "²", "3.4"]) == [0, 9, 10]


def test_the_disks_free_bytes_and_the_limit_both_count():
    disk = [DiskSpace(1000, 500)]
    books = Books(MemoryLeaseIndex(), VolatileFileSystem())
    room = Room(StoreOptions(sizelimit=600, reserved_space=100), lambda: disk[0], books)
    with pytest.raises(NoSpace, match="counting"):
        room.reserve(1)
    books.index.count_anew()
    books.index.counted()
    assert room.space().available == 400
    room.reserve(300)
    assert room.space().available == 100
    disk[0] = DiskSpace(1000, 250)
    room.written(250)
    assert room.space().available == 100
    books.index.put(Entry(ShareName(FILE, index(0), 0), 300, {1: 5}))
    room.settle(300, 50)
    assert room.space().available == 150
    books.index.put(Entry(ShareName(FILE, index(1), 0), 150, {1: 5}))
    assert room.space().available == 150
    books.index.put(Entry(ShareName(FILE, index(2), 0), 100, {1: 5}))
    with pytest.raises(NoSpace):
        room.reserve(51)
    room.reserve(50)
