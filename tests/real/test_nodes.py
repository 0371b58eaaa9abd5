"""Nodes in the background, the demo left standing, large packets refused, and memory that stays flat."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tahoe.net.mosquitto import find_mosquitto
from tests.real.grid import BROKER, CLIENT_NAME, MEGABYTE, RealGrid, until
from tests.real.large import carry


def _tahoe(*arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tahoe.cli.main", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize("option", ["max_packet_size", "message_size_limit"], ids=["hangs up", "drops"])
def test_a_broker_that_refuses_large_packets_carries_files_in_smaller_ones(option, tmp_path):
    with RealGrid(tmp_path / "grid") as grid:
        grid.make()
        grid.kill_broker()
        until(lambda: not grid.is_broker_up(), "the broker is gone")
        limited = tmp_path / "limited.conf"
        limited.write_text(f"{(grid.plan.root / BROKER / 'mosquitto.conf').read_text()}\n{option} 100000\n")
        program = find_mosquitto()
        assert program is not None
        broker = subprocess.Popen([program, "-c", str(limited)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(grid.is_broker_up, "the broker with the limit runs")
            grid.start_nodes()
            data = os.urandom(3 * MEGABYTE)
            assert grid.gateway.get(grid.gateway.put(data)) == data
        finally:
            grid.stop()
            broker.terminate()
            broker.wait()
        grid.check_logs()


def test_memory_does_not_grow_with_the_file_nor_with_a_reader_who_stalls(tmp_path):
    with RealGrid(tmp_path / "grid") as grid:
        grid.up()
        small, large = carry(grid, 30 * MEGABYTE), carry(grid, 300 * MEGABYTE)
    assert large[CLIENT_NAME] < 160 * MEGABYTE
    assert large[BROKER] < 60 * MEGABYTE
    assert max(large[name] for name in grid.server_names) < 115 * MEGABYTE
    for name, most in large.items():
        assert most < small[name] + 40 * MEGABYTE, f"{name} grew from {small[name]} to {most}"


def test_a_node_that_can_not_start_says_why(tmp_path, grid):
    card = grid.plan.root / "introducer" / "grid.toml"
    made = _tahoe("create-node", "node", "--grid", str(card), "--roles", "client", directory=tmp_path)
    assert made.returncode == 0, made.stderr
    assert _tahoe("create-node", "node", "--grid", str(card), directory=tmp_path).returncode != 0
    configuration = tmp_path / "node" / "tahoe.toml"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        configuration.write_text(configuration.read_text().replace("[client]", f"[client]\nweb_port = {port}"))
        failed = _tahoe("start", "node", directory=tmp_path)
    assert failed.returncode == 1
    assert str(port) in failed.stderr
    assert "Traceback" not in failed.stderr
    assert _tahoe("start", "node", directory=tmp_path).returncode == 0
    assert "10 of 10" in _tahoe("status", "node", directory=tmp_path).stdout
    assert _tahoe("restart", "node", directory=tmp_path).returncode == 0
    assert _tahoe("stop", "node", directory=tmp_path).returncode == 0
    assert _tahoe("status", "node", directory=tmp_path).returncode != 0


def test_a_demo_that_is_kept_stays_until_it_is_interrupted_and_leaves_nothing(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "tahoe.cli.main", "demo", "--keep", "--engine", "mosquitto"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    assert any("http://" in line for line in lines), lines
    process.send_signal(signal.SIGINT)
    process.wait(60)
    process.stdout.close()
    assert list(tmp_path.iterdir()) == []
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in _read(path)]
    assert left == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
