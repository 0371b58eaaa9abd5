"""One seed, one run: whatever the interpreter, whatever its hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tahoe.sim import showcase
from tahoe.sim.trace import Trace

ROOT = Path(__file__).resolve().parents[2]


def traced(seed: int, hash_seed: int) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tahoe.sim", "trace", str(seed)]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_two_interpreters_with_different_hash_seeds_print_the_same_run():
    first, second = traced(5, 0), traced(5, 4242)
    assert first == second
    assert len(first.splitlines()) > 100
    assert first.splitlines()[-1].startswith("hash ")


def test_a_run_can_be_repeated_within_one_interpreter_and_another_seed_is_another_run():
    assert showcase.run(5) == showcase.run(5)
    assert showcase.run(5) != showcase.run(6)


def test_the_hash_covers_times_facts_and_the_bytes_of_packets():
    def digest(time, fact, packet):
        trace = Trace(lambda: time)
        trace.record("kind", fact)
        trace.packet("a", "b", "in", packet)
        return trace.digest

    base = digest(1.0, "fact", b"bytes")
    assert digest(1.0, "fact", b"bytes") == base
    assert (
        len({base, digest(1.0000001, "fact", b"bytes"), digest(1.0, "face", b"bytes"), digest(1.0, "fact", b"Bytes")})
        == 4
    )
