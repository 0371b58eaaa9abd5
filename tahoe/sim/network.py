"""The simulated network: a graph of links, and what becomes of a packet on its way.

::

      alice ══ up ══╗              ╔══ down ══ bob        every arrow of the graph is a Wire with a
            ══ down ╝   broker     ╚══ up ═══            latency law, a bandwidth and its troubles
                          ║
                        carol ...

The graph is networkx's and may have any shape; by default it is a star with the broker in its centre.
A packet takes the shortest path. On each wire it waits until the wire is free (the sender's uplink is a
queue), takes ``size / bandwidth`` to pass and then the latency. Wires of unlimited bandwidth cost no event
of their own, so that on a plain star a packet is a single event in the heap, with one shared callback.

Packets between two nodes on one channel keep their order, because there is TCP below, unless the wire
has been told to reorder. Loss and duplication are the broker's (quality of service 0).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import networkx as nx
from simpy.events import NORMAL

from tahoe.protocol import NodeId
from tahoe.sim.wire import Access, Path, Trouble, Wire
from tahoe.sim.world import Happening, World

if TYPE_CHECKING:
    from tahoe.sim.labour import Workplace

BROKER = "broker"

STRAY_SECONDS = 0.5
"""How late a reordered packet or a second copy may be."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the broker allows and how soon it tells that somebody is gone.

    Args:
        largest_packet: bytes; larger ones are refused.
        farewell: seconds from a crash until the others hear of it.
    """

    largest_packet: int = 1024 * 1024
    farewell: float = 0.5


class Receiver(Protocol):
    """The end of a wire: an incarnation's endpoint."""

    def receive(self, now: float, sender: NodeId, channel: str, packet: Any) -> None:
        """A packet has come."""

    def forget(self, now: float, node: NodeId) -> None:
        """The broker says that a node is not connected any more."""


class Port:
    """Where a node is plugged in.

    Attributes:
        receiver: of its present incarnation.
        online: what the broker believes; None: it was never here.
        ways: from here, by where they lead.
    """

    __slots__ = ("name", "online", "receiver", "rng", "ways")

    def __init__(self, name: NodeId, rng: Random) -> None:
        self.name = name
        self.rng = rng
        self.receiver: Receiver | None = None
        self.online: bool | None = None
        self.ways: dict[NodeId, Way] = {}


class Way(Path):
    """A path with the ports at its ends."""

    __slots__ = ("sender", "to")

    def __init__(self, sender: Port, to: Port, wires: tuple[Wire, ...], brokers: tuple[str, ...]) -> None:
        super().__init__(wires, brokers)
        self.sender = sender
        self.to = to


class _Packet(Happening):
    """A packet on its way, as the event of its next arrival."""

    __slots__ = ("channel", "era", "packet", "way")

    def __init__(self, callbacks: list[Callable[[Any], None]], way: Way, channel: str, packet: Any) -> None:
        self.callbacks = callbacks
        self.way = way
        self.era = way.era
        self.channel = channel
        self.packet = packet


class _Relay(_Packet):
    """A packet that has to queue once more, at ``hop``, before it arrives."""

    __slots__ = ("hop", "size")

    def __init__(self, callbacks: list[Callable[[Any], None]], packet: _Packet, size: int, hop: int) -> None:
        super().__init__(callbacks, packet.way, packet.channel, packet.packet)
        self.size = size
        self.hop = hop


class Line(NamedTuple):
    """The only connection of a node."""

    broker: str
    up: Wire
    down: Wire


class Plug:
    """An incarnation's hold on the network. Pulled out, it sends nothing more, whoever still holds it."""

    __slots__ = ("_network", "_port", "live")

    def __init__(self, network: Network, port: Port) -> None:
        self._network = network
        self._port = port
        self.live = True

    def transmit(self, to: NodeId, channel: str, packet: Any, size: int) -> None:
        """Put a packet of ``size`` bytes on its way. It may arrive once, twice, late or never."""
        if self.live:
            self._network.send(self._port.ways.get(to) or self._network.way(self._port, to), channel, packet, size)

    def redirect(self, receiver: Receiver) -> None:
        """Let somebody else receive what comes in."""
        if self.live:
            self._port.receiver = receiver

    def pull(self) -> None:
        """The process is gone; the others hear of it a little later."""
        if self.live:
            self.live = False
            self._network.detached(self._port)


