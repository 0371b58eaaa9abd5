"""The store on disk survives a power cut, a kill and a disk error between any two calls to the file system.

A history is played against the volatile twin and cut off at every call in turn. A ledger knows what was
acknowledged, which must be there afterwards, and what was under way, which may.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random

import pytest

from tahoe.codec.container import LEASE_SIZE, stored_secret
from tahoe.errors import TahoeError
from tahoe.storage.disk import DiskStore
from tahoe.storage.filesystem import PowerLoss, VolatileFileSystem
from tahoe.storage.layout import INCOMING, path_of
from tahoe.storage.store import StoreOptions
from tests.storage.samples import MINE, NOW, PERIOD, THEIRS, content, flipped, index, lease, share

LIMIT = 1_000_000
LEASES = {stored_secret(2, lease(number).renew_secret): number for number in range(8)}
ROTTEN = flipped(share(5, 1), 50)


def data_of(place: int, number: int) -> bytes:
    """What is stored under a share's name: odd lengths, so that leases lie across borders of sectors."""
    return content(10 * place + number, 1000 + 13 * place - 5 * number)


@dataclass
class Ledger:
    """What must be and what may be, by (place, number)."""

    required: set[tuple[int, int]] = field(default_factory=set)
    allowed: dict[tuple[int, int], set[bytes]] = field(default_factory=dict)
    leases: dict[tuple[int, int], dict[int, int]] = field(default_factory=dict)

    def may_come(self, place: int, number: int, data: bytes) -> None:
        self.allowed.setdefault((place, number), set()).add(data)

    def is_there(self, place: int, number: int, leased: int, expires: float) -> None:
        self.required.add((place, number))
        self.has_lease(place, number, leased, expires)

    def has_lease(self, place: int, number: int, leased: int, expires: float) -> None:
        found = self.leases.setdefault((place, number), {})
        found[leased] = max(found.get(leased, 0), int(expires) + PERIOD)

    def all_leased(self, place: int, leased: int, now: float) -> None:
        for key in self.required:
            if key[0] == place:
                self.has_lease(*key, leased, now)

    def may_lose(self, place: int, leased: int) -> None:
        """The lease may go; the share stays, be it nobody's."""
        for key in [key for key in self.leases if key[0] == place]:
            self.leases[key].pop(leased, None)

    def may_go(self, place: int, number: int) -> None:
        """The share may be lost for good."""
        self.required.discard((place, number))
        self.leases.pop((place, number), None)


def stores(store: DiskStore, ledger: Ledger, place: int, numbers: tuple[int, ...], leased: int, now: float) -> None:
    shares = {number: data_of(place, number) for number in numbers}
    for number, data in shares.items():
        ledger.may_come(place, number, data)
    stored, present = store.store(index(place), shares, lease(leased), now)
    assert set(stored) | set(present) == set(numbers)
    for number in numbers:
        ledger.is_there(place, number, leased, now)
    ledger.all_leased(place, leased, now)


def uploads(store: DiskStore, ledger: Ledger, place: int, number: int, leased: int, now: float) -> None:
    data = data_of(place, number)
    ledger.may_come(place, number, data)
    allocated, _ = store.allocate(index(place), MINE, (number,), len(data), lease(leased), now)
    ledger.all_leased(place, leased, now)
    if allocated:
        for start in (600, 0, 300, 900):
            store.write(index(place), MINE, number, start, data[start : start + 301], now)
    store.close(index(place), MINE, (number,))
    ledger.is_there(place, number, leased, now)


def aborts(store: DiskStore, ledger: Ledger, place: int, number: int, leased: int, now: float) -> None:
    store.allocate(index(place), THEIRS, (number,), 500, lease(leased), now)
    ledger.all_leased(place, leased, now)
    store.write(index(place), THEIRS, number, 0, b"never to be seen", now)
    store.abort(index(place), THEIRS, (number,))


def leases(store: DiskStore, ledger: Ledger, place: int, leased: int, now: float) -> None:
    store.add_lease(index(place), lease(leased), 1, now)
    ledger.all_leased(place, leased, now)


def cancels(store: DiskStore, ledger: Ledger, place: int, leased: int) -> None:
    ledger.may_lose(place, leased)
    store.cancel_lease(index(place), lease(leased).cancel_secret, NOW)


