"""Backups: what is sent, what is known, what is left out, and what a kill at any moment costs."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tahoe.cli.backup import backup
from tahoe.cli.backupdatabase import COARSE_TICK, FINE_TICK, FRESH_SECONDS, STALE_SECONDS, BackupDatabase, Stamp
from tahoe.cli.backuproot import Encoding, blocks
from tahoe.cli.backupsnapshot import UnreadableError
from tahoe.cli.backuptree import Exclusion, Found, contents
from tahoe.cli.gateway import BLOCK
from tahoe.errors import BadConfiguration
from tests.cli.fakegateway import FailureError, FakeGateway

ROOT = Path(__file__).parents[2]
DESTINATION = "private:backups/laptop"


@pytest.fixture
def gateway(tmp_path):
    with FakeGateway(tmp_path / "node") as running:
        yield running


@pytest.fixture
def source(tmp_path):
    """A small tree whose times are settled: a change that comes now would show in them."""
    root = tmp_path / "home"
    (root / "documents" / "old").mkdir(parents=True)
    for number in range(4):
        (root / f"file-{number}").write_bytes(b"%d" % number * 100)
    (root / "documents" / "letter").write_bytes(b"dear all, " * 50)
    (root / "documents" / "note").write_bytes(b"short")
    settle(root)
    return root


def settle(root: Path) -> None:
    newest = max(path.stat().st_ctime_ns for path in root.rglob("*"))
    while time.time_ns() <= newest + FINE_TICK:
        time.sleep(0.01)  # until the clock says so


class Backups:
    """Runs the command in this process."""

    def __init__(self, gateway: FakeGateway, node: Path) -> None:
        self.gateway = gateway
        self.node = node

    def __call__(self, source: Path, *options: str, fails: bool = False) -> str:
        self.gateway.asked.clear()
        done = CliRunner().invoke(backup, [str(source), DESTINATION, "-d", str(self.node), *options])
        assert (done.exit_code != 0) == fails, done.output
        assert isinstance(done.exception, (SystemExit, type(None))), done.exception
        return done.output

    @property
    def sent(self) -> list[int]:
        """Sizes of what was stored."""
        return [asked.size for asked in self.gateway.asked if asked.what == "PUT uri"]

    def tree(self, name: str = "Latest"):
        """The latest snapshot: contents of files, dictionaries for directories."""
        memory = self.gateway.memory
        return self.below(memory.find(memory.root("private"), ["backups", "laptop", name]))

    def below(self, cap):
        memory = self.gateway.memory
        return {
            name: self.below(memory.find(facts["ro_uri"], []))
            if kind == "dirnode"
            else memory.read(memory.find(facts["ro_uri"], []))
            for name, (kind, facts) in memory.children(cap).items()
        }

    def metadata(self, *path: str):
        memory = self.gateway.memory
        *above, name = ("backups", "laptop", *path)
        return memory.children(memory.find(memory.root("private"), list(above)))[name][1]["metadata"]

    def archives(self) -> list[str]:
        memory = self.gateway.memory
        return sorted(memory.children(memory.find(memory.root("private"), ["backups", "laptop", "Archives"])))


@pytest.fixture
def backups(gateway, tmp_path):
    return Backups(gateway, tmp_path / "node")


def on_disk(root: Path):
    return {path.name: on_disk(path) if path.is_dir() else path.read_bytes() for path in root.iterdir()}


# --- what is in a snapshot -------------------------------------------------------------------------------------


def test_a_snapshot_is_the_tree_under_the_time_and_as_the_latest(backups, source):
    said = backups(source)
    assert backups.tree() == on_disk(source)
    (archive,) = backups.archives()
    assert backups.below(
        backups.gateway.memory.find(backups.gateway.memory.root("private"), ["backups", "laptop", "Archives", archive])
    ) == on_disk(source)
    assert f"Archives/{archive}: 6 files" in said
    assert time.strptime(archive, "%Y-%m-%dT%H:%M:%SZ")


def test_times_and_modes_are_kept_in_the_links(backups, source):
    (source / "file-1").chmod(0o640)
    os.utime(source / "documents", ns=(1, 1_234_567_890_123_456_789))
    backups(source)
    assert backups.metadata("Latest", "file-1")["mode"] == 0o640
    assert backups.metadata("Latest", "file-1")["mtime_ns"] == (source / "file-1").stat().st_mtime_ns
    assert backups.metadata("Latest", "documents")["mtime_ns"] == 1_234_567_890_123_456_789
    assert backups.metadata("Latest", "documents")["mtime"] == pytest.approx(1_234_567_890.123)
    assert backups.metadata("Latest")["mode"] == stat.S_IMODE(source.stat().st_mode)


def test_links_pipes_and_sockets_are_named_and_not_followed(backups, source, monkeypatch):
    (source / "link").symlink_to("/etc")
    (source / "dangling").symlink_to("nowhere")
    os.mkfifo(source / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(source)  # the names of sockets are short
        listening.bind("socket")
        said = backups(source)
    assert {"link", "dangling", "pipe", "socket"}.isdisjoint(backups.tree())
    assert "pipe (named pipe)" in said
    assert "1 named pipe, 1 socket, 2 symbolic links" in said


def test_what_is_excluded_is_left_out_by_name_anywhere_and_by_path_below_the_source(backups, source, tmp_path):
    (source / ".git").mkdir()
    (source / "documents" / "cache.tmp").write_bytes(b"x")
    patterns = tmp_path / "patterns"
    patterns.write_text("file-[01]\n\n")
    backups(
        source, "--exclude", "*.tmp", "--exclude", "documents/old", "--exclude-from", str(patterns), "--exclude-vcs"
    )
    tree = backups.tree()
    assert sorted(tree) == ["documents", "file-2", "file-3"]
    assert sorted(tree["documents"]) == ["letter", "note"]


def test_the_nodes_own_directory_is_left_out_and_named(backups, tmp_path):
    said = backups(tmp_path)
    assert "node" not in backups.tree()
    assert "the node's own directory" in said


def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_saved(backups, source, monkeypatch):
    real_open = os.open

    def refusing(path, *arguments, **more):
        if str(path).endswith("file-2"):
            raise PermissionError(13, "Permission denied", path)
        return real_open(path, *arguments, **more)

    monkeypatch.setattr(os, "open", refusing)
    said = backups(source, fails=True)
    assert "file-2 (Permission denied)" in said
    assert sorted(backups.tree()) == ["documents", "file-0", "file-1", "file-3"]


def test_names_that_the_grid_cannot_have_are_named_and_the_rest_is_saved(backups, source):
    Path(os.fsdecode(os.fsencode(source) + b"/\xff\xfe")).write_bytes(b"no Unicode")
    (source / "caf\u00e9").write_bytes(b"composed")
    (source / "cafe\u0301").write_bytes(b"decomposed")
    said = backups(source, fails=True)
    assert "valid Unicode" in said
    assert "after normalisation" in said
    tree = backups.tree()
    assert sorted(tree) == ["caf\u00e9", "documents", "file-0", "file-1", "file-2", "file-3"]
    assert tree["caf\u00e9"] in (b"composed", b"decomposed")


def test_a_tree_deeper_than_recursion_goes_is_saved(backups, tmp_path):
    deep = tmp_path / "deep"
    deep.mkdir()
    at = deep
    for _ in range(500):
        at /= "d"
        at.mkdir()
    backups(deep)
    cap = backups.gateway.memory.find(
        backups.gateway.memory.root("private"), ["backups", "laptop", "Latest", *"d" * 500]
    )
    assert backups.below(cap) == {}


def test_large_files_go_in_pieces_and_small_ones_stay_in_their_capabilities(backups, tmp_path):
    source = tmp_path / "home"
    source.mkdir()
    (source / "large").write_bytes(os.urandom(3_500_000))
    (source / "tiny").write_bytes(b"x" * 55)
    (source / "empty").write_bytes(b"")
    backups(source)
    assert backups.tree() == on_disk(source)
    assert 3_500_000 in backups.sent
    assert len(backups.sent) == 2


def test_a_destination_that_cannot_be_written_to_is_refused_before_anything_is_sent(backups, source):
    memory = backups.gateway.memory
    read_only = str(memory.find(memory.root("private"), ["backups"], make=True).read_only())
    done = CliRunner().invoke(backup, [str(source), read_only, "-d", str(backups.node)])
    assert "only reads it" in done.output
    assert not backups.sent


# --- what is sent ----------------------------------------------------------------------------------------------


def test_an_unchanged_tree_sends_nothing_but_its_new_name(backups, source):
    backups(source)
    first = len(backups.gateway.asked)
    said = backups(source)
    assert not backups.sent
    assert len(backups.gateway.asked) <= 6 < first
    assert "0 read" in said
    assert len(backups.archives()) == 2
    assert backups.tree() == on_disk(source)


def test_only_what_changed_is_sent_and_the_directories_above_it(backups, source):
    backups(source)
    (source / "documents" / "letter").write_bytes(b"dear none, " * 50)
    backups(source)
    assert 550 in backups.sent
    assert len(backups.sent) == 3
    assert backups.tree() == on_disk(source)


def test_a_new_mode_sends_a_directory_and_the_file_is_read_again_but_is_the_same(backups, source):
    backups(source)
    before = set(backups.gateway.memory.files)
    (source / "file-0").chmod(0o600)
    backups(source)
    assert len(set(backups.gateway.memory.files) - before) == 1
    assert backups.metadata("Latest", "file-0")["mode"] == 0o600


def test_without_its_database_a_backup_reads_everything_and_stores_nothing_new(backups, source):
    backups(source)
    before = set(backups.gateway.memory.files)
    (backups.node / "private" / "backup.sqlite").unlink()
    assert "6 read" in backups(source)
    assert set(backups.gateway.memory.files) == before


def test_another_encoding_of_the_grid_sends_nothing_again(backups, source):
    backups(source)
    before = set(backups.gateway.memory.files)
    backups.gateway.memory.encoding = (4, 9, 12)
    backups(source)
    assert not backups.sent
    (backups.node / "private" / "backup.sqlite").unlink()
    os.utime(source / "file-0")
    backups(source)
    assert len(set(backups.gateway.memory.files) - before) == 1, "the root's table, since a time in it changed"
    assert backups.metadata("Archives")["backup"] == {"encoding": "3-of-10"}


def test_a_root_made_without_an_encoding_gets_todays(backups, source):
    memory = backups.gateway.memory
    memory.find(memory.root("private"), ["backups", "laptop", "Archives"], make=True)
    backups(source)
    assert backups.metadata("Archives")["backup"] == {"encoding": "3-of-10"}
    assert backups.tree() == on_disk(source)


def test_two_roots_with_other_encodings_keep_their_files_apart(backups, source):
    backups(source)
    backups.gateway.memory.encoding = (4, 9, 12)
    done = CliRunner().invoke(backup, [str(source), "private:elsewhere", "-d", str(backups.node)])
    assert "6 read" in done.output


def test_what_changed_just_before_it_was_read_is_read_again_the_next_time(backups, source, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: (source / "file-0").stat().st_ctime_ns)
        backups(source)
    assert "6 read" in backups(source)
    assert "0 read" in backups(source)


def test_a_file_that_changes_while_it_is_read_is_read_again_the_next_time(backups, tmp_path):
    growing = tmp_path / "home" / "growing"
    growing.parent.mkdir()
    growing.write_bytes(b"g" * 5_000_000)
    settle(growing.parent)

    def grow(_number):
        with growing.open("ab") as file:
            file.write(b"more")

    backups.gateway.before = grow
    backups(growing.parent)
    backups.gateway.before = lambda _number: None
    settle(growing.parent)
    assert "1 read" in backups(growing.parent)
    assert backups.tree()["growing"] == growing.read_bytes()


def test_a_file_that_becomes_shorter_while_it_is_sent_is_not_stored(tmp_path):
    path = tmp_path / "shrinking"
    path.write_bytes(b"s" * 3 * BLOCK)
    with path.open("rb", buffering=0) as file:
        pieces = blocks(file, 3 * BLOCK)
        next(pieces)
        os.truncate(path, BLOCK + 1)
        with pytest.raises(UnreadableError):
            list(pieces)


# --- the database ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "chance", "due"),
    [
        (FRESH_SECONDS * 0.9, 0.0, False),
        (FRESH_SECONDS * 1.5, 0.4, True),
        (FRESH_SECONDS * 1.5, 0.6, False),
        (STALE_SECONDS * 1.01, 0.999, True),
    ],
)
def test_what_was_stored_long_ago_is_stored_again_now_and_then(tmp_path, monkeypatch, age, chance, due):
    stamp = Stamp(1, 2, 3)
    with BackupDatabase(tmp_path / "known", "3-of-10", lambda: chance) as known:
        known.remember_file(b"path", stamp, "CAP")
        known.remember_directory(b"digest", "CAP")
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + age)
        assert known.file(b"path", stamp) == (None if due else "CAP")
        assert known.directory(b"digest") == (None if due else "CAP")


def test_what_is_stale_is_forgotten_so_that_the_database_stays_small(tmp_path, monkeypatch):
    def count() -> int:
        with sqlite3.connect(tmp_path / "known") as other:
            ((found,),) = other.execute("SELECT count(*) FROM files")
        other.close()
        return found

    with BackupDatabase(tmp_path / "known", "3-of-10") as known:
        known.remember_file(b"path", Stamp(1, 2, 3), "CAP")
    assert count() == 1
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + STALE_SECONDS * 1.01)
    with BackupDatabase(tmp_path / "known", "3-of-10"):
        assert count() == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(first=st.tuples(*[st.integers(0, 3)] * 3), second=st.tuples(*[st.integers(0, 3)] * 3))
def test_a_file_is_known_only_if_size_and_both_times_are_the_same(tmp_path, first, second):
    with BackupDatabase(tmp_path / "known", "3-of-10") as known:
        known.remember_file(b"path", Stamp(*first), "CAP")
        assert (known.file(b"path", Stamp(*second)) == "CAP") == (first == second)


def test_times_in_whole_seconds_are_trusted_later_than_fine_ones():
    fine, coarse = Stamp(1, 0, 10**18 + 5), Stamp(1, 0, 10**18)
    now = 10**18 + FINE_TICK + 10
    assert fine.is_settled(now)
    assert not coarse.is_settled(now)
    assert coarse.is_settled(10**18 + COARSE_TICK + 1)


def test_the_database_is_for_its_owner_only(backups, source):
    backups(source)
    for path in (backups.node / "private").glob("backup.sqlite*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", [b"this is no database" * 100, None])
def test_a_database_that_cannot_be_used_is_told_with_its_remedy(backups, source, damage):
    path = backups.node / "private" / "backup.sqlite"
    if damage is None:
        with sqlite3.connect(path) as other:
            other.execute("PRAGMA user_version = 99")
        other.close()
    else:
        path.write_bytes(damage)
    assert "remove the file" in backups(source, fails=True)


# --- encodings, trees ------------------------------------------------------------------------------------------


@given(st.integers(1, 256), st.integers(1, 256), st.integers(1, 256))
def test_a_roots_encoding_takes_todays_happiness_as_far_as_it_has_shares(happy, needed, total):
    needed, total = sorted((needed, total))
    found = Encoding(3, happy, 256).as_in(f"{needed}-of-{total}")
    assert (found.needed, found.total) == (needed, total)
    assert found.happy == min(happy, total)
    assert found.as_in(found.frozen) == found


@pytest.mark.parametrize("nonsense", ["", "3", "10-of-3", "0-of-3", "x-of-y", "3-of-1000"])
def test_an_encoding_that_makes_no_sense_is_refused(nonsense):
    with pytest.raises(BadConfiguration):
        Encoding(3, 7, 10).as_in(nonsense)


def test_names_come_in_order_and_what_vanishes_meanwhile_is_passed_over(tmp_path):
    for name in "cab":
        (tmp_path / name).write_text("")
    found = contents(str(tmp_path))
    (tmp_path / "b").unlink()
    assert [each.name for each in found] in (["a", "c"], ["a", "b", "c"])


def test_a_pattern_with_a_slash_is_a_path_and_one_without_any_name():
    exclusion = Exclusion("/root", ("*.o", "build/x", "cache/"))
    status = Path().stat()
    covered = {
        path: exclusion.covers(Found(path, status))
        for path in (
            "/root/a.o",
            "/root/deep/b.o",
            "/root/build/x",
            "/root/other/build/x",
            "/root/cache",
            "/root/deep/cache",
            "/root/c",
        )
    }
    assert list(covered.values()) == [True, True, True, False, True, True, False]


# --- killed ----------------------------------------------------------------------------------------------------


def start_backup(source: Path, node: Path) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "tahoe.cli.main",
        "backup",
        "--jobs",
        "1",
        "-d",
        str(node),
        str(source),
        DESTINATION,
    ]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("carried_out", [False, True])
def test_killed_at_any_step_a_backup_goes_on_where_it_was(tmp_path, carried_out):
    step, steps = 0, 100
    while step < steps:
        place = tmp_path / str(step)
        source = place / "home"
        (source / "folder").mkdir(parents=True)
        for number in range(4):
            (source / f"file-{number}").write_bytes(b"%d" % number * 100)
        settle(source)
        with FakeGateway(place / "node") as gateway:
            backups = Backups(gateway, place / "node")
            steps = killed_at(step, gateway, start_backup(source, place / "node"), carried_out=carried_out)
            answered = [asked.size for asked in gateway.asked[:step] if asked.what == "PUT uri"]
            backups(source)
            assert backups.tree() == on_disk(source)
            again = len(backups.sent) + len(answered) - 5
            assert 0 <= again <= 2, f"killed at {step}: {answered} were stored, then {backups.sent}"
        step += 1
    assert steps > 10


def killed_at(step: int, gateway: FakeGateway, victim: subprocess.Popen[bytes], *, carried_out: bool) -> int:
    """Let a process be killed at its request with this number, which is carried out or not; how many there may be."""

    def kill(number: int) -> None:
        if number == step:
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            if not carried_out:
                raise FailureError(500, "", "it never came")

    if carried_out:
        gateway.after = kill
    else:
        gateway.before = kill
    victim.wait(60)
    gateway.before = gateway.after = lambda _number: None
    return step if victim.returncode == 0 else step + 2


def test_an_error_of_the_grid_ends_a_backup_and_the_next_goes_on(backups, source):
    stored = 0

    def fail(number):
        nonlocal stored
        stored += backups.gateway.asked[number].what == "PUT uri"
        if stored > 3:
            raise FailureError(503, "NotEnoughServers", "too few servers")

    backups.gateway.before = fail
    assert "too few servers" in backups(source, "--jobs", "1", fails=True)
    backups.gateway.before = lambda _number: None
    backups(source)
    assert backups.tree() == on_disk(source)
    assert len(backups.sent) <= 8 - 3 + 1


def test_the_status_says_whether_all_was_saved(tahoe, gateway, source):
    assert tahoe("backup", source, DESTINATION).status == 0
    assert tahoe("backup", source / "nowhere", DESTINATION).status == 2
    (source / "file-0").chmod(0)
    Path(os.fsdecode(os.fsencode(source) + b"/\xff")).write_bytes(b"")
    failed = tahoe("backup", source, DESTINATION)
    assert failed.status == 1
    assert "not in the snapshot" in failed.err
    assert failed.text.startswith("Archives/")
