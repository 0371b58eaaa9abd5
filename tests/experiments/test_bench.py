"""The benchmark, as a smoke run, and its table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from experiments.bench.load import NOTHING, Account
from experiments.bench.table import GOALS, Results, bound, document, lines, processor_lines, ratio

ROOT = Path(__file__).parents[2]
PROCESSOR = {"upload, a MB": {"client": 10.0, "servers": 12.0, "the broker": 2.0}}
BOUNDS = {"arithmetic, MB/s": 300.0, "transport, MB/s": 100.0}


def test_a_quick_run_takes_every_figure_that_has_a_goal(tmp_path):
    out = tmp_path / "benchmarks.md"
    command = [sys.executable, "-m", "experiments.bench", "--quick", "--out", str(out)]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert outcome.returncode == 0, outcome.stderr
    written = out.read_text()
    assert all(f"| {figure} |" in written for figure in GOALS)
    assert "--quick" in written


def test_times_better_means_faster_or_smaller_as_the_figure_has_it():
    assert ratio("upload, MB/s", 80.0, 20.0) == 4.0
    assert ratio("10 kB put, ms", 10.0, 50.0) == 5.0
    assert ratio("10 kB put, 8 at once, files/s", 50.0, 10.0) == 5.0


def test_a_goal_that_is_missed_is_called_so():
    ours = Account(dict.fromkeys(GOALS, 1.0), {})
    table = "\n".join(lines(Results(ours, ours, BOUNDS)))
    assert (
        table.count("**missed**") == len(GOALS) - 2 + 1
    )  # memory must only be no more, and the share of the bound is missed
    assert bound(BOUNDS) == 75.0


def test_processor_time_is_told_by_process_and_summed():
    rivals = Account({}, {"upload, a MB": {"client": 30.0, "servers": 17.0}})
    (*_, line) = processor_lines(Results(Account({}, PROCESSOR), rivals, BOUNDS))
    assert line == "| upload, a MB | 10.0 | 12.0 | 2.0 | 24.0 | 30.0 | 17.0 | 47.0 |"


def test_without_the_rival_nothing_is_claimed_against_it():
    ours = Account(dict.fromkeys(GOALS, 70.0), PROCESSOR)
    text = document("the command", Results(ours, NOTHING, BOUNDS))
    assert "aim met" not in text
    assert "| upload, share of the bound | 93% |" in text


def test_the_benchmark_is_no_experiment():
    listed = subprocess.run(
        [sys.executable, "-m", "experiments", "list"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert "availability" in listed.stdout
    assert "bench" not in listed.stdout
