"""What may never happen in a run of the swarm, and who says so.

An oracle knows nothing of how things are done. It looks at a grid from outside, on the disks and on the wires, and
raises ``Violation``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import blake2b
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tahoe.actors.introducer import Introducer
from tahoe.actors.ledger import Ledger
from tahoe.actors.membership import Membership
from tahoe.actors.storage import StorageServer
from tahoe.codec.capability import ImmutableRead
from tahoe.codec.hashing import Tag, tagged_hash
from tahoe.codec.slot import SlotProof, slot_storage_index
from tahoe.context import Actor
from tahoe.errors import CorruptShare, Refused, StorageFailed
from tahoe.protocol import CARETAKER, DRAINER, MEMBER, Announcement, NodeId
from tahoe.session.envelope import HEADER_BYTES
from tahoe.sim.grid import SimGrid
from tahoe.sim.history import Undecided
from tahoe.sim.keepwork import Made
from tahoe.sim.network import Network, Way
from tahoe.sim.node import Node
from tahoe.sim.violation import Violation
from tahoe.sim.weight import Weight, weigh
from tahoe.sim.workshop import Acknowledged, Workshop
from tahoe.storage.slots import SlotStore

MOST_STORIES = 4
"""What runs for ever in a node: staying joined to the introducer, sweeping, scrubbing, and a scrub under way."""
WATCHERS = (CARETAKER, DRAINER)
"""Roles of which each has one more story that never ends."""

MOST_FOR_PEER = Weight(objects=150, content=2000)
"""What an endpoint may remember of each other node when all is quiet; itself counts as one."""

MOST_IN_ACTOR = Weight(objects=60_000, content=4_000_000)
"""What an actor may keep of the little that it has seen in a run: caches, not leftovers."""


class WireWatch:
    """Sees every packet that is sent: no session ever seals two texts under one counter.

    Packets are told apart as anybody on the wire can: sender, channel, and the header with session and counter.
    Handshakes have other headers; they are watched as well, since none is ever sent in two forms.
    """

    def __init__(self, network: Network) -> None:
        self._seen: dict[tuple[NodeId, str, bytes], bytes] = {}
        self._send = network.send
        network.send = self.send  # type: ignore[method-assign]  # a tap on the wire, for the run of a test

    def send(self, way: Way, channel: str, packet: Any, size: int) -> None:
        """Look at a packet, and let it go.

        Raises:
            Violation: another one had the same header.
        """
        if isinstance(packet, bytes) and len(packet) > HEADER_BYTES:
            key = way.sender.name, channel, packet[:HEADER_BYTES]
            digest = blake2b(packet, digest_size=16).digest()
            if self._seen.setdefault(key, digest) != digest:
                raise Violation(f"two texts were sealed under one counter by {way.sender.name}")
        self._send(way, channel, packet, size)


class RosterWatch:
    """Looks at what nodes believe of one another: nobody who has heard something newer goes back to what was said before.

    Args:
        grid: whose nodes.
    """

    def __init__(self, grid: SimGrid) -> None:
        self._grid = grid
        self._ages: dict[tuple[str, int, NodeId], tuple[int, int]] = {}

    def look(self) -> None:
        """Look at every ledger.

        Raises:
            Violation: one has gone back.
        """
        for name, node in self._grid.fleet.nodes.items():
            actors = {} if node.incarnation is None else node.incarnation.actors
            for actor in actors.values():
                if isinstance(actor, (Membership, Introducer)):
                    self._look_at(name, node.boots, actor.ledger)

    def _look_at(self, name: str, boots: int, ledger: Ledger) -> None:
        for other, entry in ledger.nodes.items():
            age = entry.announcement.age
            if age < self._ages.get((name, boots, other), age):
                raise Violation(f"{name} believes what {entry.announcement.nickname} said before")
            self._ages[name, boots, other] = age


class SlotWatch:
    """Looks at the shares of slots on all disks: each is of a version that its owner signed, none ever gets older.

    Args:
        grid: whose disks.
    """

    def __init__(self, grid: SimGrid) -> None:
        self._grid = grid
        self._newest: dict[tuple[str, bytes, int], int] = {}
        self._known: dict[tuple[str, bytes, int], SlotProof] = {}

    def look(self, *, may_lose: bool, again: bool = False) -> None:
        """Look at everything that is new.

        Args:
            again: look at all of it, known or not.
            may_lose: disks were replaced or rotted, so that shares may be gone or damaged.

        Raises:
            Violation: somebody without the write cap has changed a slot, or a share is older than it was.
        """
        if again:
            self._known.clear()
        for name, disk in self._grid.fleet.disks.items():
            if self._grid.node(name).incarnation is None:
                continue  # what its last incarnation had decided may still be in its log alone
            with suppress(StorageFailed):  # its file system is sick just now
                self._look_at_disk(name, disk.slots, may_lose=may_lose)

    def _look_at_disk(self, name: str, slots: SlotStore, *, may_lose: bool) -> None:
        for index in list(slots.storage_indexes()):
            for number in slots.numbers(index):
                self._look_at(name, slots, index, number, may_lose=may_lose)

    def _look_at(self, name: str, slots: SlotStore, index: bytes, number: int, *, may_lose: bool) -> None:
        try:
            head = slots.head(index, number)
        except (CorruptShare, Refused):
            if may_lose:
                return
            raise
        version = head.version
        key = name, index, number
        if self._known.get(key) == head.proof:
            return
        self._known[key] = head.proof
        if not _is_signed(head.proof, index):
            raise Violation(f"{name} took a version of a slot that its owner did not sign")
        if version.sequence < self._newest.get(key, 0) and not may_lose:
            raise Violation(f"share {number} of a slot on {name} has become older")
        self._newest[key] = version.sequence
        if not may_lose and not slots.scrub(index, number).sound:
            raise Violation(f"share {number} of a slot on {name} is not what was signed")


def _is_signed(proof: SlotProof, index: bytes) -> bool:
    """Whether a version is its owner's; found out here, since the program's own check may be what is wrong."""
    try:
        Ed25519PublicKey.from_public_bytes(proof.public_key).verify(
            proof.signature, tagged_hash(Tag.SLOT_SIGNED_VERSION, proof.version)
        )
    except (InvalidSignature, ValueError):
        return False
    return slot_storage_index(proof.read_key_hash, proof.public_key) == index


def check_history(workshop: Workshop) -> None:
    """Everything that clients were told about slots and directories can be true together.

    Raises:
        Violation: it can't.
    """
    try:
        flaw = workshop.history.flaw()
    except Undecided:
        workshop.told["undecided"] += 1
        return
    if flaw:
        told = "; ".join(f"{each.start:.3f}-{each.end:.3f} {' '.join(map(repr, each.steps))}" for each in flaw)
        raise Violation(f"what clients were told can't be true together: {told}")


def sound_shares(grid: SimGrid, capability: ImmutableRead) -> dict[str, list[int]]:
    """By server: the shares of a file of which every byte is as it should be."""
    index = capability.storage_index
    return {
        name: [number for number, facts in disk.honest(index).items() if facts.ueb_hash == capability.ueb_hash]
        for name, disk in grid.fleet.disks.items()
    }


def check_kept(grid: SimGrid, files: Iterable[Acknowledged], spoiled: Iterable[str]) -> None:
    """Each share that was acknowledged is still there, unless its very disk was spoiled.

    Raises:
        Violation: one is gone.
    """
    nicknames = {node.name: name for name, node in grid.fleet.nodes.items()}
    spoiled = tuple(spoiled)
    for file in files:
        if not isinstance(file.result.capability, ImmutableRead):
            continue
        sound = sound_shares(grid, file.result.capability)
        for share, home in file.result.homes.items():
            name = nicknames[home]
            if name not in spoiled and share not in sound[name]:
                raise Violation(f"share {share} of an acknowledged file is gone from {name}")


def check_made(grid: SimGrid, made: Iterable[Made], spoiled: Iterable[str]) -> None:
    """Each share that a repairer was told to be kept is still there, unless its very disk was spoiled.

    Raises:
        Violation: one is gone.
    """
    nicknames = {node.name: name for name, node in grid.fleet.nodes.items()}
    spoiled = tuple(spoiled)
    for each in made:
        name = nicknames[each.home]
        if name not in spoiled and each.number not in grid.fleet.disks[name].honest(each.target.storage_index):
            raise Violation(f"share {each.number} that was made by a repair is gone from {name}")


def check_rosters(grid: SimGrid) -> None:
    """Everybody believes of every node of the grid what it says of itself now, whatever was told meanwhile.

    Raises:
        Violation: somebody believes something else.
    """
    for node in grid.fleet.nodes.values():
        member = node.running.actors.get(MEMBER)
        if isinstance(member, Membership):
            _check_roster(grid, node, {each.node: each for each in member.announcements()})


def _check_roster(grid: SimGrid, node: Node, believed: Mapping[NodeId, Announcement]) -> None:
    for other in grid.fleet.nodes.values():
        found = believed.get(other.name)
        if found is None or found.node == node.name:
            continue
        profile = other.profile
        if (found.nickname, found.exchange_key) != (profile.nickname, profile.identity.exchange_public):
            raise Violation(f"{node.profile.nickname} believes what {profile.nickname} never said of itself")
        if found.epoch != other.epoch:
            raise Violation(f"{node.profile.nickname} believes what {profile.nickname} said in another life")


def check_quiet(grid: SimGrid) -> None:
    """Nothing of what the nodes did is left in them.

    Raises:
        Violation: something is.
    """
    for node in grid.fleet.nodes.values():
        member = node.running.actors.get(MEMBER)
        known = len(member.announcements()) if isinstance(member, Membership) else 0
        _check_node(node, max(len(grid.fleet.nodes), known))


def is_quiet(node: Node) -> bool:
    """Whether nothing is under way in a node but what runs for ever."""
    actors = node.running.actors
    return len(node.running.life.stories) <= MOST_STORIES + sum(role in actors for role in WATCHERS)


def _check_node(node: Node, nodes: int) -> None:
    running = node.running
    if not is_quiet(node):
        raise Violation(f"{node.profile.nickname} still has {len(running.life.stories)} stories under way")
    weight = weigh(running.endpoint, running)
    if weight.objects > nodes * MOST_FOR_PEER.objects or weight.content > nodes * MOST_FOR_PEER.content:
        raise Violation(f"the endpoint of {node.profile.nickname} still holds {weight}")
    for role, actor in running.actors.items():
        held = weigh(actor, running, running.world, *(other.ctx for other in running.actors.values()), *_disk_of(actor))
        if held.objects > MOST_IN_ACTOR.objects or held.content > MOST_IN_ACTOR.content:
            raise Violation(f"the {role} of {node.profile.nickname} still holds {held}")


def _disk_of(actor: Actor) -> tuple[object, ...]:
    """What a server keeps on its disk is not in its memory."""
    return (actor.store, actor.slots) if isinstance(actor, StorageServer) else ()
