"""The undo journal changes files wholly or not at all, takes back what hangs half way, and lets go of files."""

from __future__ import annotations

import errno
from random import Random

import pytest

from tahoe.storage.filesystem import VolatileFileSystem
from tahoe.storage.folders import Folders
from tahoe.storage.undo import Edit, Patch, UndoJournal

OLD = b"what stood there before"


@pytest.fixture
def disk():
    disk = VolatileFileSystem()
    disk.mkdir("undo")
    for path in ("one", "two"):
        file = disk.create(path)
        file.write(0, OLD)
        file.sync()
    return disk


def journal_of(disk) -> UndoJournal:
    return UndoJournal(disk, Folders(disk), "undo/0")


def text(disk, path: str) -> bytes:
    return disk.open(path).read(0, 1000)


def edit(path: str, *patches: tuple[int, bytes], end: int = len(OLD)) -> Edit:
    return Edit(path, end, tuple(Patch(*patch) for patch in patches))


def fail_sync(count: int, disk: VolatileFileSystem) -> None:
    """Let the n-th sync of a file from now on fail."""
    left = [count]

    def trouble(_call: int, verb: str) -> OSError | None:
        left[0] -= verb == "sync"
        return OSError(errno.EIO, "told to") if verb == "sync" and not left[0] else None

    disk.trouble = trouble


def test_a_change_overwrites_and_appends(disk):
    journal_of(disk).change([edit("one", (0, b"WHAT"), (17, b"after that, too"))])
    assert text(disk, "one") == b"WHAT stood there after that, too"


def test_a_change_that_failed_is_taken_back_in_all_its_files_and_leaves_no_bytes_behind(disk):
    journal = journal_of(disk)
    fail_sync(3, disk)
    with pytest.raises(OSError, match="told to"):
        journal.change([edit("one", (0, b"x" * 100)), edit("two", (5, b"x" * 100))])
    assert not journal.is_settled
    journal.mend()
    assert journal.is_settled
    assert text(disk, "one") == text(disk, "two") == OLD


def test_a_journal_that_could_not_be_written_changes_nothing(disk):
    journal = journal_of(disk)
    fail_sync(1, disk)
    with pytest.raises(OSError, match="told to"):
        journal.change([edit("one", (0, b"x"))])
    assert text(disk, "one") == OLD
    journal.change([edit("one", (0, b"W"))])
    assert text(disk, "one") == b"W" + OLD[1:]


def test_the_next_run_takes_back_what_the_last_one_left_half_done(disk):
    journal = journal_of(disk)
    fail_sync(3, disk)
    with pytest.raises(OSError, match="told to"):
        journal.change([edit("one", (0, b"x" * 100)), edit("two", (5, b"x" * 100))])
    file = disk.edit("one")
    file.truncate(50)
    following = journal_of(disk)
    following.load()
    assert not following.is_settled
    following.mend()
    assert text(disk, "one") == OLD


def test_the_next_run_keeps_what_was_done(disk):
    journal_of(disk).change([edit("one", (0, b"WHAT")), edit("two", (0, b"What"))])
    following = journal_of(disk)
    following.load()
    assert following.is_settled
    assert text(disk, "one") == b"WHAT" + OLD[4:]


@pytest.mark.parametrize("bit", range(0, 8 * 60, 7))
def test_a_torn_journal_undoes_nothing(disk, bit):
    journal_of(disk).change([edit("one", (0, b"WHAT"))])
    file = disk.edit("one")
    file.write(0, b"more")
    journal = disk.edit("undo/0")
    journal.write(bit // 8, bytes([journal.read(bit // 8, 1)[0] ^ 1 << bit % 8]))
    following = journal_of(disk)
    following.load()
    assert following.is_settled
    assert text(disk, "one") == b"more" + OLD[4:]


@pytest.mark.parametrize("new_run", [False, True])
def test_a_file_that_was_released_may_be_replaced(disk, new_run):
    journal = journal_of(disk)
    journal.change([edit("one", (0, b"WHAT"))])
    if new_run:
        journal = journal_of(disk)
        journal.load()
    journal.release(["one"])
    disk.edit("one").write(0, b"a file of the same name")
    following = journal_of(disk)
    following.load()
    assert following.is_settled


@pytest.mark.parametrize("seed", range(20))
def test_a_file_is_released_from_a_journal_whose_writing_failed(disk, seed):
    disk.sync()
    journal = journal_of(disk)
    fail_sync(1, disk)
    with pytest.raises(OSError, match="told to"):
        journal.change([edit("one", (0, b"WHAT"))])
    journal.release(["one"])
    file = disk.edit("one")
    file.write(0, b"a file of the same name")
    file.sync()
    disk.crash(Random(seed))
    following = journal_of(disk)
    following.load()
    assert following.is_settled


def test_releasing_a_file_that_the_journal_does_not_name_costs_nothing(disk):
    journal = journal_of(disk)
    journal.change([edit("one", (0, b"WHAT"))])
    calls = disk.calls
    journal.release(["two"])
    assert disk.calls == calls


def test_a_change_costs_two_syncs_of_files_and_after_the_first_none_of_a_directory(disk):
    journal = journal_of(disk)
    journal.change([edit("one", (0, b"WHAT"))])
    disk.verbs.clear()
    journal.change([edit("one", (0, b"what"))])
    assert disk.verbs["sync"] == 2
    assert "sync_directory" not in disk.verbs


def test_a_file_that_went_needs_no_mending(disk):
    journal_of(disk).change([edit("one", (0, b"WHAT"))])
    disk.unlink("one")
    following = journal_of(disk)
    following.load()
    assert following.is_settled
