"""Weather: what the world does to servers over years, drawn from laws or taken from traces, as data.

A weather draws *incidents*: at this time, this server is away for so long, or loses its disk, or one of its shares rots.
Several weathers over the same servers simply add up. The incidents are the same objects whoever suffers them::

    Losses, Outages, Rot            each server by itself        ─┐
    Shocks                          a domain at once              ├─►  incidents ─┬─►  montecarlo (numbers only)
    Bursts, BadBatch                many within minutes, a batch  │               └─►  faults() ─► SimGrid (real actors)
    Replay                          what a trace says            ─┘

so that Monte Carlo and the actors can be put through the very same ten years. Each weather has a random stream of its
own, so that adding one does not change what the others do. A new one is a frozen dataclass with one method.

Sources: Marshall and Olkin, JASA 62, 1967 (shared shocks); Bakkaloglu et al., CMU-CS-02-129 (beta-binomial); Ford et al.,
OSDI 2010 (bursts within 120 s, with affinity to racks); Cidon et al., USENIX ATC 2013 (after a power outage about one
server in a hundred does not return).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from random import Random
from typing import Literal, Protocol

import msgspec

from tahoe.sim.faults import Crash, DiskFault, Restart, Schedule, Scheduled
from tahoe.sim.laws import Exponential, Fixed, LogNormal
from tahoe.sim.lifetimes import Lifetime
from tahoe.storage.faulty import Rots

AT_ONCE = Fixed(0.0)
EVERYTHING = Fixed(1.0)
ABOUT_AN_HOUR = LogNormal(3600.0, 1.4)
"""How long nodes of a large site were away: the spread is that of the repair times in LANL's records."""

MINUTE = 60.0
HOUR = 3600.0
DAY = 24 * HOUR
YEAR = 365 * DAY

Harm = Literal["away", "lost", "rot"]
"""away: it comes back as it was. lost: it comes back empty. rot: one of its shares is silently spoilt."""


class Incident(msgspec.Struct, frozen=True):
    """Something that happens to one server.

    Args:
        at: seconds since the beginning.
        server: its number.
        harm: what it suffers.
        seconds: how long it is away (for ``rot``: how long until a scrub finds it).
        cause: what people would call it, for accounts.
    """

    at: float
    server: int
    harm: Harm = "away"
    seconds: float = 0.0
    cause: str = ""


class Weather(Protocol):
    """Something that draws incidents."""

    def draw(self, locations: Sequence[str], seconds: float, rng: Random) -> Iterable[Incident]:
        """Incidents of servers at these locations (``site/rack/host``) within so many seconds, in any order."""


def forecast(
    weathers: Sequence[Weather], locations: Sequence[str], seconds: float, seed: int | str
) -> tuple[Incident, ...]:
    """The incidents of several weathers together, in order of time."""
    incidents = [
        incident
        for number, weather in enumerate(weathers)
        for incident in weather.draw(locations, seconds, Random(f"{seed}/weather/{number}/{type(weather).__name__}"))
    ]
    return tuple(sorted(incidents, key=attrgetter("at", "server")))


def _moments(law: Lifetime, seconds: float, rng: Random) -> Iterator[float]:
    """The times at which a renewal process strikes."""
    at = law.sample(rng)
    while at < seconds:
        yield at
        at += law.sample(rng)


# --- each server by itself -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Losses:
    """Disks that live for a time, die with everything on them, and are replaced by empty ones ``away`` later."""

    life: Lifetime
    away: Lifetime = AT_ONCE
    cause: str = "disk"

    def draw(self, locations: Sequence[str], seconds: float, rng: Random) -> Iterator[Incident]:
        """See ``Weather``."""
        for server in range(len(locations)):
            for at, away in _turns(self.life, self.away, seconds, rng):
                yield Incident(at, server, "lost", away, self.cause)


def _turns(up: Lifetime, away: Lifetime, seconds: float, rng: Random) -> Iterator[tuple[float, float]]:
    """Yield when one server ceases to be up, and for how long, in turns from up on."""
    at = up.sample(rng)
    while at < seconds:
        absence = away.sample(rng)
        yield at, absence
        at += absence + up.sample(rng)


