"""What one seed of a swarm means: a small grid, what its clients do, and what goes wrong meanwhile.

Everything is drawn from the seed before the world begins, so that a plan can be printed, and its faults
can be saved, changed and replayed apart from it. All faults are over when the calm begins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from tahoe.protocol import Encoding
from tahoe.sim.faults import (
    AnyFault,
    BrokerRestart,
    ClockFault,
    Crash,
    DiskFault,
    Heal,
    Partition,
    Pause,
    Restart,
    Schedule,
    Scheduled,
    Weather,
)
from tahoe.sim.laws import Law, LogNormal, Uniform
from tahoe.storage.faulty import Fails, Fills, Forgets, Rots, Section, Slows
from tahoe.storage.faulty import Schedule as StoreFaults

STORM_SECONDS = 30.0
"""Faults begin within this time."""
CALM_AT = 70.0
"""By then they are over."""


@dataclass(frozen=True, slots=True)
class Job:
    """One file that a client stores, and from time to time reads again.

    Args:
        client: number of the client.
        at: seconds after which it begins.
        size: bytes of the file.
        content: files of equal content and size are equal.
        convergent: equal files get equal keys.
    """

    client: int
    at: float
    size: int
    content: int
    convergent: bool


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
        latency: of every wire.
        bandwidth: of every wire, in bytes per second; 0: unlimited.
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
    latency: Law
    bandwidth: float
    jobs: tuple[Job, ...]
    faults: Schedule


def draw(seed: int) -> Plan:
    """The plan that a seed stands for."""
    rng = Random(f"plan {seed}")
    needed = rng.randint(1, 4)
    total = rng.randint(needed, 10)
    happy = rng.randint(needed, total)
    servers = rng.randint(happy, 12)
    clients = rng.randint(1, 3)
    segment = rng.choice((512, 1024, 4096, 20_000))
    bandwidth = rng.choice((0.0, 1e6, 50e3, 10e3))
    return Plan(
        seed=seed,
        servers=servers,
        clients=clients,
        encoding=Encoding(needed, happy, total),
        segment=segment,
        small=rng.choice((0, int(5 * bandwidth) or 2**20)),
        platter=rng.choice(("memory", "volatile")),
        latency=rng.choice((Uniform(0.0005, 0.0015), Uniform(0.01, 0.1), LogNormal(0.03, 0.8))),
        bandwidth=bandwidth,
        jobs=tuple(_job(rng, clients, segment) for _ in range(rng.randint(3, 10))),
        faults=_faults(rng, servers, clients),
    )


def _job(rng: Random, clients: int, segment: int) -> Job:
    size = rng.choice((0, 1, 55, 56, segment - 1, segment, segment + 1, rng.randint(57, 6 * segment)))
    return Job(
        client=rng.randrange(clients),
        at=rng.uniform(0.0, STORM_SECONDS),
        size=size,
        content=rng.randrange(3),
        convergent=rng.random() < 0.7,
    )


def _faults(rng: Random, servers: int, clients: int) -> Schedule:
    """Each seed has a taste for some kinds of faults, so that rare combinations come up, too."""
    makers: list[Callable[[_Draw], list[Scheduled]]] = [
        _crash, _crash, _power_cut, _new_disk, _pause, _split, _weather, _clock, _rot, _sick_disk, _broker,
    ]  # fmt: skip
    tastes = rng.sample(makers, rng.randint(0, 5))
    draw = _Draw(rng, servers, clients)
    found = [entry for _ in range(rng.randint(0, 20)) if tastes for entry in rng.choice(tastes)(draw)]
    return tuple(sorted(found, key=lambda entry: entry.at))


class _Draw:
    """Draws times and victims."""

    def __init__(self, rng: Random, servers: int, clients: int) -> None:
        self.rng = rng
        self.server_names = [f"server-{number}" for number in range(servers)]
        self.names = [*self.server_names, *(f"client-{number}" for number in range(clients)), "introducer-0"]

    def begin(self) -> float:
        return self.rng.uniform(0.0, STORM_SECONDS)

    def span(self) -> tuple[float, float]:
        """Beginning and end of a fault, the end well before the calm."""
        begin = self.begin()
        return begin, min(begin + self.rng.choice((0.1, 1.0, 5.0, 30.0)), CALM_AT - 5.0)

    def node(self) -> str:
        return self.rng.choice(self.names)

    def server(self) -> str:
        return self.rng.choice(self.server_names)

    def group(self) -> tuple[str, ...]:
        return tuple(self.rng.sample(self.names, self.rng.randint(1, len(self.names))))


def _spell(begin: float, first: AnyFault, end: float, last: AnyFault) -> list[Scheduled]:
    return [Scheduled(begin, first), Scheduled(end, last)]


def _crash(draw: _Draw) -> list[Scheduled]:
    begin, end = draw.span()
    node = draw.node()
    return _spell(begin, Crash(node), end, Restart(node))


def _power_cut(draw: _Draw) -> list[Scheduled]:
    begin, end = draw.span()
    node = draw.server()
    return _spell(begin, Crash(node, power=True), end, Restart(node))


def _new_disk(draw: _Draw) -> list[Scheduled]:
    begin, end = draw.span()
    node = draw.server()
    return _spell(begin, Crash(node), end, Restart(node, empty_disk=True))


def _pause(draw: _Draw) -> list[Scheduled]:
    begin, end = draw.span()
    return [Scheduled(begin, Pause(draw.node(), end - begin))]


def _split(draw: _Draw) -> list[Scheduled]:
    begin, end = draw.span()
    group = draw.group()
    others = tuple(name for name in draw.names if name not in group) or draw.names[:1]
    label = f"split at {begin:.3f}"
    one_way = draw.rng.random() < 0.3
    return _spell(begin, Partition(label, group, tuple(others), one_way), end, Heal(label))


def _weather(draw: _Draw) -> list[Scheduled]:
    begin, end = draw.span()
    group, rng = draw.group(), draw.rng
    bad = Weather(
        group,
        loss=rng.choice((0.0, 0.01, 0.1, 0.4)),
        duplicate=rng.choice((0.0, 0.1, 0.5)),
        reorder=rng.choice((0.0, 0.1, 0.5)),
        delay=rng.choice((0.0, 0.0, 0.5, 3.0)),
    )
    return _spell(begin, bad, end, Weather(group))


def _clock(draw: _Draw) -> list[Scheduled]:
    rng = draw.rng
    offset = rng.choice((-86400.0, -3600.0, -1.0, 10.0, 86400.0))
    return [Scheduled(draw.begin(), ClockFault(draw.node(), offset, rng.choice((0.0, -0.1, 0.1))))]


def _rot(draw: _Draw) -> list[Scheduled]:
    rng = draw.rng
    section: Section = rng.choice(
        ("header", "blocks", "crypttext-hashes", "block-hashes", "share-hashes", "uri-extension")
    )
    return [Scheduled(draw.begin(), DiskFault(draw.server(), (Rots(section=section, bit=rng.randrange(4096)),)))]


def _sick_disk(draw: _Draw) -> list[Scheduled]:
    begin, end = draw.span()
    kinds: tuple[StoreFaults, ...] = ((Fails(),), (Fills(),), (Forgets(),), (Slows(seconds=2.0),), (Fails(times=3),))
    return [Scheduled(begin, DiskFault(draw.server(), draw.rng.choice(kinds), max(end - begin, 0.1)))]


def _broker(draw: _Draw) -> list[Scheduled]:
    begin, end = draw.span()
    return [Scheduled(begin, BrokerRestart(end - begin))]
