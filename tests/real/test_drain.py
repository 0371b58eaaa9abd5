"""Leaving on real processes: what a server has is elsewhere when it says that it may go."""

from __future__ import annotations

import json
from random import Random

import pytest

from tahoe.protocol import Encoding
from tests.real.grid import RealGrid

ENCODING = Encoding(2, 3, 4)


@pytest.mark.timeout(300)
def test_a_server_leaves_in_good_order_and_nobody_misses_it(tmp_path):
    with RealGrid(tmp_path / "grid", 5, ENCODING, "embedded") as grid:
        grid.up()
        contents = {
            f"file{number}": Random(number).randbytes(size) for number, size in enumerate((1000, 90_000, 2**21))
        }
        for name, data in contents.items():
            (tmp_path / name).write_bytes(data)
            grid.ok("put", tmp_path / name, f"private:{name}")
        leaver = next(iter(grid.homes("private:").values()))
        directory = tmp_path / "grid" / leaver

        grid.ok("drain", directory)
        assert grid.tahoe("drain", directory, "--status").returncode == 1
        assert "it may go" in grid.ok("drain", directory, "--patience", "0s", "--wait")
        told = json.loads(grid.ok("drain", directory, "--status", "--json"))["drain"]
        assert told["left"] == 0 < told["copied"]

        grid.kill([leaver])
        for name, data in contents.items():
            grid.ok("get", f"private:{name}", tmp_path / "back")
            assert (tmp_path / "back").read_bytes() == data
        grid.ok("check", "--deep", "private:")
