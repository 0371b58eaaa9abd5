"""Many seeds, each a random world with a random workload and random faults, judged by oracles.

The oracles know nothing of how things are done, only what may never happen:

* A reader is never given wrong bytes, whatever goes wrong.
* A story ends with a value or with an error of the world (``TahoeError``); anything else is a bug.
* A file whose upload was acknowledged comes back once the faults are over, if k of its shares are sound and
  reachable; and each acknowledged share is still there, unless its very disk was spoiled.
* Once the faults are over, everything works again.
* Nothing grows: when all is quiet, no story, no open ask, no kept answer is left over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from random import Random
from typing import NamedTuple, TypeAlias

from tahoe.actors.terms import Limits
from tahoe.actors.upload import UploadResult
from tahoe.codec.capability import ImmutableRead
from tahoe.errors import TahoeError
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.disks import MemoryPlatter, VolatilePlatter
from tahoe.sim.faults import DiskFault, Restart, Schedule
from tahoe.sim.grid import CONVERGENCE, SimGrid
from tahoe.sim.node import Node
from tahoe.sim.plan import CALM_AT, Job, Plan, draw
from tahoe.sim.weight import Weight, weigh
from tahoe.sim.wire import Access, Link
from tahoe.storage.faulty import Forgets, Rots

SETTLING_SECONDS = 130.0
"""From the calm until everybody must have found everybody again: introducers are asked every minute."""
QUIET_SECONDS = 300.0
"""After the last work, until nothing of it may be left."""


class Violation(AssertionError):
    """An oracle says that something happened which must not."""


@dataclass(slots=True)
class Verdict:
    """What came of a seed, or of many."""

    seed: int
    failure: str = ""
    seeds: int = 0
    stored: int = 0
    refused: int = 0
    fetched: int = 0
    unavailable: int = 0
    faults: int = 0
    messages: int = 0

    def __add__(self, other: Verdict) -> Verdict:
        counts = {each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)[2:]}
        return Verdict(self.seed, self.failure or other.failure, **counts)

    def summary(self) -> str:
        """The counts in a sentence."""
        return (
            f"{self.seeds} seeds: {self.stored} files stored, {self.refused} not; {self.fetched} fetched, "
            f"{self.unavailable} out of reach; {self.faults} faults, {self.messages} packets"
        )


Verdicts: TypeAlias = Iterable[Verdict]


class Acknowledged(NamedTuple):
    """A file whose upload was reported as done."""

    content: bytes
    capability: str
    result: UploadResult


def attempt(seed: int, schedule: Schedule | None = None) -> Verdict:
    """Run a seed, with its own faults or others; what fails is in the verdict."""
    trial = Trial(draw(seed), schedule)
    try:
        trial.run()
    except Exception as error:  # noqa: BLE001  # whatever it is, the seed has failed, and the next one is to be run
        notes = "; ".join(getattr(error, "__notes__", ()))
        trial.verdict.failure = f"{type(error).__name__}: {error} {notes}".strip()
    return trial.verdict


def content_of(job: Job) -> bytes:
    """The bytes of a job's file."""
    return Random(f"content {job.content} {job.size}").randbytes(job.size)


