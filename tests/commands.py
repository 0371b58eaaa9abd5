"""Commands of ``tahoe`` in processes of their own, as the user of a node gives them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATIENCE = 200.0
"""Seconds that a command may take on a machine that has other things to do."""


def run_tahoe(node: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``tahoe ARGUMENTS`` to its end; it may fail, but never with a stack trace."""
    done = subprocess.run(
        [sys.executable, "-m", "tahoe.cli.main", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TAHOE_NODE": str(node)},
        timeout=PATIENCE,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done
