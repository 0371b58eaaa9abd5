"""The README's quick start and examples, run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tahoe.cli.main import COMMANDS
from tests.readme import README, example, run_script

ROOT = Path(__file__).parents[1]


def test_the_quick_start_by_hand_works_as_it_is_printed(tmp_path):
    said = run_script(example("sh", "create-introducer"), tmp_path)
    assert "two friends are gone, the file is not" in said
    assert "2 of 4 there" in said


def test_the_example_of_the_laboratory_runs():
    outcome = subprocess.run(
        [sys.executable, "-c", example("python", "SimGrid")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr


def test_the_table_of_commands_has_every_one_and_no_other():
    table = README.split("## Commands")[1].split("Every command has")[0]
    named = set(re.findall(r"`(?:tahoe )?([a-z][a-z-]+)", table))
    assert set(COMMANDS) - {"unlink"} == named - {"make"}
