"""A whole simulated grid in three lines.

::

    grid = SimGrid(seed=1)
    cap = grid.upload(b"some bytes" * 1000)
    assert grid.download(cap) == b"some bytes" * 1000

It has introducers, storage servers and clients, made of the very actors that run on the grid, one seed, and
a star-shaped network. Nodes are called by nicknames (``introducer-0``, ``server-3``, ``client-0``), which is
what schedules of faults name, too.
"""

from __future__ import annotations

import weakref
from collections.abc import Coroutine, Iterable
from functools import partial
from typing import Any, TypeVar, cast

import networkx as nx

from tahoe.actors.client import Client
from tahoe.actors.ledger import STATE_NAME, encode_saved
from tahoe.actors.upload import BytesSource, UploadResult
from tahoe.codec.capability import ImmutableRead, Literal, parse
from tahoe.errors import BadCapability, BadConfiguration
from tahoe.protocol import CLIENT, MEMBER, RosterChanged
from tahoe.sim.blueprint import Blueprint, GridOptions, kind_of
from tahoe.sim.faults import Schedule
from tahoe.sim.fleet import Fleet
from tahoe.sim.labour import Workplace
from tahoe.sim.network import Network, star
from tahoe.sim.node import Node
from tahoe.sim.phantom import Content, joined
from tahoe.sim.story import Promise
from tahoe.sim.wire import Access
from tahoe.sim.world import World

T = TypeVar("T")

CONVERGENCE = b"a convergence secret all clients share"

PATIENCE = 600.0
"""Seconds of simulated time in which a grid must have come up."""


