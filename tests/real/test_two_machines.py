"""A friend on another machine joins by the command line, over TLS, with the grid card and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMESPACE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]


def test_a_friend_joins_over_tls_by_the_command_line_with_nothing_but_the_card(tmp_path):
    story = subprocess.run(
        [*NAMESPACE, sys.executable, "-m", "tests.real.two_machines", "first", str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert story.stdout.split() == ["identical"], story.stdout + story.stderr[-3000:]