def discards(store: DiskStore, place: int, number: int) -> None:
    """Into the trash: whatever happens, the share is there or can be brought back."""
    ends = [each.expires for each in store.leases(index(place), number)]
    store.discard(index(place), number, max(ends, default=int(NOW)), NOW + 99)


def purges(store: DiskStore, ledger: Ledger, place: int, number: int) -> None:
    ledger.may_go(place, number)
    store.purge(index(place), number)


def replaces(store: DiskStore, ledger: Ledger) -> None:
    place = 5
    ledger.may_come(place, 1, ROTTEN)
    store.store(index(place), {1: ROTTEN}, lease(1), NOW)
    ledger.is_there(place, 1, 1, NOW)
    ledger.may_come(place, 1, share(5, 1))
    store.replace_corrupt(index(place), 1, share(5, 1))
    ledger.allowed[place, 1] = {share(5, 1)}


def history(store: DiskStore, ledger: Ledger) -> list[Callable[[], object]]:
    """A life with everything in it, step by step."""
    return [
        lambda: stores(store, ledger, 0, (0, 1), 1, NOW),
        lambda: uploads(store, ledger, 1, 3, 1, NOW),
        lambda: aborts(store, ledger, 0, 4, 2, NOW + 255),
        lambda: uploads(store, ledger, 0, 2, 1, NOW + 65_536),
        lambda: leases(store, ledger, 0, 3, NOW),
        lambda: leases(store, ledger, 0, 3, NOW + 16_777_216),
        lambda: leases(store, ledger, 0, 3, NOW + 16_777_216),
        lambda: replaces(store, ledger),
        lambda: store.advise_corrupt(index(5), 1, "block 7", NOW),
        lambda: cancels(store, ledger, 0, 1),
        lambda: stores(store, ledger, 0, (0, 7), 4, NOW),
        lambda: cancels(store, ledger, 1, 1),
        lambda: stores(store, ledger, 2, (0,), 5, NOW),
        lambda: stores(store, ledger, 2, (1,), 6, NOW),
        lambda: cancels(store, ledger, 2, 6),
        lambda: leases(store, ledger, 5, 3, NOW),
        lambda: cancels(store, ledger, 2, 5),
        lambda: discards(store, 2, 0),
        lambda: discards(store, 1, 3),
        lambda: discards(store, 0, 1),
        lambda: leases(store, ledger, 1, 3, NOW),
        lambda: purges(store, ledger, 0, 1),
        lambda: stores(store, ledger, 1, (3,), 2, NOW),
        store.shut,
    ]


def live(store: DiskStore, ledger: Ledger) -> None:
    for step in history(store, ledger):
        step()


def muddle_through(store: DiskStore, ledger: Ledger) -> int:
    """Live on whatever fails; return how many steps did."""
    failed = 0
    for step in history(store, ledger):
        try:
            step()
        except TahoeError:
            failed += 1
    return failed


def check(store: DiskStore, ledger: Ledger) -> None:
    """Everything acknowledged is there whole or comes back from the trash, and nothing else that was never stored."""
    visible = {}
    for place in range(6):
        store.restore(index(place))
    for place in range(6):
        for number in store.shares(index(place)):
            visible[place, number] = store.read(index(place), number, 0, 10**6)
    assert ledger.required <= visible.keys()
    for key, data in visible.items():
        assert data in ledger.allowed.get(key, ()), f"share {key} is not what was stored"
        found = {LEASES.get(each.renew_secret): each.expires for each in store.leases(index(key[0]), key[1])}
        for number, expires in ledger.leases.get(key, {}).items():
            assert found.get(number, 0) >= expires, f"share {key} lost lease {number}"
    assert {index(place) for place, _ in visible} == set(store.storage_indexes())


def check_room(store: DiskStore, disk: VolatileFileSystem) -> None:
    assert disk.listdir(INCOMING) == []
    sizes = [disk.size(path_of(each, number)) for each in store.storage_indexes() for number in store.shares(each)]
    assert store.space().available == LIMIT - sum(sizes)
    assert store.space().shares == len(sizes)


def opened(disk: VolatileFileSystem) -> DiskStore:
    return DiskStore(disk, StoreOptions(sizelimit=LIMIT)).open()


