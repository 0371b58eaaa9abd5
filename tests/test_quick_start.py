"""The README's quick start and examples, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_quick_start_by_hand_works_as_it_is_printed(tmp_path):
    script = next(block for block in _blocks("sh") if "create-introducer" in block)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:/usr/sbin:{os.environ['PATH']}"}
    outcome = subprocess.run(
        ["bash", "-euc", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "two friends are gone, the file is not" in outcome.stdout
    assert "2 of 4 there" in outcome.stdout


def test_the_example_of_the_laboratory_runs():
    (example,) = _blocks("python")
    outcome = subprocess.run(
        [sys.executable, "-c", example], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert outcome.returncode == 0, outcome.stderr


def test_every_command_of_the_table_has_help():
    table = README.split("## Commands")[1].split("## The laboratory")[0]
    named = set(re.findall(r"`(?:tahoe )?([a-z-]+(?: [a-z-]+)?)(?: \[| CAP| FILE|`)", table))
    commands = {
        "put",
        "get",
        "create-introducer",
        "create-node",
        "grid sign",
        "run",
        "start",
        "stop",
        "restart",
        "status",
    }
    assert commands <= named, commands - named
    for command in sorted(commands):
        outcome = subprocess.run(
            [sys.executable, "-m", "tahoe.cli.main", *command.split(), "--help"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert outcome.returncode == 0, outcome.stderr
        assert "Usage" in outcome.stdout
