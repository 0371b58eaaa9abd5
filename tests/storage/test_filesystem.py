"""The real file system and its twin do the same, until the power is cut."""

from __future__ import annotations

import errno
import os
from random import Random

import pytest

from tahoe.storage.filesystem import PowerLoss, RealFileSystem, VolatileFileSystem, sectors


class FileSystemConformance:
    """Subclasses give the fixture ``disk``."""

    def test_a_file_reads_back_what_was_written_with_zeros_in_its_gaps(self, disk):
        file = disk.create("new")
        file.write(5, b"world")
        file.write(0, b"he")
        assert file.read(0, 100) == b"he\0\0\0world"
        assert file.read(7, 2) == b"rl"
        assert file.read(10, 5) == file.read(99, 5) == b""
        assert file.size() == disk.size("new") == 10
        file.truncate(3)
        assert file.read(0, 100) == b"he\0"
        file.truncate(5)
        file.release(0, 5)
        assert file.read(0, 100) == b"he\0\0\0"
        file.sync()
        file.close()
        assert disk.open("new").read(0, 100) == b"he\0\0\0"

    def test_a_file_can_be_edited_later(self, disk):
        disk.create("new").write(0, b"hello")
        disk.edit("new").write(0, b"j")
        assert disk.open("new").read(0, 9) == b"jello"

    def test_a_name_is_given_once(self, disk):
        disk.create("name")
        disk.mkdir("folder")
        for make in (disk.create, disk.mkdir):
            for name in ("name", "folder"):
                with pytest.raises(FileExistsError):
                    make(name)

    def test_renaming_replaces_what_bore_the_name(self, disk):
        disk.mkdir("folder")
        disk.create("old").write(0, b"old")
        disk.create("folder/new").write(0, b"new")
        held = disk.open("folder/new")
        disk.rename("old", "folder/new")
        assert disk.open("folder/new").read(0, 9) == b"old"
        assert held.read(0, 9) == b"new"
        assert disk.listdir("") == ["folder"]
        disk.rename("folder/new", "folder/newest")
        assert disk.listdir("folder") == ["newest"]

    def test_what_is_missing_is_not_found(self, disk):
        for call in (disk.open, disk.edit, disk.unlink, disk.listdir, disk.size, disk.rmdir, disk.sync_directory):
            with pytest.raises(FileNotFoundError):
                call("nowhere")
        for call in (disk.create, disk.mkdir):
            with pytest.raises(FileNotFoundError):
                call("nowhere/name")
        with pytest.raises(FileNotFoundError):
            disk.rename("nowhere", "name")
        disk.create("name")
        with pytest.raises(FileNotFoundError):
            disk.rename("name", "nowhere/name")

    def test_files_are_no_directories(self, disk):
        disk.create("file")
        disk.mkdir("folder")
        with pytest.raises(NotADirectoryError):
            disk.listdir("file")
        with pytest.raises(NotADirectoryError):
            disk.create("file/below")
        with pytest.raises((IsADirectoryError, PermissionError)):
            disk.unlink("folder")

    def test_only_empty_directories_are_removed(self, disk):
        disk.mkdir("folder")
        disk.mkdir("folder/below")
        with pytest.raises(OSError, match=os.strerror(errno.ENOTEMPTY)):
            disk.rmdir("folder")
        disk.rmdir("folder/below")
        disk.sync_directory("folder")
        disk.rmdir("folder")
        assert disk.listdir("") == []

    def test_space_is_told(self, disk):
        disk.sync()
        assert 0 < disk.space().free <= disk.space().total


class TestRealFileSystem(FileSystemConformance):
    @pytest.fixture
    def disk(self, tmp_path):
        return RealFileSystem(tmp_path / "made" / "root")

    def test_nobody_else_may_look(self, disk, tmp_path):
        disk.create("file")
        disk.mkdir("folder")
        root = tmp_path / "made" / "root"
        modes = [path.stat().st_mode & 0o077 for path in (root, root / "file", root / "folder")]
        assert modes == [0, 0, 0]


class TestVolatileFileSystem(FileSystemConformance):
    @pytest.fixture
    def disk(self):
        return VolatileFileSystem()


def fates(make) -> set:
    """What a crash may make of a disk, over many seeds."""
    found = set()
    for seed in range(200):
        disk = VolatileFileSystem()
        make(disk)
        disk.crash(Random(seed))
        found.add(tuple((name, disk.open(name).read(0, 10**6)) for name in sorted(disk.listdir(""))))
    return found


