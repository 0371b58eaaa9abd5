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
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any, Protocol

import networkx as nx

from tahoe.protocol import NodeId
from tahoe.sim.laws import Law, Uniform
from tahoe.sim.world import Happening, World

BROKER = "broker"
STRAY_SECONDS = 0.5
"""How late a reordered packet or a second copy may be."""
LOCAL = Uniform(0.0005, 0.0015)
"""One way to the broker in a local network."""


@dataclass(frozen=True, slots=True)
class Link:
    """One direction of a connection. ``bandwidth`` is bytes per second, 0 = unlimited."""

    latency: Law = LOCAL
    bandwidth: float = 0.0


@dataclass(frozen=True, slots=True)
class Access:
    """How a node reaches its broker; home lines are asymmetric."""

    up: Link = Link()
    down: Link = Link()


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a wire does to packets beside carrying them: probabilities, and seconds added to each."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay: float = 0.0


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
    """The incarnation at the end of a wire."""

    def receive(self, sender: NodeId, channel: str, packet: Any) -> None:
        """A packet has come."""

    def gone(self, node: NodeId) -> None:
        """The broker says that a node is not connected any more."""


class Wire:
    """The state of one arrow of the graph."""

    __slots__ = ("bandwidth", "free_at", "latency", "trouble")

    def __init__(self, link: Link) -> None:
        self.latency = link.latency
        self.bandwidth = link.bandwidth
        self.free_at = 0.0
        self.trouble: Trouble | None = None


@dataclass(slots=True)
class Port:
    """Where a node is plugged in; ``receiver`` is its present incarnation."""

    name: NodeId
    rng: Random
    receiver: Receiver | None = None
    online: bool | None = None


@dataclass(slots=True, eq=False)
class Path:
    """The way from one node to another. ``era`` changes when everything on the way is lost."""

    sender: Port
    to: Port
    wires: tuple[Wire, ...]
    brokers: tuple[str, ...]
    blocked: bool = False
    era: int = 0
    latest: dict[str, float] = field(default_factory=dict)


class _Packet(Happening):
    """A packet on its way, as the event of its next arrival."""

    def __init__(self, callbacks: list[Callable[[Any], None]], path: Path, channel: str, packet: Any) -> None:
        self.callbacks = callbacks
        self.path = path
        self.era = path.era
        self.channel = channel
        self.packet = packet


class _Relay(_Packet):
    """A packet that has to queue once more, at ``hop``, before it arrives."""

    size: int
    hop: int


