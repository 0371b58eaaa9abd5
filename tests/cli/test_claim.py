"""Claims on a node directory, held and lost by processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tahoe.cli.claim import PID_FILE, Claim, is_ready, run_together, runner
from tahoe.errors import BadConfiguration

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from tahoe.cli.claim import Claim
claim = Claim(Path(sys.argv[1]))
claim.ready()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that runs the node."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.stdout.close()
    process.wait()


def test_nobody_runs_a_directory_without_a_file(tmp_path):
    assert runner(tmp_path) is None
    assert not is_ready(tmp_path)


def test_a_node_runs_once(holder, tmp_path):
    assert runner(tmp_path) == holder.pid
    assert is_ready(tmp_path)
    with pytest.raises(BadConfiguration, match="runs already"):
        Claim(tmp_path)
    assert runner(tmp_path) == holder.pid


def test_a_claim_names_all_that_one_process_runs(tmp_path):
    others = [tmp_path / "a b", tmp_path / "c"]
    with Claim(tmp_path, others):
        assert run_together(tmp_path) == others
    assert run_together(tmp_path) == []


def test_the_claim_of_a_killed_process_is_void_even_if_its_id_is_used_again(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / PID_FILE).read_text().startswith(f"{holder.pid} ready")
    (tmp_path / PID_FILE).write_text(f"{os.getpid()} ready")
    assert runner(tmp_path) is None
    Claim(tmp_path).release()


def test_a_claim_that_is_given_up_can_be_taken(tmp_path):
    for _ in range(2):
        claim = Claim(tmp_path)
        assert not is_ready(tmp_path)
        claim.ready()
        claim.release()
        assert runner(tmp_path) is None
