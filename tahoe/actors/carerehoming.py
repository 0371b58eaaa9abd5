"""Rehoming: a caretaker that may write a slot gives it other homes, when some of the old ones leave or have died.

Only who has the write cap can, and a caretaker keeps none: it meets them when it walks down from a root. So this is done on
walks, and when a server begins to leave, or is said to be gone, everything is walked at once. What it can't write is
copied by the server that leaves, and repaired by whoever has a verify cap; such copies can be read, and don't vote.
"""

from __future__ import annotations

import math

from tahoe.actors.careround import CareRound
from tahoe.actors.leases import FileLeases
from tahoe.actors.slots import Slots
from tahoe.codec.capability import Capability, Directory, SlotWrite
from tahoe.codec.slot import SlotVersion
from tahoe.errors import Refused, TahoeError, Unanswered
from tahoe.policy.care import DAY
from tahoe.policy.order import permuted
from tahoe.policy.rehoming import better_homes
from tahoe.protocol import CancelLeases, LeaseWanted, NodeId
from tahoe.session.identity import node_of

DEAD_AFTER = 30 * DAY
"""Who was met once, and not for so long, is no home any more. Shares are made up for much earlier; homes can wait."""

MOST_WRITES = 10
"""To one slot on one walk: more homes than one write can move are moved by several."""


class Rehoming:
    """A part of every walk.

    Args:
        shared: by all stages.
        slots: of the same node.
    """

    def __init__(self, shared: CareRound, slots: Slots) -> None:
        self._round = shared
        self._slots = slots
        self._seen: frozenset[NodeId] = frozenset()
        self._again_at = math.inf

    def unwanted(self) -> frozenset[NodeId]:
        """Servers that should be no homes any more: they leave, are gone, or have not been met for long."""
        now, care, standing = self._round.desk.ctx.wall_time(), self._round.care, self._round.standing()
        dead = [node for node, seen in care.seen.items() if node not in standing.present and now - seen > DEAD_AFTER]
        return frozenset([*standing.leaving, *care.gone, *dead])

    def is_due(self) -> bool:
        """Whether everything should be walked: there are more of them now, or something could not be done yesterday."""
        return not self.unwanted() <= self._seen or self._round.desk.ctx.now() >= self._again_at

    def begin(self) -> None:
        """Everything is going to be walked."""
        self._seen, self._again_at = self.unwanted(), math.inf

    async def see(self, capability: Capability) -> None:
        """Give a slot better homes, if it is one, can be written, and has bad ones."""
        slot, unwanted = _writable(capability), self.unwanted()
        if slot is None or not unwanted:
            return
        version = await self._slots.newest(slot.storage_index)
        if version is not None and not any(node_of(home) in unwanted for home in version.homes):
            return
        try:
            await self._rehome(slot)
        except TahoeError as error:
            self._round.tidings.complain(f"a slot could not be given other homes: {error}")
            self._again_at = self._round.desk.ctx.now() + DAY

    async def _rehome(self, slot: SlotWrite) -> None:
        """Write versions with other homes, until there is nothing to be made better."""
        index = slot.storage_index
        for _ in range(MOST_WRITES):
            if not self._round.is_left():
                raise TahoeError("the budget of the caretaker is used up for today")
            old = await self._slots.newest(index)
            await self._slots.rehome(slot, lambda version: self._homes(version, index))
            new = await self._slots.newest(index)
            if old is not None and new is not None and old.homes != new.homes:
                await self._leave(index, old, new)
            elif old == new:
                return

    def _homes(self, version: SlotVersion, index: bytes) -> tuple[bytes, ...]:
        standing, unwanted = self._round.standing(), self.unwanted()
        shunned = {*unwanted, *standing.distrusted}
        sites = [
            site for site in self._round.desk.servers() if site.node in standing.present and site.node not in shunned
        ]
        return better_homes(version, permuted(sites, index), unwanted)

    async def _leave(self, index: bytes, old: SlotVersion, new: SlotVersion) -> None:
        """Count what has moved, and take our leases off the old homes."""
        moved = sum(before != after for before, after in zip(old.homes, new.homes, strict=True))
        self._round.tidings.counts["moves"] += moved
        self._round.spend(2.0 * moved * new.shape.length / new.shape.needed, 3 * new.shape.total)
        leases, desk = FileLeases(self._round.desk.terms().lease_master, index), self._round.desk
        for server in desk.in_reach(desk.servers()):
            if server.permutation_seed in old.homes and server.permutation_seed not in new.homes:
                wanted = LeaseWanted(index, leases.on(server.lease_seed))
                try:
                    await desk.ctx.ask(server.address, CancelLeases((wanted,)), timeout=desk.terms().question)
                except (Refused, Unanswered):  # it ends by itself, when nobody renews it
                    continue


def _writable(capability: Capability) -> SlotWrite | None:
    """The slot that a capability writes, a directory's or not."""
    inner = capability.file if isinstance(capability, Directory) else capability
    return inner if isinstance(inner, SlotWrite) else None
