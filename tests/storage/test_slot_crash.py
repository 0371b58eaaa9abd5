"""Slots survive a power cut, a kill and a disk error between any two calls to the file system: old or new, nothing else.

A history is played against the volatile twin and cut off at every call in turn. A ledger knows which version of each
share was acknowledged and which was under way: after the crash the share is one of the two, whole.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random

import pytest

from tahoe.codec.container import stored_secret
from tahoe.codec.slot import EncodedSlot, SlotShape
from tahoe.errors import TahoeError
from tahoe.storage import diskslots, redo
from tahoe.storage.disk import DiskStore
from tahoe.storage.diskslots import INCOMING, path_of
from tahoe.storage.filesystem import PowerLoss, VolatileFileSystem
from tahoe.storage.redo import RedoLog
from tahoe.storage.slotfile import FIRST_LEASES
from tahoe.storage.store import StoreOptions
from tests.storage.samples import NOW, PERIOD, content, lease
from tests.storage.slotsamples import Writer, change, records_of

pytestmark = pytest.mark.timeout(400)  # a life of hundreds of calls is lived once for each of them

LIMIT = 1_000_000
LEASES = {stored_secret(2, lease(number).renew_secret): number for number in range(20)}
WRITERS = (Writer(0), Writer(1))
Key = tuple[int, int]


def _versions(writer: Writer, *contents: bytes) -> list[EncodedSlot]:
    found = [writer.write(contents[0])]
    for each in contents[1:]:
        found.append(writer.write(each, found[-1]))
    return found


def _edited(data: bytes, *positions: int) -> bytes:
    edited = bytearray(data)
    for position in positions:
        edited[position] ^= 1
    return bytes(edited)


_LONG = content(5, 3000)
A = _versions(
    WRITERS[0],
    content(1, 500),
    _edited(content(1, 500), 0, 499),
    _LONG,
    _edited(_LONG, 70, 1000, 2999),
    _LONG[:640],
    b"",
    content(6, 200),
    content(6, 200) + b"appended",
)
B = _versions(WRITERS[1], b"small", b"small too", content(7, 900))
_OTHER = Writer(0, SlotShape(1, 4, 100, 0))
A_CUT_OTHERWISE = _OTHER.write(content(8, 450), sequence=9)
VERSIONS = (
    {each.version.identity: each for each in (*A, A_CUT_OTHERWISE)},
    {each.version.identity: each for each in B},
)


@dataclass
class Ledger:
    """By (slot, number): the version acknowledged (None: no share), and those that may have come or gone since."""

    acknowledged: dict[Key, EncodedSlot | None] = field(default_factory=dict)
    possible: dict[Key, list[EncodedSlot | None]] = field(default_factory=dict)
    leases: dict[Key, dict[int, int]] = field(default_factory=dict)

    @contextmanager
    def under_way(self, keys: list[Key], encoded: EncodedSlot | None) -> Iterator[None]:
        for key in keys:
            self.possible.setdefault(key, []).append(encoded)
        yield
        for key in keys:
            self.acknowledged[key] = encoded
            self.possible[key] = []

    def has_lease(self, keys: list[Key], leased: int, now: float) -> None:
        for key in keys:
            found = self.leases.setdefault(key, {})
            found[leased] = max(found.get(leased, 0), int(now) + PERIOD)


def writes(
    store: DiskStore, ledger: Ledger, slot: int, numbers: tuple[int, ...], encoded: EncodedSlot, leased: int
) -> None:
    """Put a version into shares on top of whatever they carry, as a writer does who knows it."""
    index = WRITERS[slot].index
    keys = [(slot, number) for number in numbers]
    changes = {}
    for number in numbers:
        base = None
        if number in store.slots.numbers(index):
            carried = VERSIONS[slot][store.slots.head(index, number).version.identity]
            base = carried if carried.version.shape.grown(0) == encoded.version.shape.grown(0) else None
        changes[number] = change(encoded, number, base)
    with ledger.under_way(keys, encoded):
        store.slots.write(index, changes, lease(leased), NOW + leased)
    ledger.has_lease(keys, leased, NOW + leased)


def leases(store: DiskStore, ledger: Ledger, slot: int, leased: int, now: float) -> None:
    index = WRITERS[slot].index
    numbers = store.slots.numbers(index)
    store.slots.add_lease(index, lease(leased), 1, now)
    ledger.has_lease([(slot, number) for number in numbers], leased, now)


def goes(store: DiskStore, ledger: Ledger, slot: int) -> None:
    """Cancel the only lease of a slot, put it into the trash, from where it can be brought back, and purge it."""
    index = WRITERS[slot].index
    keys = [(slot, number) for number in range(3)]
    for key in keys:
        ledger.leases.pop(key, None)
    store.slots.cancel_lease(index, lease(2).cancel_secret, NOW)
    for number in store.slots.numbers(index):
        store.slots.discard(index, number, int(NOW), NOW)
    for key in keys:
        ledger.possible.setdefault(key, []).append(None)
        store.slots.purge(index, key[1])


def history(store: DiskStore, ledger: Ledger) -> list[Callable[[], object]]:
    """A life with everything in it, step by step."""
    put = partial(writes, store, ledger)
    return [
        lambda: put(0, (0, 1), A[0], 1),
        lambda: put(0, (0, 1), A[1], 1),
        lambda: put(1, (0,), B[0], 2),
        lambda: put(0, (0,), A[2], 2),
        *(partial(leases, store, ledger, 0, leased, NOW) for leased in range(3, 3 + FIRST_LEASES)),
        lambda: put(0, (0, 2), A[3], 1),
        lambda: put(0, (0, 1, 2), A[4], 1),
        lambda: put(1, (0,), B[1], 2),
        lambda: goes(store, ledger, 1),
        lambda: put(0, (0,), A[5], 1),
        lambda: put(1, (0,), B[2], 2),
        lambda: leases(store, ledger, 1, 2, NOW + 99),
        lambda: put(0, (0, 1), A[6], 9),
        lambda: put(0, (0,), A[7], 1),
        lambda: put(0, (0, 3), A_CUT_OTHERWISE, 1),
        lambda: store.slots.advise_corrupt(WRITERS[0].index, 0, "block 7", NOW),
        store.shut,
    ]


def live(store: DiskStore, ledger: Ledger) -> None:
    for step in history(store, ledger):
        step()


def is_whole(store: DiskStore, slot: int, number: int, encoded: EncodedSlot) -> bool:
    """Whether a share is this version's, in all its parts, on the disk, too."""
    index, count = WRITERS[slot].index, encoded.version.shape.segment_count
    return (
        store.slots.head(index, number).chain == tuple(encoded.chain(number).values())
        and store.slots.read(index, number, range(count)) == records_of(encoded, number)
        and store.slots.tree(index, number).root == encoded.block_trees[number].root
        and store.slots.scrub(index, number).sound
    )