class Network:
    """Carries packets between nodes.

    Args:
        world: whose clock and chance it uses.
        graph: arrows with a ``link`` attribute (``star`` makes one).
        terms: the broker's.

    Attributes:
        counters: packets that did not arrive as they were sent, by what happened to them.
        delivered: packets that arrived.
        bytes_sent: sizes of all packets that were sent.
        workplace: of all nodes and the broker, if handling packets is to cost them something (``sim/labour.py``).
    """

    def __init__(self, world: World, graph: Any, terms: Terms = Terms()) -> None:  # immutable
        self.world = world
        self.graph = graph
        self.terms = terms
        self.counters: Counter[str] = Counter()
        self.delivered = 0
        self.bytes_sent = 0
        self.workplace: Workplace | None = None
        self._schedule = world.schedule
        self._wires: dict[tuple[str, str], Wire] = {}
        self._ports: dict[NodeId, Port] = {}
        self._between: dict[tuple[str, str], tuple[tuple[Wire, ...], tuple[str, ...]]] = {}
        self._lines: dict[str, Line | None] = {}
        self._cuts: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
        self._down: dict[str, None] = {}
        self._arrive_callbacks: list[Callable[[Any], None]] = [self._arrive]
        self._relay_callbacks: list[Callable[[Any], None]] = [self._relay]

    # --- connections ----------------------------------------------------------------------------

    def attach(self, node: NodeId, receiver: Receiver) -> Plug:
        """Connect an incarnation. If the broker had not noticed that the last one is gone, it does now."""
        port = self._port(node)
        if port.online and port.receiver is None:
            self._say_goodbye(port)
        port.receiver = receiver
        port.online = True
        return Plug(self, port)

    def detached(self, port: Port) -> None:
        """A plug was pulled."""
        port.receiver = None
        self.world.after(self.terms.farewell, self._farewell, port)

    def online(self, node: NodeId) -> bool | None:
        """Whether the broker believes a node to be connected; None: it never was."""
        port = self._ports.get(node)
        return None if port is None else port.online

    def unsent(self, node: NodeId) -> int:
        """Bytes that still wait for a node's own uplink."""
        now = self.world.time
        return sum(self.wire(start, end).backlog(now) for start, end in self.graph.out_edges(node))

    def _farewell(self, port: Port) -> None:
        if port.receiver is None and port.online:
            self._say_goodbye(port)

    def _say_goodbye(self, gone: Port) -> None:
        gone.online = False
        for port in self._ports.values():
            if port.receiver is not None:
                port.receiver.forget(self.world.time, gone.name)

    def _port(self, node: NodeId) -> Port:
        port = self._ports.get(node)
        if port is None:
            port = self._ports[node] = Port(node, self.world.random(f"network/{node}"))
        return port

    # --- packets --------------------------------------------------------------------------------

    def send(self, way: Way, channel: str, packet: Any, size: int) -> None:
        """Put a packet on its way, if it is let in at all."""
        if way.blocked:
            self.counters["blocked"] += 1
        elif size > self.terms.largest_packet:
            self.counters["oversized"] += 1
        else:
            self.bytes_sent += size
            self._carry(_Packet(self._arrive_callbacks, way, channel, packet), size, 0)

    def _carry(self, packet: _Packet, size: int, hop: int) -> None:
        """Take a packet over the wires from ``hop`` on, as far as can be foreseen now."""
        now = when = self.world.time
        way = packet.way
        rng = way.sender.rng
        ordered = True
        for number, wire in enumerate(way.wires[hop:] if hop else way.wires, hop):
            if wire.bandwidth:
                if when > now and number > hop:
                    self._schedule(_Relay(self._relay_callbacks, packet, size, number), NORMAL, when - now)
                    return
                when = wire.pass_through(when, size)
            when += wire.sample(rng)
            if wire.trouble is not None:
                delay = self._suffer(wire.trouble, packet, when)
                if delay is None:
                    return
                when += delay
                ordered = ordered and not wire.trouble.reorder
        if ordered:
            when = way.in_order(packet.channel, when)
        self._schedule(packet, NORMAL, when - now)

    def _suffer(self, trouble: Trouble, packet: _Packet, when: float) -> float | None:
        """What a troubled wire does to a packet: more delay, a second copy, or the end of it (None)."""
        rng = packet.way.sender.rng
        if rng.random() < trouble.loss:
            self.counters["lost"] += 1
            return None
        if rng.random() < trouble.duplicate:
            self.counters["duplicated"] += 1
            copy = _Packet(self._arrive_callbacks, packet.way, packet.channel, packet.packet)
            self._schedule(copy, NORMAL, when + rng.random() * STRAY_SECONDS - self.world.time)
        if rng.random() < trouble.reorder:
            self.counters["reordered"] += 1
            return trouble.delay + rng.random() * STRAY_SECONDS
        return trouble.delay

    def _relay(self, relay: _Relay) -> None:
        self.world.tick()
        if relay.era == relay.way.era:
            onward = _Packet(self._arrive_callbacks, relay.way, relay.channel, relay.packet)
            self._carry(onward, relay.size, relay.hop)
        else:
            self.counters["broker lost"] += 1

    def _arrive(self, packet: _Packet) -> None:
        now = self.world.tick()
        way = packet.way
        receiver = way.to.receiver
        if packet.era != way.era:
            self.counters["broker lost"] += 1
        elif receiver is None:
            self.counters["nobody there"] += 1
        else:
            self.delivered += 1
            trace = self.world.trace
            if trace is not None:
                trace.packet(way.sender.name, way.to.name, packet.channel, packet.packet)
            receiver.receive(now, way.sender.name, packet.channel, packet.packet)

    # --- paths ----------------------------------------------------------------------------------

    def way(self, sender: Port, to: NodeId) -> Way:
        """The way to a node, found when it is first needed."""
        port = self._port(to)
        if to not in self.graph:  # there is no such node: the broker has nobody to hand it to
            return sender.ways.setdefault(to, Way(sender, port, (), ()))
        wires, brokers = self._route(sender.name, to)
        way = sender.ways[to] = Way(sender, port, wires, brokers)
        if self._cuts or self._down:
            way.blocked = self._is_blocked(way)
        return way

    def _route(self, sender: str, to: str) -> tuple[tuple[Wire, ...], tuple[str, ...]]:
        """The wires of the shortest path, and the brokers between them.

        Most nodes have one line only, and what lies between two brokers is asked once.
        """
        up, down = self._line(sender), self._line(to)
        if up is None or down is None:
            stations = nx.shortest_path(self.graph, sender, to)
            return self._wires_along(stations), tuple(stations[1:-1])
        between = self._between.get((up.broker, down.broker))
        if between is None:
            stations = nx.shortest_path(self.graph, up.broker, down.broker)
            between = self._between[up.broker, down.broker] = self._wires_along(stations), tuple(stations)
        return (up.up, *between[0], down.down), between[1]

    def _wires_along(self, stations: Sequence[str]) -> tuple[Wire, ...]:
        return tuple(self.wire(start, end) for start, end in pairwise(stations))

    def _line(self, node: str) -> Line | None:
        """A node's only line, if it has just one."""
        if node not in self._lines:
            exits = list(self.graph.successors(node))
            alone = len(exits) == 1 and list(self.graph.predecessors(node)) == exits
            line = Line(exits[0], self.wire(node, exits[0]), self.wire(exits[0], node)) if alone else None
            self._lines[node] = line
        return self._lines[node]

    def wire(self, start: str, end: str) -> Wire:
        """The state of an arrow of the graph."""
        wire = self._wires.get((start, end))
        if wire is None:
            wire = self._wires[start, end] = Wire(self.graph.edges[start, end]["link"])
        return wire

    def wires_of(self, node: str) -> tuple[Wire, ...]:
        """All wires that begin or end at a node."""
        graph = self.graph
        return tuple(self.wire(*edge) for edge in [*graph.out_edges(node), *graph.in_edges(node)])

    def _is_blocked(self, way: Way) -> bool:
        sender, to = way.sender.name, way.to.name
        return any(broker in self._down for broker in way.brokers) or any(
            sender in senders and to in receivers for senders, receivers in self._cuts.values()
        )

    def _all_ways(self) -> Iterator[Way]:
        for port in self._ports.values():
            yield from port.ways.values()

    def _reconsider(self) -> None:
        for way in self._all_ways():
            way.blocked = self._is_blocked(way)

    # --- what goes wrong --------------------------------------------------------------------------

    def cut(self, label: str, senders: Collection[str], receivers: Collection[str]) -> None:
        """Let nothing pass from ``senders`` to ``receivers`` until ``heal(label)``."""
        self._cuts[label] = (frozenset(senders), frozenset(receivers))
        self._reconsider()

    def heal(self, label: str) -> None:
        """Undo a cut; one that is not there is fine."""
        self._cuts.pop(label, None)
        self._reconsider()

    def stop_broker(self, broker: str = BROKER) -> None:
        """Take a broker down: what is on its way through it is lost."""
        self._down[broker] = None
        for way in self._all_ways():
            if broker in way.brokers:
                way.lose_everything()
        self._reconsider()

    def start_broker(self, broker: str = BROKER) -> None:
        """Bring a broker back; clients reconnect at once."""
        self._down.pop(broker, None)
        self._reconsider()


def star(nodes: Collection[str], access: Callable[[str], Access]) -> Any:
    """A graph with the broker in the centre and every node connected to it by its own access line."""
    graph = nx.DiGraph()
    for node in nodes:
        line = access(node)
        graph.add_edge(node, BROKER, link=line.up)
        graph.add_edge(BROKER, node, link=line.down)
    return graph
