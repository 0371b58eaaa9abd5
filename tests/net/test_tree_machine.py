"""Two clients and five edit one tree over a real broker, on real disks, in every kind of weather (``tests/treemachine.py``)."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from tahoe.actors.roots import GLOBAL_ROOT, publish_root
from tahoe.net import transport
from tahoe.net.card import GridCard
from tahoe.net.config import NodeConfig, NodeSection, StorageSection
from tahoe.net.directory import NewGrid, create_introducer, create_node
from tahoe.net.keys import load_secret
from tahoe.net.node import Node
from tahoe.net.quantities import ByteSize
from tahoe.net.roles import build_crew
from tahoe.protocol import CLIENT, INTRODUCER, MEMBER, STORAGE, VDRIVE, Encoding
from tahoe.session.identity import GridKey
from tahoe.sim.workshop import Workshop
from tests.net.support import Mosquitto
from tests.treemachine import SERVERS, TreeMachine

LONGEST_NAP = 0.5
"""Seconds of a real clock that a test may let pass."""

CALM_SECONDS = 120.0


class RealGrid:
    """Nodes in this process, as far as a ``Workshop`` knows a grid: clients, a clock, stories run to their end.

    Args:
        root: an empty directory.
        clients: how many.
        seed: of what happens to packets.
    """

    def __init__(self, root, clients, seed):
        self.loop = asyncio.new_event_loop()
        self.broker = Mosquitto(root)
        self.loss = self.duplicate = 0.0
        self.world = self
        self._dice = Random(seed)
        self._open = set()
        new = NewGrid((self.broker.entry(),), Encoding(2, 4, 6))
        self._nodes = {"introducer": create_introducer(root / "introducer", new, roles=(INTRODUCER,)).path}
        self.key = GridKey.from_seed(load_secret(root / "introducer.grid-key"))
        card = GridCard.load(root / "introducer" / "grid.toml")
        names = {"vdrive-0": VDRIVE} | {f"server-{number}": STORAGE for number in range(SERVERS)}
        for name, role in (names | {f"client-{number}": CLIENT for number in range(clients)}).items():
            section = NodeSection((role,), name)
            config = NodeConfig(node=section, storage=StorageSection(reserved_space=ByteSize(0)))
            self._nodes[name] = create_node(root / name, card, config).path
        self.running = {}
        self.start(self._nodes)
        self._client_names = [f"client-{number}" for number in range(clients)]

    @property
    def clients(self):
        """Of a simulated grid its client nodes; here they find actors."""
        return [_Client(self.running[name].running) for name in self._client_names]

    def now(self):
        return self.loop.time()

    def run(self, story, client=0):
        return self.loop.run_until_complete(asyncio.wait_for(story, CALM_SECONDS))

    def start(self, names):
        for name in names:
            node = self.running[name] = Node(self._nodes[name], build_crew)
            self.run(node.start())
            carrier = node.running.transport
            carrier.send = self._unreliable(carrier.send)

    def stop(self, names):
        for name in names:
            if name in self.running:
                self.run(self.running.pop(name).stop())

    def spawn(self, client, story):
        """Begin a story of a client, which ends with it."""

        async def watched():
            self._open.add(story)
            try:
                await story
            finally:
                self._open.discard(story)

        async def begin():
            self.running[self._client_names[client]].running.spawn(watched())

        self.run(begin())

    def _unreliable(self, send):
        def unreliable(*packet):
            if self._dice.random() >= self.loss:
                for _ in range(1 + (self._dice.random() < self.duplicate)):
                    send(*packet)

        return unreliable

    async def calm(self):
        """Wait until nothing is under way and every client sees every server."""
        while self._open or any(self._unseen_by(name) for name in self._client_names):  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.05)

    def _unseen_by(self, client):
        """Whether there are servers that a client does not see."""
        running = self.running[client].running
        return sum(running.presence(server.node) is True for server in running.actors[MEMBER].servers()) < SERVERS

    def close(self):
        self.stop(list(reversed(self.running)))
        self.broker.kill()
        self.loop.close()


class _Client:
    """A client node that is started once, as a workshop knows it: nobody looks after anything unasked."""

    boots = 1
    running = SimpleNamespace(actors={})

    def __init__(self, node):
        self.name = node.name
        self._actors = node.actors

    def actor(self, role):
        return self._actors[role]


class RealWorkshop(Workshop):
    """The clients at work on a grid that has a key of its own."""

    def _set_up_tree(self, first):
        root = self.grid.run(first.directories.create())
        self.grid.run(first.roots.publish(publish_root(self.grid.key, GLOBAL_ROOT, 1, root)))
        self.directories = [root]


class RealTree(TreeMachine):
    """The machine over a real broker."""

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed):
        self.place = Path(tempfile.mkdtemp(prefix="tahoe-tree-"))
        self.grid = RealGrid(self.place, self.clients, seed)
        self.grid.run(self.grid.calm())
        self.workshop = RealWorkshop(self.grid, 64, 4)
        self.workshop.set_up()

    def teardown(self):
        try:
            super().teardown()
            failures = [error for node in self.grid.running.values() for error in node.running.failures]
            assert not failures, failures
        finally:
            self.grid.close()
            shutil.rmtree(self.place)

    def spawn(self, client, story):
        self.grid.spawn(client, story)

    def run(self, story, client):
        self.grid.run(story, client)

    def pass_time(self, seconds):
        self.grid.run(asyncio.sleep(min(seconds, LONGEST_NAP)))

    def crash(self, names, power):  # no power can be cut here
        self.grid.stop(names)

    def restart(self, names):
        self.grid.stop(names)
        self.grid.start(names)

    def trouble(self, loss, duplicate):
        self.grid.loss, self.grid.duplicate = loss, duplicate

    def stop_broker(self, seconds):
        self.grid.broker.kill()
        self.pass_time(seconds)
        self.grid.broker.start()

    def calm_down(self):
        self.grid.run(self.grid.calm())


class FiveFriends(RealTree):
    """More clients, more races."""

    clients = 5


SHORT = settings(
    max_examples=2,  # the first is always the simplest
    stateful_step_count=40,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


@pytest.fixture(autouse=True)
def impatience(monkeypatch):
    """Whoever has lost the broker often waits long before he tries again; not here."""
    monkeypatch.setattr(transport, "LONGEST_PAUSE", 1.0)


@pytest.mark.timeout(300)
def test_two_clients_who_edit_one_tree_over_a_real_broker_are_told_the_truth():
    run_state_machine_as_test(RealTree, settings=SHORT)


@pytest.mark.timeout(300)
def test_five_clients_who_edit_one_tree_over_a_real_broker_are_told_the_truth():
    run_state_machine_as_test(FiveFriends, settings=SHORT)
