"""The simulated Context, held to the suite that every Context must pass, at every fidelity."""

from __future__ import annotations

import pytest

from tahoe.protocol import CLIENT, STORAGE, Address
from tests.sim.context_conformance import ContextConformance, Oracle
from tests.sim.support import make_nodes


class SimBench:
    def __init__(self, *, sealed):
        nobody = lambda _: ()  # noqa: E731  # shorter than a def for nothing
        self.nodes = make_nodes(
            "bench", {"alice": nobody, "bob": lambda context: (Oracle(context(STORAGE)),)}, sealed=sealed
        )
        self.alice, self.node = self.nodes["alice"], self.nodes["bob"]
        self.world = self.alice.world
        self.oracle = self.node.actor(STORAGE)
        self.bob = Address(self.node.name, STORAGE)

    def run(self, story):
        return self.world.run(self.alice.observe(story(self.alice.running.context(CLIENT))))

    def failure_of(self, story):
        with pytest.raises(Exception) as caught:  # noqa: PT011  # any error is what is asked for
            self.run(story)
        return caught.value


class TestSimContext(ContextConformance):
    @pytest.fixture(params=[True, False], ids=["sealed", "plain"])
    def bench(self, request):
        return SimBench(sealed=request.param)