def test_what_was_synced_in_content_and_name_always_survives():
    def make(disk):
        file = disk.create("name")
        file.write(0, b"content")
        file.sync()
        disk.sync_directory("")

    assert fates(make) == {(("name", b"content"),)}


def test_a_name_that_was_not_synced_may_be_lost():
    def make(disk):
        file = disk.create("name")
        file.write(0, b"content")
        file.sync()

    assert fates(make) == {(("name", b"content"),), ()}


def test_content_that_was_not_synced_may_be_lost_while_its_name_stays():
    def make(disk):
        disk.create("name").write(0, b"content")
        disk.sync_directory("")

    assert fates(make) == {(("name", b"content"),), (("name", b""),), (("name", bytes(7)),)}


def test_a_write_may_be_torn_between_sectors_and_only_there():
    def make(disk):
        file = disk.create("name")
        file.write(0, b"a" * 1536)
        file.sync()
        disk.sync_directory("")
        file.write(500, b"b" * 600)

    found = {files[0][1] for files in fates(make)}
    parts = {(data[500:512], data[512:1024], data[1024:1100]) for data in found}
    assert {len(set(part)) for each in parts for part in each} == {1}
    assert len(parts) == 8


def test_a_rename_between_directories_may_leave_both_names_or_none():
    def make(disk):
        disk.mkdir("folder")
        disk.create("old").sync()
        disk.sync_directory("")
        disk.rename("old", "folder/new")

    found = set()
    for seed in range(200):
        disk = VolatileFileSystem()
        make(disk)
        disk.crash(Random(seed))
        found.add(("old" in disk.listdir(""), "new" in disk.listdir("folder")))
    assert found == {(True, True), (True, False), (False, True), (False, False)}


def test_a_replacing_rename_leaves_the_old_file_or_the_new():
    def make(disk):
        for name in ("new", "name"):
            file = disk.create(name)
            file.write(0, name.encode())
            file.sync()
        disk.sync_directory("")
        disk.rename("new", "name")

    assert fates(make) == {(("name", b"new"),), (("name", b"name"), ("new", b"new"))}


def test_syncing_everything_keeps_everything():
    def make(disk):
        disk.create("name").write(0, b"content")
        disk.sync()

    assert fates(make) == {(("name", b"content"),)}


def test_the_same_choice_makes_the_same_crash():
    def crashed(seed):
        disk = VolatileFileSystem()
        for number in range(20):
            disk.create(f"{number}").write(0, b"x" * 2000)
        disk.crash(Random(seed))
        return [(name, disk.open(name).read(0, 9999)) for name in disk.listdir("")]

    assert crashed(7) == crashed(7) != crashed(8)


def test_a_dead_machine_does_nothing_more():
    disk = VolatileFileSystem()
    file = disk.create("name")
    disk.trouble = lambda _call, verb: PowerLoss() if verb == "mkdir" else None
    with pytest.raises(PowerLoss):
        disk.mkdir("folder")
    with pytest.raises(PowerLoss):
        file.write(0, b"x")
    disk.crash(Random(1))
    with pytest.raises(OSError, match="before the crash"):
        file.write(0, b"x")
    assert disk.listdir("") in ([], ["name"])


def test_a_kill_loses_nothing_that_was_written():
    disk = VolatileFileSystem()
    disk.create("name").write(0, b"content")
    disk.kill()
    assert disk.open("name").read(0, 99) == b"content"


def test_the_twin_can_be_full():
    disk = VolatileFileSystem(capacity=1000)
    file = disk.create("name")
    file.write(0, bytes(900))
    file.write(100, bytes(500))
    with pytest.raises(OSError, match="No space"):
        file.write(900, bytes(101))
    assert disk.space() == (1000, 100)
    file.truncate(100)
    disk.create("more").write(0, bytes(800))
    assert disk.space().free == 100
    disk.unlink("more")
    assert disk.space().free == 900


def test_sectors_cut_where_the_disk_does():
    assert sectors(500, b"a" * 12 + b"b" * 512 + b"c") == [(500, b"a" * 12), (512, b"b" * 512), (1024, b"c")]
    assert sectors(512, b"b" * 512) == [(512, b"b" * 512)]
    assert sectors(10, b"x") == [(10, b"x")]
