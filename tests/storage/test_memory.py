"""The store in memory holds content that is only a size, for the simulator."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tahoe.errors import Refused
from tahoe.protocol import ShareFacts
from tahoe.storage.memory import MemoryStore
from tests.storage.samples import MINE, NOW, index, lease, share


@dataclass(frozen=True)
class Ghost:
    """The least that ``Sliceable`` asks for."""

    size: int
    identity: str
    start: int = 0
    intact: bool = True
    ueb_hash: bytes = b"u" * 32

    def __len__(self):
        return self.size

    def slice(self, offset, length):
        return Ghost(max(0, min(length, self.size - offset)), self.identity, self.start + offset, self.intact)

    def join(self, pieces):
        assert all(each.identity == self.identity for each in pieces)
        return Ghost(sum(map(len, pieces)), self.identity, pieces[0].start, all(each.intact for each in pieces))

    def spoiled(self):
        return Ghost(self.size, self.identity, self.start, intact=False)


def written(ghost: Ghost, *cuts: tuple[int, int]) -> MemoryStore:
    store = MemoryStore()
    store.allocate(index(0), MINE, (3,), len(ghost), lease(), NOW)
    for offset, length in cuts:
        store.write(index(0), MINE, 3, offset, ghost.slice(offset, length), NOW)
    return store


def test_what_is_no_bytes_is_read_back_as_what_was_written():
    store = written(Ghost(1000, "file"), (300, 700), (0, 300))
    store.close(index(0), MINE, (3,))
    assert store.read(index(0), 3, 0, 1000) == Ghost(1000, "file")
    assert store.read(index(0), 3, 250, 100) == Ghost(100, "file", 250)
    assert len(store.read(index(0), 3, 950, 100)) == 50
    assert store.shares(index(0)) == {3: ShareFacts(3, 1000, b"u" * 32)}
    assert store.scrub(index(0), 3).sound


def test_a_whole_share_that_is_no_bytes_can_be_stored_in_one():
    store = MemoryStore()
    store.store(index(0), {1: Ghost(2**40, "huge")}, lease(), NOW)
    assert store.shares(index(0))[1].size == 2**40


def test_pieces_that_overlap_must_stand_for_the_same():
    store = written(Ghost(1000, "file"), (0, 500), (200, 400))
    with pytest.raises(Refused, match="conflict"):
        store.write(index(0), MINE, 3, 500, Ghost(500, "other", 500), NOW)
    with pytest.raises(Refused, match="400 bytes of share 3 are missing"):
        store.close(index(0), MINE, (3,))


def test_what_is_spoiled_is_found_by_the_scrub_and_replaced():
    store = MemoryStore()
    store.store(index(0), {1: Ghost(1000, "file").spoiled()}, lease(), NOW)
    assert not store.scrub(index(0), 1).sound
    with pytest.raises(Refused, match="conflict"):
        store.replace_corrupt(index(0), 1, Ghost(1000, "file").spoiled())
    assert store.replace_corrupt(index(0), 1, Ghost(1000, "file"))
    assert store.scrub(index(0), 1).sound


def test_reports_are_kept_for_whoever_asks():
    store = MemoryStore()
    store.store(index(0), {1: share(1, 1)}, lease(), NOW)
    store.advise_corrupt(index(0), 1, "block 3", NOW)
    assert list(store.advisories) == [(index(0), 1, "block 3", NOW)]
