"""Repairing slots by their verify caps: the same version, the same bytes, in the places that lack them.

Who can't sign can't make a version, change homes or merge rivals, and does nothing that might decide between them::

    position of the version that counts     carries something older, or nothing     gets the version
                                            carries a rival or something newer      is left alone
                                            is damaged, and its server agrees       gets the version again
    share whose home is out of reach        nobody else in reach has it             a copy elsewhere, which does not vote

Positions are only filled if it is certain which version counts. Copies elsewhere help readers and can't make any version
win, so they are made of the best that can be read in any case. Servers that come and go make nothing flip: there is
nothing to be decided, and what has the version is not written again.

A share travels in one message, since its server takes all of a new share or nothing of it. Slots of more than about a
message times k can't be repaired this way; whoever writes to them brings up those places that have fallen behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tahoe.actors.keeping import KeepingDesk
from tahoe.actors.leases import FileLeases
from tahoe.actors.repairing import NOTHING_DONE, Mended, RepairOutcome
from tahoe.actors.servers import Server
from tahoe.actors.slotchecking import SlotFindings, check_slot
from tahoe.actors.slotcoding import prove_shares
from tahoe.actors.slotfetching import SlotFetch
from tahoe.actors.slotkeeping import PRESENT, WRITTEN
from tahoe.actors.slotmemory import SlotMemory
from tahoe.actors.slotremaking import Filling, Remade, copies, plan_fillings, remake_shares
from tahoe.actors.slotterms import SlotDesk, SlotTerms
from tahoe.codec.capability import SlotVerify
from tahoe.codec.slot import SlotVersion, VersionId
from tahoe.context import AskEach, Errand, Failure
from tahoe.errors import NotEnoughShares, Refused, TahoeError, Unanswered
from tahoe.policy.order import permuted
from tahoe.protocol import (
    SlotBlock,
    SlotRead,
    SlotShareToWrite,
    SlotWritten,
    VersionName,
    WriteSlot,
)


async def mend_slot(desk: KeepingDesk, capability: SlotVerify, findings: SlotFindings) -> Mended:
    """Repair a slot if it needs it, and look again.

    Args:
        desk: of the node.
        capability: of the slot.
        findings: of a check or a verification.
    """
    before = findings.health()
    outcome = await repair_slot(desk, capability, findings)
    if not outcome.attempted:
        return Mended(before, outcome, before)
    after = await check_slot(desk, capability, desk.servers())
    mended = dict.fromkeys([*((node, number) for number, node in outcome.made.items()), *outcome.replaced])
    for (node, number), reason in findings.flaws.items():
        if (node, number) not in mended and node in after.responding:
            after.flaws.setdefault((node, number), reason)
    return Mended(before, outcome, after.health())


async def repair_slot(desk: KeepingDesk, capability: SlotVerify, findings: SlotFindings) -> RepairOutcome:
    """Fill in what is missing of the version that counts."""
    version = findings.best()
    if version is None:
        return RepairOutcome(attempted=True, made={}, replaced=(), pushed=0, trouble="nobody in reach has any share")
    fillings = plan_fillings(version, findings, permuted(desk.servers(), capability.storage_index))
    if not fillings:
        return NOTHING_DONE
    try:
        return await _Filler(desk, capability, findings, version).run(fillings)
    except TahoeError as error:
        return RepairOutcome(attempted=True, made={}, replaced=(), pushed=0, trouble=str(error))


@dataclass(slots=True)
class _Keeper:
    """Collects proven blocks of one version for ``SlotFetch``."""

    desk: KeepingDesk
    index: bytes
    findings: SlotFindings
    version: SlotVersion
    blocks: dict[int, dict[int, SlotBlock]] = field(default_factory=dict)

    async def take(self, server: Server, outcome: SlotRead | Failure) -> None:
        """An answer, or none, from a server."""
        if isinstance(outcome, (Refused, Unanswered)):
            return
        for share in await self.desk.ctx.compute(prove_shares, self.index, outcome):
            if share.flaw:
                self.findings.accuse(server, share.number, share.flaw)
            elif share.version == self.version:
                for segment, block in share.blocks.items():
                    self.blocks.setdefault(segment, {})[share.number] = block

    def lacking(self, version: SlotVersion, segments: Iterable[int]) -> list[int]:
        """Those of the segments that can't be made yet."""
        return [each for each in segments if len(self.blocks.get(each, ())) < version.shape.needed]

    def sound_shares(self, version: SlotVersion) -> dict[bytes, list[int]]:
        """Which sound shares each server has."""
        homes = {server.node: server.permutation_seed for server in self.desk.servers()}
        found: dict[bytes, list[int]] = {}
        for number, nodes in self.findings.holders(version.identity).items():
            for node in nodes:
                found.setdefault(homes[node], []).append(number)
        return found


