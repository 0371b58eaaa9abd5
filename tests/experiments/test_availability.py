"""What the real actors do in the simulator agrees with the binomial distribution."""

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest

from experiments.availability import Configuration, Point, crossing, is_readable, out_of_reach, plot, points, run
from tahoe.protocol import Encoding
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.grid import SimGrid

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("needed", "total", "down"), [(1, 1, 0.3), (1, 3, 0.5), (3, 10, 0.7), (7, 10, 0.2)])
def test_simulated_failures_contain_the_exact_probability(needed, total, down):
    (row,) = run(Point(needed, total, down, runs=60, file_size=500, confidence=0.999), seed=1)
    assert 0 < row.unavailable < row.runs
    assert row.exact == out_of_reach(needed, total, down)
    assert row.low <= row.exact <= row.high
    assert row.high - row.low < 0.45


def test_a_file_is_readable_exactly_if_enough_of_its_servers_are_up():
    grid = SimGrid(3, servers=4, options=GridOptions(fidelity="message", encoding=Encoding(needed=2, happy=4, total=4)))
    names = [f"server-{number}" for number in range(4)]
    capability = grid.upload(b"some content" * 10)
    for count in range(5):
        for down in combinations(names, count):
            grid.crash(*down)
            assert is_readable(grid, capability, b"some content" * 10) == (4 - count >= 2), down
            grid.restart(*down)
            grid.run(1.0)


def test_wrong_bytes_would_not_pass_for_a_file_that_came_back():
    grid = SimGrid(3, servers=1, options=GridOptions(fidelity="message", encoding=Encoding(1, 1, 1)))
    capability = grid.upload(b"one thing" * 10)
    with pytest.raises(AssertionError, match="wrong bytes"):
        is_readable(grid, capability, b"something else" * 10)


def test_rows_follow_from_the_seed_alone():
    point = Point(2, 3, 0.5, runs=20, file_size=100, confidence=0.999)
    assert run(point, seed=7) == run(point, seed=7)
    assert run(point, seed=7)[0].unavailable != run(point, seed=9)[0].unavailable


def test_the_exact_curve_is_the_published_one():
    assert f"{out_of_reach(3, 10, 0.1):.3e}" == "3.736e-07"
    assert f"{out_of_reach(3, 6, 0.1):.3e}" == "1.270e-03"
    assert out_of_reach(3, 10, 0.5) == 5.46875e-2
    assert f"{out_of_reach(7, 10, 0.1):.6e}" == "1.279520e-02"


@pytest.mark.parametrize(("needed", "total"), [(3, 10), (7, 10), (2, 4), (10, 20)])
def test_a_code_is_safer_than_copies_below_the_crossing_and_worse_above(needed, total):
    at = crossing(needed, total)
    assert at.copies == total // needed
    assert out_of_reach(needed, total, 0.9 * at.down) < (0.9 * at.down) ** at.copies
    higher = (1 + at.down) / 2
    assert out_of_reach(needed, total, higher) > higher**at.copies


def test_a_code_of_its_own_and_an_impossible_one_are_told_apart(command, tmp_path):
    result = command("run", "availability", "--out", tmp_path, "--set", "codes=[[3, 2]]", code=1)
    assert "codes are pairs [k, N] with 1 <= k <= N <= 256" in result.output


def test_a_small_study_is_reproduced_from_its_manifest_and_drawn_again_in_place(command, tmp_path):
    small = ("--set", "codes=[[1, 1], [2, 3]]", "--set", "down=[0.5]", "--set", "runs=5", "--workers", 1)
    for _ in range(2):
        command("run", "availability", "--out", tmp_path / "first", *small)
    manifest = tmp_path / "first" / "manifest.json"
    result = command("run", "--from", manifest, "--out", tmp_path / "again", "--workers", 1)
    assert "reproduced bit for bit" in result.output


def test_every_code_meets_every_probability_once():
    asked = Configuration(codes=((1, 2), (2, 3)), down=(0.1, 0.5))
    pairs = [(point.needed, point.total, point.down) for point in points(asked)]
    assert pairs == [(1, 2, 0.1), (1, 2, 0.5), (2, 3, 0.1), (2, 3, 0.5)]


def test_the_figure_names_axes_and_curves():
    asked = Configuration(codes=((1, 1), (2, 3)), down=(0.5,), runs=5)
    rows = [row for point in points(asked) for row in run(point, seed=1)]
    figure = plot(rows, asked)
    assert [axes.get_xlabel() for axes in figure.axes] == ["probability that a server is down"] * 2
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [
        "1-of-1, 1.0 times the storage",
        "2-of-3, 1.5 times the storage; safer than 1-of-1 below 0.50 (circle)",
    ]


def test_a_quick_look_from_the_command_line_answers_the_question(tmp_path):
    command = [sys.executable, "-m", "experiments", "run", "availability", "--quick", "--out", str(tmp_path)]
    done = subprocess.run([*command, "--workers", "2"], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "15/15 points" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        "availability.png",
        "availability.svg",
        "data.csv",
        "manifest.json",
        "rows.jsonl",
    }
    rows = (tmp_path / "data.csv").read_text().splitlines()
    assert rows[0] == "needed,total,down,runs,unavailable,low,high,exact"
    assert len(rows) == 16
