"""What one seed of a swarm means: a small grid, what its clients do, and what goes wrong meanwhile.

Everything is drawn from the seed before the world begins, so that a plan can be printed, and its work and its faults
can be saved, changed and replayed apart from it (``Case``). All faults are over when the calm begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple

import msgspec

from tahoe.protocol import Encoding
from tahoe.sim.chores import Chores, draw_chores
from tahoe.sim.faults import (
    Byzantine,
    DiskFault,
    Leave,
    MisdirectedWrite,
    Restart,
    Schedule,
    Scheduled,
    SlotRot,
)
from tahoe.sim.laws import Law, LogNormal, Uniform
from tahoe.sim.lies import DENIALS
from tahoe.sim.sites import ALL_SITES, SEGMENT_OF_SMALL_PACKETS, TINY_SEGMENT, Site
from tahoe.sim.storm import CALM_AT, STORM_SECONDS, draw_storm
from tahoe.storage.faulty import Forgets, Rots

__all__ = ["CALM_AT", "STORM_SECONDS", "Case", "Plan", "case_of", "draw", "load_case", "save_case"]


class Size(NamedTuple):
    """What worlds of a size are at most: k, N, servers; and what clients and segments are drawn from."""

    needed: int
    total: int
    servers: int
    clients: tuple[int, ...]
    segments: tuple[int, ...]


SMALL = Size(3, 6, 6, (1, 2, 2, 3, 4), (64, 512, 1024, 4096))
ROOMY = Size(4, 10, 12, (1, 2, 2, 3, 5), (512, 1024, 4096, 20_000))
CHANCE_OF_A_SITE = 0.1
CHANCE_OF_MENDING = 0.4
CHANCE_OF_SHORT_LEASES = 0.05
CHANCE_OF_CARE = 0.1
CHANCE_OF_LEAVING = 0.5
CHANCE_OF_ROOM = 0.05
"""Most bugs show in small worlds, of which there can be many; some need more servers than shares."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A run of the swarm.

    Args:
        seed: that it was drawn from.
        servers: how many.
        clients: how many.
        encoding: of the grid.
        segment: bytes of a segment.
        small: most bytes of shares of a file that is stored in one round.
        platter: on what servers keep their bytes.
        is_sealed: packets are bytes, sealed; if not, objects as large.
        latency: of every wire.
        bandwidth: of every wire, in bytes per second; 0: unlimited.
        bent: sites of our own code that are bent.
        is_mended: after the storm all is repaired, and has to be whole.
        are_leases_short: leases last for minutes, and what nobody renews is collected.
        is_cared_for: clients have caretakers, who look after what they have stored.
        ties: events of the same moment happen in an order drawn from the seed, instead of that in which they came up.
        jobs: what the clients do.
        faults: what goes wrong.
    """

    seed: int
    servers: int
    clients: int
    encoding: Encoding
    segment: int
    small: int
    platter: Literal["memory", "volatile"]
    is_sealed: bool
    latency: Law
    bandwidth: float
    bent: tuple[Site, ...]
    is_mended: bool
    are_leases_short: bool
    is_cared_for: bool
    ties: bool
    jobs: Chores
    faults: Schedule

    @property
    def is_harsh(self) -> bool:
        """Whether servers lose or deny what they promised to keep. Then nobody can hold the grid to its promises."""
        return any(
            _denies(entry.fault) or (isinstance(entry.fault, Restart) and entry.fault.empty_disk)
            for entry in self.faults
        )

    @property
    def is_lied_to(self) -> bool:
        """Whether there are liars, of whom a caretaker believes nothing for a long time."""
        return any(isinstance(entry.fault, Byzantine) for entry in self.faults)

    @property
    def leavers(self) -> tuple[str, ...]:
        """Servers that are given notice."""
        return tuple(dict.fromkeys(entry.fault.node for entry in self.faults if isinstance(entry.fault, Leave)))

    @property
    def spoiled(self) -> tuple[str, ...]:
        """Servers whose very disks lose shares that were acknowledged."""
        spoiling = (entry.fault for entry in self.faults if _spoils(entry.fault))
        return tuple(dict.fromkeys(fault.node for fault in spoiling))  # type: ignore[union-attr]  # those that spoil have one


def _spoils(fault: object) -> bool:
    if isinstance(fault, DiskFault):
        return any(isinstance(each, (Rots, Forgets)) for each in fault.faults)
    return (isinstance(fault, Restart) and fault.empty_disk) or _denies(fault)


def _denies(fault: object) -> bool:
    return isinstance(fault, (SlotRot, MisdirectedWrite)) or (isinstance(fault, Byzantine) and fault.lie in DENIALS)


class Case(msgspec.Struct, frozen=True):
    """What happened in a run, apart from the grid that the seed gives: to be saved, cut down and replayed."""

    seed: int
    jobs: Chores
    faults: Schedule


def case_of(seed: int) -> Case:
    """The work and the faults that a seed stands for."""
    plan = draw(seed)
    return Case(seed, plan.jobs, plan.faults)


def save_case(case: Case, path: Path) -> None:
    """Write a case to a file, for people to look at."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(case), indent=1))


