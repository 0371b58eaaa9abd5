"""The wheel, installed into an empty environment and used without a clone."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _run(*command: str, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    outcome = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert outcome.returncode == 0, f"{command}:\n{outcome.stdout}{outcome.stderr}"
    return outcome.stdout


@pytest.mark.timeout(600)
def test_the_wheel_alone_runs_the_demo(tmp_path):
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path / "dist"), str(ROOT), cwd=tmp_path)
    (wheel,) = (tmp_path / "dist").glob("tahoe_grid-*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    _run(str(programs / "python"), "-m", "pip", "install", "--quiet", str(wheel), cwd=tmp_path)
    _run(str(programs / "python"), "-m", "pip", "check", cwd=tmp_path)
    story = _run(str(programs / "tahoe"), "demo", cwd=tmp_path)
    assert "7 of 10 storage servers are killed" in story
    assert "identical" in story
    assert _run(str(programs / "allmydata-tahoe"), "--version", cwd=tmp_path).startswith("tahoe 0.1.0")
