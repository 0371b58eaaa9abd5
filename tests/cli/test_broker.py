"""Brokers by the command line: what they say, what they put into a card, when they end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tahoe.net.card import BrokerEntry, GridCard
from tahoe.net.toml import read

ROOT = Path(__file__).parents[2]


@pytest.fixture
def broker(tmp_path):
    """Start ``tahoe broker run OPTIONS``; gives its first line, by which it takes connections."""
    started = []

    def start(*options: object) -> str:
        process = subprocess.Popen(
            [sys.executable, "-m", "tahoe.cli.main", "broker", "run", "--directory", "b", *map(str, options)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        )
        started.append(process)
        return process.stdout.readline()

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        assert process.returncode == 0


@pytest.mark.parametrize("engine", ["embedded", "mosquitto"])
def test_a_broker_says_where_it_is_and_what_it_takes_to_get_in(broker, tahoe, tmp_path, engine):
    assert broker("--engine", engine, "--port", 0).startswith(f"{engine} broker on mqtt://127.0.0.1:")
    entry = read(tmp_path / "b" / "broker.toml", BrokerEntry)
    socket.create_connection((entry.host, entry.port), timeout=10).close()
    assert tahoe("create-introducer", "i", "--broker", "b/broker.toml").status == 0
    assert GridCard.load(tmp_path / "i" / "grid.toml").brokers == (entry,)


def test_a_broker_with_tls_puts_all_it_takes_into_the_card(broker, tahoe, tmp_path):
    assert tahoe("create-introducer", "i", "--broker", "mqtt://localhost:1999").status == 0
    broker("--engine", "mosquitto", "--port", 0, "--tls", "--card", "i/grid.toml")
    first, second = GridCard.load(tmp_path / "i" / "grid.toml").brokers
    assert first.secure
    assert first.user
    assert first.password
    assert "BEGIN CERTIFICATE" in first.ca
    assert second.url == "mqtt://localhost:1999"


def test_a_broker_ends_with_the_program_that_started_it(tmp_path):
    command = [
        sys.executable,
        "-m",
        "tahoe.cli.main",
        "broker",
        "run",
        "--port",
        "0",
        "--directory",
        "b",
        "--while-stdin",
    ]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
    )
    with process:
        assert b"broker on" in process.stdout.readline()
        process.stdin.close()
        assert process.wait(20) == 0


def test_an_address_that_nobody_can_dial_is_refused(tahoe):
    outcome = tahoe("broker", "run", "--listen", "0.0.0.0")
    assert outcome.status == 1
    assert "dial" in outcome.err


def test_the_embedded_broker_stays_at_home(tahoe):
    outcome = tahoe("broker", "run", "--engine", "embedded", "--tls", "--directory", "b")
    assert outcome.status == 1
    assert "mosquitto" in outcome.err
