"""Repairing slots by their verify caps: the same version, the same bytes, in the places that lack them.

Who can't sign can't make a version, change homes or merge rivals, and does nothing that might decide between them::

    position of the version that counts     carries something older, or nothing     gets the version
                                            carries a rival or something newer      is left alone
                                            is damaged, and its server agrees       gets the version again
    share whose home is out of reach        nobody else in reach has it             a copy elsewhere, which does not vote

Positions are only filled if it is certain which version counts. Copies elsewhere help readers and can't make any version
win, so they are made of the best that can be read in any case. Servers that come and go make nothing flip: there is
nothing to be decided, and what has the version is not written again.

A server takes all of a share or nothing of it. What does not fit a message is set aside there part by part, and committed
with the last one; so memory is that of a few messages, however large the slot is::

    segments 0 … 41 of k shares ──► the same of the missing ones ──► set aside where they are to be
    …
    the last segments           ──► the same of the missing ones ──► written, with all that was set aside
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tahoe.actors.keeping import KeepingDesk
from tahoe.actors.leases import FileLeases
from tahoe.actors.repairing import NOTHING_DONE, Mended, RepairOutcome
from tahoe.actors.servers import Server
from tahoe.actors.slotchecking import SlotFindings, check_slot
from tahoe.actors.slotcoding import prove_shares
from tahoe.actors.slotfetching import SlotFetch
from tahoe.actors.slotkeeping import PRESENT, WRITTEN
from tahoe.actors.slotmemory import SlotMemory
from tahoe.actors.slotremaking import Filling, Remaking, copies, plan_fillings
from tahoe.actors.slotterms import SlotDesk, SlotTerms
from tahoe.actors.slotwriting import BLOCK_BYTES
from tahoe.codec.capability import SlotVerify
from tahoe.codec.slot import SlotVersion, VersionId
from tahoe.context import AskEach, Errand, Failure
from tahoe.errors import NotEnoughShares, Refused, TahoeError, Unanswered
from tahoe.policy.order import permuted
from tahoe.protocol import (
    Answer,
    Lease,
    Request,
    SignedVersion,
    SlotBlock,
    SlotRead,
    SlotShareToWrite,
    SlotWritten,
    StageSlot,
    VersionName,
    WriteSlot,
)

T = TypeVar("T", bound=Answer)

Blocks = Mapping[int, tuple[SlotBlock, ...]]
"""Some blocks of shares, by share number."""


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

    def hand_over(self, segments: Iterable[int]) -> list[tuple[int, dict[int, SlotBlock]]]:
        """The blocks of these segments, which are not kept any longer."""
        return [(segment, self.blocks.pop(segment)) for segment in segments]

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
        written = await self._fill(fillings)
        denied = [each for each in written if written[each] == PRESENT and _is_mending(each, self._version.identity)]
        if denied:  # their servers find them sound, whatever we saw of them
            written |= await self._fill(self._elsewhere(denied))
        return self._outcome(written)

    async def _fill(self, fillings: Sequence[Filling]) -> dict[Filling, str]:
        """Make shares and write them. Returns what became of each: ``written``, ``present``, or what went wrong."""
        keeper = _Keeper(self._desk, self._index, self._findings, self._version)
        fetch = SlotFetch(self._slot_desk(), keeper, self._index, self._version)
        remaking = Remaking(self._version, self._roots(), [each.number for each in fillings])
        troubles: dict[Filling, str] = {}
        *before, last = self._portions()
        for segments in before:
            blocks = await self._made(fetch, keeper, remaking, segments)
            troubles |= await self._stage([each for each in fillings if each not in troubles], blocks)
            if len(troubles) == len(fillings):
                return troubles
        blocks = await self._made(fetch, keeper, remaking, last)
        chains = await self._desk.ctx.compute(remaking.chains)
        return troubles | await self._write([each for each in fillings if each not in troubles], chains, blocks)

    def _portions(self) -> list[range]:
        """All segments, as many at a time as a message takes of one share; at least one portion."""
        shape = self._version.shape
        most = max(1, self._terms().payload // (shape.block_length(0) + BLOCK_BYTES)) if shape.length else 1
        starts = range(0, max(1, shape.segment_count), most)
        return [range(start, min(start + most, shape.segment_count)) for start in starts]

    async def _made(self, fetch: SlotFetch, keeper: _Keeper, remaking: Remaking, segments: range) -> Blocks:
        """Blocks of some segments of all shares that are made."""
        if segments and not await fetch.run(segments):
            raise NotEnoughShares(len(self._findings.holders(self._version.identity)), self._version.shape.needed)
        return await self._desk.ctx.compute(remaking.add, keeper.hand_over(segments))

    def _slot_desk(self) -> SlotDesk:
        desk = self._desk
        return SlotDesk(desk.ctx, desk.servers, desk.terms().lease_master, self._terms, SlotMemory(desk.ctx))

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

    async def _stage(self, fillings: Sequence[Filling], blocks: Blocks) -> dict[Filling, str]:
        """Set parts of shares aside on their servers. Returns where that went wrong, and how."""
        requests = {
            each: StageSlot(self._index, self._lease_on(each), self._signed(), each.number, blocks[each.number])
            for each in fillings
        }
        outcomes = await self._ask_all(requests)
        return {each: str(outcome) for each, outcome in outcomes.items() if isinstance(outcome, (Refused, Unanswered))}

    async def _write(
        self, fillings: Sequence[Filling], chains: Mapping[int, tuple[bytes, ...]], blocks: Blocks
    ) -> dict[Filling, str]:
        """Write shares, of which these blocks are the last. Returns what became of each."""
        requests = {}
        for each in fillings:
            replaces = None if each.replaces is None else VersionName(*each.replaces)
            share = SlotShareToWrite(each.number, replaces, chains[each.number], blocks[each.number])
            requests[each] = WriteSlot(self._index, self._lease_on(each), self._signed(), (share,))
        outcomes = await self._ask_all(requests)
        return {each: _word_for(outcome) for each, outcome in outcomes.items()}

    async def _ask_all(self, requests: Mapping[Filling, Request[T]]) -> dict[Filling, T | Failure]:
        """Ask the server of each filling; every outcome."""
        sites = self._desk.sites()
        errands = [Errand(each, sites[each.node].address, request) for each, request in requests.items()]
        patience = self._desk.terms().room.habits.patience
        async with AskEach[Filling, T](self._desk.ctx, errands, timeout=patience) as outcomes:
            return {filling: outcome async for filling, outcome in outcomes}

    def _lease_on(self, filling: Filling) -> Lease:
        leases = FileLeases(self._desk.terms().lease_master, self._index)
        return leases.on(self._desk.sites()[filling.node].lease_seed)

    def _signed(self) -> SignedVersion:
        return self._findings.signed[self._version.identity]

    def _outcome(self, written: Mapping[Filling, str]) -> RepairOutcome:
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
            pushed=len(done) * sum(map(self._version.shape.block_length, range(self._version.shape.segment_count))),
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
