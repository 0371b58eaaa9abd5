"""Parts of shares that are larger than a message wait apart, take room, and become a share at one stroke or not at all."""

from __future__ import annotations

import errno

import pytest

from tahoe.actors.slotkeeping import PRESENT, WRITTEN, stage_slot, write_slot
from tahoe.codec.slot import SlotShape
from tahoe.errors import NoSpace, Refused, StorageFailed
from tahoe.protocol import StageSlot
from tahoe.storage.disk import DiskStore
from tahoe.storage.diskslots import INCOMING
from tahoe.storage.filesystem import RealFileSystem, VolatileFileSystem
from tahoe.storage.memory import MemoryStore
from tahoe.storage.slotfile import SlotContainer
from tahoe.storage.slotparts import LONGEST_PAUSE, MOST, Parts
from tahoe.storage.store import StoreOptions
from tests.storage.samples import NOW, content, lease
from tests.storage.slotconformance import carries
from tests.storage.slotsamples import Writer, offer, request, signed


def memory(_tmp_path, options):
    return MemoryStore(options)


def disk(tmp_path, options):
    return DiskStore(RealFileSystem(tmp_path / "storage"), options).open()


@pytest.fixture(params=[memory, disk])
def build(request, tmp_path):
    return lambda options=StoreOptions(): request.param(tmp_path, options)  # noqa: B008  # immutable


@pytest.fixture
def both(build):
    return build()


@pytest.fixture
def store(both):
    return both.slots


def staged(store, writer, encoded, segments, number=0, *, sender="v0-me", now=NOW):
    blocks = tuple(block for block in offer(encoded, number).blocks if block.segment in segments)
    return stage_slot(store, StageSlot(writer.index, lease(), signed(encoded), number, blocks), now, sender).segments


def finished(store, writer, encoded, segments, number=0, base=None, *, sender="v0-me"):
    share = offer(encoded, number, base, whole=True)
    last = tuple(block for block in share.blocks if block.segment in segments)
    share = type(share)(number, share.replaces, share.chain, last)
    (outcome,) = write_slot(store, request(writer, encoded, share), NOW, sender).outcomes
    return outcome.outcome


def test_a_share_comes_in_parts_in_any_order_and_twice(store):
    writer = Writer()
    encoded = writer.write(content(0, 640))
    assert staged(store, writer, encoded, range(4, 7)) == 3
    assert staged(store, writer, encoded, range(4)) == 7
    assert staged(store, writer, encoded, range(3, 5)) == 7
    assert not store.numbers(writer.index)
    assert finished(store, writer, encoded, range(7, 10)) == WRITTEN
    assert carries(store, writer, encoded)
    assert not store.parts.names()


def test_the_last_message_may_bring_nothing_more(store):
    writer = Writer()
    encoded = writer.write(content(0, 640))
    staged(store, writer, encoded, range(10))
    assert finished(store, writer, encoded, ()) == WRITTEN
    assert carries(store, writer, encoded)


@pytest.mark.parametrize("size", [640, 300_000])
def test_a_share_that_is_there_is_replaced_in_parts(store, size):
    writer = Writer(shape=SlotShape(2, 3, 8192, 0) if size > 640 else Writer().shape)
    first = writer.write(content(0, size))
    finished(store, writer, first, range(1000))
    second = writer.write(content(1, size), first)
    staged(store, writer, second, range(3))
    assert carries(store, writer, first)
    assert finished(store, writer, second, range(3, 1000), base=first) == WRITTEN
    assert carries(store, writer, second)


def test_parts_of_another_sender_or_of_another_version_don_t_count(store):
    writer = Writer()
    one, other = writer.write(content(0, 640)), writer.write(content(1, 640))
    staged(store, writer, one, range(5), sender="v0-somebody")
    staged(store, writer, other, range(5))
    with pytest.raises(Refused, match="lacks segments"):
        finished(store, writer, one, range(5, 10))
    assert finished(store, writer, other, range(5, 10)) == WRITTEN
    assert finished(store, writer, one, range(5, 10), sender="v0-somebody") != WRITTEN
    assert carries(store, writer, other)


