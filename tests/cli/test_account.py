"""An operator says who may keep how much, sees who does, and brings shares back from the trash."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest

from tahoe.actors.steward import Stewardship
from tahoe.actors.storage import StorageServer, Upkeep
from tahoe.cli.reporter import Reporter
from tahoe.cli.usagereport import UsageReport
from tahoe.codec import base32
from tahoe.policy.quota import Allowances, Member
from tahoe.protocol import CLIENT, STORAGE, NodeId
from tahoe.session.identity import Identity
from tahoe.storage.allowances import read_allowances
from tahoe.storage.books import OwnedLease
from tahoe.storage.filesystem import RealFileSystem
from tahoe.storage.memory import MemoryStore
from tests.actors.rig import Rig
from tests.storage.samples import NOW, PERIOD, index, lease, share

EVE = Identity.from_seed(bytes(32)).node


@pytest.fixture
def node(tahoe, tmp_path):
    assert tahoe("create-introducer", "intro", "--broker", "mqtt://localhost:1999").status == 0
    card = tmp_path / "intro" / "grid.toml"
    assert tahoe("create-node", "node", "--grid", card).status == 0
    (tmp_path / "node" / "storage").mkdir(exist_ok=True)
    return tmp_path / "node"


def allowed(node) -> Allowances:
    return read_allowances(RealFileSystem(node / "storage"))


def test_quotas_are_written_down_and_shown(tahoe, node):
    assert tahoe("account", "allow", EVE, "50G").status == 0
    assert tahoe("account", "allow", "alice", "unlimited", "--node", EVE, "--others", "2G").status == 0
    assert allowed(node) == Allowances({EVE: Member(50 * 10**9), "alice": Member(-1, (EVE,))}, pool=2 * 10**9)
    lines = [line.split() for line in tahoe("account", "list").text.splitlines()]
    assert ["alice", "unlimited", EVE] in lines
    assert json.loads(tahoe("account", "list", "--json").out)["others"] == 2 * 10**9
    assert tahoe("account", "forget", EVE).status == 0
    assert list(allowed(node).members) == ["alice"]


def test_what_makes_no_sense_is_refused_with_a_remedy(tahoe, node):
    assert "unlimited" in tahoe("account", "allow", EVE, "much").err
    assert "no node id" in tahoe("account", "allow", "v0-nobody", "5G").err
    assert "--others" in tahoe("account", "allow").err
    assert "tahoe account list" in tahoe("account", "forget", "bob").err
    assert "tahoe start" in tahoe("usage").err
    assert "no storage index" in tahoe("undelete", "WHAT!").err


class Running:
    """A node that runs, as far as reports need it: a server with shares of two accounts, and a trash."""

    def __init__(self) -> None:
        rig = Rig(servers=1)
        (machine,) = rig.servers
        self.store = MemoryStore()
        self.store.books().allow(Allowances({"alice": Member(5000)}, pool=9000))
        server = StorageServer(machine.context, self.store, self.store.slots, Upkeep(0, 0, 0), Stewardship())
        for number, account in enumerate(("alice", EVE, EVE)):
            owner = self.store.books().accounts.number_of(account)
            secrets = lease(number)
            owned = OwnedLease(secrets.renew_secret, secrets.cancel_secret, owner)
            self.store.store(index(number), {0: share(1, 0)}, owned, NOW)
        self.store.discard(index(2), 0, int(NOW) + PERIOD, NOW)
        self.actors = {STORAGE: server}
        self.workshop = SimpleNamespace(run=self.run)
        machine.context.compute = self.run
        server.steward._ctx = SimpleNamespace(
            compute=self.run, rng=rig.world.random("x"), name=NodeId("v0-host"), wall_time=lambda: NOW
        )

    async def run(self, function, *args):
        return function(*args)


@pytest.fixture
def ask(tahoe, tmp_path):
    """Run a command while a node answers."""
    directory = tmp_path / "node"
    (directory / "private").mkdir(parents=True)
    running = Running()
    report = UsageReport(running)

    def call(*words):
        async def story():
            answers = {"usage": report.usage, "trash": report.trash, "undelete": report.undelete}
            reporter = await Reporter.start(directory, report, answers)
            try:
                return await asyncio.to_thread(tahoe, *words)
            finally:
                await reporter.stop()

        return asyncio.run(story())

    call.running = running
    return call


def test_usage_shows_what_everybody_keeps_here(ask):
    page = ask("usage").text
    assert "alice" in page
    assert "of 5.0 kB" in page
    assert f"{EVE}" in page
    assert "of 9.0 kB" in page
    assert "trash: 1 shares" in page
    assert "0 of them, 0 bytes, that nobody leases" in page
    told = json.loads(ask("usage", "--json").out)
    assert told["mine"] is None
    assert [each["account"] for each in told["here"]["accounts"]] == ["alice", EVE]


def test_the_trash_is_shown_and_comes_back_with_a_lease(ask):
    name = base32.encode(index(2))
    assert name in ask("undelete").text
    assert ask("undelete", base32.encode(index(7))).text == "0 shares are back."
    assert ask("undelete", name).text == "1 shares are back."
    store = ask.running.store
    assert store.shares(index(2))
    assert store.books().usage()["v0-host"].shares == 1
    store.discard(index(2), 0, int(NOW) + PERIOD, NOW)
    assert ask("undelete", "--all").text == "1 shares are back."


def test_a_node_that_is_no_server_has_no_trash(ask):
    ask.running.actors.clear()
    assert "no storage server" in ask("undelete").err
    assert json.loads(ask("usage", "--json").out) == {"mine": None, "here": None}
    assert CLIENT not in ask.running.actors
