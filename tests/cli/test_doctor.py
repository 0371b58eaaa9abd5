"""Every sick node that the doctor knows, and a healthy one."""

from __future__ import annotations

import copy
import os
import socket
import time

import pytest

from tahoe.cli.doctor import examine
from tahoe.net.card import BrokerEntry
from tahoe.net.directory import NewGrid, create_introducer

NOW = 1_700_000_000.0
SERVER = {
    "nickname": "s0",
    "node": "v0-s0",
    "online": True,
    "available": 10**9,
    "software": "tahoe 0.1.0",
    "epoch": NOW - 5000,
    "protocol_versions": [1, 1],
}
HEALTHY = {
    "now": NOW,
    "node": {"id": "v0-me", "nickname": "me", "roles": ["storage", "client"], "protocol_versions": [1, 1]},
    "grid": {"id": "g", "name": "", "encoding": [3, 7, 10]},
    "brokers": [{"url": "mqtt://broker", "connected": True, "since": NOW, "problem": ""}],
    "introducers": [{"node": "v0-i", "nickname": "i", "connected": True, "since": NOW, "problem": ""}],
    "servers": [SERVER | {"nickname": f"s{number}"} for number in range(10)],
    "storage": {"capacity": 10**9, "available": 10**8, "accepts": 10**8, "shares": 5, "corrupt": 0},
}


@pytest.fixture
def broker():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def directory(tmp_path, broker):
    url = f"mqtt://127.0.0.1:{broker.getsockname()[1]}"
    return create_introducer(tmp_path / "node", NewGrid((BrokerEntry(url),))).path


def subjects(directory, report=None) -> list[tuple[str, str]]:
    return [(finding.level, finding.subject) for finding in examine(directory, report)]


def sick(**changes) -> dict:
    return copy.deepcopy(HEALTHY) | changes


def test_the_healthy_are_left_alone(directory):
    assert examine(directory, HEALTHY) == []
    assert examine(directory, None) == []


def test_secrets_that_others_can_read(directory):
    (directory / "node.key").chmod(0o644)
    (finding,) = examine(directory, HEALTHY)
    assert finding.subject == "permissions"
    assert f"chmod 600 {directory / 'node.key'}" in finding.text


def test_a_clock_before_the_nodes_birth(directory):
    os.utime(directory / "format", (time.time() + 10**6,) * 2)
    assert subjects(directory, HEALTHY) == [("problem", "clock")]


def test_a_clock_that_is_behind_everybodys(directory):
    ahead = [server | {"epoch": NOW + 9999} for server in HEALTHY["servers"]]
    assert subjects(directory, sick(servers=ahead)) == [("problem", "clock")]
    one = [*HEALTHY["servers"][1:], ahead[0]]
    assert subjects(directory, sick(servers=one)) == [("warning", "clock")]


def test_a_broker_that_is_not_there(directory, broker):
    gone = [{"url": "mqtt://broker", "connected": False, "since": NOW, "problem": "refused"}]
    assert subjects(directory, sick(brokers=gone)) == [("problem", "broker")]
    broker.close()
    assert subjects(directory) == [("problem", "broker")]


def test_introducers_that_are_all_gone_are_no_disaster(directory):
    gone = [HEALTHY["introducers"][0] | {"connected": False}]
    assert subjects(directory, sick(introducers=gone)) == [("warning", "introducer")]


def test_versions_that_don_t_meet(directory):
    later = [*HEALTHY["servers"][1:], SERVER | {"protocol_versions": [2, 3]}]
    assert subjects(directory, sick(servers=later)) == [("problem", "versions")]


def test_too_few_servers_matter_to_a_client_only(directory):
    few = HEALTHY["servers"][:6]
    assert subjects(directory, sick(servers=few)) == [("problem", "servers")]
    gone = [server | {"online": False} for server in HEALTHY["servers"]]
    (finding,) = examine(directory, sick(servers=gone))
    assert "can't be read" in finding.text
    storage = HEALTHY["node"] | {"roles": ["storage"]}
    assert subjects(directory, sick(servers=few, node=storage)) == []


def test_a_full_store(directory):
    full = HEALTHY["storage"] | {"accepts": 0}
    assert subjects(directory, sick(storage=full)) == [("warning", "space")]


def test_shares_that_rot(directory):
    assert subjects(directory, sick(storage=HEALTHY["storage"] | {"corrupt": 2})) == [("warning", "storage")]


def test_an_encoding_out_of_bounds(directory):
    grid = HEALTHY["grid"] | {"encoding": None, "problem": "too wide"}
    assert subjects(directory, sick(grid=grid)) == [("problem", "encoding")]


def test_a_configuration_that_does_not_hold(directory):
    (directory / "tahoe.toml").write_text("[node]\nnickname = 5\n")
    (finding,) = examine(directory, None)
    assert finding.subject == "configuration"
    assert "tahoe.toml" in finding.text


def test_the_worst_comes_first(directory):
    full = HEALTHY["storage"] | {"accepts": 0}
    assert [level for level, _ in subjects(directory, sick(storage=full, servers=[]))] == ["problem", "warning"]


def test_status_of_a_node_that_does_not_run(tahoe, directory):
    outcome = tahoe("status", directory)
    assert outcome.status == 1
    assert "tahoe start" in outcome.text
    assert "All is well" in outcome.text
    assert tahoe("status", directory / "missing").status == 1
