"""The grid's Context, held to the suite that every Context must pass: two nodes and a real broker."""

import asyncio

import pytest

from tahoe.net.card import GridCard
from tahoe.net.crew import Crew
from tahoe.net.directory import NewGrid, create_introducer, create_node
from tahoe.net.node import Node
from tahoe.protocol import CLIENT, STORAGE, Address
from tests.net.support import PATIENCE, Mosquitto
from tests.sim.context_conformance import ContextConformance, Oracle


def nobody(_quarters):
    return Crew(())


def oracle(quarters):
    return Crew((Oracle(quarters.context(STORAGE)),))


class GridBench:
    """Alice and Bob in one event loop, each with a transport of its own."""

    def __init__(self, directory):
        self.broker = Mosquitto(directory)
        grid = NewGrid(brokers=(self.broker.entry(),))
        card = GridCard.load(create_introducer(directory / "introducer", grid).card)
        self.alice = Node(create_node(directory / "alice", card).path, nobody)
        self.node = Node(create_node(directory / "bob", card).path, oracle)
        self._runner = asyncio.Runner()
        self._runner.run(self._start())
        bob = self.node.running
        self.oracle = bob.actors[STORAGE]
        self.bob = Address(bob.name, STORAGE)

    async def _start(self):
        await self.alice.start()
        await self.node.start()
        alice, bob = self.alice.running, self.node.running
        self.context = alice.context(CLIENT)
        alice.meet(bob.name, bob.papers.identity.exchange_public)
        async with asyncio.timeout(PATIENCE):
            await alice.transport.wait_connected()
            await bob.transport.wait_connected()

    def run(self, story):
        return self._runner.run(story(self.context))

    def failure_of(self, story):
        self.run(story)
        (failure,) = self.alice.running.failures
        return failure

    def close(self):
        self._runner.run(self.alice.stop())
        self._runner.run(self.node.stop())
        self._runner.close()
        self.broker.kill()


class TestAsyncioContext(ContextConformance):
    @pytest.fixture
    def bench(self, tmp_path):
        bench = GridBench(tmp_path)
        yield bench
        bench.close()