class Network:
    """Carries packets between nodes.

    Args:
        world: whose clock and chance it uses.
        graph: arrows with a ``link`` attribute (``star`` makes one).
        terms: the broker's.
    """

    def __init__(self, world: World, graph: Any, terms: Terms = Terms()) -> None:  # immutable
        self.world = world
        self.graph = graph
        self.terms = terms
        self.counters: Counter[str] = Counter()
        self.delivered = 0
        self.bytes_delivered = 0
        self._wires: dict[tuple[str, str], Wire] = {}
        self._ports: dict[str, Port] = {}
        self._paths: dict[tuple[str, str], Path] = {}
        self._between: dict[tuple[str, str], tuple[str, ...]] = {}
        self._cuts: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
        self._down: dict[str, None] = {}
        self._arrive_callbacks: list[Callable[[Any], None]] = [self._arrive]
        self._relay_callbacks: list[Callable[[Any], None]] = [self._relay]

    # --- connections ----------------------------------------------------------------------------

    def attach(self, node: NodeId, receiver: Receiver) -> None:
        """Connect an incarnation. If the broker had not noticed that the last one is gone, it does now."""
        port = self._port(node)
        if port.online and port.receiver is None:
            self._say_goodbye(port)
        port.receiver = receiver
        port.online = True

    def detach(self, node: NodeId) -> None:
        """The node's process is gone; the others hear of it a little later."""
        port = self._port(node)
        port.receiver = None
        self.world.after(self.terms.farewell, self._farewell, port)

    def online(self, node: NodeId) -> bool | None:
        """Whether the broker believes a node to be connected; None: it never was."""
        port = self._ports.get(node)
        return None if port is None else port.online

    def unsent(self, node: NodeId) -> int:
        """Bytes that still wait for a node's own uplink."""
        return sum(
            int(max(0.0, wire.free_at - self.world.now()) * wire.bandwidth)
            for wire in (self.wire(*edge) for edge in self.graph.out_edges(node))
        )

    def _farewell(self, port: Port) -> None:
        if port.receiver is None and port.online:
            self._say_goodbye(port)

    def _say_goodbye(self, gone: Port) -> None:
        gone.online = False
        for port in self._ports.values():
            if port.receiver is not None:
                port.receiver.gone(gone.name)

    def _port(self, node: NodeId) -> Port:
        port = self._ports.get(node)
        if port is None:
            port = self._ports[node] = Port(node, self.world.random(f"network/{node}"))
        return port

    # --- packets --------------------------------------------------------------------------------

    def send(self, sender: NodeId, to: NodeId, channel: str, packet: Any, size: int) -> None:
        """Put a packet of ``size`` bytes on its way. It may arrive once, twice, late or never."""
        path = self._paths.get((sender, to)) or self._path(sender, to)
        if path.blocked:
            self.counters["blocked"] += 1
        elif size > self.terms.largest_packet:
            self.counters["oversized"] += 1
        else:
            self.bytes_delivered += size
            self._carry(path, channel, packet, size, 0)

    def _carry(self, path: Path, channel: str, packet: Any, size: int, hop: int) -> None:
        """Take a packet over the wires from ``hop`` on, as far as can be foreseen now."""
        now = when = self.world.now()
        ordered = True
        for number, wire in enumerate(path.wires[hop:], hop):
            if wire.bandwidth:
                if when > now and number > hop:
                    self._relay_at(when, path, channel, packet, size, number)
                    return
                when = wire.free_at = max(when, wire.free_at) + size / wire.bandwidth
            when += wire.latency.sample(path.sender.rng)
            if wire.trouble is not None:
                delay = self._suffer(wire.trouble, path, channel, packet, when)
                if delay is None:
                    return
                when += delay
                ordered = ordered and not wire.trouble.reorder
        if ordered:
            when = path.latest[channel] = max(when, path.latest.get(channel, 0.0))
        self._arrive_at(when, path, channel, packet)

    def _suffer(self, trouble: Trouble, path: Path, channel: str, packet: Any, when: float) -> float | None:
        """What a troubled wire does to a packet: more delay, a second copy, or the end of it (None)."""
        rng = path.sender.rng
        if rng.random() < trouble.loss:
            self.counters["lost"] += 1
            return None
        if rng.random() < trouble.duplicate:
            self.counters["duplicated"] += 1
            self._arrive_at(when + rng.random() * STRAY_SECONDS, path, channel, packet)
        if rng.random() < trouble.reorder:
            self.counters["reordered"] += 1
            return trouble.delay + rng.random() * STRAY_SECONDS
        return trouble.delay

    def _arrive_at(self, when: float, path: Path, channel: str, packet: Any) -> None:
        environment = self.world.environment
        environment.schedule(_Packet(self._arrive_callbacks, path, channel, packet), delay=when - environment.now)

    def _relay_at(self, when: float, path: Path, channel: str, packet: Any, size: int, hop: int) -> None:
        relay = _Relay(self._relay_callbacks, path, channel, packet)
        relay.size = size
        relay.hop = hop
        self.world.environment.schedule(relay, delay=when - self.world.now())

    def _relay(self, relay: _Relay) -> None:
        if relay.era == relay.path.era:
            self._carry(relay.path, relay.channel, relay.packet, relay.size, relay.hop)
        else:
            self.counters["broker lost"] += 1

    def _arrive(self, arrival: _Packet) -> None:
        path = arrival.path
        receiver = path.to.receiver
        if arrival.era != path.era:
            self.counters["broker lost"] += 1
        elif receiver is None:
            self.counters["nobody there"] += 1
        else:
            self.delivered += 1
            trace = self.world.trace
            if trace is not None:
                trace.packet(path.sender.name, path.to.name, arrival.channel, arrival.packet)
            receiver.receive(path.sender.name, arrival.channel, arrival.packet)

    # --- paths ----------------------------------------------------------------------------------

    def _path(self, sender: NodeId, to: NodeId) -> Path:
        stations = self._stations(sender, to)
        wires = tuple(self.wire(start, end) for start, end in pairwise(stations))
        path = Path(self._port(sender), self._port(to), wires, tuple(stations[1:-1]))
        path.blocked = self._is_blocked(path)
        self._paths[sender, to] = path
        return path

    def _stations(self, sender: str, to: str) -> list[str]:
        """The shortest path. Most nodes have one line only, and what lies between two brokers is asked once."""
        start, end = self._only_exit(sender), self._only_exit(to)
        if start is None or end is None:
            return list(nx.shortest_path(self.graph, sender, to))
        between = self._between.get((start, end))
        if between is None:
            between = self._between[start, end] = tuple(nx.shortest_path(self.graph, start, end))
        return [sender, *between, to]

    def _only_exit(self, node: str) -> str | None:
        exits = list(self.graph.adj[node])
        return exits[0] if len(exits) == 1 and len(self.graph.pred[node]) == 1 else None

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

    def _is_blocked(self, path: Path) -> bool:
        sender, to = path.sender.name, path.to.name
        return any(broker in self._down for broker in path.brokers) or any(
            sender in senders and to in receivers for senders, receivers in self._cuts.values()
        )

    def _reconsider(self) -> None:
        for path in self._paths.values():
            path.blocked = self._is_blocked(path)

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
        for path in self._paths.values():
            if broker in path.brokers:
                path.era += 1
                path.latest.clear()
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