def calls_of_a_life() -> int:
    disk = VolatileFileSystem()
    live(opened(disk), Ledger())
    return disk.calls


MOST_LOGGED = "tahoe.storage.disk.MOST_LOGGED"
ONE_SHARE = 1500
"""Bytes up to which shares go through the log here: one alone does, two at once don't."""

with pytest.MonkeyPatch.context() as _patch:
    _patch.setattr(MOST_LOGGED, ONE_SHARE)
    CALLS = calls_of_a_life()


@pytest.fixture(autouse=True)
def shares_of_both_kinds(monkeypatch):
    monkeypatch.setattr(MOST_LOGGED, ONE_SHARE)


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


def test_a_life_has_enough_calls_to_be_cut_off_at():
    assert CALLS > 200


@pytest.mark.parametrize("part", range(4))
def test_a_power_cut_at_any_call_loses_nothing_acknowledged_and_shows_nothing_half(part):
    for call in range(1 + part, CALLS + 2, 4):
        for seed in range(4):
            disk, ledger = lived_until(call)
            disk.crash(Random(f"{call} {seed}"))
            store = opened(disk)
            check(store, ledger)
            check_room(store, disk)
            live(store, ledger)
            check(opened(disk), ledger)


@pytest.mark.parametrize("part", range(2))
def test_what_is_visible_after_a_kill_survives_the_next_power_cut(part):
    for call in range(1 + part, CALLS + 2, 2):
        disk, ledger = lived_until(call)
        disk.kill()
        store = opened(disk)
        check(store, ledger)
        visible = {(place, number) for place in range(6) for number in store.shares(index(place))}
        disk.crash(Random(call))
        after = opened(disk)
        check(after, ledger)
        assert visible == {(place, number) for place in range(6) for number in after.shares(index(place))}


def test_a_power_cut_during_recovery_loses_nothing_either():
    for call in range(1, CALLS, 5):
        for cut in range(1, 30, 3):
            disk, ledger = lived_until(call)
            disk.crash(Random(call))
            disk.trouble = partial(cut_off, disk.calls + cut)
            with suppress(PowerLoss):
                opened(disk)
            disk.trouble = no_trouble
            disk.crash(Random(cut))
            check(opened(disk), ledger)


def failing(number: int, calls: range, call: int, verb: str) -> OSError | None:
    """An error at some calls, but for those that only read."""
    return OSError(number, "told to") if call in calls and verb not in {"read", "open", "listdir", "size"} else None


def test_an_expiry_across_two_sectors_never_falls_back():
    size = 512 - 12 - 70  # the border is after the second byte of the four
    for new in (0x65_80_FF_FF, 0x65_81_00_00, 0x66_00_00_01):
        for seed in range(150):
            disk = VolatileFileSystem()
            store = opened(disk)
            store.store(index(0), {0: bytes(size)}, lease(), 0x65_80_F0_FF - PERIOD)
            call = disk.calls + 1 + seed % 15
            disk.trouble = partial(cut_off, call)
            with suppress(PowerLoss):
                store.add_lease(index(0), lease(), 1, new - PERIOD)
            disk.trouble = no_trouble
            disk.crash(Random(seed))
            assert opened(disk).leases(index(0), 0)[0].expires >= 0x65_80_F0_FF


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
def test_a_disk_error_at_any_call_loses_nothing_acknowledged_and_shows_nothing_half(number, lasting):
    failures = 0
    for call in range(20, CALLS + 1):
        disk, ledger = VolatileFileSystem(), Ledger()
        store = opened(disk)

        last = CALLS * 2 if lasting else call
        disk.trouble = partial(failing, number, range(call, last + 1))
        failures += muddle_through(store, ledger)
        disk.trouble = no_trouble
        check(store, ledger)
        store.abort_idle(NOW * 2, 0)
        sizes = [disk.size(path_of(each, number)) for each in store.storage_indexes() for number in store.shares(each)]
        assert abs(store.space().available - LIMIT + sum(sizes)) <= 2 * LEASE_SIZE
        disk.crash(Random(call))
        recovered = opened(disk)
        check(recovered, ledger)
        check_room(recovered, disk)
    assert failures > CALLS / 4