def test_junk_is_refused_when_all_is_there_and_can_be_sent_anew(store):
    writer = Writer()
    encoded, junk = writer.write(content(0, 640)), Writer().write(content(7, 640))
    blocks = offer(junk, 0).blocks[:5]
    stage_slot(store, StageSlot(writer.index, lease(), signed(encoded), 0, blocks), NOW, "v0-me")
    with pytest.raises(Refused, match="not the one that was signed"):
        finished(store, writer, encoded, range(5, 10))
    assert not store.parts.names()
    staged(store, writer, encoded, range(5))
    assert finished(store, writer, encoded, range(5, 10)) == WRITTEN


def test_a_share_that_came_meanwhile_is_present_and_the_parts_go(store):
    writer = Writer()
    encoded = writer.write(content(0, 640))
    staged(store, writer, encoded, range(5))
    finished(store, writer, encoded, range(10), sender="v0-somebody")
    assert finished(store, writer, encoded, range(5, 10)) == PRESENT
    assert not store.parts.names()


def test_parts_take_room_and_give_it_back(build):
    both = build(StoreOptions(sizelimit=100_000))
    writer = Writer()
    encoded = writer.write(content(0, 6400))
    staged(both.slots, writer, encoded, range(50))
    assert both.space().available == 100_000 - 50 * (32 + 16 + 32)
    finished(both.slots, writer, encoded, range(50, 100))
    head = SlotContainer(both.slots.head(writer.index, 0), ())
    assert both.space().available == 100_000 - head.end


def test_without_room_what_was_set_aside_stays_for_another_try(build):
    store = build(StoreOptions(sizelimit=6000)).slots
    writer = Writer()
    encoded = writer.write(content(0, 6400))
    assert staged(store, writer, encoded, range(40)) == 40
    with pytest.raises(NoSpace):
        staged(store, writer, encoded, range(40, 100))
    assert staged(store, writer, encoded, range(40, 42)) == 42


def test_what_has_not_grown_for_an_hour_is_dropped(store):
    writer, other = Writer(1), Writer(2)
    encoded = writer.write(content(0, 640))
    staged(store, writer, encoded, range(5))
    staged(store, other, other.write(content(0, 640)), range(5), now=NOW + LONGEST_PAUSE)
    assert len(store.parts.names()) == 2
    staged(store, other, other.write(content(0, 640), sequence=2), range(5), now=NOW + LONGEST_PAUSE + 1)
    assert writer.index not in [name.storage_index for name in store.parts.names()]


def test_so_many_at_a_time_and_no_more(store):
    encodings = [(writer := Writer(number), writer.write(content(0, 64))) for number in range(MOST + 1)]
    for writer, encoded in encodings[:-1]:
        staged(store, writer, encoded, range(1))
    with pytest.raises(NoSpace, match="try again later"):
        staged(store, *encodings[-1], range(1))


def test_a_part_that_makes_no_sense_is_refused(store):
    writer = Writer()
    encoded = writer.write(content(0, 640))
    for number, blocks in (
        (3, ()),
        (0, offer(encoded, 0).blocks[:1] * 2),
        (0, offer(writer.write(content(0, 10)), 0).blocks),
    ):
        with pytest.raises(Refused):
            stage_slot(store, StageSlot(writer.index, lease(), signed(encoded), number, blocks), NOW, "v0-me")
    assert not store.parts.names()


def test_after_a_power_cut_nothing_is_left_of_parts():
    filesystem = VolatileFileSystem()
    writer = Writer()
    encoded = writer.write(content(0, 640))
    staged(DiskStore(filesystem).open().slots, writer, encoded, range(5))
    filesystem.sync()
    store = DiskStore(filesystem).open().slots
    assert not filesystem.listdir(INCOMING)
    with pytest.raises(Refused, match="lacks segments"):
        finished(store, writer, encoded, range(5, 10))


def test_a_disk_that_fails_takes_the_parts_along(tmp_path, monkeypatch):
    def fail(*_arguments):
        raise OSError(errno.EIO, "bad disk")

    store = disk(tmp_path, StoreOptions()).slots
    writer = Writer()
    encoded = writer.write(content(0, 640))
    staged(store, writer, encoded, range(5))
    monkeypatch.setattr(Parts, "add", fail)
    with pytest.raises(StorageFailed):
        staged(store, writer, encoded, range(5, 10))
    assert not store.parts.names()