def visible(store: DiskStore) -> dict[Key, EncodedSlot]:
    """What every share carries, as the store says and as its bytes are."""
    found = {}
    for slot, writer in enumerate(WRITERS):
        for number in store.slots.numbers(writer.index):
            encoded = VERSIONS[slot][store.slots.head(writer.index, number).version.identity]
            assert is_whole(store, slot, number, encoded)
            found[slot, number] = encoded
    return found


def check(store: DiskStore, ledger: Ledger) -> None:
    for writer in WRITERS:
        store.slots.restore(writer.index)
    found = visible(store)
    for key in {*ledger.acknowledged, *ledger.possible, *found}:
        allowed = [ledger.acknowledged.get(key), *ledger.possible.get(key, [])]
        assert found.get(key) in allowed, f"share {key} is neither what it was nor what it was to be"
    for (slot, number), wanted in ledger.leases.items():
        if (slot, number) in found:
            has = store.slots.leases(WRITERS[slot].index, number)
            held = {LEASES[each.renew_secret]: each.expires for each in has}
            assert all(held.get(leased, 0) >= expires for leased, expires in wanted.items())
    assert {WRITERS[slot].index for slot, _ in found} == set(store.slots.storage_indexes())


def check_room(store: DiskStore, disk: VolatileFileSystem) -> None:
    assert disk.listdir(INCOMING) == []
    sizes = [
        disk.size(path_of(each, number))
        for each in store.slots.storage_indexes()
        for number in store.slots.numbers(each)
    ]
    assert store.space().available == LIMIT - sum(sizes)
    assert store.space().shares == len(sizes)


@pytest.fixture(params=["a long log", "a short log", "no room in the log"])
def log(request, monkeypatch):
    """Let checkpoints happen often, or all files that are written anew stay out of the log."""
    if request.param == "a short log":
        monkeypatch.setattr(RedoLog.__init__, "__defaults__", (2500,))
        monkeypatch.setattr(redo, "MOST_FILES", 2)
    elif request.param == "no room in the log":
        monkeypatch.setattr(diskslots, "_PIECE", 700)