class _Filler:
    """One repair of a slot under way."""

    def __init__(self, desk: KeepingDesk, capability: SlotVerify, findings: SlotFindings, version: SlotVersion) -> None:
        self._desk = desk
        self._index = capability.storage_index
        self._findings = findings
        self._version = version

    async def run(self, fillings: Sequence[Filling]) -> RepairOutcome:
        """Fetch, make, write."""
        shape = self._version.shape
        holders = self._findings.holders(self._version.identity)
        if len(holders) < shape.needed:
            raise NotEnoughShares(len(holders), shape.needed)
        weight = sum(shape.block_length(segment) + 64 for segment in range(shape.segment_count))
        if weight > self._terms().payload:
            trouble = f"a share of {weight} bytes fits no message: only who writes to the slot can bring it up"
            return RepairOutcome(attempted=True, made={}, replaced=(), pushed=0, trouble=trouble)
        keeper = _Keeper(self._desk, self._index, self._findings, self._version)
        desk = SlotDesk(
            self._desk.ctx,
            self._desk.servers,
            self._desk.terms().lease_master,
            self._terms,
            SlotMemory(self._desk.ctx),
        )
        segments = range(shape.segment_count)
        if segments and not await SlotFetch(desk, keeper, self._index, self._version).run(segments):
            raise NotEnoughShares(len(self._findings.holders(self._version.identity)), shape.needed)
        numbers = list(dict.fromkeys(each.number for each in fillings))
        made = await self._desk.ctx.compute(
            remake_shares,
            self._version,
            [keeper.blocks[segment] for segment in segments],
            self._roots(),
            numbers,
        )
        written = await self._write(fillings, made)
        denied = [each for each in written if written[each] == PRESENT and _is_mending(each, self._version.identity)]
        if denied:  # their servers find them sound, whatever we saw of them
            written |= await self._write(self._elsewhere(denied), made)
        return self._outcome(written, made)

    def _elsewhere(self, denied: Sequence[Filling]) -> list[Filling]:
        """Copies of these shares where there is none."""
        known = self._findings.responding
        servers = [server for server in self._desk.servers() if server.node in known and not server.leaving]
        numbers = dict.fromkeys(each.number for each in denied)
        covered = dict.fromkeys(number for number in range(self._version.shape.total) if number not in numbers)
        return list(copies(self._version, self._findings, servers, covered))

    def _terms(self) -> SlotTerms:
        limits = self._desk.terms().limits
        shape = self._version.shape
        return SlotTerms(shape.needed, shape.total, message=limits.message)

    def _roots(self) -> dict[int, bytes]:
        """Proven roots of the shares of the version."""
        return {
            number: share.root
            for (node, number), share in self._findings.shares.items()
            if share.version == self._version and share.root
        }

    async def _write(self, fillings: Sequence[Filling], made: Mapping[int, Remade]) -> dict[Filling, str]:
        """Write shares. Returns what became of each: ``written``, ``present``, or what went wrong."""
        sites = self._desk.sites()
        leases = FileLeases(self._desk.terms().lease_master, self._index)
        signed = self._findings.signed[self._version.identity]
        errands = []
        for filling in fillings:
            server, remade = sites[filling.node], made[filling.number]
            replaces = None if filling.replaces is None else VersionName(*filling.replaces)
            share = SlotShareToWrite(filling.number, replaces, remade.chain, remade.blocks)
            request = WriteSlot(self._index, leases.on(server.lease_seed), signed, (share,))
            errands.append(Errand(filling, server.address, request))
        written: dict[Filling, str] = {}
        patience = self._desk.terms().room.habits.patience
        async with AskEach[Filling, SlotWritten](self._desk.ctx, errands, timeout=patience) as outcomes:
            async for filling, outcome in outcomes:
                written[filling] = _word_for(outcome)
        return written

    def _outcome(self, written: Mapping[Filling, str], made: Mapping[int, Remade]) -> RepairOutcome:
        sites, carried = self._desk.sites(), self._version.identity
        done = sorted(
            each
            for each, word in written.items()
            if word == WRITTEN or (word == PRESENT and not _is_mending(each, carried))
        )
        troubles = sorted(
            f"{sites[each.node].label}: {word}" for each, word in written.items() if word not in (WRITTEN, PRESENT)
        )
        return RepairOutcome(
            attempted=True,
            made={each.number: each.node for each in done if not _is_mending(each, carried)},
            replaced=tuple((each.node, each.number) for each in done if _is_mending(each, carried)),
            pushed=sum(len(block.data) for each in done for block in made[each.number].blocks),
            trouble="; ".join(troubles),
        )


def _is_mending(filling: Filling, version: VersionId) -> bool:
    """Whether a version is written in place of itself."""
    return filling.replaces == version


def _word_for(outcome: SlotWritten | Failure) -> str:
    """What became of a share that was written alone."""
    if isinstance(outcome, (Refused, Unanswered)):
        return str(outcome)
    return outcome.outcomes[0].outcome if outcome.outcomes else "left the share out of its answer"
