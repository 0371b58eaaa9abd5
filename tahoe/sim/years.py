"""Years of a friendnet: what happens to its servers, what its owner does, and what is left of his files.

Everything that goes wrong is drawn from the seed before the world begins, so that the same misfortunes can be lived through
with a caretaker and without one, or with another one::

    churn        every server sleeps now and then: hours mostly, a laptop sometimes for days
    deaths       disks die for good; a friend comes back with an empty one weeks later, or not at all
    rot          a share is spoiled where it lies, and nobody notices
    outage       a third of the servers is gone for twelve hours
    liar         from some day on a server keeps nothing and claims everything
    flapping     a server comes and goes every hour for weeks

Contents are phantoms, so that a thousand files of many megabytes fit; all else is the code that runs on the grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple, cast

from tahoe.actors.caretaker import Caretaker, CareTerms
from tahoe.actors.children import NewChild
from tahoe.actors.client import Client
from tahoe.actors.storage import Upkeep
from tahoe.actors.terms import Limits
from tahoe.codec.capability import Directory, ImmutableRead, parse
from tahoe.errors import TahoeError
from tahoe.protocol import CARETAKER, CLIENT
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.grid import SimGrid
from tahoe.sim.phantom import Phantom
from tahoe.storage.memory import MemoryStore

HOUR = 3600.0
DAY = 86400.0
YEAR = 365.25 * DAY
MONTH = YEAR / 12

OWNER = "client-0"


@dataclass(frozen=True, slots=True)
class Misfortune:
    """How often things go wrong; means of exponential times, in seconds.

    Args:
        awake: between two sleeps of a server.
        asleep: a sleep.
        life: of a disk.
        absence: until a friend comes back with an empty disk.
        rot: until the next share is spoiled, anywhere.
        outages: between two outages of a third of the servers.
        liar: when the first server begins to lie; 0: none does.
        flapping: when a server begins to come and go; 0: none does.
    """

    awake: float = 12 * DAY
    asleep: float = 18 * HOUR
    life: float = 4 * YEAR
    absence: float = 20 * DAY
    rot: float = 10 * DAY
    outages: float = 120 * DAY
    liar: float = 0.7 * YEAR
    flapping: float = 0.4 * YEAR


@dataclass(frozen=True, slots=True)
class YearsPlan:
    """One life of a friendnet.

    Args:
        seed: names it.
        servers: how many.
        files: how many immutable ones, of ``file_size`` bytes.
        directories: how many; each is changed once a month.
        years: how long.
        care: how the caretaker goes about it; None: there is none.
        misfortune: what goes wrong.
        file_size: bytes.
    """

    seed: int
    servers: int = 50
    files: int = 1000
    directories: int = 50
    years: float = 10.0
    care: CareTerms | None = field(default_factory=lambda: CareTerms(tick=12 * HOUR, own_roots=False))
    misfortune: Misfortune = field(default_factory=Misfortune)
    file_size: int = 5_000_000


class Event(NamedTuple):
    """Something that happens to a server: when, what, to whom."""

    at: float
    kind: str
    server: str


def draw_events(plan: YearsPlan) -> list[Event]:
    """All misfortunes of a life, in order."""
    rng = Random(f"years {plan.seed}")
    end, means = plan.years * YEAR, plan.misfortune
    names = [f"server-{number}" for number in range(plan.servers)]
    events: list[Event] = []
    for name in names:
        events += _sleeps(rng, name, end, means.awake, means.asleep)
        events += _deaths(rng, name, end, means)
    events += [Event(at, "rot", "") for at in _times(rng, end, means.rot)]
    for at in _times(rng, end, means.outages):
        for name in rng.sample(names, plan.servers // 3):
            events += [Event(at, "down", name), Event(at + 12 * HOUR, "up", name)]
    if means.liar:
        events += [Event(means.liar, "lie", names[0])]
    if means.flapping:
        for hour in range(21 * 24):
            at = means.flapping + hour * HOUR
            events.append(Event(at, "down" if hour % 2 else "up", names[1]))
    return sorted(event for event in events if event.at < end)


def _times(rng: Random, end: float, mean: float) -> Iterator[float]:
    at = rng.expovariate(1 / mean)
    while at < end:
        yield at
        at += rng.expovariate(1 / mean)


def _sleeps(rng: Random, name: str, end: float, awake: float, asleep: float) -> Iterator[Event]:
    at = rng.expovariate(1 / awake)
    while at < end:
        yield Event(at, "down", name)
        at += rng.expovariate(1 / asleep)
        yield Event(at, "up", name)
        at += rng.expovariate(1 / awake)


def _deaths(rng: Random, name: str, end: float, means: Misfortune) -> Iterator[Event]:
    at = rng.expovariate(1 / means.life)
    while at < end:
        yield Event(at, "death", name)
        at += rng.expovariate(1 / means.absence)
        yield Event(at, "replaced", name)
        at += rng.expovariate(1 / means.life)


class Month(NamedTuple):
    """How it stands at the end of a month.

    Args:
        at: seconds since the beginning.
        lost: files of which fewer than k sound shares exist on any disk.
        fewest: sound shares of the worst file that is not lost.
        mean: sound shares of a file.
        moved: bytes that the caretaker has moved in this month.
        deaths: disks that have died so far.
        strays: shares in a server's trash that the caretaker still takes to be there; there should never be any.
    """

    at: float
    lost: int
    fewest: int
    mean: float
    moved: float
    deaths: int
    strays: int = 0


@dataclass(slots=True)
class Outcome:
    """What became of a life.

    Args:
        months: month by month.
        unreadable: directories that can't be listed at the end, with all servers awake.
        tidings: what the caretaker did, by name.
        distrusted: nicknames of the servers that it has found to lie.
    """

    months: list[Month] = field(default_factory=list)
    unreadable: int = 0
    tidings: dict[str, int] = field(default_factory=dict)
    distrusted: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Files lost by the end."""
        return self.months[-1].lost


