"""Nodes in the background: started, stopped, restarted, killed, shared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tahoe.cli.claim import is_ready, runner
from tahoe.net.card import BrokerEntry, GridCard
from tahoe.net.directory import NewGrid, create_introducer, create_node

ROOT = Path(__file__).parents[2]
NOBODY = "mqtt://127.0.0.1:9"
"""A broker that is not there: nodes start without."""


@pytest.fixture
def node(tmp_path, tahoe):
    """An introducer that has not been started; whatever was is stopped in the end."""
    made = create_introducer(tmp_path / "node", NewGrid((BrokerEntry(NOBODY),)))
    yield made.path
    tahoe("stop", made.path)


def test_start_returns_when_the_node_works(tahoe, node):
    outcome = tahoe("start", node)
    assert outcome.status == 0, outcome.err
    pid = runner(node)
    assert str(pid) in outcome.text
    facts = json.loads(tahoe("status", node, "--json").out)
    assert (facts["running"], facts["ready"], facts["pid"]) == (True, True, pid)
    assert facts["node"]["roles"] == ["introducer", "vdrive"]
    assert [finding["subject"] for finding in facts["findings"] if finding["level"] == "problem"] == ["broker"]


def test_status_is_for_people_too(tahoe, node):
    tahoe("start", node)
    text = tahoe("status", node).text
    assert f"process {runner(node)}" in text
    assert "Problem, broker: no broker is connected" in text


def test_a_started_node_has_left_the_terminal(tahoe, node):
    tahoe("start", node)
    assert os.getsid(runner(node)) != os.getsid(0)


def test_stop_returns_when_the_process_has_ended(tahoe, node):
    tahoe("start", node)
    assert tahoe("stop", node).status == 0
    assert runner(node) is None
    assert not (node / "private" / "report").exists()
    assert tahoe("status", node).status == 1
    assert tahoe("stop", node).text.endswith("was not running")


def test_restart_makes_a_new_process(tahoe, node):
    tahoe("start", node)
    before = runner(node)
    assert tahoe("restart", node).status == 0
    assert runner(node) not in {before, None}


def test_a_second_start_leaves_the_first_alone(tahoe, node):
    tahoe("start", node)
    pid = runner(node)
    assert "runs already" in tahoe("start", node).text
    assert tahoe("run", node).status == 1
    assert runner(node) == pid


def test_a_killed_node_can_be_started_again(tahoe, node):
    tahoe("start", node)
    os.kill(runner(node), signal.SIGKILL)
    assert tahoe("restart", node).status == 0
    assert runner(node) is not None


def test_several_nodes_share_a_process(tahoe, node, tmp_path):
    other = create_node(tmp_path / "other", GridCard.load(node / "grid.toml")).path
    assert tahoe("start", node, other).status == 0
    assert runner(node) == runner(other)
    facts = json.loads(tahoe("status", other, "--json").out)
    assert facts["gateway"].startswith("http://127.0.0.1:")
    assert facts["storage"]["shares"] == 0
    before = runner(node)
    assert tahoe("restart", node).status == 0
    assert runner(other) == runner(node) != before
    tahoe("stop", other)
    assert runner(node) is None


def test_what_keeps_a_node_from_starting_is_said(tahoe, node):
    (node / "tahoe.toml").write_text("[node]\nnickname = 5\n")
    outcome = tahoe("start", node)
    assert outcome.status == 1
    assert "nickname" in outcome.err
    assert "start.log" in outcome.err
    assert runner(node) is None


def test_a_port_that_is_taken_is_said(tahoe, node, tmp_path):
    card = GridCard.load(node / "grid.toml")
    first = create_node(tmp_path / "first", card).path
    assert tahoe("start", first).status == 0
    port = int((first / "node.url").read_text().strip().rstrip("/").rpartition(":")[2])
    assert tahoe("create-node", "second", "--grid", node / "grid.toml", "--web-port", port).status == 0
    outcome = tahoe("run", "second")
    assert outcome.status == 1
    assert f"port {port}" in outcome.err
    tahoe("stop", first)


@pytest.mark.parametrize("command", ["start", "stop", "run"])
def test_a_directory_that_is_not_there_is_a_usage_error(tahoe, command):
    assert tahoe(command, "nowhere").status == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_node_in_the_foreground_ends_well_when_asked(node, number):
    with subprocess.Popen(
        [sys.executable, "-m", "tahoe.cli.main", "run", str(node)],
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as process:
        while not is_ready(node):
            assert process.poll() is None
        process.send_signal(number)
        said = process.communicate(timeout=20)[1].decode()
    assert process.returncode == 0
    assert "started" in said
    assert "Traceback" not in said
    assert runner(node) is None
