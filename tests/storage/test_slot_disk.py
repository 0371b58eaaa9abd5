"""The store of slots on a disk: what its files are, what a change costs, and what it does when the disk won't."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Event

import pytest

from tahoe.codec import base32
from tahoe.codec.slot import SlotShape
from tahoe.errors import CorruptShare, StorageFailed
from tahoe.storage.disk import DiskStore
from tahoe.storage.diskslots import path_of
from tahoe.storage.filesystem import RealFileSystem, VolatileFileSystem
from tahoe.storage.layout import SERVING
from tahoe.storage.slotcheck import STRETCH
from tahoe.storage.slotfile import SlotContainer
from tests.storage.samples import NOW, content, lease
from tests.storage.slotconformance import carries, put
from tests.storage.slotsamples import Writer, change


@pytest.fixture
def disk():
    return VolatileFileSystem()


def opened(disk):
    return DiskStore(disk).open()


def no_trouble(_call, _verb):
    return None


def failing(number, *verbs):
    return lambda _call, verb: OSError(number, "told to") if verb in verbs else None


def fails_after(first: str, second: str):
    """Once there was a call of one kind, all of another fail."""
    seen = [False]

    def trouble(_call, verb):
        fails = seen[0] and verb == second
        seen[0] |= verb == first
        return OSError(errno.EIO, "told to") if fails else None

    return trouble


def test_a_share_lies_where_its_index_says(tmp_path):
    store, writer = DiskStore(RealFileSystem(tmp_path)).open(), Writer()
    put(store.slots, writer, writer.write(content(1, 300)), numbers=(2,))
    name = base32.encode(writer.index)
    path = tmp_path / "slots" / name[:2] / name / "2"
    assert path.is_file()
    assert path.stat().st_mode & 0o777 == 0o600
    assert list((tmp_path / "slots" / "incoming").iterdir()) == []


def test_shares_are_there_in_the_next_run(disk):
    store, writer = opened(disk), Writer()
    first = writer.write(content(1, 300))
    second = writer.write(content(2, 600), first)
    put(store.slots, writer, first)
    put(store.slots, writer, second, first)
    store.shut()
    after = opened(disk)
    assert carries(after.slots, writer, second)
    assert after.space() == store.space()


@pytest.mark.parametrize("seed", range(10))
def test_directories_made_in_a_run_that_wrote_nothing_outlive_a_power_cut_in_the_next(disk, seed):
    opened(disk).shut()
    store, writer = opened(disk), Writer()
    first = writer.write(content(1, 300))
    put(store.slots, writer, first)
    disk.crash(Random(seed))
    assert carries(opened(disk).slots, writer, first)


def test_a_file_is_no_longer_than_its_version_needs(disk):
    store, writer, base = opened(disk), Writer(), None
    for size in (5000, 300, 6000, 0):
        encoded = writer.write(content(1, size), base)
        put(store.slots, writer, encoded, base)
        path = path_of(writer.index, 0)
        assert disk.size(path) == SlotContainer.parse(disk.open(path).read).end
        base = encoded


def test_a_container_survives_packing(disk):
    store = opened(disk)
    for total in (1, 2, 3, 100, 255):
        writer = Writer(total, SlotShape(1, total, 64, 0))
        encoded = writer.write(content(1, 300))
        put(store.slots, writer, encoded, numbers=(total - 1,))
        file = disk.open(path_of(writer.index, total - 1))
        container = SlotContainer.parse(file.read)
        assert container.head.version == encoded.version
        assert container.pack() == file.read(0, container.data_offset)
        assert carries(opened(disk).slots, writer, encoded, total - 1)


def test_a_container_cut_short_anywhere_is_corrupt_and_not_a_crash(disk):
    store, writer = opened(disk), Writer()
    put(store.slots, writer, writer.write(content(1, 300)))
    store.shut()
    whole = disk.open(path_of(writer.index, 0)).read(0, 10**6)
    for size in range(0, len(whole), 9):
        file = disk.edit(path_of(writer.index, 0))
        file.truncate(0)
        file.write(0, whole[:size])
        assert not opened(disk).slots.scrub(writer.index, 0).sound


def test_a_byte_changed_anywhere_but_in_the_leases_is_found_by_a_scrub(disk):
    store, writer = opened(disk), Writer()
    put(store.slots, writer, writer.write(content(1, 300)))
    path = path_of(writer.index, 0)
    container = SlotContainer.parse(disk.open(path).read)
    leases = range(container.data_offset - 72 * container.capacity, container.data_offset)
    for offset in set(range(container.end)) - set(leases) - set(range(20, 28)):
        file = disk.edit(path)
        byte = file.read(offset, 1)
        file.write(offset, bytes([byte[0] ^ 0x10]))
        assert not store.slots.scrub(writer.index, 0).sound, offset
        file.write(offset, byte)
    assert store.slots.scrub(writer.index, 0).sound


def test_damage_that_came_after_a_share_was_read_is_seen_once_a_scrub_has_found_it(disk):
    store, writer = opened(disk), Writer()
    first = writer.write(content(1, 300))
    put(store.slots, writer, first)
    container = SlotContainer.parse(disk.open(path_of(writer.index, 0)).read)
    disk.edit(path_of(writer.index, 0)).write(container.span(2)[0], b"x")
    store.slots.tree(writer.index, 0)
    assert not store.slots.scrub(writer.index, 0).sound
    with pytest.raises(CorruptShare):
        store.slots.tree(writer.index, 0)


def test_a_share_that_never_stands_still_is_scrubbed_in_the_end(disk):
    store, writer = opened(disk), Writer(1, SlotShape(1, 1, STRETCH // 4, 0))
    first = writer.write(bytes(3 * STRETCH))
    second = writer.write(b"x" + bytes(3 * STRETCH - 2) + b"x", first)
    put(store.slots, writer, first)
    stopped, turns = Event(), [0]

    def write():
        while not stopped.is_set():
            put(store.slots, writer, second, first)
            put(store.slots, writer, first, second)
            turns[0] += 1

    with ThreadPoolExecutor(1) as thread:
        writing = thread.submit(write)
        try:
            assert all(store.slots.scrub(writer.index, 0).sound for _ in range(5))
        finally:
            stopped.set()
        writing.result(timeout=60)
    assert turns[0]


# --- what a change costs ---------------------------------------------------------------------------------------


class Meter:
    """Counts the bytes that go through a file system."""

    def __init__(self, disk) -> None:
        self._disk = disk
        self.bytes = 0

    def __getattr__(self, name):
        return getattr(self._disk, name)

    def open(self, path):
        return MeteredFile(self, self._disk.open(path))

    def edit(self, path):
        return MeteredFile(self, self._disk.edit(path))

    def create(self, path):
        return MeteredFile(self, self._disk.create(path))


class MeteredFile:
    def __init__(self, meter, file) -> None:
        self._meter = meter
        self._file = file

    def __getattr__(self, name):
        return getattr(self._file, name)

    def read(self, offset, length):
        data = self._file.read(offset, length)
        self._meter.bytes += len(data)
        return data

    def write(self, offset, data):
        self._meter.bytes += len(data)
        self._file.write(offset, data)


def test_a_small_change_of_a_large_slot_costs_as_much_as_one_of_a_small_slot(disk):
    costs = []
    for segments in (10, 3000):
        meter = Meter(disk)
        store, writer = opened(meter), Writer(segments)
        data = bytearray(content(1, 64 * segments))
        first = writer.write(bytes(data))
        put(store.slots, writer, first)
        data[100] ^= 1
        second = writer.write(bytes(data), first)
        changes = {0: change(second, 0, first)}
        meter.bytes, calls = 0, disk.calls
        store.slots.write(writer.index, changes, lease(), NOW)
        costs.append((meter.bytes, disk.calls - calls))
        assert carries(store.slots, writer, second)
    (small, calls), (large, more_calls) = costs
    assert calls == more_calls
    assert small <= large < small + 16, "offsets are written with as many bytes as they have"
    assert large < 4000


def test_whatever_is_done_at_once_costs_one_sync(disk):
    store, writer = opened(disk), Writer()
    first = writer.write(content(1, 500))
    second = writer.write(content(2, 500), first)
    put(store.slots, Writer(2), Writer(2).write(b"the first one begins the log"))
    for step in (
        lambda: put(store.slots, writer, first, numbers=(0, 1, 2)),
        lambda: put(store.slots, writer, second, first, numbers=(0, 1, 2)),
        lambda: store.slots.add_lease(writer.index, lease(7), 1, NOW),
        lambda: store.slots.cancel_lease(writer.index, lease(7).cancel_secret, NOW),
        lambda: store.slots.cancel_lease(writer.index, lease().cancel_secret, NOW),
    ):
        disk.verbs.clear()
        step()
        assert disk.verbs["sync"] == 1
        assert "sync_directory" not in disk.verbs
    assert store.slots.leases(writer.index, 0) == ()


# --- disks that won't --------------------------------------------------------------------------------------------


def test_a_read_only_disk_serves_what_it_has(disk):
    store, writer = opened(disk), Writer()
    first = writer.write(content(1, 300))
    put(store.slots, writer, first)
    store.shut()
    disk.trouble = failing(errno.EROFS, "create", "edit", "mkdir", "unlink", "rename", "sync_directory", "sync_all")
    store = opened(disk)
    assert carries(store.slots, writer, first)
    assert store.slots.numbers(writer.index) == (0,)


def test_a_read_only_disk_does_not_serve_what_is_decided_and_not_done(disk):
    store, writer, other = opened(disk), Writer(1), Writer(2)
    first = writer.write(content(1, 300))
    second = writer.write(content(2, 300), first)
    put(store.slots, writer, first)
    put(store.slots, other, other.write(b"other"))
    store.slots.shut()
    disk.trouble = fails_after("sync", "edit")
    with pytest.raises(StorageFailed):
        put(store.slots, writer, second, first)
    disk.trouble = failing(errno.EROFS, "create", "edit", "mkdir", "unlink", "rename", "sync_directory", "sync_all")
    store = opened(disk)
    with pytest.raises(StorageFailed):
        store.slots.numbers(writer.index)
    assert store.slots.numbers(other.index) == (0,)
    disk.trouble = no_trouble
    assert carries(store.slots, writer, second)


def test_a_store_that_could_not_make_a_name_durable_does_not_end_as_if_it_had(disk):
    store, writer = opened(disk), Writer(1, SlotShape(1, 1, STRETCH, 0))
    disk.trouble = fails_after("rename", "sync_directory")
    with pytest.raises(StorageFailed):
        put(store.slots, writer, writer.write(bytes(2 * STRETCH)))
    with pytest.raises(StorageFailed):
        store.slots.numbers(writer.index)
    disk.trouble = no_trouble
    store.shut()
    assert SERVING in disk.listdir(""), "the next run lets the system write everything first"


def test_a_change_that_is_decided_is_done_as_soon_as_the_disk_lets(disk):
    store, writer = opened(disk), Writer()
    first = writer.write(content(1, 300))
    second = writer.write(content(2, 300), first)
    put(store.slots, writer, first)
    disk.trouble = fails_after("sync", "edit")
    with pytest.raises(StorageFailed):
        put(store.slots, writer, second, first)
    with pytest.raises(StorageFailed):
        store.slots.head(writer.index, 0)
    disk.trouble = no_trouble
    assert carries(store.slots, writer, second)


def test_a_disk_that_did_not_keep_what_was_written_takes_no_more_changes_until_the_next_start(disk):
    store, writer = opened(disk), Writer()
    first = writer.write(content(1, 300))
    second = writer.write(content(2, 300), first)
    put(store.slots, writer, first)
    disk.trouble = failing(errno.EIO, "sync")
    store.shut()
    disk.trouble = no_trouble
    assert SERVING in disk.listdir("")
    with pytest.raises(StorageFailed, match="start the node again"):
        put(store.slots, writer, second, first)
    assert carries(store.slots, writer, first)
    disk.crash(Random(1))
    store = opened(disk)
    put(store.slots, writer, second, first)
    assert carries(store.slots, writer, second)


def test_reports_of_slots_and_of_files_lie_in_one_place(disk):
    store, writer = opened(disk), Writer()
    put(store.slots, writer, writer.write(content(1, 300)))
    store.slots.advise_corrupt(writer.index, 0, "block 7", NOW)
    (name,) = disk.listdir("corruption-advisories")
    text = disk.open(f"corruption-advisories/{name}").read(0, 1000)
    assert b"type: slot\n" in text
    assert base32.encode(writer.index).encode() in text
    assert b"block 7\n" in text


def test_crashes_do_not_pile_up_files(disk):
    store, writer, base = opened(disk), Writer(), None
    for turn in range(10):
        encoded = writer.write(content(turn, 100 * turn), base)
        put(store.slots, writer, encoded, base)
        base = encoded
        disk.crash(Random(turn))
        store = opened(disk)
    assert carries(store.slots, writer, base)
    assert disk.listdir("slots/incoming") == []
    assert disk.size("slots/log") < 10_000
