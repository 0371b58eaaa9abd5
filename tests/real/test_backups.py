"""Backups, restorations and recoveries on a grid of processes, by commands in processes of their own, as people use them."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from functools import partial

import pytest

from tahoe.cli.claim import runner
from tahoe.protocol import Encoding
from tests.readme import example, run_script
from tests.real.grid import INTRODUCER, RealGrid


@pytest.fixture(scope="module")
def small_grid(tmp_path_factory):
    with RealGrid(tmp_path_factory.mktemp("backups") / "grid", servers=4, encoding=Encoding(2, 3, 4)) as running:
        running.up()
        running.publish_global()
        yield running


@pytest.fixture
def shell(small_grid, tmp_path):
    """Runs scripts as the README has them, with a home directory and a node of its own, called laptop."""
    run = partial(run_script, place=tmp_path, HOME=str(tmp_path / "home"), TAHOE_NODE=str(tmp_path / "laptop"))
    card = small_grid.plan.root / INTRODUCER / "grid.toml"
    run(f"tahoe create-node laptop --grid {card} --roles client && tahoe start laptop")
    yield run
    for node in ("laptop", "new-laptop", "eve"):
        if (tmp_path / node).exists():
            run(f"tahoe stop {node}")


@pytest.fixture
def home(tmp_path):
    letters = tmp_path / "home" / "letters"
    letters.mkdir(parents=True)
    (letters / "to-friends.txt").write_text("Dear all!\n" * 20)
    (letters / "draft").write_bytes(random.Random(1).randbytes(3_000_000))
    (letters / "draft").chmod(0o600)
    (tmp_path / "home" / ".git").mkdir()
    (tmp_path / "home" / "large.iso").write_bytes(b"x" * 100)
    os.utime(letters, (0, 1_234_567_890))
    return tmp_path / "home"


def test_the_tours_of_backups_and_of_a_lost_laptop_work_as_they_are_printed(shell, home, tmp_path):
    said = shell(example("sh", "tahoe backup"))
    first, second = re.findall(r"Archives/\S+: (.*)", said)
    assert first.startswith("2 files (2 read")
    assert second.startswith("2 files (0 read")
    assert "Dear all!" in said
    draft = home / "as-it-was" / "letters" / "draft"
    assert draft.read_bytes() == (home / "letters" / "draft").read_bytes()
    assert draft.stat().st_mode & 0o777 == 0o600
    assert draft.parent.stat().st_mtime == 1_234_567_890
    assert not (home / "as-it-was" / ".git").exists()

    (tmp_path / "usb-stick").mkdir()
    (tmp_path / "drawer").mkdir()
    (tmp_path / "drawer" / "passphrase").write_text("correct horse battery staple\n")
    shell(example("sh", "recovery export"))
    assert (tmp_path / "home-again" / "letters" / "draft").read_bytes() == draft.read_bytes()

    shell("tahoe mkdir -d new-laptop private:mine && tahoe ls -d new-laptop private: | grep mine")
    again = shell("tahoe backup -d new-laptop home-again backups:home")
    assert "2 files (2 read" in again
    kept = json.loads(shell("tahoe ls -d new-laptop --json backups:home/Archives"))[1]["children"]
    assert len(kept) == 3


def test_the_tour_of_a_shared_folder_works_as_it_is_printed(shell, small_grid, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "lake.jpg").write_bytes(random.Random(2).randbytes(100_000))
    card = small_grid.plan.root / INTRODUCER / "grid.toml"
    shell(f"tahoe create-node eve --grid {card} --roles client && tahoe start eve")
    said = shell(example("sh", "--read-only"))
    assert "lake.jpg" in said
    copy = tmp_path / "photos-of-ada" / "lake.jpg"
    assert copy.read_bytes() == (tmp_path / "photos" / "lake.jpg").read_bytes()
    assert "takes its write capability" in shell("tahoe rm -d eve global:from-ada/lake.jpg 2>&1 || true")


def test_a_backup_of_the_same_tree_is_the_same_snapshot_and_puts_nothing_on_servers(shell, home, small_grid):
    shell("tahoe create-alias backups && tahoe backup ~ backups:one")
    shares = sum(len(small_grid.shares(name)) for name in small_grid.server_names)
    shell("rm laptop/private/backup.sqlite* && tahoe backup ~ backups:two")
    assert sum(len(small_grid.shares(name)) for name in small_grid.server_names) == shares
    caps = [json.loads(shell(f"tahoe ls --json backups:{root}/Latest"))[1]["ro_uri"] for root in ("one", "two")]
    assert caps[0] == caps[1]


def test_a_root_keeps_its_encoding_when_the_grid_gets_another(shell, home, small_grid, tmp_path):
    shell("tahoe create-alias backups && tahoe backup ~ backups:old")
    introducer = small_grid.plan.root / INTRODUCER
    shell(f"tahoe grid sign {introducer} --encoding 1/2/3")
    small_grid.kill([INTRODUCER])
    small_grid.restart(INTRODUCER)
    shell("tahoe restart laptop")
    assert json.loads(shell("tahoe status laptop --json"))["grid"]["encoding"] == [1, 2, 3]
    shell(
        "rm laptop/private/backup.sqlite* && touch ~/letters/draft && tahoe backup ~ backups:old && tahoe backup ~ backups:new"
    )
    caps = [
        json.loads(shell(f"tahoe ls --json backups:{root}/Latest/letters/draft"))[1]["ro_uri"]
        for root in ("old", "new")
    ]
    assert caps[0].split(":")[4:6] == ["2", "4"]
    assert caps[1].split(":")[4:6] == ["1", "3"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("victim", ["command", "node"])
def test_killed_again_and_again_a_backup_comes_to_its_end(shell, tmp_path, victim):
    source = tmp_path / "home" / "many"
    for folder in range(5):
        (source / str(folder)).mkdir(parents=True)
        for number in range(8):
            (source / str(folder) / str(number)).write_bytes(random.Random(folder * 100 + number).randbytes(3000))
    shell("tahoe create-alias backups")
    command = [
        sys.executable,
        "-m",
        "tahoe.cli.main",
        "backup",
        "--jobs",
        "2",
        "-d",
        str(tmp_path / "laptop"),
        str(source),
        "backups:many",
    ]
    for attempt in range(40):
        backup = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            backup.wait(0.3 + 0.15 * attempt)
        except subprocess.TimeoutExpired:
            os.kill(backup.pid if victim == "command" else runner(tmp_path / "laptop"), signal.SIGKILL)
        backup.communicate()
        if backup.returncode == 0:
            break
        if runner(tmp_path / "laptop") is None:
            shell("tahoe start laptop")
    assert backup.returncode == 0
    shell("tahoe restore backups:many/Latest again")
    assert not subprocess.run(["diff", "-r", source, tmp_path / "again"], check=False).returncode


def test_the_inside_of_directories_and_slots_can_be_looked_at(shell, small_grid, tmp_path):
    shell("tahoe create-alias things && tahoe mkdir things:one && tahoe mkdir things:two && tahoe rm -r things:one")
    cap = re.search(r"things: (\S+)", (tmp_path / "laptop" / "private" / "aliases").read_text())[1]
    (tmp_path / "cap").write_text(cap)
    facts = json.loads(shell("tahoe debug dump-dirnode @cap --json"))
    assert list(facts["children"]) == ["two"]
    assert facts["children"]["two"]["write"] == "URI:DIR3"
    assert [edit["takes_out"] for edit in facts["log"]] == [[], [], ["one"]]
    assert "URI:DIR3-RO:" not in shell("tahoe debug dump-dirnode @cap")
    assert "write URI:DIR3:" in shell("tahoe debug dump-dirnode @cap --uri")
    (tmp_path / "ro").write_text(json.loads(shell("tahoe debug dump-cap @cap --json"))["read_cap"])
    assert "write" not in json.loads(shell("tahoe debug dump-dirnode @ro --json"))["children"]["two"]

    index = json.loads(shell("tahoe debug dump-cap @cap --json"))["storage_index"]
    share = next(small_grid.plan.root.glob(f"server-*/storage/slots/{index[:2]}/{index}/*"))
    slot = json.loads(shell(f"tahoe debug dump-slot {share} --json"))
    assert slot["sound"] is True
    needed, _, total = json.loads(shell("tahoe status laptop --json"))["grid"]["encoding"]
    assert (slot["needed"], slot["total"], len(slot["homes"])) == (needed, total, total)
    shutil.copy(share, tmp_path / share.name)
    with (tmp_path / share.name).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    assert "is not that of its leaf" in shell(f"tahoe debug dump-slot {share.name}")
