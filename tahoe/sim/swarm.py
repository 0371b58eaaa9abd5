"""Many seeds, each a random world with random work and random faults, judged by oracles.

The oracles know nothing of how things are done, only what may never happen:

* A reader is never given wrong bytes, whatever goes wrong.
* A story ends with a value or with an error of the world (``TahoeError``); anything else is a bug.
* What clients were told about slots and directories can all be true (``sim/history.py``): acknowledged changes are
  there, refused ones are not, those of which nobody knows are either.
* A file whose upload was acknowledged comes back once the faults are over, if k of its shares are sound and
  reachable; and each acknowledged share is still there, unless its very disk was spoiled.
* Nobody is told that what honest people wrote is nonsense, nor shown an older version of a slot than one he has written.
* Nobody goes back to what a node said of itself before.
* No server has a version of a slot that its owner did not sign, or an older one than it had.
* No two packets are sealed under one counter of one session.
* Once the faults are over, everything works again, within a time; what is cared for gets whole unasked; and a server that says
  it may go is missed by nobody.
* Nothing grows: when all is quiet, no story, no open ask, no kept answer is left over.

Where servers lose or deny what they promised to keep (``Plan.is_harsh``), nobody can hold the grid to its promises
about what is newest; all else is demanded there, too.

Beside that the swarm counts what it has met: a search that never saw a conflict says nothing about conflicts.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from random import Random
from typing import Any, TypeAlias

from tahoe.actors.directories import NewChild
from tahoe.actors.keeper import Target
from tahoe.actors.slotterms import SlotTerms, tearproof
from tahoe.actors.storage import Upkeep
from tahoe.actors.terms import Limits
from tahoe.codec.capability import ImmutableRead, ImmutableVerify
from tahoe.errors import TahoeError
from tahoe.policy.lease import CollectionTerms
from tahoe.sim import carework, keepwork
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.chores import AnyChore, Chores
from tahoe.sim.disks import MemoryPlatter, VolatilePlatter
from tahoe.sim.faults import Schedule, Scheduled
from tahoe.sim.grid import SimGrid
from tahoe.sim.node import Node
from tahoe.sim.oracles import (
    RosterWatch,
    SlotWatch,
    WireWatch,
    check_history,
    check_kept,
    check_made,
    check_quiet,
    check_rosters,
    is_quiet,
    sound_shares,
)
from tahoe.sim.plan import CALM_AT, Case, Plan, draw
from tahoe.sim.sequence import drawing, events
from tahoe.sim.sites import bend
from tahoe.sim.violation import Violation
from tahoe.sim.wire import Access, Link
from tahoe.sim.workshop import Acknowledged, Workshop, token_of
from tahoe.storage.store import DEFAULT_OPTIONS, StoreOptions

__all__ = ["Trial", "Verdict", "Verdicts", "Violation", "attempt", "charted"]

SETTLING_SECONDS = 130.0
"""From the calm until everybody must have found everybody again: introducers are asked every minute."""
DRAINING_SECONDS = 900.0
"""And until lines that are full must have run empty."""
NEARLY_IDLE = 5_000
"""Bytes that may wait for a line that counts as empty."""
WORKING_SECONDS = 240.0
"""After that, whatever anybody wants has to be done within this time."""
QUIET_SECONDS = 300.0
"""After the last work, until nothing of it may be left."""
QUIET_LOOKS = 60
"""So often it is looked whether anybody is still at work, a second apart: caretakers are, every few seconds."""
WATCH_SECONDS = 5.0
"""How often the disks are looked at during the storm."""

SCRUB_SECONDS = 20.0
"""Between the scrubs of two shares."""
LEASE_SECONDS = 1600
"""How long leases last where they are short: half of that is more than storm, calm and new work take."""
COLLECT_SECONDS = 60.0
RENEWING_SECONDS = 500.0
"""Between two renewals of what is to be kept."""
OUTLASTING_SECONDS = 2.2 * LEASE_SECONDS
"""By then leases that nobody renewed have run out on most servers, whose time may go at half its pace."""

MOST_LINES = 20_000
GOSSIP = ("Join", "RosterChanged", "ShareRoots")
"""What nodes tell each other all the time, and charts leave out."""
MOST_DRAWN = 400
"""Events that a chart shows."""

SOMETIMES = (
    "backup done",
    "care mended",
    "ChildExists",
    "collected",
    "Conflict",
    "drained",
    "Indefinite",
    "NoSuchChild",
    "NotEnoughServers",
    "NotEnoughShares",
    "RolledBack",
    "heads merged",
    "nobody there",
    "repair done",
    "shares made",
    "stale read",
    "stale listing",
    "crashed at work",
    "Torn",
    "verify done",
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
        digest: hash of everything that happened, if it was traced.
        sometimes: what was met, and in how many seeds.
    """

    seed: int
    failure: str = ""
    seeds: int = 0
    chores: int = 0
    faults: int = 0
    messages: int = 0
    digest: str = ""
    sometimes: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Verdict) -> Verdict:
        counts = {each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)[2:]}
        return Verdict(self.seed, self.failure or other.failure, **counts)

    def line(self) -> str:
        """The seed, what it came to, and the hash of its trace."""
        return f"seed {self.seed} {'failed' if self.failure else 'passed'} {self.digest}"

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


