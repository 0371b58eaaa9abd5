"""Processes that die with SIGKILL, at every moment of a transfer, and come back."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from tahoe.net.quantities import ByteSize, Seconds
from tests.real.grid import CLIENT_NAME, INTRODUCER, RealGrid, Reply, StorageSection, until

LARGE = 60_000_000


class Transfer(threading.Thread):
    """A request under way in a thread of its own."""

    def __init__(self, grid: RealGrid, method: str, path: str, body: bytes | None = None) -> None:
        super().__init__()
        self._ask = lambda: grid.gateway.ask(method, path, body, timeout=100)
        self.reply: Reply | None = None
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        """Ask, and keep what comes of it."""
        try:
            self.reply = self._ask()
        except Exception as error:  # noqa: BLE001  # that is the outcome
            self.error = error

    def outcome(self) -> Reply | Exception:
        """The reply, or the error."""
        self.join(110)
        assert not self.is_alive(), "the transfer neither went on nor failed within its deadline"
        return self.reply or self.error or AssertionError("nothing")


def _uploaded(grid: RealGrid) -> int:
    """Bytes of uploads on all servers' disks, finished or not."""
    paths = [path for name in grid.server_names for path in (*grid.uploads(name), *grid.shares(name))]
    return sum(_size(path) for path in paths)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def test_seven_of_ten_servers_die_after_an_upload_and_the_file_is_there(fresh_grid):
    data = os.urandom(5_000_000)
    cap = fresh_grid.gateway.put(data)
    fresh_grid.kill(fresh_grid.server_names[:7])
    assert fresh_grid.gateway.get(cap) == data


def test_servers_that_died_before_an_upload_are_left_out_and_below_happy_it_says_so(fresh_grid):
    fresh_grid.kill(fresh_grid.server_names[:3])
    data = os.urandom(2_000_000)
    assert fresh_grid.gateway.get(fresh_grid.gateway.put(data)) == data
    fresh_grid.kill(fresh_grid.server_names[3:4])
    before = _uploaded(fresh_grid)
    refused = fresh_grid.gateway.ask("PUT", "/uri", os.urandom(2_000_000))
    assert refused.status == 503
    assert "6" in refused.text
    assert "7" in refused.text
    until(lambda: _uploaded(fresh_grid) == before, "what was begun is taken back")


def test_servers_that_die_during_an_upload_are_dropped_and_the_file_is_whole(fresh_grid):
    data = os.urandom(LARGE)
    upload = Transfer(fresh_grid, "PUT", "/uri", data)
    until(lambda: _uploaded(fresh_grid) > LARGE // 4, "the upload is under way")
    fresh_grid.kill(fresh_grid.server_names[:2])
    outcome = upload.outcome()
    assert isinstance(outcome, Reply), outcome
    assert outcome.status == 201, outcome.text
    assert fresh_grid.gateway.get(outcome.text.strip()) == data


def test_servers_that_die_during_a_download_are_replaced(fresh_grid):
    data = os.urandom(LARGE)
    cap = fresh_grid.gateway.put(data)
    with socket.create_connection(fresh_grid.gateway.address, timeout=60) as connection:
        connection.sendall(f"GET /uri/{cap} HTTP/1.0\r\n\r\n".encode())
        received = bytearray()
        while len(received) < LARGE // 3:
            received += connection.recv(1 << 20)
        fresh_grid.kill(fresh_grid.server_names[::2])
        while piece := connection.recv(1 << 20):
            received += piece
    assert bytes(received).split(b"\r\n\r\n", 1)[1] == data


def test_a_client_that_dies_in_an_upload_leaves_no_half_share_and_the_room_comes_back(tmp_path):
    with RealGrid(tmp_path / "grid", servers=7) as grid:
        grid.make()
        for name in grid.server_names:
            options = StorageSection(reserved_space=ByteSize(0), idle_upload=Seconds(5))
            grid.configure(name, options)
        grid.start_nodes()
        data = os.urandom(LARGE)
        upload = Transfer(grid, "PUT", "/uri", data)
        until(lambda: _uploaded(grid) > LARGE // 4, "the upload is under way")
        grid.kill([CLIENT_NAME])
        assert isinstance(upload.outcome(), Exception)
        assert grid.holders() == []
        until(lambda: _uploaded(grid) == 0, "idle uploads are forgotten", seconds=90)
        grid.restart(CLIENT_NAME)
        cap = grid.gateway.put(data)
        assert len(grid.holders()) == 7
        assert grid.gateway.get(cap) == data


@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_a_broker_that_dies_in_a_transfer_and_comes_back_loses_nothing_acknowledged(method, fresh_grid):
    stored = os.urandom(LARGE)
    cap = fresh_grid.gateway.put(stored)
    fresh = os.urandom(LARGE)
    path = "/uri" if method == "PUT" else f"/uri/{cap}"
    before = _uploaded(fresh_grid)
    transfer = Transfer(fresh_grid, method, path, fresh if method == "PUT" else None)
    if method == "PUT":
        until(lambda: _uploaded(fresh_grid) > before + LARGE // 4, "the upload is under way")
    fresh_grid.kill_broker()
    fresh_grid.restart_broker()
    outcome = transfer.outcome()
    until(lambda: fresh_grid.servers_seen() == 10, "every node has reconnected")
    if isinstance(outcome, Reply) and outcome.status in (200, 201):
        assert fresh_grid.gateway.get(outcome.text.strip()) == fresh if method == "PUT" else outcome.body == stored
    assert fresh_grid.gateway.get(cap) == stored
    again = os.urandom(1_000_000)
    assert fresh_grid.gateway.get(fresh_grid.gateway.put(again)) == again


def test_with_every_introducer_gone_a_restarted_client_still_stores_and_fetches(fresh_grid):
    data = os.urandom(500_000)
    cap = fresh_grid.gateway.put(data)
    fresh_grid.kill([INTRODUCER, CLIENT_NAME])
    fresh_grid.restart(CLIENT_NAME)
    assert fresh_grid.gateway.get(cap) == data
    assert fresh_grid.gateway.get(fresh_grid.gateway.put(data[::-1])) == data[::-1]


def test_a_server_that_comes_back_serves_what_it_had(fresh_grid):
    data = os.urandom(500_000)
    cap = fresh_grid.gateway.put(data)
    fresh_grid.kill(fresh_grid.server_names)
    fresh_grid.restart(*fresh_grid.server_names[:3])
    assert fresh_grid.gateway.get(cap) == data
