"""Commands run as users run them: in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.shell import Shell
from tests.web.conftest import running_drive

ROOT = Path(__file__).parents[2]


class Outcome(NamedTuple):
    status: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode().strip()


@pytest.fixture
def tahoe(tmp_path):
    """Call ``tahoe ARGUMENTS``, in a directory of the test's own and with no node but what it names."""

    def call(*arguments: object, given: bytes | None = None, **environment: str) -> Outcome:
        variables = os.environ | {"PYTHONPATH": str(ROOT), "TAHOE_NODE": str(tmp_path / "node")} | environment
        done = subprocess.run(
            [sys.executable, "-m", "tahoe.cli.main", *map(str, arguments)],
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            cwd=tmp_path,
            env=variables,
            timeout=110,
            check=False,
        )
        err = done.stderr.decode()
        assert "Traceback" not in err, err
        return Outcome(done.returncode, done.stdout, err)

    return call


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """A user of a node in a grid of real actors; commands run in this process."""
    (tmp_path / "node").mkdir()
    with running_drive(tmp_path / "node") as drive:
        yield Shell(drive, tmp_path / "here", monkeypatch)
