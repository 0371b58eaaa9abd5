"""Repairs on real processes in which somebody dies, a disk takes no more, or two repair at once."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, Self

import pytest

from tahoe.codec import base32
from tahoe.codec.capability import ImmutableRead, parse
from tahoe.net.config import ClientSection, NetworkSection, NodeConfig, NodeSection
from tahoe.net.directory import NodeDirectory
from tahoe.net.quantities import ByteSize
from tahoe.protocol import CLIENT, Encoding
from tests.real.grid import CLIENT_NAME, Gateway, RealGrid, until

SHARE = 3_000_000
"""Bytes of a share, of which there are four."""

RATE = 3_000_000
"""Bytes per second that the repairer may send, so that a repair of two shares takes long enough to be struck."""

ENCODING = Encoding(2, 3, 4)
LOSERS = ("server-0", "server-1")
"""Whose disks have lost what they had of the file."""

PARTS = (0.0, 0.3, 0.6, 0.95)
"""How much of what is missing has been stored when somebody dies."""


class Kept:
    """A file on four servers, one share each, and what is done to keep it.

    Args:
        grid: that has it.
        size: of the file.
    """

    def __init__(self, grid: RealGrid, size: int = 2 * SHARE) -> None:
        self._grid = grid
        self._data = Random(size).randbytes(size)
        self.cap = grid.gateway.put(self._data)
        capability = parse(self.cap)
        assert isinstance(capability, ImmutableRead)
        self._left_over = 0
        self._folder = base32.encode(capability.storage_index)

    def shares(self, *names: str) -> list[Path]:
        """Files of its shares on some servers' disks."""
        return [path for name in names for path in self._grid.shares(name) if path.parent.name == self._folder]

    def lose(self) -> None:
        """Two disks lose their shares."""
        for path in self.shares(*LOSERS):
            path.unlink()
        assert len(self.shares(*self._grid.server_names)) == 2
        self._left_over = self._uploads()

    def await_part(self, part: float) -> None:
        """Wait until so much of what is missing has been stored."""
        wanted = self._left_over + max(1, int(part * SHARE * len(LOSERS)))
        until(lambda: self._uploads() >= wanted or self.shares(*LOSERS), "so much has been stored")

    def _uploads(self) -> int:
        """Bytes of uploads, those included that nobody goes on with and that will be forgotten after a while."""
        return sum(_size(path) for name in LOSERS for path in self._grid.uploads(name))

    def begin(self, kind: str, gateway: Gateway | None = None) -> Job:
        """Start a job."""
        return Job(gateway or self._grid.gateway, f"/uri/{self.cap}?t=start-{kind}")

    def assert_readable_and_nothing_half(self) -> None:
        """It can be read, and no share that is to be seen is less than whole."""
        assert self._grid.gateway.get(self.cap) == self._data
        assert self.begin("verify").result()["results"]["count-corrupt-shares"] == 0

    def assert_mendable(self) -> None:
        """A repair now makes it whole, to the last byte of every share."""
        mended = self.begin("repair").result()
        assert mended["post-repair-results"]["healthy"], mended
        assert self.begin("verify").result()["results"]["healthy"]


class Job:
    """A job of a gateway's.

    Args:
        gateway: that does it.
        target: of the request that starts it.
    """

    def __init__(self, gateway: Gateway, target: str) -> None:
        self._gateway = gateway
        reply = gateway.ask("POST", target)
        assert reply.status == 202, reply.text
        self._target = f"/jobs/{json.loads(reply.body)['job']}"

    def result(self) -> dict[str, Any]:
        """Wait until it has ended; what it came to."""
        until(lambda: self._facts()["state"] != "running", "the job has ended")
        facts = self._facts()
        assert facts["state"] == "done", facts
        return dict(facts["result"])

    def _facts(self) -> dict[str, Any]:
        return dict(json.loads(self._gateway.ask("GET", self._target).body))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def _made_grid(root: Path) -> Iterator[RealGrid]:
    """Four servers and a client with a slow line, not started yet."""
    with RealGrid(root, servers=4, encoding=ENCODING) as made:
        made.make()
        config = NodeConfig(
            node=NodeSection(roles=(CLIENT,), nickname=CLIENT_NAME),
            network=NetworkSection(upload_rate=ByteSize(RATE)),
            client=ClientSection(web_port=0),
        )
        NodeDirectory(made.client).config.write_text(config.text())
        yield made
        made.check_logs()


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """Such a grid, up and running. Whatever a test kills it starts again."""
    with _made_grid(tmp_path_factory.mktemp("mending") / "grid") as made:
        made.start_nodes()
        yield made


