"""Processes that die with SIGKILL or stand still, at every moment of a transfer, and come back."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tahoe.net.quantities import ByteSize, Seconds
from tests.real.grid import CLIENT_NAME, INTRODUCER, MEGABYTE, RealGrid, Reply, StorageSection, until

LARGE = 60 * MEGABYTE


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


class Reading:
    """A file on its way to a reader who takes only what is asked for here."""

    def __init__(self, grid: RealGrid, cap: str) -> None:
        self._connection = socket.create_connection(grid.gateway.address, timeout=100)
        self._connection.sendall(f"GET /uri/{cap} HTTP/1.0\r\n\r\n".encode())
        self._received = bytearray()

    def take(self, size: int) -> None:
        """Take so many bytes."""
        while len(self._received) < size:
            piece = self._connection.recv(1 << 20)
            assert piece, "the file broke off"
            self._received += piece

    def rest(self) -> bytes:
        """All that came, once nothing more does."""
        while piece := self._connection.recv(1 << 20):
            self._received += piece
        self._connection.close()
        return bytes(self._received).split(b"\r\n\r\n", 1)[1]


@contextmanager
def _standing_still(grid: RealGrid, names: Iterable[str]) -> Iterator[None]:
    """Let processes stand still (SIGSTOP): the connections stay, and nobody answers."""
    processes = [grid.process_id(name) for name in names]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


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
    reading = Reading(fresh_grid, fresh_grid.gateway.put(data))
    reading.take(LARGE // 3)
    fresh_grid.kill(fresh_grid.server_names[::2])
    assert reading.rest() == data


@pytest.mark.timeout(300)
def test_servers_that_stand_still_are_done_without_and_nobodys_memory_pays_for_it(fresh_grid):
    data = os.urandom(LARGE)
    upload = Transfer(fresh_grid, "PUT", "/uri", data)
    until(lambda: _uploaded(fresh_grid) > LARGE // 4, "the upload is under way")
    with _standing_still(fresh_grid, fresh_grid.server_names[:2]):
        outcome = upload.outcome()
        assert isinstance(outcome, Reply), outcome
        assert outcome.status == 201, outcome.text
    cap = outcome.text.strip()
    reading = Reading(fresh_grid, cap)
    reading.take(LARGE // 3)
    with _standing_still(fresh_grid, fresh_grid.server_names[2:6]):
        assert reading.rest() == data
    assert fresh_grid.peak_memory(CLIENT_NAME) < 200 * MEGABYTE
    assert fresh_grid.broker_memory() < 80 * MEGABYTE
    until(lambda: fresh_grid.servers_seen() == 10, "all are there again")
    assert fresh_grid.gateway.get(cap) == data


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


@pytest.mark.parametrize("engine", ["mosquitto", "embedded"])
def test_a_broker_that_dies_in_transfers_and_comes_back_loses_nothing_acknowledged(engine, tmp_path):
    with RealGrid(tmp_path / "grid", engine=engine) as grid:
        grid.up()
        stored, fresh = os.urandom(LARGE), os.urandom(LARGE)
        cap = grid.gateway.put(stored)
        before = _uploaded(grid)
        reading = Reading(grid, cap)
        reading.take(LARGE // 4)
        upload = Transfer(grid, "PUT", "/uri", fresh)
        until(lambda: _uploaded(grid) > before + LARGE // 8, "the upload is under way")
        grid.kill_broker()
        grid.restart_broker()
        received, outcome = reading.rest(), upload.outcome()
        assert received == stored[: len(received)], "a reader got wrong bytes"
        until(lambda: grid.servers_seen() == 10, "every node has reconnected")
        if isinstance(outcome, Reply) and outcome.status == 201:
            assert grid.gateway.get(outcome.text.strip()) == fresh
        else:
            until(lambda: _uploaded(grid) == before, "what was begun is taken back")
        assert grid.gateway.get(cap) == stored
        again = os.urandom(MEGABYTE)
        assert grid.gateway.get(grid.gateway.put(again)) == again


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
