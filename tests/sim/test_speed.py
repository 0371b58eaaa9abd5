"""The measurement of speed works; what it measures is for a machine that does nothing else."""

from __future__ import annotations

from click.testing import CliRunner

from tahoe.sim import speed
from tahoe.sim.__main__ import main

SMALL = speed.Load(clients=2, servers=20, uploads=10, size=1000, asks=400)


def test_asks_and_uploads_are_counted():
    grid = speed.large_grid(SMALL)
    asks = speed.measure_asks(grid, SMALL)
    assert asks.messages == 2 * SMALL.asks
    uploads = speed.measure_uploads(grid, SMALL)
    assert uploads.messages >= SMALL.uploads * 2 * (20 + 10)
    assert uploads.rate > 0


def test_the_command_prints_the_figures_and_their_ratio_to_a_heap():
    arguments = ["speed", "--clients", "2", "--servers", "20", "--uploads", "4", "--asks", "40", "--size", "100"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0
    assert "of the heap" in result.output
    assert "4 uploads" in result.output
