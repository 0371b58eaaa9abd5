"""Keeping files on real processes: a disk rots, a server dies for good, and the caretaker makes it whole."""

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
CONTENT = Random(1).randbytes(300_000)


@pytest.mark.timeout(300)
def test_a_server_died_and_a_disk_rotted_and_there_is_nothing_to_do(tmp_path):
    (tmp_path / "grid").mkdir()
    with LocalGrid(GridPlan(tmp_path / "grid", 6, Encoding(2, 3, 4), "embedded", 0)) as grid:

        def tahoe(*arguments):
            done = subprocess.run(
                [sys.executable, "-m", "tahoe.cli.main", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env=os.environ | {"PYTHONPATH": str(ROOT), "TAHOE_NODE": str(grid.client)},
                timeout=120,
                check=False,
            )
            assert "Traceback" not in done.stderr, done.stderr
            return done

        grid.make_nodes(grid.start_broker())
        grid.start_nodes()
        (tmp_path / "file").write_bytes(CONTENT)
        assert tahoe("put", tmp_path / "file", "private:file").returncode == 0
        assert tahoe("care", "now").returncode == 0
        found = json.loads(tahoe("check", "--json", "private:file").stdout)
        names = {node: label.partition("@")[0] for node, label in found["servers"].items()}
        homes = {int(number): names[nodes[0]] for number, nodes in found["results"]["sharemap"].items()}

        rotten = next((tmp_path / "grid" / homes[1] / "storage" / "shares").rglob("*/*/1"))
        with rotten.open("r+b") as share:
            share.seek(5000)
            byte = share.read(1)
            share.seek(5000)
            share.write(bytes([byte[0] ^ 1]))
        assert tahoe("verify", "private:file").returncode == 1
        mended = tahoe("repair", "--verify", "private:file")
        assert mended.returncode == 0, mended.stdout + mended.stderr
        assert tahoe("verify", "private:file").returncode == 0

        grid.kill([homes[0]])
        assert tahoe("server", "gone", homes[0]).returncode == 0
        health = tahoe("health")
        assert health.returncode == 0, health.stdout
        assert "1 gone" in health.stdout
        assert tahoe("check", "--deep", "private:").returncode == 0
        assert tahoe("get", "private:file", tmp_path / "back").returncode == 0
        assert (tmp_path / "back").read_bytes() == CONTENT
