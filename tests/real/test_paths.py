"""Paths on a grid of real processes: shared by several nodes, with a vdrive, clients and commands that die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from tahoe.actors.roots import ROOT_PREFIX
from tahoe.net.directory import NodeDirectory
from tahoe.protocol import VDRIVE, Encoding
from tahoe.session.statement import open_statement
from tests.real.grid import CLIENT_NAME, INTRODUCER, RealGrid, until

ROOT = Path(__file__).parents[2]
EVE = "eve"


def command(node: Path, *arguments: object) -> subprocess.Popen[str]:
    """Begin ``tahoe ARGUMENTS`` as the user of a node."""
    return subprocess.Popen(
        [sys.executable, "-m", "tahoe.cli.main", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TAHOE_NODE": str(node)},
    )


def tahoe(node: Path, *arguments: object, status: int = 0) -> str:
    """Run a command; what it prints, or says of its failure."""
    process = command(node, *arguments)
    out, err = process.communicate(timeout=100)
    assert process.returncode == status, (arguments, out, err)
    return (err if status else out).strip()


def local_tree(root: Path) -> dict[str, bytes]:
    """All files below a directory here, by path."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.name.endswith(".part")
    }


def small_grid(directory: Path) -> RealGrid:
    """A grid of five servers that is not up yet."""
    return RealGrid(directory / "grid", servers=5, encoding=Encoding(2, 3, 5))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A grid with a global root, that tests leave with everybody alive."""
    with small_grid(tmp_path_factory.mktemp("paths")) as running:
        running.up()
        running.publish_global()
        yield running
        running.check_logs()


@pytest.fixture
def photos(tmp_path):
    """A tree that takes a while to copy."""
    for number in range(60):
        path = tmp_path / "photos" / f"day {number % 3}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(5000))
    return tmp_path / "photos"


def test_friends_share_a_root_and_have_one_each_for_themselves(shared, photos, tmp_path):
    """The tour of the README: a folder for all to see, one friend's alone to change."""
    ada, eve = shared.client, shared.add_client(EVE).directory
    tahoe(ada, "cp", "-r", photos, "private:photos")
    tahoe(ada, "ln", "--read-only", "private:photos", "global:from-ada")
    until(lambda: "from-ada" in command(eve, "ls", "global:").communicate()[0].split(), "eve finds it")
    tahoe(eve, "cp", "-r", "global:from-ada", tmp_path / "hers")
    assert local_tree(tmp_path / "hers") == local_tree(photos)
    assert "reads" in tahoe(eve, "rm", "-r", "global:from-ada/day 0", status=1)
    tahoe(eve, "mkdir", "global:for ada")
    adding = [command(node, "put", photos / "day 0/0.jpg", f"global:for ada/{node.name}") for node in (ada, eve)]
    assert [process.wait(60) for process in adding] == [0, 0]
    assert tahoe(ada, "ls", "global:for ada").split() == sorted([ada.name, eve.name])
    assert tahoe(eve, "ls", "private:") == ""
    assert tahoe(ada, "ls", "private:") == "photos"


def test_clients_go_on_while_the_vdrive_is_dead_and_it_comes_back_with_what_it_knew(shared, photos):
    ada = shared.client
    tahoe(ada, "cp", "-r", photos / "day 0", "global:box/before")
    shared.kill([INTRODUCER])
    tahoe(ada, "cp", "-r", photos / "day 1", "global:box/meanwhile")
    shared.kill([CLIENT_NAME])
    shared.restart(CLIENT_NAME)
    tahoe(ada, "mv", "global:box/before", "global:box/moved")
    assert tahoe(ada, "ls", "global:box").split() == ["meanwhile", "moved"]
    shared.restart(INTRODUCER)
    shared.kill([CLIENT_NAME])
    newcomer = shared.add_client("newcomer").directory
    until(
        lambda: command(newcomer, "ls", "global:box").communicate()[0].split() == ["meanwhile", "moved"], "all is there"
    )
    shared.restart(CLIENT_NAME)


@pytest.mark.timeout(300)
def test_a_second_vdrive_knows_what_the_first_did_and_what_was_retracted_meanwhile_stays_so(shared, tmp_path):
    ada, eve = shared.client, shared.add_client("late").directory
    key = ("--grid-key", shared.plan.root / f"{INTRODUCER}.grid-key")
    shared.add_node("second", VDRIVE)
    until(lambda: "global" in roots_of(shared, "second"), "it copies what there was before it")
    tahoe(ada, "vdrive", "publish", "gallery", *key)
    until(lambda: roots_of(shared, "second").get("gallery"), "it copies what is new")
    shared.kill([INTRODUCER])
    tahoe(ada, "vdrive", "publish", "attic", *key)
    tahoe(ada, "put", Path(__file__), "attic:box/thing")
    until(lambda: "thing" in command(eve, "ls", "attic:box").communicate()[0], "eve hears of it from the second")
    tahoe(ada, "vdrive", "retract", "gallery", *key)
    assert roots_of(shared, INTRODUCER).get("gallery"), "the first knows nothing of it"
    shared.kill(["second"])
    shared.restart(INTRODUCER)  # only the stale one is there
    assert "no alias or root" in tahoe(ada, "ls", "gallery:", status=1)
    shared.restart("second")

    def all_know() -> bool:
        listed = [json.loads(tahoe(node, "vdrive", "list", "--json"))["roots"] for node in (ada, eve)]
        known = [roots_of(shared, name) for name in (INTRODUCER, "second")]
        return not any("gallery" in roots for roots in listed) and all(
            book.get("gallery") is False and book.get("attic") for book in known
        )

    until(all_know, "the first has learned what it missed, and nobody has unlearned it")
    newcomer = shared.add_client("newest").directory
    until(
        lambda: command(newcomer, "ls", "attic:").communicate()[0].split() == ["box"], "a newcomer finds what there is"
    )
    assert "no alias or root" in tahoe(newcomer, "ls", "gallery:", status=1)


