"""Faults as data: what goes wrong in a run, apart from its seed.

A schedule is a list of (time, fault). It can be saved, looked at, cut down by hand or by a program, and
replayed. Faults name nodes by their nicknames (``server-3``), which are the same for every seed::

    [{"at": 12.5, "fault": {"kind": "crash", "node": "server-3"}},
     {"at": 40.0, "fault": {"kind": "restart", "node": "server-3", "empty_disk": true}}]
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec

from tahoe.sim.lies import LieKind
from tahoe.sim.rumours import RumourKind
from tahoe.sim.wire import Trouble
from tahoe.storage.faulty import Schedule as StoreFaults


class Victim(Protocol):
    """A grid, as faults see it. Nodes are nicknames; times are seconds."""

    def crash(self, node: str, *, power: bool = False) -> None:
        """End a node's process, and with ``power`` lose what its disk had not synced; a node that is down stays down."""

    def restart(self, node: str, *, empty_disk: bool = False) -> None:
        """Start a node anew, from what its disk kept or from nothing; one that runs is crashed first."""

    def pause(self, node: str, seconds: float) -> None:
        """Stop a node's process for a while."""

    def partition(self, label: str, senders: Iterable[str], receivers: Iterable[str]) -> None:
        """Let nothing through from one group to another."""

    def heal(self, label: str) -> None:
        """Undo a partition."""

    def trouble(self, nodes: Iterable[str], trouble: Trouble | None) -> None:
        """Let the wires of nodes misbehave, or behave again."""

    def set_clock(self, node: str, *, offset: float, rate: float) -> None:
        """Set a node's clock off, and let it run faster or slower."""

    def disk_faults(self, node: str, faults: StoreFaults, seconds: float) -> None:
        """Let a node's store misbehave for a while; 0 seconds: for ever."""

    def stop_broker(self, seconds: float) -> None:
        """Take the broker down for a while."""

    def corrupt(self, node: str, lie: LieKind, seconds: float) -> None:
        """Let a server lie for a while; 0 seconds: for ever."""

    def file_system_fault(self, node: str, verb: str, error: str, seconds: float) -> None:
        """Let calls of a server's file system fail for a while."""

    def rot_slot(self, node: str, chance: int) -> None:
        """Flip a bit of a slot on a server's disk."""

    def misdirect(self, node: str, chance: int) -> None:
        """Let a write on a server's disk hit another place than it was meant for."""

    def rumour(self, node: str, kind: RumourKind, chance: int) -> None:
        """Let a node tell all others something about who is in the grid."""

    def leave(self, node: str, seconds: float) -> None:
        """Give a server notice: it is about to leave, and after a while copies what it has by itself."""


class Fault(msgspec.Struct, frozen=True, tag_field="kind"):
    """Something that happens to a grid."""

    def strike(self, grid: Victim) -> None:
        """Let it happen."""


class Crash(Fault, frozen=True, tag="crash"):
    """A process is killed; with ``power``, by a power cut that its disk feels, too."""

    node: str
    power: bool = False

    def strike(self, grid: Victim) -> None:
        """Kill it."""
        grid.crash(self.node, power=self.power)


class Restart(Fault, frozen=True, tag="restart"):
    """A node starts again, from its old disk or an empty one."""

    node: str
    empty_disk: bool = False

    def strike(self, grid: Victim) -> None:
        """Start it."""
        grid.restart(self.node, empty_disk=self.empty_disk)


class Pause(Fault, frozen=True, tag="pause"):
    """A process stands still: SIGSTOP, a swap storm, a lid closed."""

    node: str
    seconds: float

    def strike(self, grid: Victim) -> None:
        """Stop it for a while."""
        grid.pause(self.node, self.seconds)


class Partition(Fault, frozen=True, tag="partition"):
    """Nothing passes from ``senders`` to ``receivers``, nor back unless ``one_way``."""

    label: str
    senders: tuple[str, ...]
    receivers: tuple[str, ...]
    one_way: bool = False

    def strike(self, grid: Victim) -> None:
        """Cut the network."""
        grid.partition(self.label, self.senders, self.receivers)
        if not self.one_way:
            grid.partition(f"{self.label}, back", self.receivers, self.senders)


class Heal(Fault, frozen=True, tag="heal"):
    """A partition is over."""

    label: str

    def strike(self, grid: Victim) -> None:
        """Mend the network."""
        grid.heal(self.label)
        grid.heal(f"{self.label}, back")