class SmallDisk:
    """A server's disk of its own, which can be filled up; if nobody may mount one, one on which no file may grow.

    Args:
        grid: not started yet.
        name: of the server.
        size: bytes.
    """

    def __init__(self, grid: RealGrid, name: str, size: int) -> None:
        self._grid = grid
        self._name = name
        self._size = size
        self._place = grid.plan.root / name / "storage"
        self._is_mounted = os.geteuid() == 0

    def __enter__(self) -> Self:
        self._place.mkdir(exist_ok=True)
        if self._is_mounted:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self._size}", "none", str(self._place)], check=True)
        return self

    def __exit__(self, *raised: object) -> None:
        if self._is_mounted:
            subprocess.run(["umount", "--lazy", str(self._place)], check=True)

    def fill(self) -> None:
        """From now on nothing more can be written."""
        if not self._is_mounted:
            limits = (1, resource.RLIM_INFINITY)
            resource.prlimit(self._grid.process_id(self._name), resource.RLIMIT_FSIZE, limits)
            return
        with (self._place / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(4096))


@pytest.fixture
def kept(grid):
    """A file there."""
    return Kept(grid)


@pytest.mark.timeout(300)
def test_a_repairer_that_is_killed_at_any_moment_leaves_nothing_half_and_the_next_one_ends_it(grid, kept):
    for part in PARTS:
        kept.lose()
        kept.begin("repair")
        kept.await_part(part)
        grid.kill([CLIENT_NAME])
        grid.restart(CLIENT_NAME)
        kept.assert_readable_and_nothing_half()
    kept.assert_mendable()


@pytest.mark.parametrize("victim", ["server-0", "server-3"], ids=["who gets a share", "who gives one"])
def test_a_server_that_is_killed_at_any_moment_of_a_repair_costs_no_more_than_its_share(victim, grid, kept):
    for part in PARTS[::2]:
        kept.lose()
        repair = kept.begin("repair")
        kept.await_part(part)
        grid.kill([victim])
        outcome = repair.result()
        assert outcome["repair-attempted"]
        assert not outcome["post-repair-results"]["healthy"], "there is one server less"
        grid.restart(victim)
        kept.assert_readable_and_nothing_half()
        kept.assert_mendable()


def test_a_disk_that_fills_up_in_the_middle_of_a_repair_is_told_of_and_the_share_goes_elsewhere(tmp_path):
    with _made_grid(tmp_path / "grid") as grid, SmallDisk(grid, LOSERS[0], 3 * SHARE) as disk:
        grid.start_nodes()
        kept = Kept(grid)
        kept.lose()
        repair = kept.begin("repair")
        kept.await_part(0.1)
        disk.fill()
        outcome = repair.result()
        assert not outcome["repair-successful"]
        assert "no server in reach takes share" in outcome["repair-trouble"]
        assert not kept.shares(LOSERS[0])
        assert kept.shares(LOSERS[1]), "the other one was made"
        kept.assert_readable_and_nothing_half()
        grid.add_servers(1)
        kept.assert_mendable()
        assert kept.shares("server-4")


def test_two_caretakers_mend_the_same_file_at_once_and_both_are_right(grid):
    gateways = (grid.gateway, grid.add_client("another"))
    kept = Kept(grid, 2_000_000)
    for gateway in gateways:
        assert gateway.ask("POST", "/care?t=add&name=kept", kept.cap.encode()).status == 200
    kept.lose()
    rounds = [Job(gateway, "/care?t=start-round") for gateway in gateways]
    for each in rounds:
        each.result()
    assert {path.name for path in kept.shares(*grid.server_names)} == {"0", "1", "2", "3"}
    verified = kept.begin("verify").result()["results"]
    assert verified["healthy"]
    assert verified["count-corrupt-shares"] == 0


@pytest.mark.timeout(300)
def test_who_moves_shares_off_a_leaving_server_may_be_killed_and_so_may_that_server(grid):
    leaving, taker = "server-0", f"server-{len(grid.server_names)}"
    kept = Kept(grid)
    grid.add_servers(1)
    assert grid.gateway.ask("POST", "/care?t=add&name=moved", kept.cap.encode()).status == 200
    _drain(grid, leaving, "1d")
    until(lambda: any(server["leaving"] for server in grid.report()["servers"]), "the client hears of it")
    for victim in (CLIENT_NAME, leaving, taker):
        Job(grid.gateway, "/care?t=start-round")
        until(lambda: grid.uploads(taker) or kept.shares(taker), "a move has begun")
        grid.kill([victim])
        grid.restart(victim)
        assert {path.name for path in kept.shares(*grid.server_names)} == {"0", "1", "2", "3"}
        kept.assert_readable_and_nothing_half()
    until(lambda: Job(grid.gateway, "/care?t=start-round").result() and kept.shares(taker), "it has moved")
    kept.assert_readable_and_nothing_half()


def _drain(grid: RealGrid, name: str, patience: str) -> None:
    command = [sys.executable, "-m", "tahoe.cli.main", "drain", str(grid.plan.root / name), "--patience", patience]
    subprocess.run(command, check=True, capture_output=True)
