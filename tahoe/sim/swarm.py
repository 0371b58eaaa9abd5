"""Many seeds, each a random world with random work and random faults, judged by oracles.

The oracles know nothing of how things are done, only what may never happen:

* A reader is never given wrong bytes, whatever goes wrong.
* A story ends with a value or with an error of the world (``TahoeError``); anything else is a bug.
* What clients were told about slots and directories can all be true (``sim/history.py``): acknowledged changes are
  there, refused ones are not, those of which nobody knows are either.
* A file whose upload was acknowledged comes back once the faults are over, if k of its shares are sound and
  reachable; and each acknowledged share is still there, unless its very disk was spoiled.
* No server has a version of a slot that its owner did not sign, or an older one than it had.
* No two packets are sealed under one counter of one session.
* Once the faults are over, everything works again, within a time.
* Nothing grows: when all is quiet, no story, no open ask, no kept answer is left over.

Where servers lose or deny what they promised to keep (``Plan.is_harsh``), nobody can hold the grid to its promises
about what is newest; all else is demanded there, too.

Beside that the swarm counts what it has met: a search that never saw a conflict says nothing about conflicts.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from random import Random
from typing import TypeAlias

from tahoe.actors.directories import NewChild
from tahoe.actors.storage import Upkeep
from tahoe.actors.terms import Limits
from tahoe.codec.capability import ImmutableRead
from tahoe.errors import TahoeError
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.chores import AnyChore, Chores
from tahoe.sim.disks import MemoryPlatter, VolatilePlatter
from tahoe.sim.faults import Schedule, Scheduled
from tahoe.sim.grid import SimGrid
from tahoe.sim.oracles import SlotWatch, WireWatch, check_history, check_kept, check_quiet, sound_shares
from tahoe.sim.plan import CALM_AT, Case, Plan, draw
from tahoe.sim.sequence import drawing, events
from tahoe.sim.wire import Access, Link
from tahoe.sim.workshop import Acknowledged, Violation, Workshop, token_of

__all__ = ["Trial", "Verdict", "Verdicts", "Violation", "attempt", "charted"]

SETTLING_SECONDS = 130.0
"""From the calm until everybody must have found everybody again: introducers are asked every minute."""
WORKING_SECONDS = 240.0
"""After that, whatever anybody wants has to be done within this time."""
QUIET_SECONDS = 300.0
"""After the last work, until nothing of it may be left."""
WATCH_SECONDS = 5.0
"""How often the disks are looked at during the storm."""

SCRUB_SECONDS = 20.0
"""Between the scrubs of two shares."""

MOST_LINES = 20_000
GOSSIP = ("Join", "RosterChanged", "ShareRoots")
"""What nodes tell each other all the time, and charts leave out."""
MOST_DRAWN = 400
"""Events that a chart shows."""

SOMETIMES = (
    "ChildExists",
    "Conflict",
    "Indefinite",
    "NoSuchChild",
    "NotEnoughServers",
    "NotEnoughShares",
    "RolledBack",
    "heads merged",
    "stale read",
    "stale listing",
    "crashed at work",
    "harsh",
    "lost",
    "duplicated",
    "reordered",
    "blocked",
    "broker lost",
)
"""Rare states that a swarm of some size has to have met."""


@dataclass(slots=True)
class Verdict:
    """What came of a seed, or of many.

    Args:
        seed: it is about.
        failure: what went wrong; empty: nothing.
        seeds: how many.
        chores: how much was to be done.
        faults: that struck.
        messages: packets that arrived.
        sometimes: what was met, and in how many seeds.
    """

    seed: int
    failure: str = ""
    seeds: int = 0
    chores: int = 0
    faults: int = 0
    messages: int = 0
    sometimes: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Verdict) -> Verdict:
        counts = {each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)[2:]}
        return Verdict(self.seed, self.failure or other.failure, **counts)

    def summary(self) -> str:
        """The counts in a sentence."""
        return f"{self.seeds} seeds: {self.chores} pieces of work, {self.faults} faults, {self.messages} packets"

    def met(self) -> str:
        """Rare states, each with the number of seeds that met it."""
        return ", ".join(f"{state} {self.sometimes[state]}" for state in SOMETIMES)

    def never(self) -> list[str]:
        """Rare states that were not met."""
        return [state for state in SOMETIMES if not self.sometimes[state]]


Verdicts: TypeAlias = Iterable[Verdict]


def attempt(seed: int, schedule: Schedule | None = None, jobs: Chores | None = None) -> Verdict:
    """Run a seed, with its own work and faults or others; what fails is in the verdict."""
    trial = Trial(draw(seed), schedule, jobs)
    try:
        trial.run()
    except Exception as error:  # noqa: BLE001  # whatever it is, the seed has failed, and the next one is to be run
        notes = "; ".join(getattr(error, "__notes__", ()))
        trial.verdict.failure = f"{type(error).__name__}: {error} {notes}".strip()
    return trial.verdict


def charted(case: Case) -> str:
    """Run a case; the chart of its end, as SVG: requests where they arrive, and faults."""
    lines: deque[str] = deque(maxlen=MOST_LINES)
    trial = Trial(draw(case.seed), case.faults, case.jobs, lines.append)
    with suppress(Exception):  # that it fails is known
        trial.run()
    shown = [event for event in events(lines) if event.kind != "packet" and not event.text.startswith(GOSSIP)]
    return drawing(shown[-MOST_DRAWN:], f"seed {case.seed}: the end of it")


@dataclass
class Trial:
    """One run of a plan.

    Args:
        plan: what happens.
        schedule: faults instead of the plan's.
        jobs: work instead of the plan's.
        show: is handed every line of the trace.
    """

    plan: Plan
    schedule: Schedule | None = None
    jobs: Chores | None = None
    show: Callable[[str], None] | None = None
    verdict: Verdict = field(init=False)
    grid: SimGrid = field(init=False)
    workshop: Workshop = field(init=False)
    watch: SlotWatch = field(init=False)

    def __post_init__(self) -> None:
        if self.schedule is not None or self.jobs is not None:
            faults = self.plan.faults if self.schedule is None else self.schedule
            self.plan = _changed(self.plan, faults, self.plan.jobs if self.jobs is None else self.jobs)
        self.verdict = Verdict(self.plan.seed, seeds=1)

    def run(self) -> None:
        """Build the grid, let the storm pass, ask the oracles.

        Raises:
            Violation: an oracle was violated.
        """
        plan = self.plan
        self.grid = SimGrid(plan.seed, plan.servers, plan.clients, _options(plan, traced=self.show is not None))
        if self.grid.world.trace is not None:
            self.grid.world.trace.show = self.show
        WireWatch(self.grid.network)
        self.watch = SlotWatch(self.grid)
        self.workshop = Workshop(self.grid, max(8, plan.segment // 3 // 8 * 8))
        self.workshop.set_up()
        self._storm()
        self._calm()
        self.grid.run(SETTLING_SECONDS)
        self._work_again()
        self._judge()
        self.grid.run(QUIET_SECONDS)
        self.watch.look(may_lose=plan.is_harsh, again=True)
        check_quiet(self.grid)
        self._count()

    def _count(self) -> None:
        met = dict(self.workshop.told) | dict(self.grid.network.counters)
        self.verdict.sometimes = Counter(dict.fromkeys((name for name, count in met.items() if count), 1))
        self.verdict.sometimes["harsh"] = int(self.plan.is_harsh)
        self.verdict.chores = len(self.plan.jobs)
        self.verdict.faults = len(self.plan.faults)
        self.verdict.messages = self.grid.network.delivered

    # --- the storm --------------------------------------------------------------------------------------------

    def _storm(self) -> None:
        """Times of plans are counted from here."""
        plan, begin = self.plan, self.grid.world.now()
        self.grid.apply(tuple(Scheduled(begin + entry.at, entry.fault) for entry in plan.faults))
        for job in plan.jobs:
            self.grid.world.at(begin + job.at, self._begin, job)
        while self.grid.world.now() < begin + CALM_AT:
            self.grid.run(WATCH_SECONDS)
            self.watch.look(may_lose=plan.is_harsh)

    def _begin(self, job: AnyChore) -> None:
        node = self.grid.clients[job.client]
        if node.incarnation is not None:
            self.grid.world.spawn(self._do(job), node.incarnation.life)

    async def _do(self, job: AnyChore) -> None:
        try:
            await self.workshop.do(job)
        except BaseException as error:
            if not isinstance(error, Exception):
                self.workshop.told["crashed at work"] += 1
            raise

    def _calm(self) -> None:
        """End whatever is still wrong with network, processes and servers' minds."""
        for name, node in self.grid.fleet.nodes.items():
            node.liar = None
            if node.incarnation is None:
                self.grid.restart(name)
        self.grid.fleet.trouble(self.grid.fleet.nodes, None)

    # --- afterwards -------------------------------------------------------------------------------------------

    def _work_again(self) -> None:
        """Every client can store, and make and change directories, within a time; and what there was works again."""
        for client, node in enumerate(self.grid.clients):
            began = self.grid.world.now()
            self.grid.run(node.observe(self._new_work(client)))
            if not self.plan.is_harsh:
                self.grid.run(node.observe(self._old_work(client)))
            took = self.grid.world.now() - began
            if took > WORKING_SECONDS:
                raise Violation(
                    f"client {client} took {took:.0f} s for what has to be done within {WORKING_SECONDS:.0f}"
                )

    async def _new_work(self, client: int) -> None:
        content = Random(f"recovery {client}").randbytes(2 * self.plan.segment)
        result = await self.grid.store(content, client, None)
        self.workshop.files.append(Acknowledged(content, str(result.capability), result))
        directories = self.workshop.client(client).directories
        made = await directories.create()
        await directories.set_children(made, {"a": NewChild(token_of(1))})
        if list(await directories.list(made)) != ["a"]:
            raise Violation("a new directory has not what was linked")

    async def _old_work(self, client: int) -> None:
        """Everything is read; then changed, which mends what writers left half done, and read again with certainty."""
        workshop = self.workshop
        await workshop.look_at_everything(client)
        await workshop.change_everything(client)
        stale = workshop.told["stale read"] + workshop.told["stale listing"]
        await workshop.look_at_everything(client)
        if workshop.told["stale read"] + workshop.told["stale listing"] > stale:
            raise Violation(f"client {client} still gets what may be stale")

    def _judge(self) -> None:
        check_kept(self.grid, self.workshop.files, self.plan.spoiled)
        for number, file in enumerate(self.workshop.files):
            self._check_comes_back(file, number % len(self.grid.clients))
        if not self.plan.is_harsh:
            check_history(self.workshop)

    def _check_comes_back(self, file: Acknowledged, client: int) -> None:
        capability = file.result.capability
        if not isinstance(capability, ImmutableRead):
            return
        try:
            self.grid.run(self.grid.clients[client].observe(self.workshop.read_file(file, client)))
        except TahoeError as error:
            sound = dict.fromkeys(share for shares in sound_shares(self.grid, capability).values() for share in shares)
            if len(sound) >= capability.needed:
                raise Violation(f"{len(sound)} sound shares, and yet the file can't be read: {error}") from error


def _changed(plan: Plan, faults: Schedule, jobs: Chores) -> Plan:
    """The plan with other faults and other work."""
    return replace(plan, faults=faults, jobs=jobs)


def _options(plan: Plan, *, traced: bool) -> GridOptions:
    link = Link(plan.latency, plan.bandwidth)
    return GridOptions(
        encoding=plan.encoding,
        access=lambda _: Access(link, link),
        limits=Limits(segment=plan.segment, small=plan.small),
        upkeep=Upkeep(scrub_every=SCRUB_SECONDS),
        platter=VolatilePlatter if plan.platter == "volatile" else MemoryPlatter,
        vdrives=1,
        ties=plan.ties,
        traced=traced,
    )
