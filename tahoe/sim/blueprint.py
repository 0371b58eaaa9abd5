"""How a simulated grid is made: its options, its keys, and the recipe for the actors of every node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

import msgspec

from tahoe.actors.caretaker import Caretaker, CareTerms
from tahoe.actors.client import Client, ClientTerms
from tahoe.actors.drainer import Drainer
from tahoe.actors.introducer import Introducer
from tahoe.actors.membership import IntroducerContact, Membership
from tahoe.actors.readingroom import Habits, ReadingRoom
from tahoe.actors.slotterms import SlotTerms
from tahoe.actors.steward import Stewardship
from tahoe.actors.storage import StorageServer, Upkeep
from tahoe.actors.terms import Limits, Patience
from tahoe.actors.vdrive import VDrive
from tahoe.context import Actor
from tahoe.policy.lease import CollectionTerms
from tahoe.policy.placement import SPREAD, PlacementPolicy
from tahoe.protocol import CARETAKER, CLIENT, DRAINER, INTRODUCER, MEMBER, STORAGE, VDRIVE, Encoding
from tahoe.session.identity import GridKey, Identity
from tahoe.session.settings import GridAccess, Settings
from tahoe.session.statement import ENCODING_STATEMENT, GridStatement, encode_encoding, sign_statement
from tahoe.sim import coding, keeping
from tahoe.sim.disks import Disk, MemoryPlatter, Platter
from tahoe.sim.labour import Labour
from tahoe.sim.network import Terms
from tahoe.sim.node import Contexts, Profile, Recipe
from tahoe.sim.wire import Access
from tahoe.sim.world import World
from tahoe.storage.store import DEFAULT_OPTIONS

Fidelity = Literal["wire", "message", "phantom"]
"""wire: sealed bytes. message: typed objects with their true sizes. phantom: contents are sizes, too."""


def near(_: str) -> Access:
    """Every node a millisecond from the broker, on a line without limits."""
    return Access()


def nowhere(_: str) -> str:
    """Nodes that say nothing of where they are."""
    return ""


@dataclass(frozen=True, slots=True)
class GridOptions:
    """What a grid is like, beyond how many nodes it has.

    Args:
        fidelity: how much of the grid is real.
        encoding: k, happy and N, as the grid's statement says.
        introducers: how many; with none, ``acquainted`` must be true.
        acquainted: clients know every server from the start, as restarted clients do; a world of a
            thousand servers is then built without a million announcements being sent.
        access: the line of each node, by nickname.
        graph: a networkx graph of nicknames, instead of a star of such lines (``tahoe.sim.topology``).
        terms: the broker's.
        labour: all processes share the cores of one machine, and packets cost them time (``sim/labour.py``); None: every
            node has a processor of its own, which only computes.
        settings: of all sessions (``sealed`` follows from the fidelity).
        limits: of clients' uploads; ``segment`` is the largest segment.
        patience: of clients' uploads.
        policy: by which clients place shares.
        slots: what clients' new slots are like; None: as the grid's files.
        platter: what the disk of a storage server keeps its bytes on.
        upkeep: when servers sweep and scrub.
        collection: when servers let go what nobody leases.
        vdrives: how many.
        location: of each node, by nickname.
        care: how the caretakers of clients go about it; None: clients have none.
        drained: servers that are about to leave see to it that nothing is on them alone.
        collect_every: seconds between two looks of a server at what nobody leases.
        lease_seconds: how long a lease lasts; what the disks are made with (``platter``) must say the same.
        traced: keep a trace and its hash.
        ties: events of the same moment happen in an order drawn from the seed.
    """

    fidelity: Fidelity = "wire"
    encoding: Encoding = field(default_factory=Encoding)
    introducers: int = 1
    acquainted: bool = False
    access: Callable[[str], Access] = near
    graph: Any = None
    terms: Terms = field(default_factory=Terms)
    labour: Labour | None = None
    settings: Settings = field(default_factory=Settings)
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)
    policy: PlacementPolicy = SPREAD
    slots: SlotTerms | None = None
    platter: Callable[[], Platter] = MemoryPlatter
    upkeep: Upkeep = field(default_factory=Upkeep)
    collection: CollectionTerms = field(default_factory=CollectionTerms)
    vdrives: int = 0
    location: Callable[[str], str] = nowhere
    care: CareTerms | None = None
    drained: bool = False
    collect_every: float = 3600.0
    lease_seconds: int = DEFAULT_OPTIONS.lease_seconds
    traced: bool = False
    ties: bool = False


class Blueprint:
    """The keys of a grid and of its nodes, and what each node is made of.

    Args:
        world: whose seed the keys follow from.
        names: nicknames of all nodes; what stands before the dash is the kind.
        options: of the grid.
    """

    def __init__(self, world: World, names: list[str], options: GridOptions) -> None:
        coding.register()
        keeping.register()
        rng = world.random("grid")
        self.options = options
        self.key = GridKey.from_seed(rng.randbytes(32))
        access = GridAccess(self.key.grid_id, rng.randbytes(32))
        settings = msgspec.structs.replace(options.settings, sealed=options.fidelity == "wire")
        self.profiles = {
            name: Profile(name, Identity.from_seed(rng.randbytes(32)), access, settings, options.location(name))
            for name in names
        }
        self.introducers = tuple(
            IntroducerContact(profile.identity.node, profile.identity.exchange_public)
            for name, profile in self.profiles.items()
            if kind_of(name) == "introducer"
        )
        encoding = GridStatement(ENCODING_STATEMENT, 1, encode_encoding(options.encoding))
        self.statements = (sign_statement(self.key, encoding),)

    def recipe(self, name: str, disks: dict[str, Disk], notice: Callable[[], float | None]) -> Recipe:
        """What makes the actors of a node, on the disk that it has at that time.

        Args:
            name: of the node.
            disks: of all servers.
            notice: tells from when on a server that leaves copies what it has; None: it stays.
        """

        def server(contexts: Contexts) -> list[Actor]:
            shares, slots = disks[name].mount()
            options = self.options
            stewardship = Stewardship(
                self.key.public_key, options.collection, options.lease_seconds, options.collect_every
            )
            member = self._member(contexts)
            storage = StorageServer(contexts(STORAGE), shares, slots, options.upkeep, stewardship)
            if not options.drained:
                return [member, storage]
            return [member, storage, Drainer(contexts(DRAINER), member, storage, options.limits, notice)]

        def client(contexts: Contexts) -> list[Actor]:
            member = self._member(contexts)
            user = Client(contexts(CLIENT), member, self._client_terms(name))
            care = self.options.care
            return [member, user, *([Caretaker(contexts(CARETAKER), user, care)] if care is not None else [])]

        def vdrive(contexts: Contexts) -> list[Actor]:
            member = self._member(contexts)
            helper = Client(contexts(VDRIVE), member, self._client_terms(name))
            return [member, VDrive(contexts(VDRIVE), member, helper.directories)]

        return {"introducer": self._introducer, "server": server, "client": client, "vdrive": vdrive}[kind_of(name)]

    def _member(self, contexts: Contexts) -> Membership:
        return Membership(contexts(MEMBER), self.key.public_key, self.introducers)

    def _introducer(self, contexts: Contexts) -> list[Actor]:
        return [Introducer(contexts(INTRODUCER), self.key.public_key, self.statements)]

    def _client_terms(self, name: str) -> ClientTerms:
        lease_master = sha256(b"lease master" + self.profiles[name].identity.seed).digest()
        options = self.options
        room = ReadingRoom(habits=Habits(message=options.limits.message))
        return ClientTerms(
            lease_master, options.limits, options.patience, options.policy, room=room, slots=options.slots
        )


def kind_of(name: str) -> str:
    """``introducer``, ``server``, ``client`` or ``vdrive``."""
    return name.split("-", maxsplit=1)[0]