@dataclass(frozen=True, slots=True)
class Outages:
    """Servers that are up and away in turns and keep what they hold: reboots, broken lines, closed lids."""

    up: Lifetime
    away: Lifetime
    cause: str = "outage"

    def draw(self, locations: Sequence[str], seconds: float, rng: Random) -> Iterator[Incident]:
        """See ``Weather``."""
        for server in range(len(locations)):
            for at, away in _turns(self.up, self.away, seconds, rng):
                yield Incident(at, server, "away", away, self.cause)


@dataclass(frozen=True, slots=True)
class Rot:
    """Latent sector errors: now and then a share is spoilt, and nobody knows until the next scrub, ``scrub`` apart."""

    every: Lifetime
    scrub: float = 30 * DAY
    cause: str = "rot"

    def draw(self, locations: Sequence[str], seconds: float, rng: Random) -> Iterator[Incident]:
        """See ``Weather``."""
        for server in range(len(locations)):
            for at in _moments(self.every, seconds, rng):
                yield Incident(at, server, "rot", self.scrub - at % self.scrub, self.cause)


# --- many at once ----------------------------------------------------------------------------------------------------


def domains(locations: Sequence[str], level: int) -> list[list[int]]:
    """Servers by failure domain: level 0 is all of them, 1 the sites, 2 the racks, 3 the hosts."""
    members: dict[str, list[int]] = {}
    for server, location in enumerate(locations):
        members.setdefault("/".join(location.split("/")[:level]), []).append(server)
    return list(members.values())


@dataclass(frozen=True, slots=True)
class Shocks:
    """Shared shocks: a cause strikes a whole domain, and takes each member with a probability drawn for the occasion.

    With ``hits=Fixed(1)`` it is Marshall and Olkin's; with a ``Beta`` the number of victims is beta-binomial; with a
    small ``lost`` it is a power outage after which some never return.

    Args:
        every: time between two shocks of one domain.
        level: of the domains (see ``domains``).
        hits: which part of the domain is hit.
        lost: probability that a server that is hit loses its disk.
        away: how long those are away that are hit.
        cause: for accounts.
    """

    every: Lifetime
    level: int = 1
    hits: Lifetime = EVERYTHING
    lost: float = 0.0
    away: Lifetime = AT_ONCE
    cause: str = "shock"

    def draw(self, locations: Sequence[str], seconds: float, rng: Random) -> Iterator[Incident]:
        """See ``Weather``."""
        for members in domains(locations, self.level):
            for at in _moments(self.every, seconds, rng):
                part, away = self.hits.sample(rng), self.away.sample(rng)
                for server in members:
                    if rng.random() < part:
                        harm: Harm = "lost" if rng.random() < self.lost else "away"
                        yield Incident(at, server, harm, away, self.cause)


def power_outages(every: Lifetime, away: Lifetime, never_return: float = 0.01, level: int = 0) -> Shocks:
    """Everything in a domain goes dark at once; a fraction of the disks does not survive being switched on again."""
    return Shocks(every, level, lost=never_return, away=away, cause="power")


@dataclass(frozen=True, slots=True)
class Bursts:
    """Failures that come together: a number of servers go within ``window`` seconds, most of them neighbours.

    Args:
        every: time between two bursts.
        size: how many servers; a law of numbers.
        affinity: probability that the next victim is drawn from the first one's domain.
        level: of that domain.
        away: how long each is away.
    """

    every: Lifetime
    size: Lifetime
    affinity: float = 0.5
    level: int = 2
    away: Lifetime = ABOUT_AN_HOUR

    def draw(self, locations: Sequence[str], seconds: float, rng: Random) -> Iterator[Incident]:
        """See ``Weather``."""
        neighbours = {server: members for members in domains(locations, self.level) for server in members}
        for at in _moments(self.every, seconds, rng):
            count = min(len(locations), max(1, round(self.size.sample(rng))))
            for server in self._victims(count, neighbours, rng):
                yield Incident(at + rng.random() * BURST_WINDOW, server, "away", self.away.sample(rng), "burst")

    def _victims(self, count: int, neighbours: dict[int, list[int]], rng: Random) -> list[int]:
        first = rng.randrange(len(neighbours))
        victims = {first: None}
        while len(victims) < count:
            near = [server for server in neighbours[first] if server not in victims]
            far = [server for server in neighbours if server not in victims]
            victims[rng.choice(near if near and rng.random() < self.affinity else far)] = None
        return list(victims)