def roots_of(grid: RealGrid, vdrive: str) -> dict[str, bool]:
    """Which roots a vdrive has on its disk, by name; False: retracted."""
    path = NodeDirectory(grid.plan.root / vdrive).state / VDRIVE / "roots"
    signed = msgspec.msgpack.decode(path.read_bytes(), type=list[bytes]) if path.exists() else []
    statements = [open_statement(grid.card.public_key, each) for each in signed]
    return {each.name.removeprefix(ROOT_PREFIX): not each.retracted for each in statements}


def test_a_copy_whose_command_or_node_is_killed_is_completed_by_the_same_command(shared, photos, tmp_path):
    ada = shared.client
    for victim in ("command", "node"):
        copying = command(ada, "cp", "-r", "--jobs", 2, photos, f"global:{victim}")
        until(lambda victim=victim: f"{victim}" in tahoe(ada, "ls", "global:").split(), "the copy is under way")
        if victim == "command":
            copying.send_signal(signal.SIGKILL)
        else:
            shared.kill([CLIENT_NAME])
        copying.communicate()
        assert copying.returncode != 0
        if victim == "node":
            shared.restart(CLIENT_NAME)
        tahoe(ada, "cp", "-r", f"global:{victim}", tmp_path / f"half-{victim}")
        assert local_tree(tmp_path / f"half-{victim}").items() <= local_tree(photos).items()
        tahoe(ada, "cp", "-r", "--skip-unchanged", f"{photos}/.", f"global:{victim}")
        tahoe(ada, "cp", "-r", f"global:{victim}", tmp_path / f"whole-{victim}")
        assert local_tree(tmp_path / f"whole-{victim}") == local_tree(photos)


def test_a_move_whose_node_is_killed_at_any_moment_loses_nothing(shared, photos):
    ada = shared.client
    tahoe(ada, "cp", "-r", photos / "day 0", "global:here/thing")
    tahoe(ada, "mkdir", "global:there")
    places = ["global:here", "global:there"]
    for moment in (0.0, 0.01, 0.03):
        moving = command(ada, "mv", f"{places[0]}/thing", places[1])
        until(lambda moving=moving: moving.poll() is not None or _is_connected(moving.pid), "the move has begun")
        time.sleep(moment)  # the moment is what is tried here
        shared.kill([CLIENT_NAME])
        moving.communicate()
        shared.restart(CLIENT_NAME)
        found = [place for place in places if tahoe(ada, "ls", place) == "thing"]
        assert found
        if places[0] in found:
            tahoe(ada, "mv", f"{places[0]}/thing", places[1])
        assert [tahoe(ada, "ls", place) for place in places] == ["", "thing"]
        places.reverse()
    assert len(tahoe(ada, "ls", f"{places[0]}/thing").split()) == 20


def _is_connected(process_id: int) -> bool:
    """Whether a process has a socket open."""
    try:
        return any(os.readlink(entry.path).startswith("socket:") for entry in os.scandir(f"/proc/{process_id}/fd"))  # noqa: PTH115  # links to no files
    except OSError:
        return False


def test_an_error_of_a_grid_that_is_out_of_reach_says_who_is_gone_since_when_and_what_to_try(tmp_path):
    with small_grid(tmp_path) as grid:
        grid.up()
        ada = grid.client
        (tmp_path / "picture").write_bytes(os.urandom(5000))
        tahoe(ada, "cp", tmp_path / "picture", "private:picture")
        grid.kill(grid.server_names[:4])
        until(lambda: grid.servers_seen() == 1, "the client knows")
        said = tahoe(ada, "put", tmp_path / "picture", "private:other", status=1)
        assert "1 of 5 servers are there; storing a file takes 3" in said
        assert "server-0 (last heard " in said
        assert "tahoe status" in said
        assert "fewer than 2" in tahoe(ada, "get", "private:picture", status=1)
        grid.kill_broker()
        until(lambda: not grid.report()["brokers"][0]["connected"], "the client knows")
        said = tahoe(ada, "get", "private:picture", status=1)
        assert "no broker is connected (mqtt://" in said
        assert ", for " in said
