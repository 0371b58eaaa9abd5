"""Topology: where the nodes of a grid are, and which lines lead from them to the broker, as one networkx graph.

Every packet goes to the broker and comes from it. So a line that several nodes share, such as the only one of a house,
is two stations that are passed in one direction each; a packet between two machines of one house goes out and comes
back in, as it does with a broker on the internet::

    server-0 ──► house-0 out ══ uplink ══►  broker  ══ downlink ══► house-0 in ──► server-0
    server-1 ──►      "                                                  "     ──► server-1

The graph's nodes are nicknames and carry ``kind`` (node, line or broker) and ``location``; its arrows carry ``link``, a
latency law and a bandwidth. It may come from anywhere: from ``tahoe.sim.worlds``, from GraphML, or built by hand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from math import atan2, cos, degrees, pi, sin
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx

from tahoe.errors import BadConfiguration
from tahoe.sim import lawbook
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.laws import Fixed
from tahoe.sim.network import BROKER
from tahoe.sim.wire import Access, Link

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Topology:
    """The places of a grid's nodes, and the lines between them.

    Attributes:
        graph: a networkx ``DiGraph``; see the module.
    """

    def __init__(self) -> None:
        self.graph: Any = nx.DiGraph()
        self.add_broker(BROKER)

    def add_broker(self, name: str, joined: Mapping[str, Link] | None = None) -> None:
        """A broker, and its links to other brokers (the same in both directions)."""
        self.graph.add_node(name, kind="broker", location="")
        for other, link in (joined or {}).items():
            self.graph.add_edge(name, other, link=link)
            self.graph.add_edge(other, name, link=link)

    def add_line(self, name: str, line: Access, broker: str = BROKER) -> None:
        """A line to a broker that several nodes will share."""
        for end in (f"{name} out", f"{name} in"):
            self.graph.add_node(end, kind="line", location="")
        self.graph.add_edge(f"{name} out", broker, link=line.up)
        self.graph.add_edge(broker, f"{name} in", link=line.down)

    def add_node(self, name: str, location: str, access: Access, line: str | None = None, broker: str = BROKER) -> None:
        """A node of the grid.

        Args:
            name: its nickname, such as ``server-3``.
            location: its failure domain, ``site/rack/host``.
            access: its own line.
            line: a shared one that lies behind it.
            broker: where its own line ends, without a shared one.
        """
        self.graph.add_node(name, kind="node", location=location)
        self.graph.add_edge(name, broker if line is None else f"{line} out", link=access.up)
        self.graph.add_edge(broker if line is None else f"{line} in", name, link=access.down)

    # --- for those who use it -----------------------------------------------------------------------------------------

    def names(self, kind: str = "server") -> list[str]:
        """Nicknames of all nodes of a kind (server, client, introducer, vdrive), by number."""
        names = [name for name, what in self.graph.nodes(data="kind") if what == "node" and name.startswith(f"{kind}-")]
        return sorted(names, key=lambda name: int(name.rsplit("-", 1)[1]))

    def locations(self) -> tuple[str, ...]:
        """Where the servers are, by number: what weather and Monte Carlo want to know."""
        return tuple(self.location(name) for name in self.names())

    def location(self, name: str) -> str:
        """Where a node is; empty if the world does not say."""
        location: str = self.graph.nodes[name]["location"] if name in self.graph else ""
        return location

    def options(self, base: GridOptions | None = None) -> GridOptions:
        """The options of a ``SimGrid`` in this world."""
        return replace(base or GridOptions(), graph=self.graph, location=self.location)

    # --- files --------------------------------------------------------------------------------------------------------

    def write(self, path: Path) -> None:
        """Write GraphML, which other programs draw and edit."""
        graph = nx.DiGraph()
        for name, values in self.graph.nodes(data=True):
            graph.add_node(name, **values)
        for start, end, link in self.graph.edges(data="link"):
            law = json.dumps(lawbook.plain(link.latency))
            graph.add_edge(start, end, latency=law, bandwidth=float(link.bandwidth))
        nx.write_graphml(graph, path)


def read(path: Path) -> Topology:
    """A world from GraphML: arrows need ``latency`` (seconds, or a law as JSON) and may have ``bandwidth`` (bytes/s).

    Lines without direction lead both ways. Nodes without a ``kind`` are nodes of the grid, but for one called broker.

    Raises:
        BadConfiguration: the file is no GraphML, an arrow has no latency, or there is no broker.
    """
    try:
        found = nx.read_graphml(path).to_directed()
    except (OSError, ValueError, SyntaxError, nx.NetworkXError) as error:  # broken XML is a SyntaxError
        raise BadConfiguration(f"{path}: {error}") from error
    topology = Topology()
    for name, values in found.nodes(data=True):
        kind = values.get("kind", "broker" if name == BROKER else "node")
        topology.graph.add_node(name, kind=kind, location=values.get("location", ""))
    for start, end, values in found.edges(data=True):
        if "latency" not in values:
            raise BadConfiguration(f"{path}: the line from {start} to {end} has no latency")
        topology.graph.add_edge(start, end, link=Link(_law(values["latency"]), float(values.get("bandwidth", 0.0))))
    if BROKER not in found:
        raise BadConfiguration(f"{path}: there is no node called {BROKER}, to which all lines lead")
    return topology


def _law(text: Any) -> Any:
    value = json.loads(text) if isinstance(text, str) else text
    return lawbook.build(value) if isinstance(value, dict) else Fixed(float(value))


# --- drawing ----------------------------------------------------------------------------------------------------------

MARKS = {"broker": ("s", 90.0, "#d55e00"), "line": (".", 26.0, "#888888"), "node": ("o", 44.0, "#0072b2")}


def draw(topology: Topology, axes: Axes) -> None:
    """Draw a world: brokers in the middle, shared lines around them, nodes outside, neighbours side by side."""
    graph = _folded(topology.graph)
    places = _places(graph)
    for start, end in graph.edges():
        (x, y), (u, v) = places[start], places[end]
        axes.plot([x, u], [y, v], color="#bbbbbb", linewidth=0.8, zorder=1)
    for kind, (mark, size, color) in MARKS.items():
        names = [name for name, what in graph.nodes(data="kind") if what == kind]
        if names:
            xs, ys = zip(*(places[name] for name in names), strict=True)
            axes.scatter(xs, ys, marker=mark, s=size, color=color, zorder=2, label=f"{kind} ({len(names)})")
    nodes = [name for name, what in graph.nodes(data="kind") if what == "node"]
    labels = {name: graph.nodes[name]["location"] or name for name in nodes} if len(nodes) <= MOST_LABELS else {}
    for name, label in labels.items():
        _label(axes, label, *places[name])
    axes.set_aspect("equal")
    axes.margins(0.05 + 0.04 * max(map(len, labels.values()), default=0))  # room for the longest label
    axes.set_axis_off()
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=3, fontsize=7)


def _label(axes: Axes, text: str, x: float, y: float) -> None:
    """Write a label from a node outwards, never upside down."""
    angle = degrees(atan2(y, x))
    left = abs(angle) > 90
    axes.annotate(
        f"{text}  " if left else f"  {text}",
        (x, y),
        rotation=angle + 180 if left else angle,
        rotation_mode="anchor",
        ha="right" if left else "left",
        va="center",
        fontsize=6.5,
    )


MOST_LABELS = 40


def _folded(graph: Any) -> Any:
    """The graph without directions, the two ends of a shared line made one."""
    plain = nx.Graph()
    for name, values in graph.nodes(data=True):
        plain.add_node(_fold(name, values["kind"]), **values)
    for start, end in graph.edges():
        ends = [_fold(name, graph.nodes[name]["kind"]) for name in (start, end)]
        plain.add_edge(*ends)
    return plain


def _fold(name: str, kind: str) -> str:
    return name.removesuffix(" out").removesuffix(" in") if kind == "line" else name


def _places(graph: Any) -> dict[str, tuple[float, float]]:
    """Brokers on an inner circle (one: in the centre), everything else around the one it is joined to."""
    brokers = [name for name, kind in graph.nodes(data="kind") if kind == "broker"]
    radius = 0.0 if len(brokers) == 1 else 0.35
    ring = {name: 2 * pi * number / len(brokers) for number, name in enumerate(brokers)}
    places = {name: (radius * cos(angle), radius * sin(angle)) for name, angle in ring.items()}
    order: list[tuple[float, str, str]] = []
    for broker in brokers:
        for name in sorted(graph.neighbors(broker)):
            if graph.nodes[name]["kind"] == "line":
                order += [(ring[broker], name, node) for node in sorted(graph.neighbors(name)) if node != broker]
            elif graph.nodes[name]["kind"] == "node":
                order.append((ring[broker], "", name))
    angles: dict[str, list[float]] = {}
    for number, (_, line, node) in enumerate(sorted(order)):
        angle = 2 * pi * (number + 0.5) / len(order)
        places[node] = (cos(angle), sin(angle))
        angles.setdefault(line, []).append(angle)
    for line, around in angles.items():
        if line:
            middle = sum(around) / len(around)
            places[line] = (0.68 * cos(middle), 0.68 * sin(middle))
    return places
