"""Keeping as clients of the swarm do it: checking, verifying, repairing, leasing, and backups; and what must come of it.

Whoever verifies looks at every byte, so nobody can make him take for good what is not. Whoever repairs is told which shares
were made where, and these are promises like those of an upload.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tahoe.actors.directories import NewChild, Replace
from tahoe.actors.keeper import Examination, Target, target_of
from tahoe.codec.capability import Capability, ImmutableVerify
from tahoe.policy.repair import AT_ONCE
from tahoe.protocol import NodeId
from tahoe.sim.chores import Backup, Keep
from tahoe.sim.grid import CONVERGENCE, readable
from tahoe.sim.history import Put
from tahoe.sim.violation import Violation

if TYPE_CHECKING:
    from tahoe.sim.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Made:
    """A share that a repairer was told to be kept."""

    target: ImmutableVerify
    number: int
    home: NodeId


async def keep(workshop: Workshop, chore: Keep) -> None:
    """Look after one thing."""
    targets = workshop.targets()
    if not targets:
        return
    target = targets[chore.place % len(targets)]
    keeper = workshop.client(chore.client).keeper
    if chore.what in {"check", "lease"}:
        examinations = await keeper.check([target])
        if chore.what == "lease":
            await keeper.add_leases(examinations)
    else:
        examination = await verify(workshop, chore.client, target)
        if chore.what == "repair":
            await repair(workshop, chore.client, examination)
    workshop.told[f"{chore.what} done"] += 1


async def verify(workshop: Workshop, client: int, target: Target) -> Examination:
    """Look at every byte of something.

    Raises:
        Violation: a share counts as good that is not.
    """
    before = sound_on(workshop, target)
    examination = await workshop.client(client).keeper.verify(target)
    if isinstance(target, ImmutableVerify):
        sound = before | sound_on(workshop, target)
        for number, nodes in examination.health.good.items():
            for node in nodes:
                if (node, number) not in sound:
                    raise Violation(f"share {number} was verified, and is not what it should be")
    return examination


async def renew(workshop: Workshop, client: int, targets: Sequence[Target]) -> None:
    """Renew the leases of what is in reach."""
    keeper = workshop.client(client).keeper
    await keeper.add_leases(await keeper.check(targets))


async def repair(workshop: Workshop, client: int, examination: Examination) -> None:
    """Make something whole, and keep what was promised."""
    mended = await workshop.client(client).keeper.mend(examination, AT_ONCE)
    if isinstance(examination.target, ImmutableVerify) and mended.outcome.made:
        workshop.told["shares made"] += 1
        made = mended.outcome.made.items()
        workshop.made += [Made(examination.target, number, home) for number, home in made]


def sound_on(workshop: Workshop, target: Target) -> set[tuple[NodeId, int]]:
    """Whose disk has which shares of a file with everything that is proven as it should be."""
    if not isinstance(target, ImmutableVerify):
        return set()
    nodes = workshop.grid.fleet.nodes
    return {
        (nodes[name].name, number)
        for name, disk in workshop.grid.fleet.disks.items()
        for number, facts in disk.honest(target.storage_index).items()
        if facts.ueb_hash == target.ueb_hash
    }


async def back_up(workshop: Workshop, chore: Backup) -> None:
    """Store files and a directory of them that never changes, and link it."""
    client = workshop.client(chore.client)
    rng = Random(f"backup {chore.number}")
    children = {}
    for place in range(chore.files):
        file = await workshop.store(rng.randbytes(rng.choice((10, 100, 2000))), chore.client, CONVERGENCE)
        children[f"file {place}"] = NewChild(readable(file.capability))
    snapshot = await client.directories.create_immutable(children, CONVERGENCE)
    workshop.linked[str(snapshot)] = chore.number
    work = client.directories.set_children(workshop.directories[0], {chore.name: NewChild(snapshot)}, Replace.ALWAYS)
    await workshop.acknowledged(work, Put((0, chore.name), chore.number))
    listing = await client.directories.list(snapshot)
    if {name: entry.read for name, entry in listing.items()} != {n: c.capability for n, c in children.items()}:
        raise Violation("a backup does not list what was put into it")
    workshop.told["backup done"] += 1


def targets_of(capabilities: Iterable[Capability]) -> list[Target]:
    """What can be looked after of all that there is."""
    found = (target_of(capability) for capability in capabilities)
    return [target for target in found if target is not None]
