"""Owner numbers never mean two accounts, and time never runs backward, wherever a crash comes."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from random import Random

import pytest

from tahoe.errors import BadConfiguration
from tahoe.policy.quota import Allowances, Member
from tahoe.storage.accounts import ACCOUNTS, FIRST_NUMBER, AccountBook
from tahoe.storage.allowances import read_allowances, write_allowances
from tahoe.storage.books import OwnedLease
from tahoe.storage.filesystem import PowerLoss, VolatileFileSystem
from tahoe.storage.memory import MemoryStore
from tahoe.storage.timekeeper import TIME, Timekeeper
from tests.storage.samples import index

NAMES = [f"v0-account{number}" for number in range(4)]
START = 1_700_000_000


def cut_off(last: int, call: int, _verb: str) -> PowerLoss | None:
    return PowerLoss() if call == last else None


def no_trouble(_call: int, _verb: str) -> None:
    return None


def loaded(disk) -> AccountBook:
    book = AccountBook(disk)
    book.load()
    return book


def test_names_get_numbers_that_outlive_a_restart():
    disk = VolatileFileSystem()
    book = loaded(disk)
    numbers = [book.number_of(name) for name in NAMES]
    assert numbers == list(range(FIRST_NUMBER, FIRST_NUMBER + 4))
    again = loaded(disk)
    assert [again.name_of(number) for number in numbers] == NAMES
    assert again.number_of(NAMES[2]) == numbers[2]
    assert [again.name_of(number) for number in (0, 1, 99)] == ["", "", ""]


def test_when_the_file_is_lost_new_numbers_begin_above_those_in_use():
    store = MemoryStore()
    mine = OwnedLease(bytes(32), bytes(32), 7)
    store.store(index(0), {0: b"x"}, mine, START)
    assert store.books().number_of("v0-new") == 8
    assert list(store.books().usage()) == [""]
    again = AccountBook(store.books()._filesystem)
    again.load()
    assert again.name_of(8) == "v0-new"
    assert again.number_of("v0-newer") == 9


def test_what_can_be_no_name_is_nobody():
    book = loaded(VolatileFileSystem())
    for name in ("", "two words", "line\nbreak", "x" * 500):
        assert book.name_of(book.number_of(name)) == ""


@pytest.mark.parametrize("kill", [False, True])
def test_a_number_once_told_means_the_same_account_for_ever(kill):
    calls = 0
    while True:
        calls += 1
        disk, told = VolatileFileSystem(), {}
        disk.trouble = partial(cut_off, calls)
        with suppress(PowerLoss):
            book = loaded(disk)
            for name in NAMES:
                told[name] = book.number_of(name)
        disk.trouble = no_trouble
        finished = disk.calls < calls
        for seed in range(6):
            if kill:
                disk.kill()
            else:
                disk.crash(Random(f"{calls} {seed}"))
            book = loaded(disk)
            assert {name: book.name_of(number) for name, number in told.items()} == {name: name for name in told}
            others = {name: book.number_of(name) for name in (f"v0-other{seed}", *NAMES)}
            assert len(set(others.values())) == len(others)
            told |= others
        if finished:
            return


def test_an_accounts_file_of_another_kind_is_not_read_as_ours():
    disk = VolatileFileSystem()
    file = disk.create(ACCOUNTS)
    file.write(0, b"tahoe accounts 2\n1 x y\n")
    with pytest.raises(BadConfiguration, match="accounts"):
        loaded(disk)


# --- allowances ---------------------------------------------------------------------------------------------------


def test_allowances_are_read_as_they_were_written_and_without_a_file_everything_is_allowed():
    disk = VolatileFileSystem()
    assert read_allowances(disk) == Allowances()
    allowed = Allowances({"alice": Member(1000, ("v0-desk",)), "v0-bob": Member()}, pool=5)
    write_allowances(disk, allowed)
    write_allowances(disk, allowed)
    assert read_allowances(disk) == allowed


def test_allowances_are_the_old_or_the_new_wherever_the_power_goes():
    old, new = Allowances({}, pool=1), Allowances({"a": Member(2)}, pool=3)
    for cut in range(1, 9):
        disk = VolatileFileSystem()
        write_allowances(disk, old)
        disk.trouble = partial(cut_off, disk.calls + cut)
        with suppress(PowerLoss):
            write_allowances(disk, new)
        disk.trouble = no_trouble
        disk.crash(Random(cut))
        assert read_allowances(disk) in (old, new)


def test_a_damaged_file_is_told():
    disk = VolatileFileSystem()
    disk.create("allowances").write(0, b"{")
    with pytest.raises(BadConfiguration, match="allowances"):
        read_allowances(disk)


# --- time -----------------------------------------------------------------------------------------------------------


def started(disk, clock: float, uptime: float = 0.0) -> Timekeeper:
    keeper = Timekeeper(disk)
    keeper.start(clock, uptime)
    return keeper


def test_the_first_start_believes_the_machines_clock_and_later_ones_do_not():
    disk = VolatileFileSystem()
    keeper = started(disk, START)
    keeper.step(500.0)
    assert keeper.now == START + 500
    for clock in (START + 10**8, 0):
        again = started(disk, clock)
        assert (again.now, again.since) == (START + 500, START)


def test_time_stands_while_it_can_not_be_kept():
    disk = VolatileFileSystem()
    keeper = started(disk, START)
    disk.trouble = lambda _call, _verb: OSError(5, "told to")
    with pytest.raises(OSError, match="told to"):
        keeper.step(500.0)
    assert keeper.now == START
    disk.trouble = no_trouble
    keeper.step(600.0)
    assert keeper.now == START + 600


def test_a_server_that_is_killed_again_and_again_gains_no_time():
    disk, clock = VolatileFileSystem(), START
    for _ in range(50):
        keeper = started(disk, clock)
        keeper.step(10.0)
        clock += 86_400
    assert keeper.now == START + 500


def test_time_never_runs_backward_wherever_the_power_goes():
    for cut in range(1, 30):
        disk = VolatileFileSystem()
        shown = 0
        disk.trouble = partial(cut_off, cut)
        with suppress(PowerLoss):
            keeper = started(disk, START)
            for uptime in (100.0, 200.0, 300.0):
                keeper.step(uptime)
                shown = keeper.now
        disk.trouble = no_trouble
        disk.crash(Random(cut))
        assert started(disk, START).now >= shown


def test_a_store_that_is_empty_leaps_to_what_others_say():
    keeper = started(VolatileFileSystem(), 0)
    for voice in range(3):
        keeper.sight(f"friend {voice}", START, 0.0)
    keeper.step(10.0, nothing_kept=True)
    assert keeper.now == START + 10


def test_a_file_that_makes_no_sense_is_a_first_start():
    disk = VolatileFileSystem()
    disk.create(TIME).write(0, b"tahoe time 1\nnoon\n")
    assert started(disk, START).since == START
