"""The experiment of the documentation, as a file, and the command line that runs it."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from experiments.__main__ import main

PAGE = Path(__file__).parents[2] / "docs" / "experiments.md"


@pytest.fixture
def toy(tmp_path):
    """The example of docs/experiments.md, as it stands there."""
    path = tmp_path / "heads.py"
    path.write_text(re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL).group(1))
    return path


@pytest.fixture
def command(monkeypatch):
    """Run the command line in this process, with a version of the code that no commit changes on the way."""
    monkeypatch.setattr("experiments.framework.laboratory.code_version", lambda: "v1")

    def call(*arguments, code=0):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def run_toy(command, toy):
    """Run the toy with few coins and runs into a folder."""

    def call(out, *arguments, code=0):
        small = ("--set", "coins=4", "--set", "runs=200", "--workers", 1)
        return command("run", toy, "--out", out, *small, *arguments, code=code)

    return call
