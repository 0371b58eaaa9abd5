"""The nodes of a simulated grid by nickname, and everything that can happen to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from tahoe.protocol import MEMBER, STORAGE, Address
from tahoe.sim.disks import Disk, Platter
from tahoe.sim.lies import Liar, LieKind
from tahoe.sim.network import Network
from tahoe.sim.node import Node
from tahoe.sim.rumours import RumourKind, rumour
from tahoe.sim.wire import Trouble
from tahoe.sim.world import World
from tahoe.storage.faulty import Schedule as StoreFaults


@dataclass(slots=True, eq=False)
class Fleet:
    """Implements ``faults.Victim``.

    Args:
        world: whose clock runs.
        network: between the nodes.
        nodes: by nickname.
        disks: of the storage servers, by nickname.
        platter: makes what an empty disk keeps its bytes on.
        announced: what nodes said of themselves when they were first noted, by nickname.
    """

    world: World
    network: Network
    nodes: dict[str, Node]
    disks: dict[str, Disk]
    platter: Callable[[], Platter]
    announced: dict[str, bytes] = field(default_factory=dict)

    def record(self, kind: str, *facts: object) -> None:
        """Note in the trace that something happened."""
        if self.world.trace is not None:
            self.world.trace.record(kind, *facts)

    def crash(self, node: str, *, power: bool = False) -> None:
        """End a node's process, and with ``power`` lose what its disk had not synced; a node that is down stays down."""
        if self.nodes[node].incarnation is None:
            return
        self.record("crash", node, "power" if power else "")
        self.nodes[node].crash()
        disk = self.disks.get(node)
        if disk is not None and power:
            disk.platter.lose_power(self.world.random(f"{node}/power/{self.nodes[node].boots}"))
        elif disk is not None:
            disk.platter.kill()

    def restart(self, node: str, *, empty_disk: bool = False) -> None:
        """Start a node anew, from what its disk kept or from nothing; one that runs is crashed first."""
        self.crash(node)
        if empty_disk:
            self.nodes[node].state.clear()
            if node in self.disks:
                self.disks[node] = self.new_disk()
        if node in self.disks:
            self.disks[node].platter.mend()  # whoever starts a server has looked after its disk
        self.record("restart", node, "empty" if empty_disk else "")
        self.nodes[node].boot()

    def new_disk(self) -> Disk:
        """An empty disk."""
        return Disk(self.platter(), self.world.stall)

    def pause(self, node: str, seconds: float) -> None:
        """Stop a node's process for a while."""
        incarnation = self.nodes[node].incarnation
        if incarnation is not None:
            self.record("pause", node, seconds)
            incarnation.pause()
            self.world.after(seconds, incarnation.resume)

    def partition(self, label: str, senders: Iterable[str], receivers: Iterable[str]) -> None:
        """Let nothing through from one group to another."""
        self.record("partition", label)
        self.network.cut(label, self._ids(senders), self._ids(receivers))

    def heal(self, label: str) -> None:
        """Undo a partition."""
        self.record("heal", label)
        self.network.heal(label)

    def trouble(self, nodes: Iterable[str], trouble: Trouble | None) -> None:
        """Let the wires of nodes misbehave, or behave again."""
        for node in nodes:
            self.record("weather", node, trouble)
            for wire in self.network.wires_of(self.nodes[node].name):
                wire.trouble = trouble

    def set_clock(self, node: str, *, offset: float, rate: float) -> None:
        """Set a node's clock off, and let it run faster or slower."""
        self.record("clock", node, offset, rate)
        self.nodes[node].set_clock(offset, rate)

    def disk_faults(self, node: str, faults: StoreFaults, seconds: float) -> None:
        """Let a node's store misbehave for a while; 0 seconds: for ever."""
        self.record("disk", node, *faults)
        disk = self.disks[node]
        number = disk.add_faults(faults)
        if seconds:
            self.world.after(seconds, disk.remove_faults, number)

    def stop_broker(self, seconds: float) -> None:
        """Take the broker down for a while."""
        self.record("broker", "down", seconds)
        self.network.stop_broker()
        self.world.after(seconds, self.network.start_broker)

    def corrupt(self, node: str, lie: LieKind, seconds: float) -> None:
        """Let a server lie for a while; 0 seconds: for ever."""
        self.record("liar", node, lie)
        others = tuple(Address(self.nodes[name].name, STORAGE) for name in self.disks if name != node)
        liar = self.nodes[node].liar = Liar(lie, self.world.random(f"{node}/lies/{lie}"), others)
        if seconds:
            self.world.after(seconds, self._repent, node, liar)

    def _repent(self, node: str, liar: Liar) -> None:
        if self.nodes[node].liar is liar:
            self.nodes[node].liar = None

    def file_system_fault(self, node: str, verb: str, error: str, seconds: float) -> None:
        """Let calls of a server's file system fail for a while."""
        self.record("file system", node, verb, error)
        platter = self.disks[node].platter
        platter.fail(verb, error)
        self.world.after(seconds, platter.mend)

    def rot_slot(self, node: str, chance: int) -> None:
        """Flip a bit of a slot on a server's disk."""
        self.record("rot", node, chance)
        self.disks[node].platter.rot_slot(Random(f"rot {chance}"))

    def misdirect(self, node: str, chance: int) -> None:
        """Let a write on a server's disk hit another place than it was meant for."""
        self.record("misdirected", node, chance)
        self.disks[node].platter.misdirect(Random(f"misdirected {chance}"))

    def rumour(self, node: str, kind: RumourKind, chance: int) -> None:
        """Let a node that is up tell all others something about who is in the grid."""
        teller = self.nodes[node].incarnation
        self.note_announcements()
        if teller is None:
            return
        self.record("rumour", node, kind)
        news = rumour(kind, tuple(self.announced.values()), Random(f"rumour {chance}"))
        for other in self.nodes.values():
            if other.name != teller.name:
                teller.tell(Address(other.name, MEMBER), news)

    def leave(self, node: str, seconds: float) -> None:
        """Give a server notice: it is about to leave, and after a while copies what it has by itself."""
        self.record("leave", node, seconds)
        self.nodes[node].notice = self.nodes[node].wall_time() + seconds

    def notice(self, node: str) -> float | None:
        """From when on a server copies what it has, in seconds since the epoch; None: it is going to stay."""
        return self.nodes[node].notice

    def note_announcements(self) -> None:
        """Keep what nodes say of themselves now, where nothing older was kept."""
        for name, node in self.nodes.items():
            if node.incarnation is not None and name not in self.announced:
                self.announced[name] = node.incarnation.announcement()

    def _ids(self, nicknames: Iterable[str]) -> list[str]:
        return [self.nodes[nickname].name for nickname in nicknames]
