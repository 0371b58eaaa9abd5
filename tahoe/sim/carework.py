"""Caretakers and leaving servers in the worlds of the swarm, and what must come of them once the faults are over.

A caretaker looks after what its client has stored, in rounds that come every few seconds where they would take days. It
is told of each file when that is stored, and mends whatever it finds missing, unasked. A server that was given
notice says at last that it may go: then nothing may be on it alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tahoe.actors.caretaker import Caretaker, CareTerms
from tahoe.actors.drainer import Drainer
from tahoe.actors.keeper import target_of
from tahoe.codec.capability import Capability, ImmutableRead
from tahoe.policy.care import CareRules
from tahoe.policy.repair import AT_ONCE
from tahoe.protocol import CARETAKER, DRAINER
from tahoe.sim.violation import Violation

if TYPE_CHECKING:
    from tahoe.sim.workshop import Workshop

CARE = CareTerms(
    CareRules(check_every=40.0, everywhere_every=80.0, grace=30.0, renew_every=200.0, challenges=5, repair=AT_ONCE),
    tick=20.0,
    own_roots=False,
)
"""Weeks in minutes. Who was not heard of for half a minute is dead, so that much is mended which need not be."""

CARING_SECONDS = 600.0
"""After the faults, until caretakers must have mended all that they look after."""

LOOKS = 5
"""So often a server that leaves looks until it must be empty."""
BETWEEN_LOOKS = 30.0
GLANCE_SECONDS = 20.0


async def entrust(workshop: Workshop, client: int, name: str, capability: Capability) -> None:
    """Tell a client's caretaker, if there is one, to look after something."""
    caretaker = workshop.grid.clients[client].running.actors.get(CARETAKER)
    if isinstance(caretaker, Caretaker) and target_of(capability) is not None:
        await caretaker.add(name, str(capability))
        workshop.cared_for.append(capability)


def check_cared_for(workshop: Workshop) -> None:
    """What caretakers look after is whole before long.

    Raises:
        Violation: it is not.
    """
    waited = 0.0
    while (left := _ailing(workshop)) and waited < CARING_SECONDS:
        workshop.grid.run(GLANCE_SECONDS)
        waited += GLANCE_SECONDS
    if left:
        raise Violation(f"{len(left)} files are looked after, and after {waited:.0f} s have not all of their shares")


def _ailing(workshop: Workshop) -> list[ImmutableRead]:
    """Files that could be made whole, and are not."""
    files = [each for each in workshop.cared_for if isinstance(each, ImmutableRead)]
    return [each for each in files if each.needed <= len(_sound(workshop, each)) < each.total]


def _sound(workshop: Workshop, file: ImmutableRead) -> dict[int, None]:
    """Numbers of a file's sound shares on servers that stay."""
    nodes = workshop.grid.fleet.nodes
    return {
        number: None
        for name, disk in workshop.grid.fleet.disks.items()
        for number, facts in disk.honest(file.storage_index).items()
        if facts.ueb_hash == file.ueb_hash and nodes[name].notice is None
    }


def drain(workshop: Workshop, name: str) -> None:
    """Let a server that was given notice look until it may go.

    Raises:
        Violation: it never may, or says that it may and has what nobody else has.
    """
    grid, node = workshop.grid, workshop.grid.node(name)
    drainer = node.actor(DRAINER)
    assert isinstance(drainer, Drainer), "servers that leave have one"
    for _ in range(LOOKS):
        grid.run(node.observe(drainer.look()))
        if drainer.last.done:
            break
        grid.run(BETWEEN_LOOKS)
    if not drainer.last.done:
        raise Violation(f"{name} is to leave, and does not get empty: {drainer.last}")
    workshop.told["drained"] += int(drainer.last.copied > 0)
    for file in workshop.files:
        capability = file.result.capability
        if isinstance(capability, ImmutableRead) and len(_sound(workshop, capability)) < capability.needed:
            raise Violation(f"{name} says that it may go, and a file has too few shares elsewhere")


def count_care(workshop: Workshop) -> None:
    """Note what caretakers have done."""
    for node in workshop.grid.clients:
        caretaker = node.running.actors.get(CARETAKER)
        if isinstance(caretaker, Caretaker):
            workshop.told["care mended"] += caretaker.tidings.counts["repairs"]
            workshop.told["care moved"] += caretaker.tidings.counts["moves"]
