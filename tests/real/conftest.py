"""Grids of real processes: one for a module that does not kill, a fresh one for every test that does."""

from __future__ import annotations

import pytest

from tests.real.grid import RealGrid


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """A grid that several tests share; they leave it as they found it."""
    with RealGrid(tmp_path_factory.mktemp("shared") / "grid") as running:
        running.up()
        yield running
        running.check_logs()


@pytest.fixture
def fresh_grid(tmp_path):
    """A grid to be broken."""
    with RealGrid(tmp_path / "grid") as running:
        running.up()
        yield running
        running.check_logs()
