"""A study spread over a Dask cluster, a real scheduler and two real workers, has the rows that one process computes."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(toy, out, *arguments):
    small = ["--set", "coins=5", "--set", "runs=300", "--seed", "4"]
    command = [sys.executable, "-m", "experiments", "run", str(toy), "--out", str(out), *small, *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    return ended.returncode, ended.stderr


def test_two_workers_of_a_cluster_compute_the_same_rows_as_one_process(toy, tmp_path):
    assert run(toy, tmp_path / "here", "--workers", "1")[0] == 0
    code, complaints = run(toy, tmp_path / "there", "--workers", "2", "--dask", "local")
    assert code == 0, complaints
    assert (tmp_path / "there" / "rows.jsonl").read_bytes() == (tmp_path / "here" / "rows.jsonl").read_bytes()
    assert (tmp_path / "there" / "data.csv").read_bytes() == (tmp_path / "here" / "data.csv").read_bytes()