def attempt(
    seed: int, schedule: Schedule | None = None, jobs: Chores | None = None, *, is_hashed: bool = False
) -> Verdict:
    """Run a seed, with its own work and faults or others; what fails is in the verdict.

    Args:
        seed: names the run.
        schedule: faults instead of the seed's.
        jobs: work instead of the seed's.
        is_hashed: hash everything that happens.
    """
    trial = Trial(draw(seed), schedule, jobs, _unseen if is_hashed else None)
    try:
        trial.run()
    except Exception as error:  # noqa: BLE001  # whatever it is, the seed has failed, and the next one is to be run
        notes = "; ".join(getattr(error, "__notes__", ()))
        trial.verdict.failure = f"{type(error).__name__}: {error} {notes}".strip()
    if is_hashed:
        trial.verdict.digest = trial.digest
    return trial.verdict


def _unseen(line: str) -> None:
    """Nobody looks at the trace."""


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
    rosters: RosterWatch = field(init=False)

    def __post_init__(self) -> None:
        if self.schedule is not None or self.jobs is not None:
            faults = self.plan.faults if self.schedule is None else self.schedule
            self.plan = _changed(self.plan, faults, self.plan.jobs if self.jobs is None else self.jobs)
        self.verdict = Verdict(self.plan.seed, seeds=1)

    @property
    def digest(self) -> str:
        """The hash of all that has happened, of a run that is traced."""
        trace = self.grid.world.trace
        return "" if trace is None else trace.digest

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
        self.watch, self.rosters = SlotWatch(self.grid), RosterWatch(self.grid)
        self.workshop = Workshop(self.grid, max(8, plan.segment // 3 // 8 * 8), plan.encoding.happy)
        self.workshop.set_up()
        self._storm()
        self._calm()
        self._settle()
        self.rosters.look()
        check_rosters(self.grid)
        self._work_again()
        self._judge()
        if plan.are_leases_short:
            self._renew(self.workshop.files)
        if plan.is_mended:
            self._mend()
        if plan.is_cared_for and not (plan.spoiled or plan.is_lied_to):
            carework.check_cared_for(self.workshop)
        if not plan.spoiled:
            self._let_leave()
        if plan.are_leases_short:
            self._outlast_leases()
        self.grid.run(QUIET_SECONDS)
        self.watch.look(may_lose=plan.is_harsh, again=True)
        self._await_quiet()
        check_quiet(self.grid)
        self._count()

    def _count(self) -> None:
        carework.count_care(self.workshop)
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
        self.grid.fleet.note_announcements()
        self.grid.apply(tuple(Scheduled(begin + entry.at, entry.fault) for entry in plan.faults))
        for job in plan.jobs:
            self.grid.world.at(begin + job.at, self._begin, job)
        while self.grid.world.now() < begin + CALM_AT:
            self.grid.run(WATCH_SECONDS)
            self.watch.look(may_lose=plan.is_harsh)
            self.rosters.look()

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

    def _settle(self) -> None:
        """Let everybody find everybody again, and the lines run empty: what a liar has said fills a slow one for minutes."""
        self.grid.run(SETTLING_SECONDS)
        self._drain()

    def _drain(self) -> None:
        """Let the lines run empty.

        Raises:
            Violation: they don't.
        """
        network, began = self.grid.network, self.grid.world.now()
        nodes = [node.name for node in self.grid.fleet.nodes.values()]
        while (
            max(wire.backlog(self.grid.world.now()) for name in nodes for wire in network.wires_of(name)) > NEARLY_IDLE
        ):
            if self.grid.world.now() > began + DRAINING_SECONDS:
                raise Violation("the lines don't run empty")
            self.grid.run(WATCH_SECONDS)

    def _work_again(self) -> None:
        """Every client can store, and make and change directories, within a time; and what there was works again."""
        for client, node in enumerate(self.grid.clients):
            self._do_in_time(node, self._new_work(client))
            self._drain()  # questions that wait behind a file on a slow line of one's own are not answered in time
            if not self.plan.is_harsh:
                self._do_in_time(node, self._old_work(client))

    def _do_in_time(self, node: Node, work: Coroutine[Any, Any, None]) -> None:
        began = self.grid.world.now()
        self.grid.run(node.observe(work))
        took, most = self.grid.world.now() - began, WORKING_SECONDS
        if took > most:
            raise Violation(f"{node.profile.nickname} took {took:.0f} s for what has to be done within {most:.0f}")

    def _mend(self) -> None:
        """Every file is repaired as far as it can be, and whole then; and so is every slot.

        Raises:
            Violation: a repair left something undone, though nothing is wrong any more.
        """
        for target in self.workshop.targets():
            self.grid.run(self.grid.clients[0].observe(self._mend_one(target)))
        check_made(self.grid, self.workshop.made, self.plan.spoiled)

    async def _mend_one(self, target: Target) -> None:
        workshop = self.workshop
        before = {number for _, number in keepwork.sound_on(workshop, target)}
        examination = await keepwork.verify(workshop, 0, target)
        if not examination.health.is_recoverable:
            return
        await keepwork.repair(workshop, 0, examination)
        if isinstance(target, ImmutableVerify):
            after = {number for _, number in keepwork.sound_on(workshop, target)}
            if len(after) < target.total and not self.plan.spoiled:  # a disk that rots spoils what is put there anew
                raise Violation(f"a file was repaired, and has shares {sorted(after)} after {sorted(before)}")
        elif not self.plan.is_harsh:
            (again,) = await workshop.client(0).keeper.check([target])
            if not again.health.is_healthy:
                raise Violation(f"a slot was repaired, and is {again.health.summary}")

    def _outlast_leases(self) -> None:
        """Renew the leases of every second file, and of all slots, until those of the others must have run out.

        Raises:
            Violation: something that was leased is gone.
        """
        kept = self.workshop.files[1::2]
        for _ in range(round(OUTLASTING_SECONDS / RENEWING_SECONDS)):
            self._renew(kept)
            self.grid.run(RENEWING_SECONDS)
        self._renew(kept)
        check_kept(self.grid, kept, self.plan.spoiled)
        self._check_all_come_back(kept)
        if not self.plan.is_harsh:
            self.grid.run(self.grid.clients[0].observe(self.workshop.look_at_everything(0)))
        gone = [file for file in self.workshop.files[::2] if file.is_gone_from(self.grid)]
        self.workshop.told["collected"] += len(gone)

    def _renew(self, kept: Iterable[Acknowledged]) -> None:
        """Renew the leases of some files, and of all slots and directories."""
        files = (file.result.capability for file in kept)
        targets = keepwork.targets_of((*files, *self.workshop.slots, *self.workshop.directories))
        self.grid.run(self.grid.clients[0].observe(keepwork.renew(self.workshop, 0, targets)))

    def _let_leave(self) -> None:
        """Whoever was given notice gets empty, and then nobody needs him.

        Raises:
            Violation: he does not, or something is lost with him.
        """
        for name in self.plan.leavers:
            carework.drain(self.workshop, name)
            self.grid.crash(name)
            self._check_all_come_back(self.workshop.files)
            self._do_in_time(self.grid.clients[0], self.workshop.look_at_everything(0))
            self.grid.restart(name)

    def _await_quiet(self) -> None:
        """Wait for a moment in which no caretaker is at work."""
        for _ in range(QUIET_LOOKS):
            if all(map(is_quiet, self.grid.fleet.nodes.values())):
                return
            self.grid.run(1.0)

    async def _new_work(self, client: int) -> None:
        content = Random(f"recovery {client}").randbytes(2 * self.plan.segment)
        await self.workshop.store(content, client, None)
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
        self._check_all_come_back(self.workshop.files)
        if not self.plan.is_harsh:
            check_history(self.workshop)

    def _check_all_come_back(self, files: Iterable[Acknowledged]) -> None:
        for number, file in enumerate(files):
            self._check_comes_back(file, number % len(self.grid.clients))

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
    disk = VolatilePlatter if plan.platter == "volatile" else MemoryPlatter
    seconds = LEASE_SECONDS if plan.are_leases_short else DEFAULT_OPTIONS.lease_seconds
    needed, total = plan.encoding.needed, plan.encoding.total
    options = GridOptions(
        fidelity="wire" if plan.is_sealed else "message",
        encoding=plan.encoding,
        access=lambda _: Access(link, link),
        limits=Limits(segment=plan.segment, small=plan.small),
        upkeep=Upkeep(scrub_every=SCRUB_SECONDS),
        slots=SlotTerms(tearproof(needed, total), total, segment_size=plan.segment),
        platter=lambda: disk(StoreOptions(lease_seconds=seconds)),
        lease_seconds=seconds,
        care=carework.CARE if plan.is_cared_for else None,
        drained=bool(plan.leavers),
        collection=CollectionTerms(grace=0.0, window=0.0, headroom=0.0) if plan.are_leases_short else CollectionTerms(),
        collect_every=COLLECT_SECONDS if plan.are_leases_short else 3600.0,
        vdrives=1,
        ties=plan.ties,
        traced=traced,
    )
    return bend(options, plan.bent)
