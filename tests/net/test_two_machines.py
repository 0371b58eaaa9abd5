"""A second machine needs the grid card and nothing else: tried between two network namespaces."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMESPACE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]


def test_a_second_machine_needs_the_card_and_nothing_else(tmp_path):
    story = subprocess.run(
        [*NAMESPACE, sys.executable, ROOT / "tests" / "net" / "two_machines.py", "first", tmp_path],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert story.stdout.split() == ["identical"], story.stderr[-2000:]
