"""Keeping files on real processes: disks rot, servers die for good, owners are away, and caretakers make it whole."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import msgspec
import pytest

from tahoe.net.careconfig import CareSection
from tahoe.net.config import NodeConfig
from tahoe.net.directory import NodeDirectory
from tahoe.net.quantities import Seconds
from tahoe.protocol import Encoding
from tahoe.storage.accounts import AccountBook
from tahoe.storage.filesystem import RealFileSystem
from tahoe.storage.sharefile import read_container
from tests.real.grid import CLIENT_NAME, INTRODUCER, RealGrid, until

ENCODING = Encoding(2, 3, 4)
CONTENT = Random(1).randbytes(300_000)


@pytest.mark.timeout(300)
def test_a_server_died_and_a_disk_rotted_and_there_is_nothing_to_do(tmp_path):
    with RealGrid(tmp_path / "grid", 6, ENCODING, "embedded") as grid:
        grid.up()
        (tmp_path / "file").write_bytes(CONTENT)
        grid.ok("put", tmp_path / "file", "private:file")
        grid.ok("care", "now")
        homes = grid.homes("private:file")

        rotten = next((tmp_path / "grid" / homes[1] / "storage" / "shares").rglob("*/*/1"))
        with rotten.open("r+b") as share:
            share.seek(5000)
            byte = share.read(1)
            share.seek(5000)
            share.write(bytes([byte[0] ^ 1]))
        assert grid.tahoe("verify", "private:file").returncode == 1
        grid.ok("repair", "--verify", "private:file")
        grid.ok("verify", "private:file")

        grid.kill([homes[0]])
        grid.ok("server", "gone", homes[0])
        assert "1 gone" in grid.ok("health")
        grid.ok("check", "--deep", "private:")
        grid.ok("get", "private:file", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == CONTENT


FRIEND = "friend"
AWAKE = CareSection(
    tick=Seconds(1), check_every=Seconds(2), everywhere_every=Seconds(2), grace=Seconds(1), repair_margin=1.0
)
"""A caretaker for which a second is an hour: nothing is asleep for long, and everything is due."""


MENDED = 150.0
"""Seconds that a mending may take: whoever dies in the middle of a question is waited for, in the one round and the next."""


class Away:
    """An owner's file and folder on six servers, and a friend's node that is a caretaker and nothing else.

    Args:
        grid: up and running.
    """

    def __init__(self, grid: RealGrid) -> None:
        self._grid = grid
        self._friend = grid.plan.root / FRIEND
        (grid.plan.root / "file").write_bytes(CONTENT)
        grid.ok("mkdir", "private:folder")
        grid.ok("put", grid.plan.root / "file", "private:folder/file")
        self._folder = json.loads(grid.ok("check", "--json", "private:folder/file"))["storage-index"]
        grid.ok("care", "now")
        card = grid.plan.root / INTRODUCER / "grid.toml"
        grid.ok("create-node", self._friend, "--grid", card, "--roles", "caretaker", "--nickname", FRIEND)
        options = NodeDirectory(self._friend).config
        options.write_text(msgspec.structs.replace(NodeConfig.load(options), care=AWAKE).text())
        grid.restart(FRIEND)

    def entrust(self, *more: object) -> None:
        """Let the friend look after all of it, and go away."""
        manifest = self._grid.ok("care", "publish", "private")
        self._grid.ok("care", "add", "anna", manifest, "--manifest", *more, node=FRIEND)
        self._grid.kill([CLIENT_NAME])

    def shares(self) -> list[Path]:
        """The file's shares on disks of servers that run."""
        found = [path for name in self._grid.running_servers() for path in self._grid.shares(name)]
        return [path for path in found if path.parent.name == self._folder]

    def homes(self) -> list[str]:
        """Servers that have any of these."""
        return [path.relative_to(self._grid.plan.root).parts[0] for path in self.shares()]

    def leases(self, *, of: str) -> list[int]:
        """How many leases a node's account has on each of these."""
        return [_count_leases(path, self._grid.node_id(of)) for path in self.shares()]

    def await_mending(self) -> None:
        """Wait until the friend has made whole what was damaged, with nobody asking."""
        numbers = {str(number) for number in range(ENCODING.total)}
        until(lambda: {path.name for path in self.shares()} == numbers, "the friend has made the file whole", MENDED)

    def assert_whole_when_the_owner_is_back(self) -> None:
        """He finds everything whole without mending anything, and reads it."""
        self._grid.restart(CLIENT_NAME)
        until(
            lambda: self._grid.tahoe("verify", "--deep", "private:folder").returncode == 0, "the folder is whole, too"
        )
        self._grid.ok("get", "private:folder/file", self._grid.plan.root / "back")
        assert (self._grid.plan.root / "back").read_bytes() == CONTENT


def _count_leases(share: Path, account: str) -> int:
    """How many leases of an account are on a share: its records bear numbers, which the store's book explains."""
    book = AccountBook(RealFileSystem(next(parent for parent in share.parents if parent.name == "storage")))
    book.load()
    file = RealFileSystem(share.parent).open(share.name)
    try:
        return sum(book.name_of(lease.owner) == account for lease in read_container(file).leases)
    finally:
        file.close()


@pytest.fixture
def away(tmp_path):
    """Such files."""
    with RealGrid(tmp_path / "grid", 6, ENCODING, "embedded") as grid:
        grid.up()
        yield grid, Away(grid)
        grid.check_logs()


@pytest.mark.timeout(600)
def test_a_node_that_is_a_caretaker_only_mends_unasked_what_disks_lose_and_dead_servers_had(away):
    grid, kept = away
    kept.entrust()
    for damage in range(2):
        grid.kill([kept.homes()[0]])
        kept.await_mending()
        kept.shares()[damage].unlink()
        kept.await_mending()
    kept.assert_whole_when_the_owner_is_back()
    grid.kill([FRIEND])
    written = "".join(path.read_text("latin-1") for path in (grid.plan.root / FRIEND).rglob("*") if path.is_file())
    assert "URI:CHK-Verifier:" in written
    assert "URI:CHK:" not in written, "he could not have read it"


@pytest.mark.timeout(600)
def test_a_friend_keeps_leases_for_the_account_of_an_owner_whose_node_is_gone(away):
    grid, kept = away
    assert kept.leases(of=CLIENT_NAME) == [1] * ENCODING.total, "his own"
    kept.entrust("--delegation", grid.ok("care", "delegate", grid.node_id(FRIEND)))
    until(lambda: kept.leases(of=CLIENT_NAME) == [2] * ENCODING.total, "the friend has leased it for him, too")
    grid.kill([kept.homes()[0]])
    kept.await_mending()
    until(lambda: all(kept.leases(of=CLIENT_NAME)), "what was made anew is leased for him")
    until(lambda: not any(kept.leases(of=FRIEND)), "what the repair had leased for the friend is cancelled")
    kept.assert_whole_when_the_owner_is_back()