@dataclass
class Trial:
    """One run of a plan.

    Args:
        plan: what happens.
        schedule: faults instead of the plan's.
    """

    plan: Plan
    schedule: Schedule | None = None
    verdict: Verdict = field(init=False)
    grid: SimGrid = field(init=False)
    acknowledged: list[Acknowledged] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.verdict = Verdict(self.plan.seed, seeds=1)

    def run(self) -> None:
        """Build the grid, let the storm pass, ask the oracles.

        Raises:
            Violation: an oracle was violated.
        """
        plan = self.plan
        faults = plan.faults if self.schedule is None else self.schedule
        self.grid = SimGrid(plan.seed, plan.servers, plan.clients, _options(plan))
        self.verdict.faults = len(faults)
        self.grid.apply(faults)
        for job in plan.jobs:
            self.grid.world.at(job.at, self._begin, job)
        self.grid.run(CALM_AT - self.grid.world.now())
        self._calm()
        self.grid.run(SETTLING_SECONDS)
        self._store_again()
        self._check_acknowledged(faults)
        self.grid.run(QUIET_SECONDS)
        self._check_memory()
        self.verdict.messages = self.grid.network.delivered

    # --- the workload ---------------------------------------------------------------------------

    def _begin(self, job: Job) -> None:
        node = self.grid.clients[job.client]
        if node.incarnation is not None:
            self.grid.world.spawn(self._do(job), node.incarnation.life)

    async def _do(self, job: Job) -> None:
        """Store a file and read it back, in whatever weather."""
        content = content_of(job)
        try:
            result = await self.grid.store(content, job.client, CONVERGENCE if job.convergent else None)
        except TahoeError:
            self.verdict.refused += 1
            return
        self.verdict.stored += 1
        capability = str(result.capability)
        self.acknowledged.append(Acknowledged(content, capability, result))
        offset, length = job.size // 3, job.size // 2
        await self._read(content, capability, job.client, 0, None)
        await self._read(content, capability, job.client, offset, length)

    async def _read(self, content: bytes, capability: str, client: int, offset: int, length: int | None) -> bool:
        """Read a part of a file. True if it came, False if the world said that it can't."""
        try:
            found = await self.grid.fetch(capability, client, offset, length)
        except TahoeError:
            self.verdict.unavailable += 1
            return False
        expected = content[offset:] if length is None else content[offset : offset + length]
        if found != expected:
            raise Violation(f"wrong bytes: {len(found)} instead of {len(expected)} of {capability}")
        self.verdict.fetched += 1
        return True

    # --- the oracles ------------------------------------------------------------------------------

    def _calm(self) -> None:
        """End whatever is still wrong with network and processes."""
        for name, node in self.grid.fleet.nodes.items():
            if node.incarnation is None:
                self.grid.restart(name)
        self.grid.fleet.trouble(self.grid.fleet.nodes, None)

    def _check_acknowledged(self, faults: Schedule) -> None:
        spoiled = [
            entry.fault.node
            for entry in faults
            if isinstance(entry.fault, (DiskFault, Restart)) and _spoils(entry.fault)
        ]
        for number, file in enumerate(self.acknowledged):
            if not isinstance(file.result.capability, ImmutableRead):
                continue
            sound = self._sound_shares(file.result.capability)
            for share, home in file.result.homes.items():
                name = self._nickname(home)
                if name not in spoiled and share not in sound[name]:
                    raise Violation(f"share {share} of an acknowledged file is gone from {name}")
            client = number % len(self.grid.clients)
            reading = self.grid.clients[client].observe(self._read(file.content, file.capability, client, 0, None))
            distinct = dict.fromkeys(share for shares in sound.values() for share in shares)
            if not self.grid.run(reading) and len(distinct) >= file.result.capability.needed:
                raise Violation(
                    f"{len(distinct)} sound shares, and yet the file can't be read: {self._why(file, client)}"
                )

    def _why(self, file: Acknowledged, client: int) -> str:
        try:
            self.grid.download(file.capability, client)
        except TahoeError as error:
            return str(error)
        return "at the second attempt it can"

    def _sound_shares(self, capability: ImmutableRead) -> dict[str, list[int]]:
        """By server: the shares of a file of which every byte is as it should be."""
        index = capability.storage_index
        return {
            name: [number for number, facts in disk.honest(index).items() if facts.ueb_hash == capability.ueb_hash]
            for name, disk in self.grid.fleet.disks.items()
        }

    def _store_again(self) -> None:
        """Every client can store again."""
        for client, node in enumerate(self.grid.clients):
            content = Random(f"recovery {client}").randbytes(2 * self.plan.segment)
            result = self.grid.run(node.observe(self.grid.store(content, client, None)))
            self.acknowledged.append(Acknowledged(content, str(result.capability), result))

    def _check_memory(self) -> None:
        for node in self.grid.fleet.nodes.values():
            _check_quiet(node, len(self.grid.fleet.nodes))

    def _nickname(self, home: str) -> str:
        return next(name for name, node in self.grid.fleet.nodes.items() if node.name == home)


MOST_STORIES = 4
"""What runs for ever in a node: staying joined to the introducer, sweeping, scrubbing, and a scrub under way."""

MOST_FOR_PEER = Weight(objects=150, content=2000)
"""What an endpoint may remember of each other node when all is quiet; itself counts as one."""


def _check_quiet(node: Node, nodes: int) -> None:
    """Nothing of what a node did is left in it."""
    running = node.running
    stories = len(running.life.stories)
    if stories > MOST_STORIES:
        raise Violation(f"{node.profile.nickname} still has {stories} stories under way")
    weight = weigh(running.endpoint, running)
    if weight.objects > nodes * MOST_FOR_PEER.objects or weight.content > nodes * MOST_FOR_PEER.content:
        raise Violation(f"the endpoint of {node.profile.nickname} still holds {weight}")


def _spoils(fault: DiskFault | Restart) -> bool:
    """Whether a fault may cost its server shares that were acknowledged."""
    if isinstance(fault, DiskFault):
        return any(isinstance(each, (Rots, Forgets)) for each in fault.faults)
    return fault.empty_disk


def _options(plan: Plan) -> GridOptions:
    link = Link(plan.latency, plan.bandwidth)
    return GridOptions(
        encoding=plan.encoding,
        access=lambda _: Access(link, link),
        limits=Limits(segment=plan.segment, small=plan.small),
        platter=VolatilePlatter if plan.platter == "volatile" else MemoryPlatter,
    )
