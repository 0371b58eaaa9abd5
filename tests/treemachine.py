"""A state machine: clients edit one tree at random in every kind of weather, and in the end the tree is what they were told.

The edits are those of the swarm (``tahoe/sim/workshop.py``), so is the judge (``tahoe/sim/history.py``): every acknowledged
edit is there, every refused one is not, of those of which nobody knows either may be. Hypothesis chooses what happens, and
whoever completes the machine in which grid: a simulated one (``sim/test_tree_machine.py``) or one over a real broker
(``net/test_tree_machine.py``).
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tahoe.sim.chores import NAMES, Link, List, Mkdir, Move, Rename, Unlink, WalkTree
from tahoe.sim.oracles import check_history

SERVERS = 7
VDRIVE = "vdrive-0"

CLIENTS = st.integers(0, 4)
PLACES = st.integers(0, 3)
NAME = st.sampled_from(NAMES[:3])
SOME = st.lists(st.integers(0, SERVERS - 1), min_size=1, max_size=3, unique=True)


class TreeMachine(RuleBasedStateMachine):
    """Edits are begun and not waited for, so that they race; now and then time passes.

    Whoever completes it has a ``workshop``, and gives the methods of the second part.
    """

    clients = 2

    def __init__(self):
        super().__init__()
        self.workshop = None
        self.number = 0
        self.down = {}

    def start(self, kind, client, *facts):
        """Begin a piece of work; what comes of it is in the history."""
        self.number += 1
        chore = kind(client % self.clients, 0.0, self.number, *facts)
        self.spawn(chore.client, self.workshop.do(chore))

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
        self.pass_time(seconds)

    @rule(some=SOME, power=st.booleans())
    def servers_go(self, some, power):
        names = [f"server-{number}" for number in some]
        self.crash(names, power)
        self.down |= dict.fromkeys(names)

    @rule(client=CLIENTS)
    def a_client_dies_and_starts_again(self, client):
        self.restart([f"client-{client % self.clients}"])

    @rule()
    def the_vdrive_dies(self):
        self.crash([VDRIVE], power=False)
        self.down[VDRIVE] = None

    @precondition(lambda self: self.down)
    @rule()
    def all_come_back(self):
        self.restart(list(self.down))
        self.down = {}

    @rule(loss=st.sampled_from([0.0, 0.1, 0.3]), duplicate=st.sampled_from([0.0, 0.3]))
    def packets_are_lost_and_doubled(self, loss, duplicate):
        self.trouble(loss, duplicate)

    @rule(seconds=st.sampled_from([0.5, 3.0]))
    def the_broker_restarts(self, seconds):
        self.stop_broker(seconds)

    def teardown(self):
        if self.workshop is None:
            return
        self.trouble(0.0, 0.0)
        self.all_come_back()
        self.calm_down()
        for client in range(self.clients):
            for act in (
                self.workshop.look_at_everything,
                self.workshop.change_everything,
                self.workshop.look_at_everything,
            ):
                self.run(act(client), client)
            self.run(self.workshop.walk(WalkTree(client, 0.0, 0)), client)
        check_history(self.workshop)
        assert not self.workshop.told["undecided"]

    # --- the grid -----------------------------------------------------------------------------------------------

    def spawn(self, client, story):
        """Let a client begin a story, if it runs."""
        raise NotImplementedError

    def run(self, story, client):
        """Run a client's story to its end."""
        raise NotImplementedError

    def pass_time(self, seconds):
        """Let time pass."""
        raise NotImplementedError

    def crash(self, names, power):
        """End nodes, or cut their power."""
        raise NotImplementedError

    def restart(self, names):
        """Start nodes, after an end if they run."""
        raise NotImplementedError

    def trouble(self, loss, duplicate):
        """Let packets be lost and doubled with these probabilities from now on."""
        raise NotImplementedError

    def stop_broker(self, seconds):
        """Let the broker be away so long."""
        raise NotImplementedError

    def calm_down(self):
        """Wait until nothing is under way."""
        raise NotImplementedError