def opened(disk: VolatileFileSystem) -> DiskStore:
    return DiskStore(disk, StoreOptions(sizelimit=LIMIT)).open()


def calls_of_a_life() -> int:
    disk = VolatileFileSystem()
    live(opened(disk), Ledger())
    return disk.calls


def cut_off(last: int, call: int, _verb: str) -> PowerLoss | None:
    return PowerLoss() if call == last else None


def no_trouble(_call: int, _verb: str) -> None:
    return None


def lived_until(call: int) -> tuple[VolatileFileSystem, Ledger]:
    """A disk and a ledger after a life that ended at a call."""
    disk, ledger = VolatileFileSystem(), Ledger()
    disk.trouble = partial(cut_off, call)
    with suppress(PowerLoss):
        live(opened(disk), ledger)
    disk.trouble = no_trouble
    return disk, ledger


def live_on(store: DiskStore, ledger: Ledger) -> None:
    """A life after a crash: whatever is there is built upon."""
    writes(store, ledger, 0, (0, 1), A[3], 1)
    writes(store, ledger, 1, (0, 1), B[1], 2)
    writes(store, ledger, 0, (0,), A[7], 1)
    writes(store, ledger, 1, (0, 1), B[2], 2)


def test_a_life_has_enough_calls_to_be_cut_off_at(log):
    assert calls_of_a_life() > 300


def test_a_power_cut_at_any_call_leaves_the_old_version_or_the_new_one(log):
    for call in range(1, calls_of_a_life() + 2):
        for seed in range(2):
            disk, ledger = lived_until(call)
            disk.crash(Random(f"{call} {seed}"))
            store = opened(disk)
            check(store, ledger)
            check_room(store, disk)
            live_on(store, ledger)
            disk.crash(Random(f"{call} {seed} again"))
            check(opened(disk), ledger)


def test_what_is_visible_after_a_kill_survives_the_next_power_cut(log):
    for call in range(1, calls_of_a_life() + 2):
        disk, ledger = lived_until(call)
        disk.kill()
        store = opened(disk)
        check(store, ledger)
        found = visible(store)
        disk.crash(Random(call))
        after = opened(disk)
        check(after, ledger)
        assert visible(after) == found


def test_a_power_cut_during_recovery_loses_nothing_either(log):
    for call in range(len(opened_calls()), calls_of_a_life(), 4):
        for cut in range(1, 7):
            disk, ledger = lived_until(call)
            disk.crash(Random(call))
            disk.trouble = partial(cut_off_writes, Counter(cut))
            with suppress(PowerLoss):
                opened(disk)
            disk.trouble = no_trouble
            disk.crash(Random(cut))
            check(opened(disk), ledger)


@dataclass
class Counter:
    """Counts down."""

    left: int


def cut_off_writes(counter: Counter, _call: int, verb: str) -> PowerLoss | None:
    """The power goes at the n-th call that changes something."""
    if verb in {"read", "open", "listdir", "stat", "size", "space"}:
        return None
    counter.left -= 1
    return None if counter.left else PowerLoss()


def opened_calls() -> range:
    disk = VolatileFileSystem()
    opened(disk)
    return range(disk.calls)


def failing(number: int, calls: range, call: int, verb: str) -> OSError | None:
    """An error at some calls, but for those that only read."""
    return OSError(number, "told to") if call in calls and verb not in {"read", "open", "listdir", "stat"} else None


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("lasting", [0, 3, 10_000], ids=["once", "a while", "from then on"])
def test_a_disk_error_at_any_call_leaves_the_old_version_or_the_new_one(log, number, lasting):
    failures, life = 0, calls_of_a_life()
    for call in range(len(opened_calls()) + 1 + number % 4, life + 1, 4):
        disk, ledger = VolatileFileSystem(), Ledger()
        store = opened(disk)
        disk.trouble = partial(failing, number, range(call, call + lasting + 1))
        for step in history(store, ledger)[:-1]:
            try:
                step()
            except TahoeError:
                failures += 1
        disk.trouble = no_trouble
        check(store, ledger)
        found = visible(store)
        disk.crash(Random(call))
        recovered = opened(disk)
        check(recovered, ledger)
        after = visible(recovered)
        came_back = after.keys() - found.keys()
        assert {key: after[key] for key in found} == found, "nobody is shown what a crash could undo"
        assert all(None in ledger.possible[key] for key in came_back), "but what was purged may come back"
        check_room(recovered, disk)
    assert failures > life / 20
