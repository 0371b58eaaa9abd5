"""The redo log decides by one sync, does again what may not be in the files, and never does what was not decided."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Barrier

import pytest

from tahoe.storage.filesystem import RealFileSystem, VolatileFileSystem
from tahoe.storage.folders import Folders
from tahoe.storage.redo import FIRST_RECORD, FileChange, RedoLog

OLD = b"what stood there before"
ONE, TWO = "files/a/one", "files/a/two"


def log_of(disk, **more) -> RedoLog:
    return RedoLog(disk, Folders(disk), "log", **more)


@pytest.fixture
def disk():
    disk = VolatileFileSystem()
    disk.mkdir("files")
    log = log_of(disk)
    log.change(tuple(FileChange(path, len(OLD), is_new=True, patches=((0, OLD),)) for path in (ONE, TWO)))
    log.checkpoint()
    log.close()
    return disk


def text(disk, path: str) -> bytes:
    return disk.open(path).read(0, 1000)


def patch(path: str, offset: int, data: bytes, end: int = len(OLD)) -> FileChange:
    return FileChange(path, end, patches=((offset, data),))


def recovered(disk) -> RedoLog:
    log = log_of(disk)
    log.recover()
    return log


def fails(number: int, *verbs: str, skip: int = 0, times: int = 10**6):
    """Some calls of these kinds fail."""
    count = [0]

    def trouble(_call, verb):
        count[0] += verb in verbs
        return OSError(number, "told to") if verb in verbs and skip < count[0] <= skip + times else None

    return trouble


def no_trouble(_call, _verb):
    return None


def test_a_change_overwrites_appends_and_cuts(disk):
    log = log_of(disk)
    log.change((patch(ONE, 0, b"WHAT"), patch(TWO, 17, b"after that, too", 32)))
    assert (text(disk, ONE), text(disk, TWO)) == (b"WHAT" + OLD[4:], b"what stood there after that, too")
    log.change((patch(TWO, 0, b"W", 4),))
    assert text(disk, TWO) == b"What"


@pytest.mark.parametrize("seed", range(30))
def test_what_was_decided_outlives_a_power_cut(disk, seed):
    log = log_of(disk)
    log.change((patch(ONE, 0, b"WHAT"), FileChange("files/b/new", 3, is_new=True, patches=((0, b"new"),))))
    log.change((FileChange(TWO, None),))
    log.change((patch(ONE, 5, b"STOOD", 10),))
    disk.crash(Random(seed))
    recovered(disk)
    assert text(disk, ONE) == b"WHAT STOOD"
    assert text(disk, "files/b/new") == b"new"
    assert disk.listdir("files/a") == ["one"]


def test_nothing_is_kept_of_a_file_in_whose_place_a_new_one_comes(disk):
    log = log_of(disk)
    log.change((FileChange(ONE, 5, is_new=True, patches=((3, b"xy"),)),))
    assert text(disk, ONE) == b"\0\0\0xy"


def test_a_directory_goes_with_its_last_file(disk):
    log = log_of(disk)
    log.change((FileChange(ONE, None), FileChange(TWO, None)))
    assert disk.listdir("files") == []


@pytest.mark.parametrize("seed", range(30))
def test_files_that_come_and_go_and_come_again_are_as_the_last_change_left_them(disk, seed):
    log = log_of(disk)
    log.change((patch(ONE, 0, b"WHAT"),))
    log.change((FileChange(ONE, None),))
    log.change((FileChange(ONE, 5, is_new=True, patches=((0, b"again"),)),))
    log.change((FileChange(TWO, None),))
    log.change((FileChange(ONE, None),))
    log.change((FileChange(ONE, 10, is_new=True, patches=((0, b"once more!"),)),))
    disk.crash(Random(seed))
    recovered(disk)
    assert text(disk, ONE) == b"once more!"
    assert disk.listdir("files/a") == ["one"]


@pytest.mark.parametrize("bit", range(0, 8 * 150, 11))
def test_a_torn_record_and_all_behind_it_mean_nothing(disk, bit):
    disk.unlink("log")
    log, borders = log_of(disk), []
    for data in (b"WHAT", b"torn", b"lost"):
        log.change((patch(ONE, 0, data),))
        borders.append(disk.size("log"))
    file = disk.edit("log")
    offset = borders[0] + bit // 8 % (borders[2] - borders[0])
    file.write(offset, bytes([file.read(offset, 1)[0] ^ 1 << bit % 8]))
    recovered(disk)
    assert text(disk, ONE)[:4] == (b"WHAT" if offset < borders[1] else b"torn")


def test_records_of_an_earlier_epoch_mean_nothing(disk):
    log = log_of(disk)
    for turn in range(5):
        log.change((patch(ONE, 0, b"%d" % turn),))
    log.checkpoint()
    log.change((patch(TWO, 0, b"x"),))
    disk.edit(ONE).write(0, b"!")
    recovered(disk)
    assert text(disk, ONE)[:1] == b"!"


def test_a_log_that_is_long_begins_anew_and_its_files_are_durable(disk):
    log = log_of(disk, most_bytes=3000)
    for turn in range(100):
        log.change((patch(ONE, 0, b"%03d" % turn),))
        assert disk.size("log") < 4000
    disk.unlink("log")
    disk.sync_directory("")
    disk.crash(Random(1))
    assert int(text(disk, ONE)[:3]) > 50


@pytest.mark.parametrize("files", [1, 100])
@pytest.mark.parametrize("seed", range(10))
def test_after_a_checkpoint_files_do_not_need_the_log(disk, files, seed):
    log = log_of(disk)
    for number in range(files):
        log.change((FileChange(f"files/{number}/x", 3, is_new=True, patches=((0, b"new"),)),))
    log.checkpoint()
    disk.unlink("log")
    disk.crash(Random(seed))
    assert all(text(disk, f"files/{number}/x") == b"new" for number in range(files))


@pytest.mark.parametrize("verb", ["write", "sync"])
@pytest.mark.parametrize("seed", range(10))
def test_what_was_not_decided_for_an_error_is_never_done(disk, verb, seed):
    log = log_of(disk)
    log.change((patch(ONE, 0, b"WHAT"),))
    disk.trouble = fails(errno.EIO, verb, times=1)
    with pytest.raises(OSError, match="told to"):
        log.change((patch(ONE, 0, b"no, "),))
    disk.trouble = no_trouble
    log.mend("files/a")
    assert text(disk, ONE)[:4] == b"WHAT"
    disk.crash(Random(seed))
    recovered(disk)
    assert text(disk, ONE)[:4] == b"WHAT"


def test_nobody_looks_at_files_while_an_undecided_record_might_be_found(disk):
    log = log_of(disk)
    log.change((patch(ONE, 0, b"WHAT"),))
    disk.trouble = fails(errno.EIO, "sync", times=2)
    with pytest.raises(OSError, match="told to"):
        log.change((patch(ONE, 0, b"no, "),))
    with pytest.raises(OSError, match="told to"):
        log.mend("files/elsewhere")
    log.mend("files/elsewhere")
    log.change((patch(ONE, 0, b"yes,"),))
    assert text(disk, ONE)[:4] == b"yes,"


def test_what_was_decided_is_done_once_the_disk_lets_and_in_order(disk):
    log = log_of(disk)
    disk.trouble = fails(errno.EIO, "edit", skip=1)
    with pytest.raises(OSError, match="told to"):
        log.change((patch(ONE, 0, b"WHAT"), patch(ONE, 0, b"that"), patch(TWO, 0, b"two")))
    with pytest.raises(OSError, match="told to"):
        log.mend("files/a")
    disk.trouble = no_trouble
    log.mend("files/a")
    assert (text(disk, ONE)[:4], text(disk, TWO)[:3]) == (b"that", b"two")
    log.change((patch(ONE, 0, b"more"),))
    disk.crash(Random(1))
    recovered(disk)
    assert text(disk, ONE)[:4] == b"more"


def test_a_checkpoint_does_first_what_is_decided(disk):
    log = log_of(disk)
    disk.trouble = fails(errno.EIO, "edit", skip=1, times=1)
    with pytest.raises(OSError, match="told to"):
        log.change((patch(ONE, 0, b"WHAT"),))
    disk.trouble = no_trouble
    log.checkpoint()
    disk.crash(Random(1))
    assert text(disk, ONE)[:4] == b"WHAT"


@pytest.mark.parametrize("skip", [0, 1, 2])
def test_a_checkpoint_that_failed_leaves_the_log_as_it_was(disk, skip):
    log = log_of(disk)
    log.change((patch(ONE, 0, b"WHAT"), patch(TWO, 0, b"TWO!")))
    disk.trouble = fails(errno.EIO, "sync", skip=skip, times=1)
    with pytest.raises(OSError, match="told to"):
        log.checkpoint()
    disk.trouble = no_trouble
    disk.crash(Random(skip))
    recovered(disk)
    assert (text(disk, ONE)[:4], text(disk, TWO)[:4]) == (b"WHAT", b"TWO!")


def test_a_log_whose_beginning_anew_failed_begins_anew_before_the_next_record(disk):
    for seed in range(20):
        log = recovered(disk)
        log.change((patch(ONE, 0, b"WHAT"),))
        disk.trouble = fails(errno.EIO, "sync", skip=1, times=1)
        with pytest.raises(OSError, match="told to"):
            log.checkpoint()
        disk.trouble = no_trouble
        log.change((patch(ONE, 0, b"%04d" % seed),))
        disk.crash(Random(seed))
        recovered(disk)
        assert text(disk, ONE)[:4] == b"%04d" % seed


def test_a_log_of_one_change_has_the_bytes_that_its_description_says(disk):
    disk.unlink("log")
    log_of(disk).change((patch(ONE, 0, b"WHAT"),))
    data = disk.open("log").read(0, 10**6)
    assert data[:16] == b"tahoe redo 1\n\0\0\0"
    assert data[24:FIRST_RECORD] == bytes(FIRST_RECORD - 24)
    assert int.from_bytes(data[FIRST_RECORD : FIRST_RECORD + 4], "big") == len(data) - FIRST_RECORD - 36


class SlowDisk(RealFileSystem):
    """Counts syncs of files, and lets several threads meet in the first."""

    def __init__(self, root) -> None:
        super().__init__(root)
        self.syncs = 0

    def edit(self, path):
        return self._counted(super().edit(path))

    def create(self, path):
        return self._counted(super().create(path))

    def _counted(self, file):
        disk = self

        class Counted(type(file)):
            def sync(self):
                disk.syncs += 1
                super().sync()

        counted = Counted.__new__(Counted)
        counted._descriptor = file._descriptor
        return counted


def test_changes_of_many_threads_are_all_done_and_share_syncs_and_checkpoints(tmp_path):
    disk = SlowDisk(tmp_path)
    (tmp_path / "files").mkdir()
    log = log_of(disk, most_bytes=20_000)
    threads, turns = 16, 60
    together = Barrier(threads)

    def live(number):
        path = f"files/{number}/x"
        log.change((FileChange(path, 4, is_new=True, patches=((0, b"----"),)),))
        together.wait(timeout=30)
        for turn in range(turns):
            log.change((FileChange(path, 4, patches=((0, b"%04d" % turn),)),))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(live, range(threads)))
    assert disk.syncs < threads * turns
    for number in range(threads):
        assert (tmp_path / "files" / str(number) / "x").read_bytes() == b"%04d" % (turns - 1)
    log.close()
    log = recovered(disk)
    for number in range(threads):
        assert (tmp_path / "files" / str(number) / "x").read_bytes() == b"%04d" % (turns - 1)