class SimGrid:
    """A grid in a world of its own, up and running. It ends with this object.

    Args:
        seed: names the run, together with everything else that is given here.
        servers: how many storage servers.
        clients: how many clients.
        options: the rest.

    Attributes:
        world: its clock and run queue.
        network: its wires.
        fleet: its nodes, and what can happen to them.
        servers: the storage servers, up or down.
        clients: the clients, up or down.
    """

    def __init__(
        self, seed: int | str, servers: int = 10, clients: int = 1, options: GridOptions | None = None
    ) -> None:
        options = options or GridOptions()
        self.world = World(seed, traced=options.traced, ties=options.ties)
        weakref.finalize(self, self.world.close)
        counts = {"introducer": options.introducers, "server": servers, "client": clients, "vdrive": options.vdrives}
        names = [f"{kind}-{number}" for kind, count in counts.items() for number in range(count)]
        blueprint = Blueprint(self.world, names, options)
        self.network = Network(self.world, _graph(blueprint), options.terms)
        if options.labour is not None:
            self.network.workplace = Workplace(self.world, options.labour)
        self.fleet = Fleet(self.world, self.network, {}, {}, options.platter)
        if self.world.trace is not None:
            self.world.trace.nicknames = {profile.identity.node: name for name, profile in blueprint.profiles.items()}
        phantoms = options.fidelity == "phantom"
        for name, profile in blueprint.profiles.items():
            if kind_of(name) == "server":
                self.fleet.disks[name] = self.fleet.new_disk()
            recipe = blueprint.recipe(name, self.fleet.disks, partial(self.fleet.notice, name))
            self.fleet.nodes[name] = Node(self.world, self.network, profile, recipe, phantoms=phantoms)
        self.servers = [node for name, node in self.fleet.nodes.items() if kind_of(name) == "server"]
        self.clients = [node for name, node in self.fleet.nodes.items() if kind_of(name) == "client"]
        self._start(blueprint)

    def _start(self, blueprint: Blueprint) -> None:
        """Boot everything, clients last, and wait until they know their way about."""
        for name, node in self.fleet.nodes.items():
            if kind_of(name) != "client":
                node.boot()
        if blueprint.options.acquainted:
            self._acquaint(blueprint)
        for node in self.clients:
            node.boot()
        if blueprint.options.acquainted:
            self._introduce_clients()
        self.world.run(1.0)
        while not self._is_acquainted():
            assert self.world.now() < PATIENCE, "the clients have not heard of all servers in time"
            self.world.run(1.0)

    def _acquaint(self, blueprint: Blueprint) -> None:
        """Give the clients what they would have on their disks if they had been here before."""
        announcements = [node.running.announcement() for node in self.servers]
        roster = encode_saved(announcements, blueprint.statements)
        for node in self.clients:
            node.state[f"{MEMBER}/{STATE_NAME}"] = roster

    def _introduce_clients(self) -> None:
        """Let the servers hear of the clients, which they would otherwise do one by one."""
        news = RosterChanged(tuple(node.running.announcement() for node in self.clients))
        for node in self.servers:
            self.world.spawn(node.actor(MEMBER).roster_changed(node.name, news), node.running.life)

    def _is_acquainted(self) -> bool:
        members = [node.actor(MEMBER) for node in self.clients]
        return all(len(member.servers()) == len(self.servers) for member in members)

    # --- nodes ----------------------------------------------------------------------------------

    def node(self, name: str) -> Node:
        """A node by its nickname."""
        return self.fleet.nodes[name]

    # --- running --------------------------------------------------------------------------------

    def run(self, until: float | Promise[T] | Coroutine[Any, Any, T], client: int = 0) -> T:
        """Let so many seconds pass, wait for a promise, or run a story as one of a client's until it ends.

        Returns:
            What the promise was resolved to or the story returned; None for seconds.
        """
        if isinstance(until, Coroutine):
            until = self.clients[client].observe(until)
        return self.world.run(until)

    # --- files ----------------------------------------------------------------------------------

    async def store(self, data: Content, client: int = 0, convergence: bytes | None = CONVERGENCE) -> UploadResult:
        """The story of storing bytes or a phantom."""
        uploader: Client = self.clients[client].actor(CLIENT)
        return await uploader.upload(BytesSource(cast("bytes", data)), convergence)

    async def fetch(self, capability: str, client: int = 0, offset: int = 0, length: int | None = None) -> Content:
        """The story of fetching a file or a part of it."""
        downloader: Client = self.clients[client].actor(CLIENT)
        chunks: list[Content] = []
        async with downloader.download(readable(capability), offset, length) as download:
            chunks.extend([chunk async for chunk in download])
        return joined(chunks)

    def upload(self, data: Content, client: int = 0, convergence: bytes | None = CONVERGENCE) -> str:
        """Store bytes (or a phantom), and return the capability."""
        return str(self.run(self.store(data, client, convergence), client).capability)

    def download(self, capability: str, client: int = 0, offset: int = 0, length: int | None = None) -> Content:
        """Fetch a file or a part of it.

        Raises:
            NotEnoughShares: too few good shares are in reach.
        """
        return self.run(self.fetch(capability, client, offset, length), client)

    # --- what goes wrong ----------------------------------------------------------------------------

    def apply(self, schedule: Schedule) -> None:
        """Let faults strike at their times; those whose time has passed strike at once."""
        for entry in schedule:
            self.world.at(entry.at, entry.fault.strike, self.fleet)

    def crash(self, *names: str, power: bool = False) -> None:
        """End the processes of these nodes; with ``power``, by a power cut."""
        for name in names:
            self.fleet.crash(name, power=power)

    def restart(self, *names: str, empty_disk: bool = False) -> None:
        """Start these nodes anew."""
        for name in names:
            self.fleet.restart(name, empty_disk=empty_disk)

    def partition(self, label: str, senders: Iterable[str], receivers: Iterable[str]) -> None:
        """Let nothing through from one group to another, until ``heal(label)``."""
        self.fleet.partition(label, senders, receivers)

    def heal(self, label: str) -> None:
        """Undo a partition."""
        self.fleet.heal(label)


def _graph(blueprint: Blueprint) -> Any:
    """The network of a grid: the graph it was given, or a star."""
    names = {name: profile.identity.node for name, profile in blueprint.profiles.items()}
    if blueprint.options.graph is None:
        lines: dict[str, Access] = {node: blueprint.options.access(name) for name, node in names.items()}
        return star(lines, lines.__getitem__)
    missing = [name for name in names if name not in blueprint.options.graph]
    if missing:
        raise BadConfiguration(f"the graph has no node {', '.join(missing)}: it needs one for every node of the grid")
    return nx.relabel_nodes(blueprint.options.graph, names)


def readable(text: str) -> ImmutableRead | Literal:
    """The capability in a string.

    Raises:
        BadCapability: it reads no immutable file.
    """
    capability = parse(text)
    if not isinstance(capability, (ImmutableRead, Literal)):
        raise BadCapability("this is not the capability of an immutable file")
    return capability
