"""The simulated network: when packets arrive, and which do not."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.sim.laws import Exponential, Fixed, LogNormal, Uniform
from tahoe.sim.network import BROKER, Network, Terms, star
from tahoe.sim.wire import Access, Link, Trouble
from tahoe.sim.world import World

NEAR = Access(Link(Fixed(0.01)), Link(Fixed(0.01)))


class Inbox:
    def __init__(self, world):
        self.world = world
        self.packets = []
        self.departed = []

    def receive(self, now, sender, channel, packet):
        assert now == self.world.now()
        self.packets.append((now, packet))

    def forget(self, now, node):
        self.departed.append(node)

    @property
    def contents(self):
        return [packet for _, packet in self.packets]


def build(access=NEAR, nodes=("a", "b", "c"), terms=Terms()):  # noqa: B008  # immutable
    world = World("network")
    line = access if callable(access) else (lambda _: access)
    network = Network(world, star(nodes, line), terms)
    inboxes = {node: Inbox(world) for node in nodes}
    plugs = {node: network.attach(node, inbox) for node, inbox in inboxes.items()}
    return world, network, plugs, inboxes


def test_a_packet_takes_the_latency_of_both_wires():
    world, _network, plugs, inboxes = build()
    plugs["a"].transmit("b", "in", "hello", 100)
    world.run(1.0)
    assert inboxes["b"].packets == [(pytest.approx(0.02), "hello")]


def test_a_narrow_uplink_is_a_queue():
    world, _network, plugs, inboxes = build(Access(Link(Fixed(0.0), 1000.0), Link(Fixed(0.0))))
    for packet in range(3):
        plugs["a"].transmit("b", "in", packet, 500)
    plugs["c"].transmit("b", "in", "from another line", 500)
    world.run(10.0)
    times = {packet: time for time, packet in inboxes["b"].packets}
    assert times == {0: pytest.approx(0.5), 1: pytest.approx(1.0), 2: pytest.approx(1.5), "from another line": 0.5}


def test_a_slow_sender_does_not_hold_up_the_receivers_line_for_others():
    def access(node):
        return Access(Link(Fixed(0.0), 100.0 if node == "a" else 0.0), Link(Fixed(0.0), 1000.0))

    world, _network, plugs, inboxes = build(access)
    plugs["a"].transmit("b", "in", "slow", 1000)
    plugs["c"].transmit("b", "in", "quick", 1000)
    world.run(100.0)
    assert inboxes["b"].packets == [(pytest.approx(1.0), "quick"), (pytest.approx(11.0), "slow")]


def test_packets_of_one_channel_keep_their_order_whatever_the_latency():
    world, _network, plugs, inboxes = build(Access(Link(Exponential(0.1)), Link(LogNormal(0.1, 2.0))))
    for number in range(200):
        plugs["a"].transmit("b", "in", number, 10)
    world.run(1000.0)
    assert inboxes["b"].contents == list(range(200))


def test_a_reordering_wire_changes_the_order_and_loses_nothing():
    world, network, plugs, inboxes = build()
    for wire in network.wires_of("a"):
        wire.trouble = Trouble(reorder=0.5)
    for number in range(200):
        plugs["a"].transmit("b", "in", number, 10)
    world.run(1000.0)
    assert inboxes["b"].contents != list(range(200))
    assert sorted(inboxes["b"].contents) == list(range(200))


def test_a_lossy_wire_loses_about_as_much_as_it_should_and_a_doubling_one_doubles():
    world, network, plugs, inboxes = build()
    network.wire("a", BROKER).trouble = Trouble(loss=0.25)
    network.wire("b", BROKER).trouble = Trouble(duplicate=0.25)
    for number in range(1000):
        plugs["a"].transmit("c", "in", number, 10)
        plugs["b"].transmit("a", "in", number, 10)
    world.run(1000.0)
    assert 680 < len(inboxes["c"].packets) < 820
    assert 1180 < len(inboxes["a"].packets) < 1320


def test_an_oversized_packet_is_refused_and_counted():
    world, network, plugs, inboxes = build(terms=Terms(largest_packet=1000))
    plugs["a"].transmit("b", "in", "small", 1000)
    plugs["a"].transmit("b", "in", "large", 1001)
    world.run(1.0)
    assert inboxes["b"].contents == ["small"]
    assert network.counters["oversized"] == 1


def test_a_one_way_cut_lets_the_other_way_through_until_it_is_healed():
    world, network, plugs, inboxes = build()
    network.cut("cut", ["a"], ["b"])
    plugs["a"].transmit("b", "in", 1, 10)
    plugs["b"].transmit("a", "in", 2, 10)
    plugs["a"].transmit("c", "in", 3, 10)
    world.run(1.0)
    network.heal("cut")
    plugs["a"].transmit("b", "in", 4, 10)
    world.run(1.0)
    assert [inboxes[node].contents for node in "abc"] == [[2], [4], [3]]


def test_a_broker_that_restarts_loses_what_was_under_way():
    world, network, plugs, inboxes = build()
    plugs["a"].transmit("b", "in", "under way", 10)
    world.run(0.005)
    network.stop_broker()
    plugs["a"].transmit("b", "in", "while down", 10)
    world.run(1.0)
    network.start_broker()
    plugs["a"].transmit("b", "in", "after", 10)
    world.run(1.0)
    assert inboxes["b"].contents == ["after"]


def test_the_others_hear_of_a_crash_a_little_later_and_of_a_quick_restart_at_once():
    world, network, plugs, inboxes = build(terms=Terms(farewell=2.0))
    plugs["a"].pull()
    world.run(1.0)
    assert (inboxes["b"].departed, network.online("a")) == ([], True)
    world.run(1.5)
    assert (inboxes["b"].departed, network.online("a")) == (["a"], False)
    plugs["a"] = network.attach("a", inboxes["a"])
    assert network.online("a")
    plugs["a"].pull()
    plugs["a"] = network.attach("a", inboxes["a"])
    assert inboxes["b"].departed == ["a", "a"]
    world.run(10.0)
    assert network.online("a")
    assert network.online("nobody") is None


def test_any_graph_will_do_and_packets_take_its_shortest_path():
    world = World("graph")
    graph = nx.DiGraph()
    for start, end in [("a", "east"), ("east", "west"), ("west", "b")]:
        graph.add_edge(start, end, link=Link(Fixed(1.0)))
        graph.add_edge(end, start, link=Link(Fixed(2.0)))
    network = Network(world, graph)
    inbox = Inbox(world)
    network.attach("b", inbox)
    plugs = {"a": network.attach("a", Inbox(world))}
    plugs["a"].transmit("b", "in", "hello", 10)
    world.run(10.0)
    assert inbox.packets == [(3.0, "hello")]
    network.stop_broker("west")
    plugs["a"].transmit("b", "in", "again", 10)
    world.run(10.0)
    assert inbox.contents == ["hello"]


def test_a_plug_that_was_pulled_sends_nothing_whoever_holds_it():
    world, network, plugs, inboxes = build()
    old = plugs["a"]
    old.pull()
    network.attach("a", inboxes["a"])
    old.transmit("b", "in", "from the dead", 10)
    old.redirect(inboxes["b"])
    plugs["b"].transmit("a", "in", "to the living", 10)
    world.run(1.0)
    assert inboxes["b"].contents == []
    assert inboxes["a"].contents == ["to the living"]


@given(st.integers(), st.floats(0.001, 10.0))
def test_laws_draw_nothing_negative_and_the_same_from_the_same_stream(seed, scale):
    for law in (Fixed(scale), Uniform(scale, 2 * scale), LogNormal(scale), Exponential(scale, scale)):
        draws = [law.sample(World(seed).random("law")) for _ in range(2)]
        assert draws[0] == draws[1] >= 0.0
