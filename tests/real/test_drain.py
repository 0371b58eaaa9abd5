"""Leaving on real processes: what a server has is elsewhere when it says that it may go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tahoe.cli.local_grid import GridPlan, LocalGrid
from tahoe.protocol import Encoding

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
def test_a_server_leaves_in_good_order_and_nobody_misses_it(tmp_path):
    (tmp_path / "grid").mkdir()
    with LocalGrid(GridPlan(tmp_path / "grid", 5, Encoding(2, 3, 4), "embedded", 0)) as grid:

        def tahoe(*arguments):
            done = subprocess.run(
                [sys.executable, "-m", "tahoe.cli.main", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env=os.environ | {"PYTHONPATH": str(ROOT), "TAHOE_NODE": str(grid.client)},
                timeout=200,
                check=False,
            )
            assert "Traceback" not in done.stderr, done.stderr
            return done

        grid.make_nodes(grid.start_broker())
        grid.start_nodes()
        contents = {
            f"file{number}": Random(number).randbytes(size) for number, size in enumerate((1000, 90_000, 2**21))
        }
        for name, data in contents.items():
            (tmp_path / name).write_bytes(data)
            assert tahoe("put", tmp_path / name, f"private:{name}").returncode == 0
        found = json.loads(tahoe("check", "--json", "private:").stdout)
        home = next(iter(found["results"]["sharemap"].values()))[0]
        leaver = found["servers"][home].partition("@")[0]
        directory = tmp_path / "grid" / leaver

        assert tahoe("drain", directory).returncode == 0
        assert tahoe("drain", directory, "--status").returncode == 1
        done = tahoe("drain", directory, "--patience", "0s", "--wait")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "it may go" in done.stdout
        told = json.loads(tahoe("drain", directory, "--status", "--json").stdout)["drain"]
        assert told["left"] == 0 < told["copied"]

        grid.kill([leaver])
        for name, data in contents.items():
            assert tahoe("get", f"private:{name}", tmp_path / "back").returncode == 0
            assert (tmp_path / "back").read_bytes() == data
        assert tahoe("check", "--deep", "private:").returncode == 0