class Weather(Fault, frozen=True, tag="weather"):
    """The wires of some nodes lose, double, reorder or delay packets, until the next weather."""

    nodes: tuple[str, ...]
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay: float = 0.0

    def strike(self, grid: Victim) -> None:
        """Change the weather."""
        trouble = Trouble(self.loss, self.duplicate, self.reorder, self.delay)
        grid.trouble(self.nodes, None if trouble == Trouble() else trouble)


class ClockFault(Fault, frozen=True, tag="clock"):
    """A node's clock jumps by ``offset`` seconds and from then on gains ``rate`` seconds a second."""

    node: str
    offset: float = 0.0
    rate: float = 0.0

    def strike(self, grid: Victim) -> None:
        """Set the clock."""
        grid.set_clock(self.node, offset=self.offset, rate=self.rate)


class DiskFault(Fault, frozen=True, tag="disk"):
    """A node's store rots, fails, fills, slows or lies (``storage/faulty.py``) for a while; 0 seconds: for ever."""

    node: str
    faults: StoreFaults
    seconds: float = 0.0

    def strike(self, grid: Victim) -> None:
        """Spoil the disk."""
        grid.disk_faults(self.node, self.faults, self.seconds)


class BrokerRestart(Fault, frozen=True, tag="broker-restart"):
    """The broker is down for a while; what was under way through it is lost."""

    seconds: float

    def strike(self, grid: Victim) -> None:
        """Stop it; it comes back by itself."""
        grid.stop_broker(self.seconds)


class Byzantine(Fault, frozen=True, tag="byzantine"):
    """A server lies (``sim/lies.py``) for a while; 0 seconds: for ever."""

    node: str
    lie: LieKind
    seconds: float = 0.0

    def strike(self, grid: Victim) -> None:
        """Corrupt it."""
        grid.corrupt(self.node, self.lie, self.seconds)


class FileSystemFault(Fault, frozen=True, tag="file-system"):
    """Calls of a server's file system fail for a while: ``verb`` as its twin counts them, ``error`` as ``errno`` names it.

    Disks that keep their bytes in memory have no file system, and don't feel it.
    """

    node: str
    verb: str
    error: str
    seconds: float

    def strike(self, grid: Victim) -> None:
        """Let them fail."""
        grid.file_system_fault(self.node, self.verb, self.error, self.seconds)


class SlotRot(Fault, frozen=True, tag="slot-rot"):
    """A bit of a slot flips on a server's disk; ``chance`` says which. Disks in memory don't rot."""

    node: str
    chance: int

    def strike(self, grid: Victim) -> None:
        """Flip it."""
        grid.rot_slot(self.node, self.chance)


class MisdirectedWrite(Fault, frozen=True, tag="misdirected-write"):
    """Sectors of one share or slot lie in the place of another's; ``chance`` says which. Disks in memory don't do that."""

    node: str
    chance: int

    def strike(self, grid: Victim) -> None:
        """Write astray."""
        grid.misdirect(self.node, self.chance)


class Rumour(Fault, frozen=True, tag="rumour"):
    """A node tells all others something about who is in the grid (``sim/rumours.py``)."""

    node: str
    rumour: RumourKind
    chance: int

    def strike(self, grid: Victim) -> None:
        """Tell it."""
        grid.rumour(self.node, self.rumour, self.chance)


class Leave(Fault, frozen=True, tag="leave"):
    """A server is given notice: it is about to leave, and after so many seconds copies by itself what nobody has fetched."""

    node: str
    seconds: float

    def strike(self, grid: Victim) -> None:
        """Give it notice."""
        grid.leave(self.node, self.seconds)


AnyFault: TypeAlias = (
    Crash
    | Restart
    | Pause
    | Partition
    | Heal
    | Weather
    | ClockFault
    | DiskFault
    | BrokerRestart
    | Byzantine
    | FileSystemFault
    | SlotRot
    | MisdirectedWrite
    | Rumour
    | Leave
)


class Scheduled(msgspec.Struct, frozen=True):
    """A fault and when it strikes, in seconds of the world."""

    at: float
    fault: AnyFault


Schedule: TypeAlias = tuple[Scheduled, ...]


def encode_schedule(schedule: Schedule) -> bytes:
    """A schedule as JSON, one line."""
    return msgspec.json.encode(schedule)


def decode_schedule(text: bytes) -> Schedule:
    """A schedule from JSON.

    Raises:
        msgspec.ValidationError: this is no schedule; the message names the place.
    """
    return msgspec.json.decode(text, type=Schedule)


def save_schedule(schedule: Schedule, path: Path) -> None:
    """Write a schedule to a file, for people to look at."""
    path.write_bytes(msgspec.json.format(encode_schedule(schedule), indent=1))


def load_schedule(path: Path) -> Schedule:
    """Read a schedule from a file."""
    return decode_schedule(path.read_bytes())