class Years:
    """Lives one life.

    Args:
        plan: of it.
    """

    def __init__(self, plan: YearsPlan) -> None:
        self.plan = plan
        options = GridOptions(
            fidelity="phantom",
            introducers=0,
            acquainted=True,
            upkeep=Upkeep(0, 0, 0),
            limits=Limits(segment=2**20),
            care=plan.care,
            collect_every=MONTH,
        )
        self.grid = SimGrid(f"years {plan.seed}", servers=plan.servers, options=options)
        self._rng = Random(f"rot {plan.seed}")
        self._down: dict[str, set[str]] = {}
        self._liars: dict[str, dict[bytes, Any]] = {}
        self._deaths = 0
        self._moved = 0.0
        self.files: list[ImmutableRead] = []
        self.directories: list[Directory] = []
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Store, live, count."""
        self._store()
        began = self.grid.world.now()
        for event in draw_events(self.plan):
            self.grid.world.at(began + event.at, self._strike, event)
        for month in range(1, round(self.plan.years * 12) + 1):
            self.grid.run(began + month * MONTH - self.grid.world.now())
            self._change_directories(month)
            self.outcome.months.append(self._look(month * MONTH))
        self._conclude()
        return self.outcome

    # --- what the owner does ------------------------------------------------------------------------------------

    @property
    def _owner(self) -> Client:
        return cast("Client", self.grid.node(OWNER).actor(CLIENT))

    @property
    def caretaker(self) -> Caretaker | None:
        """The owner's."""
        return None if self.plan.care is None else cast("Caretaker", self.grid.node(OWNER).actor(CARETAKER))

    def _store(self) -> None:
        for number in range(self.plan.files):
            capability = parse(self.grid.upload(cast("Any", Phantom(self.plan.file_size, f"file {number}"))))
            assert isinstance(capability, ImmutableRead), "files are large"
            self.files.append(capability)
        share = -(-len(self.files) // max(1, self.plan.directories))
        for number in range(self.plan.directories):
            some = self.files[number * share : (number + 1) * share]
            children = {f"{number}-{place}": NewChild(file) for place, file in enumerate(some)}
            self.directories.append(self.grid.run(self._owner.directories.create(children)))
        if self.caretaker is not None:
            top = {f"{number}": NewChild(directory) for number, directory in enumerate(self.directories)}
            root = self.grid.run(self._owner.directories.create(top))
            self.grid.run(self.caretaker.add("home", str(root)))

    def _change_directories(self, month: int) -> None:
        """A link more in every directory; where too few homes are awake, another time."""
        for number, directory in enumerate(self.directories):
            link = {f"month {month}": NewChild(self.files[(number + month) % len(self.files)])}
            try:
                self.grid.run(self._owner.directories.set_children(directory, link))
            except TahoeError:
                continue

    # --- what happens to servers ----------------------------------------------------------------------------------

    def _strike(self, event: Event) -> None:
        match event.kind:
            case "down" | "up":
                self._sleep(event.server, "asleep", down=event.kind == "down")
            case "death":
                self._deaths += 1
                self._empty(event.server)
                self._sleep(event.server, "dead", down=True)
            case "replaced":
                self._sleep(event.server, "dead", down=False)
            case "rot":
                self._rot()
            case "lie":
                self._lie(event.server)

    def _sleep(self, name: str, reason: str, *, down: bool) -> None:
        """A server is down as long as there is a reason for it."""
        reasons = self._down.setdefault(name, set())
        was_down = bool(reasons)
        (reasons.add if down else reasons.discard)(reason)
        if reasons and not was_down:
            self.grid.crash(name)
        elif was_down and not reasons:
            self.grid.restart(name)
            if name in self._liars:
                self._claim(name)

    def _empty(self, name: str) -> None:
        self._liars.pop(name, None)
        self.grid.fleet.disks[name] = self.grid.fleet.new_disk()

    def _platter(self, name: str) -> MemoryStore:
        return cast("MemoryStore", self.grid.fleet.disks[name].platter.open().shares)

    def _rot(self) -> None:
        """Spoil a share, anywhere."""
        file = self._rng.choice(self.files)
        holders = [name for name in self.grid.fleet.disks if self._platter(name).shares(file.storage_index)]
        if holders:
            shares = self._platter(self._rng.choice(holders))._shares[file.storage_index]  # noqa: SLF001  # rot asks nobody
            share = shares[self._rng.choice(sorted(shares))]
            share.content = cast("Any", share.content).spoiled()

    def _lie(self, name: str) -> None:
        """From now on a server keeps nothing of what it has, and claims all of it."""
        store = self._platter(name)
        self._liars[name] = {index: store.shares(index) for index in store.storage_indexes()}
        store._shares.clear()  # noqa: SLF001  # what a liar does with its disk it does not tell
        if self.grid.node(name).incarnation is not None:
            self._claim(name)

    def _claim(self, name: str) -> None:
        mounted, claims = cast("Any", self.grid.fleet.disks[name].store), self._liars[name]
        truth = mounted.shares
        mounted.shares = lambda index: claims.get(index) or truth(index)

    # --- what is left ---------------------------------------------------------------------------------------------

    def sound_shares(self, file: ImmutableRead) -> set[int]:
        """Numbers of sound shares of a file on any disk, whoever sleeps."""
        found: set[int] = set()
        for name in self.grid.fleet.disks:
            held = self._platter(name)._shares.get(file.storage_index, {})  # noqa: SLF001  # the oracle sees everything
            found.update(number for number, share in held.items() if cast("Any", share.content).intact)
        return found

    def _look(self, at: float) -> Month:
        counts = [len(self.sound_shares(file)) for file in self.files]
        needed = self.files[0].needed
        alive = [count for count in counts if count >= needed]
        moved = 0.0 if self.caretaker is None else self.caretaker.tidings.bytes
        month = Month(
            at=at,
            lost=len(counts) - len(alive),
            fewest=min(alive, default=0),
            mean=sum(counts) / len(counts),
            moved=moved - self._moved,
            deaths=self._deaths,
            strays=self._strays(),
        )
        self._moved = moved
        return month

    def _strays(self) -> int:
        """Shares collected although a living caretaker still reaches them."""
        if self.caretaker is None:
            return 0
        names, strays = {node.name: name for name, node in self.grid.fleet.nodes.items()}, 0
        for record in self.caretaker.care.records.values():
            index = record.target.storage_index
            for number, homes in record.homes.items():
                trashes = [self._platter(names[node])._trash for node in homes]  # noqa: SLF001  # the oracle sees everything
                strays += sum(trash.holds(index, number) for trash in trashes)
        return strays

    def _conclude(self) -> None:
        """Everybody wakes up, and all directories are listed."""
        for name, reasons in self._down.items():
            if reasons:
                reasons.clear()
                self.grid.restart(name)
        self.grid.run(HOUR)
        for directory in self.directories:
            try:
                self.grid.run(self._owner.directories.list(directory))
            except TahoeError:
                self.outcome.unreadable += 1
        if self.caretaker is not None:
            self.outcome.tidings = dict(self.caretaker.tidings.counts)
            liars = self.caretaker.care.trust.distrusted
            self.outcome.distrusted = [name for name, node in self.grid.fleet.nodes.items() if node.name in liars]


def live(plan: YearsPlan) -> Outcome:
    """One life, from beginning to end."""
    return Years(plan).run()


def worst_month(months: Sequence[Month]) -> Month:
    """The month in which most was moved."""
    return max(months, key=lambda month: month.moved)