def load_case(path: Path) -> Case:
    """Read a case from a file.

    Raises:
        msgspec.ValidationError: this is none; the message names the place.
    """
    return msgspec.json.decode(path.read_bytes(), type=Case)


def draw(seed: int) -> Plan:
    """The plan that a seed stands for."""
    rng = Random(f"plan {seed}")
    size = ROOMY if rng.random() < CHANCE_OF_ROOM else SMALL
    bent = tuple(site for site in ALL_SITES if rng.random() < CHANCE_OF_A_SITE)
    encoding, servers = _draw_servers(rng, size, bent)
    clients = rng.choice(size.clients)
    segment = TINY_SEGMENT if "tiny-segments" in bent else rng.choice(size.segments)
    if "small-packets" in bent:
        segment = min(segment, SEGMENT_OF_SMALL_PACKETS)
    bandwidth = 0.0 if "early-time-outs" in bent else rng.choice((0.0, 0.0, 1e6, 50e3, 10e3))
    are_leases_short = rng.random() < CHANCE_OF_SHORT_LEASES
    others = (*(f"client-{number}" for number in range(clients)), "introducer-0", "vdrive-0")
    return Plan(
        seed=seed,
        servers=servers,
        clients=clients,
        encoding=encoding,
        segment=segment,
        small=rng.choice((0, int(5 * bandwidth) or 2**20)),
        platter=rng.choice(("memory", "volatile")),
        is_sealed=rng.random() < 0.5,
        latency=rng.choice((Uniform(0.0005, 0.0015), Uniform(0.01, 0.1), LogNormal(0.03, 0.8))),
        bandwidth=bandwidth,
        bent=bent,
        is_mended=rng.random() < CHANCE_OF_MENDING,
        are_leases_short=are_leases_short,
        is_cared_for=not are_leases_short and rng.random() < CHANCE_OF_CARE,
        ties=rng.random() < 0.5,
        jobs=draw_chores(rng, clients, segment),
        faults=_in_order((*draw_storm(rng, servers, others), *_draw_leaver(rng, servers, encoding))),
    )


def _in_order(faults: Schedule) -> Schedule:
    return tuple(sorted(faults, key=lambda entry: entry.at))


def _draw_leaver(rng: Random, servers: int, encoding: Encoding) -> Schedule:
    """A server that is given notice, if the others suffice."""
    if servers <= encoding.happy or rng.random() >= CHANCE_OF_LEAVING:
        return ()
    return (
        Scheduled(rng.uniform(0.0, STORM_SECONDS), Leave(f"server-{rng.randrange(servers)}", rng.choice((0.0, 100.0)))),
    )


def _draw_servers(rng: Random, size: Size, bent: tuple[Site, ...]) -> tuple[Encoding, int]:
    """k, happy and N, and how many servers there are."""
    needed = rng.randint(1, size.needed)
    if "exactly-k-servers" in bent:
        return Encoding(needed, needed, needed), needed
    total = rng.randint(needed, size.total)
    happy = rng.choice((total, rng.randint(needed, total)))
    return Encoding(needed, happy, total), rng.choice((happy, rng.randint(happy, size.servers)))
