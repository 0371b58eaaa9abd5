"""The gateway of a node: what it reads from the node's directory, and where it listens."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from tahoe.net.config import ClientSection
from tahoe.net.directory import NodeDirectory
from tahoe.net.logs import NodeLog
from tahoe.web.app import Gateway
from tahoe.web.jobs import JobBoard
from tahoe.web.node import _guard, _servers
from tahoe.web.services import Keeping, Services
from tests.web.conftest import status
from tests.web.test_tls import tls  # noqa: F401  # a fixture


@pytest.fixture
def directory(tmp_path) -> NodeDirectory:
    node = NodeDirectory(tmp_path)
    node.private.mkdir()
    node.api_token.write_text("a-token-for-tests\n")
    node.api_token.chmod(0o600)
    return node


def test_the_nodes_own_name_stays_from_one_run_to_the_next(directory):
    first, second = (_guard(directory, ClientSection()).sessions.host for _ in range(2))
    assert first == second
    assert first.startswith("tahoe-")
    assert first.endswith(".localhost")
    assert [path.stat().st_mode & 0o077 for path in directory.private.iterdir()] == [0, 0]


def test_a_gateway_listens_on_this_machine_and_where_it_is_told(directory, tls):  # noqa: F811  # the fixture
    section = ClientSection(
        https_address="127.0.0.1:0",
        https_certificate=tls.certificate.name,
        https_key=tls.key.name,
        https_names=("grid.example",),
    )
    log = NodeLog(logging.getLogger("gateway"))
    services = Services(None, Keeping(b"", directory.path), _guard(directory, section), status, JobBoard(log))
    gateway = Gateway(services, log)
    assert _schemes(_servers(gateway, directory, section)) == ["http", "https"]
    assert _schemes(_servers(gateway, directory, ClientSection())) == ["http"]


def _schemes(servers) -> list[str]:
    for server in servers:
        server._listener.close()
    return [server._scheme for server in servers]


def test_a_gateway_that_nobody_asks_runs_no_timer_and_no_task(gateway):
    async def at_work() -> tuple[int, int]:
        timers = sum(not handle.cancelled() for handle in gateway.loop._scheduled)
        return timers, len(asyncio.all_tasks()) - 1  # this one

    def look() -> tuple[int, int]:
        return asyncio.run_coroutine_threadsafe(at_work(), gateway.loop).result(10)

    before = look()
    with gateway.connect() as silent:
        silent.sendall(b"GET / HT")
        gateway.put(b"something" * 100)
        gateway.request("GET", "/status")
        assert look() > before
    deadline = time.monotonic() + 30
    while look() != before:  # connections are closed in the loop's own time
        assert time.monotonic() < deadline
    assert before[0] == 0
