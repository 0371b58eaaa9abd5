"""Clocks that are years apart, and clocks that jump in the middle of a transfer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.real.grid import CLIENT_NAME, INTRODUCER, MEGABYTE, RealGrid, until
from tests.real.test_deaths import LARGE, Reading, Transfer

ROOT = Path(__file__).parents[2]
YEAR = 365 * 86400


class Clock:
    """A clock that some processes go by; it can be set while they run.

    Args:
        file: keeps its error.
        error: seconds ahead of the true time.
    """

    def __init__(self, file: Path, error: float) -> None:
        self._file = file
        self.set(error)

    def set(self, error: float) -> None:
        """Be wrong by so many seconds from now on."""
        draft = self._file.with_suffix(".new")
        draft.write_text(str(error))
        draft.replace(self._file)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Processes that are started meanwhile go by this clock."""
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("PYTHONPATH", f"{Path(__file__).parent / 'wrong_clock'}{os.pathsep}{ROOT}")
            environment.setenv("WRONG_CLOCK", str(self._file))
            yield


@pytest.fixture
def made_grid(tmp_path):
    """A grid whose nodes have not been started yet."""
    with RealGrid(tmp_path / "grid") as grid:
        grid.make()
        yield grid
        grid.check_logs()


def _start(grid: RealGrid, clock: Clock, *names: str) -> None:
    with clock.told():
        grid.start_nodes(names)


def _epochs(grid: RealGrid) -> dict[str, int]:
    return {server["nickname"]: server["epoch"] for server in grid.report()["servers"]}


def test_nodes_whose_clocks_are_years_apart_store_and_fetch_together(made_grid, tmp_path):
    grid, names = made_grid, made_grid.server_names
    ahead, behind = Clock(tmp_path / "ahead", 3 * YEAR), Clock(tmp_path / "behind", -3 * YEAR)
    grid.start_nodes([INTRODUCER])
    _start(grid, behind, CLIENT_NAME, *names[3:6])
    _start(grid, ahead, *names[:3])
    grid.start_nodes(names[6:])
    until(lambda: grid.servers_seen() == 10, "everybody is seen")
    data = os.urandom(5 * MEGABYTE)
    cap = grid.gateway.put(data)
    assert grid.holders() == list(names)
    before = _epochs(grid)
    assert before[names[0]] - before[names[3]] > 5 * YEAR, "the clocks are not wrong"
    grid.kill(names[:6])
    grid.start_nodes(names[:6])
    until(
        lambda: all(_epochs(grid).get(name, 0) > before[name] for name in names[:6]),
        "the later lives of servers whose clocks were set right are believed",
    )
    grid.kill(names[6:])
    assert grid.gateway.get(cap) == data


def test_clocks_that_jump_in_the_middle_of_transfers_do_not_matter(made_grid, tmp_path):
    grid = made_grid
    clock = Clock(tmp_path / "clock", 0)
    _start(grid, clock, INTRODUCER, CLIENT_NAME, *grid.server_names)
    data = os.urandom(LARGE)
    upload = Transfer(grid, "PUT", "/uri", data)
    until(lambda: any(grid.uploads(name) for name in grid.server_names), "the upload is under way")
    clock.set(2 * YEAR)
    reply = upload.outcome()
    assert not isinstance(reply, Exception), reply
    assert reply.status == 201, reply.text
    reading = Reading(grid, reply.text.strip())
    reading.take(LARGE // 3)
    clock.set(-2 * YEAR)
    assert reading.rest() == data
    assert grid.report()["now"] < grid.report()["node"]["started"] - YEAR, "the clock has not jumped"
    assert grid.servers_seen() == 10