BURST_WINDOW = 120.0
"""Seconds within which the failures of one burst begin (Ford et al. 2010)."""


@dataclass(frozen=True, slots=True)
class BadBatch:
    """A part of the servers shares a flaw: the same disks, the same software version. Its members die much sooner.

    Args:
        part: probability that a server is of the batch.
        begins: when the flaw shows first.
        spread: how long after that each member fails.
        harm: what it suffers.
        away: for how long.
    """

    part: float
    begins: Lifetime
    spread: Lifetime
    harm: Harm = "lost"
    away: Lifetime = AT_ONCE

    def draw(self, locations: Sequence[str], seconds: float, rng: Random) -> Iterator[Incident]:
        """See ``Weather``."""
        begin = self.begins.sample(rng)
        for server in range(len(locations)):
            if rng.random() < self.part:
                at = begin + self.spread.sample(rng)
                if at < seconds:
                    yield Incident(at, server, self.harm, self.away.sample(rng), "batch")


@dataclass(frozen=True, slots=True)
class Replay:
    """Incidents that are known already, from a trace or a saved run."""

    incidents: tuple[Incident, ...]

    def draw(self, locations: Sequence[str], seconds: float, rng: Random) -> Iterator[Incident]:
        """See ``Weather``."""
        for incident in self.incidents:
            if incident.at < seconds and incident.server < len(locations):
                yield incident


# --- ready-made ------------------------------------------------------------------------------------------------------


def mild() -> tuple[Weather, ...]:
    """A grid of friends: a disk dies in eight years, a machine is away for an evening every ten days."""
    return (
        Losses(Exponential(8 * YEAR), away=LogNormal(3 * DAY, 1.0)),
        Outages(Exponential(10 * DAY), LogNormal(3 * HOUR, 1.2)),
    )


def rough() -> tuple[Weather, ...]:
    """Disks die in three years, people are away for weeks, lightning takes sites, and shares rot."""
    return (
        Losses(Exponential(3 * YEAR), away=LogNormal(7 * DAY, 1.0)),
        Outages(Exponential(5 * DAY), LogNormal(8 * HOUR, 1.6)),
        Shocks(Exponential(10 * YEAR), level=1, lost=0.3, away=LogNormal(DAY, 1.0)),
        Rot(Exponential(2 * YEAR)),
    )


# --- for the actors --------------------------------------------------------------------------------------------------


def faults(incidents: Iterable[Incident]) -> Schedule:
    """The same incidents as faults of a simulated grid, whose servers are called ``server-0``, ``server-1``, ...

    Where absences of one server overlap it comes back when the last is over, and empty if any of them took its disk.
    Rot is harsher here than in Monte Carlo: everything that the server holds reads badly until its scrub.
    """
    schedule: list[Scheduled] = []
    absent: dict[int, tuple[float, bool]] = {}
    for incident in sorted(incidents, key=attrgetter("at", "server")):
        name = f"server-{incident.server}"
        if incident.harm == "rot":
            schedule.append(Scheduled(incident.at, DiskFault(name, (Rots(),), incident.seconds)))
            continue
        until, empty = absent.get(incident.server, (-1.0, False))
        if incident.at > until >= 0:
            schedule.append(_return(incident.server, until, empty=empty))
            until, empty = -1.0, False
        schedule.append(Scheduled(incident.at, Crash(name)))
        absent[incident.server] = (max(until, incident.at + incident.seconds), empty or incident.harm == "lost")
    schedule += [_return(server, until, empty=empty) for server, (until, empty) in absent.items()]
    return tuple(sorted(schedule, key=attrgetter("at")))


def _return(server: int, at: float, *, empty: bool) -> Scheduled:
    return Scheduled(at, Restart(f"server-{server}", empty_disk=empty))
