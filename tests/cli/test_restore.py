"""Snapshots brought back: times and modes, what is there already, and names that want to get out."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tahoe.cli.backup import backup
from tahoe.cli.restore import restore
from tahoe.cli.restoretarget import UNDER_WAY, RefusedError, Target
from tests.cli.fakegateway import FailureError, FakeGateway

PLAIN = {"metadata": {"mode": 0o644, "mtime_ns": 10**18}}


@pytest.fixture
def gateway(tmp_path):
    with FakeGateway(tmp_path / "node") as running:
        yield running


class Restorer:
    """Runs commands in this process, and makes directories that nobody honest would make."""

    def __init__(self, gateway: FakeGateway, root: Path) -> None:
        self.memory = gateway.memory
        self.gateway = gateway
        self.target = root / "target"
        self._node = root / "node"

    def __call__(self, snapshot: str, *options: str, fails: bool = False) -> str:
        done = CliRunner().invoke(restore, [snapshot, str(self.target), "-d", str(self._node), *options])
        assert (done.exit_code != 0) == fails, done.output
        assert isinstance(done.exception, (SystemExit, type(None))), done.exception
        return done.output

    def backup(self, source: Path) -> None:
        assert CliRunner().invoke(backup, [str(source), "private:b", "-d", str(self._node)]).exit_code == 0

    def directory(self, children: dict[str, Any]) -> str:
        cap = self.memory.mkdir()
        self.memory.link(self.memory.find(cap, []), children, replace=True)
        return cap

    def file(self, data: bytes, **metadata: Any) -> list[Any]:
        return ["filenode", {"ro_uri": self.memory.store(data, "3/7/10"), "size": len(data), "metadata": metadata}]


@pytest.fixture
def restorer(gateway, tmp_path):
    return Restorer(gateway, tmp_path)


def facts_of(root: Path):
    """Everything below a directory, with times and modes."""
    found = {}
    for path in [root, *sorted(root.rglob("*"))]:
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(root))] = (status.st_mode, status.st_mtime_ns, content)
    return found


def grow_tree(root: Path, dice: random.Random, depth: int = 3) -> None:
    root.mkdir()
    for name in dice.sample(["a", "b c", "ü", "x.txt", ".hidden", "-dash", "line\nbreak", "名前"], 4):
        path = root / name
        if depth and dice.random() < 0.4:
            grow_tree(path, dice, depth - 1)
        else:
            path.write_bytes(dice.randbytes(dice.choice([0, 1, 55, 56, 5000])))
            path.chmod(dice.choice([0o644, 0o600, 0o755, 0o444]))
            os.utime(path, ns=(0, dice.randrange(-(10**17), 4 * 10**18)))
    root.chmod(dice.choice([0o755, 0o700, 0o555]))
    os.utime(root, ns=(0, dice.randrange(10**18)))


@pytest.mark.parametrize("seed", range(4))
def test_a_tree_comes_back_with_its_times_and_modes(restorer, tmp_path, seed):
    source = tmp_path / "source"
    grow_tree(source, random.Random(seed))
    restorer.backup(source)
    restorer("private:b/Latest")
    assert facts_of(restorer.target) == facts_of(source)


def test_a_restored_tree_is_backed_up_as_the_very_same_snapshot(restorer, tmp_path):
    grow_tree(tmp_path / "source", random.Random(9))
    restorer.backup(tmp_path / "source")
    restorer("private:b/Latest")
    stored = set(restorer.memory.files)
    restorer.backup(restorer.target)
    assert set(restorer.memory.files) == stored


def test_what_is_there_already_stays_and_is_named(restorer, tmp_path):
    cap = restorer.directory(
        {
            "mine": restorer.file(b"theirs"),
            "folder": restorer.file(b"a file"),
            "plain": ["dirnode", {"ro_uri": restorer.directory({}), "metadata": {}}],
            "new": restorer.file(b"new"),
        }
    )
    restorer.target.mkdir()
    (restorer.target / "mine").write_text("mine")
    (restorer.target / "folder").mkdir()
    (restorer.target / "plain").write_text("a file, too")
    said = restorer(cap, fails=True)
    assert (restorer.target / "mine").read_text() == "mine"
    assert (restorer.target / "folder").is_dir()
    assert (restorer.target / "plain").read_text() == "a file, too"
    assert (restorer.target / "new").read_text() == "new"
    for name in ("mine", "folder", "plain"):
        assert f"NOT RESTORED: {name} (" in said


def test_told_to_overwrite_it_replaces_files_but_never_a_directory_by_a_file(restorer):
    cap = restorer.directory({"mine": restorer.file(b"theirs"), "folder": restorer.file(b"a file")})
    (restorer.target / "folder").mkdir(parents=True)
    (restorer.target / "mine").write_text("mine")
    restorer(cap, "--overwrite", fails=True)
    assert (restorer.target / "mine").read_text() == "theirs"
    assert (restorer.target / "folder").is_dir()


def test_directories_that_were_there_keep_their_times_and_modes(restorer):
    inner = restorer.directory({"file": restorer.file(b"x")})
    cap = restorer.directory({"old": ["dirnode", {"ro_uri": inner, "metadata": {"mode": 0o777, "mtime_ns": 5}}]})
    (restorer.target / "old").mkdir(parents=True, mode=0o700)
    restorer(cap)
    assert stat.S_IMODE((restorer.target / "old").stat().st_mode) == 0o700
    assert (restorer.target / "old" / "file").read_bytes() == b"x"
    restorer(cap, "--overwrite")
    assert stat.S_IMODE((restorer.target / "old").stat().st_mode) == 0o777


def test_interrupted_it_goes_on_and_directories_get_their_times_in_the_end(restorer, gateway, tmp_path):
    source = tmp_path / "source"
    grow_tree(source, random.Random(3))
    restorer.backup(source)
    for stop_at in range(1, 12):
        gateway.asked.clear()

        def fail(number, stop_at=stop_at):
            if number >= stop_at:
                raise FailureError(500, "", "down")

        gateway.before = fail
        CliRunner().invoke(
            restore, ["private:b/Latest", str(restorer.target), "-d", str(tmp_path / "node"), "--jobs", "1"]
        )
        if restorer.target.exists():  # as a kill before the end leaves it
            for path in [restorer.target, *restorer.target.rglob("*")]:
                if path.is_dir():
                    path.chmod(UNDER_WAY)
    gateway.before = lambda _number: None
    restorer("private:b/Latest")
    assert facts_of(restorer.target) == facts_of(source)


@pytest.mark.parametrize("name", ["..", ".", "", "../escaped", "/escaped", "a/b", "nul\0name", "\ud800", "x" * 300])
def test_a_name_that_no_file_here_can_have_is_refused_and_the_rest_comes(restorer, tmp_path, name):
    inner = restorer.directory({"deep": restorer.file(b"deep")})
    cap = restorer.directory({name: restorer.file(b"hostile"), "good": restorer.file(b"good")})
    more = restorer.directory({name: ["dirnode", {"ro_uri": inner, "metadata": {}}], "good": restorer.file(b"good")})
    before = {path for path in tmp_path.rglob("*") if "node" not in path.parts}
    for each in (cap, more):
        restorer(each, fails=True)
    new = {path for path in tmp_path.rglob("*") if "node" not in path.parts} - before
    assert new == {restorer.target, restorer.target / "good"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(name=st.one_of(st.text(), st.text("./\\\0~$ \n\u202e\u0301e", max_size=6)))
def test_no_name_whatever_leads_out_of_the_target(tmp_path, name):
    target = Target(tmp_path / "target")
    target.make_root()
    try:
        target.write((name,), 1, {}, lambda file: file.write(b"x"))  # type: ignore[arg-type,return-value]  # the count is of no use
        written = True
    except (RefusedError, OSError):
        written = False
    inside = [path.name for path in (tmp_path / "target").iterdir()]
    assert inside == ([name] if written else [])
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    for path in (tmp_path / "target").iterdir():
        path.unlink()


def test_links_that_stand_in_the_way_are_not_followed(restorer, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("untouched")
    inner = restorer.directory({"file": restorer.file(b"hostile"), "other": restorer.file(b"hostile")})
    cap = restorer.directory(
        {
            "folder": ["dirnode", {"ro_uri": inner, "metadata": {"mode": 0o777}}],
            "file": restorer.file(b"hostile"),
        }
    )
    restorer.target.mkdir()
    (restorer.target / "folder").symlink_to(outside)
    (restorer.target / "file").symlink_to(outside / "file")
    before = facts_of(outside)
    restorer(cap, "--overwrite", fails=True)
    restorer(cap, fails=True)
    assert facts_of(outside) == before
    assert (restorer.target / "file").read_bytes() == b"hostile"
    assert not (restorer.target / "file").is_symlink()


def test_a_directory_that_contains_itself_is_told_and_not_followed(restorer, gateway):
    cap = restorer.directory({"file": restorer.file(b"x")})
    gateway.memory.link(
        gateway.memory.find(cap, []), {"again": ["dirnode", {"ro_uri": cap, "metadata": {}}]}, replace=True
    )
    assert "again (it is one of the directories that it is in)" in restorer(cap, fails=True)


def test_what_is_of_an_unknown_kind_is_told_and_the_rest_comes(restorer):
    cap = restorer.directory(
        {"odd": ["unknown", {"ro_uri": "ro.future:x", "metadata": {}}], "good": restorer.file(b"x")}
    )
    assert "odd (it is of a kind that is not known here)" in restorer(cap, fails=True)
    assert (restorer.target / "good").exists()


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"mode": "0777", "mtime": "yesterday"},
        {"mode": -1, "mtime": 1e300},
        {"mtime_ns": 10**40},
        {"mode": True},
        {"mtime": float("inf")},
    ],
)
def test_metadata_that_make_no_sense_do_no_harm(restorer, metadata):
    inner = restorer.directory({})
    cap = restorer.directory(
        {"file": restorer.file(b"x", **metadata), "folder": ["dirnode", {"ro_uri": inner, "metadata": metadata}]}
    )
    restorer(cap)
    assert (restorer.target / "file").read_bytes() == b"x"


def test_bits_that_lend_power_to_others_are_not_brought_back(restorer):
    cap = restorer.directory({"file": restorer.file(b"x", mode=0o6755)})
    restorer(cap)
    assert stat.S_IMODE((restorer.target / "file").stat().st_mode) == 0o755


def test_without_a_mode_files_and_directories_get_those_of_new_ones(restorer):
    inner = ["dirnode", {"ro_uri": restorer.directory({}), "metadata": {}}]
    cap = restorer.directory(
        {f"{kind}-{number}": each for number in range(20) for kind, each in (("d", inner), ("f", restorer.file(b"x")))}
    )
    before = os.umask(0o027)
    try:
        restorer(cap)
    finally:
        assert os.umask(before) == 0o027
    modes = {path.name[0]: stat.S_IMODE(path.stat().st_mode) for path in restorer.target.iterdir()}
    assert modes == {"d": 0o750, "f": 0o640}


def test_times_that_other_programs_wrote_are_understood(restorer):
    cap = restorer.directory({"file": restorer.file(b"x", mtime=1_500_000_000.5)})
    restorer(cap)
    assert (restorer.target / "file").stat().st_mtime == 1_500_000_000.5


def test_a_file_that_cannot_be_fetched_is_named_and_leaves_nothing_behind(restorer, gateway):
    data = b"lost" * 100
    cap = restorer.directory({"lost": restorer.file(data), "good": restorer.file(b"x" * 100)})
    del gateway.memory.files[gateway.memory.store(data, "3/7/10")]
    assert "lost (too few shares)" in restorer(cap, fails=True)
    assert [path.name for path in restorer.target.iterdir()] == ["good"]


def test_a_file_is_no_snapshot_and_nothing_is_made(restorer):
    cap = restorer.file(b"x")[1]["ro_uri"]
    assert "no directory" in restorer(cap, fails=True)
    assert not restorer.target.exists()
