"""A state machine: clients edit one tree at random in every kind of weather, and in the end the tree is what they were told.

The rules are those of the swarm (``tahoe/sim/workshop.py``), so is the judge (``tahoe/sim/history.py``): every acknowledged
edit is there, every refused one is not, of those of which nobody knows either may be. Hypothesis chooses what happens.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tahoe.protocol import Encoding
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.chores import NAMES, Link, List, Mkdir, Move, Rename, Unlink, WalkTree
from tahoe.sim.disks import VolatilePlatter
from tahoe.sim.grid import SimGrid
from tahoe.sim.oracles import SlotWatch, check_history
from tahoe.sim.wire import Trouble
from tahoe.sim.workshop import Workshop

SERVERS = 7
CLIENTS = st.integers(0, 4)
PLACES = st.integers(0, 3)
NAME = st.sampled_from(NAMES[:3])
SOME = st.lists(st.integers(0, SERVERS - 1), min_size=1, max_size=3, unique=True)


class TreeMachine(RuleBasedStateMachine):
    """Edits are begun and not waited for, so that they race; now and then time passes."""

    clients = 2

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed):
        options = GridOptions("message", Encoding(2, 4, 6), platter=VolatilePlatter, vdrives=1, ties=bool(seed % 2))
        self.grid = SimGrid(seed, SERVERS, self.clients, options)
        self.workshop = Workshop(self.grid, 64)
        self.workshop.set_up()
        self.watch = SlotWatch(self.grid)
        self.number = 0
        self.down = {}

    def start(self, kind, client, *facts):
        """Begin a piece of work; what comes of it is in the history."""
        self.number += 1
        node = self.grid.clients[client % self.clients]
        if node.incarnation is not None:
            chore = kind(client % self.clients, 0.0, self.number, *facts)
            self.grid.world.spawn(self.workshop.do(chore), node.incarnation.life)

    # --- work -------------------------------------------------------------------------------------------------

    @rule(client=CLIENTS, place=PLACES, name=NAME, only_new=st.booleans())
    def link(self, client, place, name, only_new):
        self.start(Link, client, place, name, only_new)

    @rule(client=CLIENTS, place=PLACES, name=NAME)
    def unlink(self, client, place, name):
        self.start(Unlink, client, place, name)

    @rule(client=CLIENTS, place=PLACES, name=NAME, new=NAME, only_new=st.booleans())
    def rename(self, client, place, name, new, only_new):
        self.start(Rename, client, place, name, new, only_new)

    @rule(client=CLIENTS, place=PLACES, name=NAME, goal=PLACES, new=NAME, only_new=st.booleans())
    def move(self, client, place, name, goal, new, only_new):
        self.start(Move, client, place, name, goal, new, only_new)

    @rule(client=CLIENTS, place=PLACES, name=NAME)
    def mkdir(self, client, place, name):
        self.start(Mkdir, client, place, name)

    @rule(client=CLIENTS, place=PLACES)
    def list_one(self, client, place):
        self.start(List, client, place)

    @rule(client=CLIENTS)
    def walk(self, client):
        self.start(WalkTree, client)

    # --- weather ------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.002, 0.05, 1.0, 25.0]))
    def time_passes(self, seconds):
        self.grid.run(seconds)

    @rule(some=SOME, power=st.booleans())
    def servers_go(self, some, power):
        names = [f"server-{number}" for number in some]
        self.grid.crash(*names, power=power)
        self.down |= dict.fromkeys(names)

    @rule(client=CLIENTS)
    def a_client_dies_and_starts_again(self, client):
        self.grid.restart(f"client-{client % self.clients}")

    @rule()
    def the_vdrive_dies(self):
        self.grid.crash("vdrive-0")
        self.down["vdrive-0"] = None

    @precondition(lambda self: self.down)
    @rule()
    def all_come_back(self):
        self.grid.restart(*self.down)
        self.down = {}

    @rule(loss=st.sampled_from([0.0, 0.1, 0.3]), duplicate=st.sampled_from([0.0, 0.3]))
    def packets_are_lost_and_doubled(self, loss, duplicate):
        self.grid.fleet.trouble(self.grid.fleet.nodes, Trouble(loss, duplicate, 0.1))

    @rule(seconds=st.sampled_from([0.5, 3.0]))
    def the_broker_restarts(self, seconds):
        self.grid.fleet.stop_broker(seconds)

    @invariant()
    def no_share_is_unsigned_or_older_than_it_was(self):
        if hasattr(self, "watch"):
            self.watch.look(may_lose=False)

    def teardown(self):
        if not hasattr(self, "grid"):
            return
        self.grid.fleet.trouble(self.grid.fleet.nodes, None)
        self.all_come_back()
        self.grid.run(150.0)
        for client in range(self.clients):
            for act in (
                self.workshop.look_at_everything,
                self.workshop.change_everything,
                self.workshop.look_at_everything,
            ):
                self.grid.run(act(client), client)
            self.grid.run(self.workshop.walk(WalkTree(client, 0.0, 0)), client)
        check_history(self.workshop)
        assert not self.workshop.told["undecided"]


class FiveFriends(TreeMachine):
    """More clients, more races."""

    clients = 5


MODERATE = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)


def test_two_clients_who_edit_one_tree_in_a_storm_are_told_the_truth():
    run_state_machine_as_test(TreeMachine, settings=MODERATE)


def test_five_clients_who_edit_one_tree_in_a_storm_are_told_the_truth():
    run_state_machine_as_test(FiveFriends, settings=MODERATE)
