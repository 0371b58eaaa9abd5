"""Two clients and five edit one tree in a simulated grid, in every kind of weather (``tests/treemachine.py``)."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, run_state_machine_as_test

from tahoe.protocol import Encoding
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.disks import VolatilePlatter
from tahoe.sim.grid import SimGrid
from tahoe.sim.oracles import SlotWatch
from tahoe.sim.wire import Trouble
from tahoe.sim.workshop import Workshop
from tests.treemachine import SERVERS, TreeMachine


class SimTree(TreeMachine):
    """The machine in the simulator."""

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed):
        options = GridOptions("message", Encoding(2, 4, 6), platter=VolatilePlatter, vdrives=1, ties=bool(seed % 2))
        self.grid = SimGrid(seed, SERVERS, self.clients, options)
        self.workshop = Workshop(self.grid, 64, 4)
        self.workshop.set_up()
        self.watch = SlotWatch(self.grid)

    def spawn(self, client, story):
        node = self.grid.clients[client]
        if node.incarnation is None:
            story.close()
        else:
            self.grid.world.spawn(story, node.incarnation.life)

    def run(self, story, client):
        self.grid.run(story, client)

    def pass_time(self, seconds):
        self.grid.run(seconds)

    def crash(self, names, power):
        self.grid.crash(*names, power=power)

    def restart(self, names):
        self.grid.restart(*names)

    def trouble(self, loss, duplicate):
        weather = Trouble(loss, duplicate, 0.1) if loss or duplicate else None
        self.grid.fleet.trouble(self.grid.fleet.nodes, weather)

    def stop_broker(self, seconds):
        self.grid.fleet.stop_broker(seconds)

    def calm_down(self):
        self.grid.run(150.0)

    @invariant()
    def no_share_is_unsigned_or_older_than_it_was(self):
        if self.workshop is not None:
            self.watch.look(may_lose=False)


class FiveFriends(SimTree):
    """More clients, more races."""

    clients = 5


MODERATE = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)


def test_two_clients_who_edit_one_tree_in_a_storm_are_told_the_truth():
    run_state_machine_as_test(SimTree, settings=MODERATE)


def test_five_clients_who_edit_one_tree_in_a_storm_are_told_the_truth():
    run_state_machine_as_test(FiveFriends, settings=MODERATE)
