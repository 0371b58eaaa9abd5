"""The faulty store does what its schedule says, and nothing else."""

from __future__ import annotations

import msgspec
import pytest

from tahoe.codec.share import parse_header
from tahoe.errors import NoSpace, Refused, StorageFailed
from tahoe.protocol import ShareFacts
from tahoe.storage.content import read_ueb_hash
from tahoe.storage.faulty import AnyFault, Fails, FaultyStore, Fills, Forgets, Junk, Rots, Slows, Swaps, Tears
from tahoe.storage.memory import MemoryStore
from tests.storage.samples import MINE, NOW, flipped, index, lease, share, ueb_hash
from tests.storage.test_memory import Ghost

SECTIONS = ["header", "blocks", "crypttext-hashes", "block-hashes", "share-hashes", "uri-extension"]


def faulty(*schedule: AnyFault, wait=None) -> FaultyStore:
    """A store with one file's shares 0 and 1 at place 0 and another's share 1 at place 1."""
    store = MemoryStore()
    store.store(index(0), {0: share(1, 0), 1: share(1, 1)}, lease(), NOW)
    store.store(index(1), {1: share(2, 1)}, lease(), NOW)
    return FaultyStore(store, schedule, wait or (lambda _seconds: None))


def test_a_schedule_is_data_that_can_be_saved():
    schedule = [
        Rots(storage_index=index(0), number=1, section="block-hashes", bit=9),
        Slows(seconds=0.5, verbs=("read",), skip=1, times=2),
        Tears(size=7),
        Junk(storage_index=index(3), number=0, data=b"junk"),
        Swaps(by_storage_index=index(1), by_number=1),
        Fails(),
        Fills(),
        Forgets(),
    ]
    assert msgspec.json.decode(msgspec.json.encode(schedule), type=list[AnyFault]) == schedule


@pytest.mark.parametrize("section", SECTIONS)
def test_one_bit_rots_in_any_section_whoever_reads_it_how(section):
    store = faulty(Rots(storage_index=index(0), number=1, section=section, bit=13))
    offsets = parse_header(share(1, 1))
    start = {"header": 0, "blocks": offsets.data, "uri-extension": offsets.uri_extension + 4}.get(section)
    start = getattr(offsets, section.replace("-", "_")) if start is None else start
    rotten = bytearray(share(1, 1))
    rotten[start + 1] ^= 1 << 5
    assert store.read(index(0), 1, 0, 10**6) == rotten
    assert b"".join(store.read(index(0), 1, place, 7) for place in range(0, len(rotten), 7)) == rotten
    assert store.read(index(0), 0, 0, 10**6) == share(1, 0)
    assert store.shares(index(0))[1].ueb_hash == ueb_hash(1)
    assert not store.scrub(index(0), 1).sound
    assert store.scrub(index(0), 0).sound


def test_what_rots_is_mended_by_a_sound_share_and_only_by_one():
    store = faulty(Rots(storage_index=index(0), number=1, section="blocks"))
    with pytest.raises(Refused, match="conflict"):
        store.replace_corrupt(index(0), 1, flipped(share(1, 1), 40))
    assert store.replace_corrupt(index(0), 1, share(1, 1))
    assert store.read(index(0), 1, 0, 10**6) == share(1, 1)
    assert store.replace_corrupt(index(0), 1, share(1, 1)) is False


def test_rot_in_what_is_no_bytes_spoils_it_just_there():
    store = FaultyStore(MemoryStore(), (Rots(number=1),))
    store.store(index(0), {1: share(1, 1), 0: Ghost(100, "file")}, lease(), NOW)
    assert store.read(index(0), 0, 0, 100) == Ghost(100, "file")
    assert not store.scrub(index(0), 1).sound


def test_a_torn_share_ends_early():
    store = faulty(Tears(number=1, size=100))
    assert store.read(index(0), 1, 0, 10**6) == share(1, 1)[:100]
    assert store.read(index(0), 1, 90, 20) == share(1, 1)[90:100]
    assert store.read(index(0), 1, 200, 20) == b""
    assert not store.scrub(index(0), 1).sound


def test_a_swapped_share_is_sound_inside_and_another_files():
    store = faulty(Swaps(storage_index=index(0), number=1, by_storage_index=index(1), by_number=1))
    assert store.read(index(0), 1, 5, 10**6) == share(2, 1)[5:]
    assert store.shares(index(0))[1].ueb_hash == ueb_hash(1)
    assert read_ueb_hash(lambda offset, length: store.read(index(0), 1, offset, length)) == ueb_hash(2)
    assert store.scrub(index(0), 1).sound


def test_junk_appears_where_nobody_stored_anything():
    store = faulty(Junk(storage_index=index(7), number=2, data=b"junk and more", ueb_hash=ueb_hash(1)))
    assert store.shares(index(7)) == {2: ShareFacts(2, 13, ueb_hash(1))}
    assert store.read(index(7), 2, 5, 3) == b"and"
    assert store.shares(index(0)).keys() == {0, 1}


def test_calls_are_struck_by_count():
    store = faulty(Fails(verbs=("read",), number=1, skip=1, times=2))
    outcomes = []
    for _ in range(5):
        try:
            store.read(index(0), 1, 0, 1)
        except StorageFailed:
            outcomes.append("failed")
        else:
            outcomes.append("went well")
        store.read(index(0), 0, 0, 1)
    assert outcomes == ["went well", "failed", "failed", "went well", "went well"]


def test_a_slow_call_reports_its_delay_and_then_happens():
    waited = []
    store = faulty(Slows(seconds=2.5, storage_index=index(0)), wait=waited.append)
    assert store.read(index(0), 1, 0, 9) == share(1, 1)[:9]
    store.shares(index(1))
    assert waited == [2.5]


def test_a_full_store_takes_nothing_and_serves_on():
    store = faulty(Fills())
    with pytest.raises(NoSpace):
        store.store(index(2), {0: b"x"}, lease(), NOW)
    with pytest.raises(NoSpace):
        store.allocate(index(2), MINE, (0,), 1, lease(), NOW)
    assert store.read(index(0), 1, 0, 9) == share(1, 1)[:9]


def test_a_forgetful_store_says_yes_and_keeps_nothing():
    store = faulty(Forgets())
    assert store.store(index(2), {1: b"x", 0: b"y"}, lease(), NOW) == ((0, 1), {})
    store.allocate(index(2), MINE, (2,), 1, lease(), NOW)
    store.write(index(2), MINE, 2, 0, b"x", NOW)
    assert store.close(index(2), MINE, (2,)) == (2,)
    assert store.shares(index(2)) == {}
    assert store.space() == faulty().space()
