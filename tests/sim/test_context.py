"""The simulated Context, held to the suite that every Context must pass."""

from __future__ import annotations

import pytest

from tahoe.protocol import STORAGE, Address, NodeId
from tahoe.sim.node import Node, Post
from tahoe.sim.world import World
from tests.sim.context_conformance import ContextConformance, Oracle

ALICE, BOB = NodeId("alice"), NodeId("bob")


class SimBench:
    def __init__(self):
        self.world = World("bench")
        post = Post(self.world)
        self.alice = Node(self.world, post, ALICE, lambda _: ())
        self.node = Node(self.world, post, BOB, lambda ctx: (Oracle(ctx),))
        self.alice.boot()
        self.node.boot()
        self.oracle = self.node.actor(STORAGE)
        self.bob = Address(BOB, STORAGE)

    def run(self, story):
        return self.world.run(self.alice.observe(story(self.alice.incarnation.context)))

    def failure_of(self, story):
        with pytest.raises(Exception) as caught:  # noqa: PT011  # any error is what is asked for
            self.run(story)
        return caught.value


class TestSimContext(ContextConformance):
    @pytest.fixture
    def bench(self):
        return SimBench()
