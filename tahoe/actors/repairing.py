"""Repairing files: the shares that are missing are made anew, byte for byte, by whoever has the verify cap.

::

    chains ──► which shares must be hashed
    k shares ──► ciphertext ──► missing blocks ──► servers that take them        segment after segment, flat memory

Nothing is decrypted and nothing is decided about the file: what comes out is what was there. What is there is left alone:

* a share that only looks like the file's (another UEB hash) occupies its number on its server; the file's own share
  of that number goes elsewhere;
* a corrupt share is replaced where it is, if its own server finds it corrupt, too, and it fits a message. If not, it
  goes elsewhere as well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tahoe.actors import coding
from tahoe.actors.checking import Holdings, check_files, file_health, holders_of
from tahoe.actors.ciphertext import Ciphertext
from tahoe.actors.keeping import KeepingDesk
from tahoe.actors.placing import Placing
from tahoe.actors.pushing import Layer, Pushing
from tahoe.actors.recoding import (
    Recoder,
    RepairPlan,
    begin_recoding,
    chain_nodes,
    finish_recoding,
    recode_segment,
)
from tahoe.actors.terms import UploadOrder, ignore_progress
from tahoe.codec.capability import ImmutableVerify
from tahoe.codec.file import FileDecoder
from tahoe.context import AskEach, Errand
from tahoe.errors import NotEnoughShares, Refused, TahoeError, Unanswered
from tahoe.policy.health import Health
from tahoe.policy.order import permuted
from tahoe.policy.placement import Answered
from tahoe.policy.repair import FillGaps
from tahoe.protocol import (
    ROOM_FOR_FACTS,
    AdviseCorrupt,
    Encoding,
    NodeId,
    Noted,
    ReadShares,
    Replaced,
    ReplaceShare,
    ShareFacts,
    ShareRead,
    SharesRead,
)
from tahoe.storage.content import joined

VERSIONS_BY_DATA_OFFSET = {0x24: 1, 0x44: 2}
"""Where the blocks begin tells which version of the layout a share has."""

MOST_SHARES = 256


class RepairOutcome(NamedTuple):
    """What came of a repair.

    Args:
        attempted: whether there was anything to be done.
        made: where each share that was made went.
        replaced: corrupt shares that were replaced where they are.
        pushed: bytes of shares sent and taken.
        trouble: why not everything was mended; empty if it was.
    """

    attempted: bool
    made: dict[int, NodeId]
    replaced: tuple[tuple[NodeId, int], ...]
    pushed: int
    trouble: str


NOTHING_DONE = RepairOutcome(attempted=False, made={}, replaced=(), pushed=0, trouble="")


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known of a file before it is repaired.

    Args:
        holdings: what servers hold.
        flaws: shares of it that are known to be corrupt, and why.
        presumed: shares thought to be on servers that are only away for a while; they are not made.
    """

    holdings: Holdings
    flaws: Mapping[tuple[NodeId, int], str] = field(default_factory=dict)
    presumed: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class Mended:
    """A check, a repair, and a check afterwards.

    Args:
        before: what was found.
        outcome: what was done.
        after: what was measured when it was done; ``before`` where nothing was.
    """

    before: Health
    outcome: RepairOutcome
    after: Health

    @property
    def successful(self) -> bool:
        """Whether a repair was tried and the object is healthy now."""
        return self.outcome.attempted and self.after.is_healthy

    def as_json(self, storage_index: bytes) -> dict[str, Any]:
        """As programs get it."""
        return {
            "pre-repair-results": self.before.as_json(storage_index),
            "repair-attempted": self.outcome.attempted,
            "repair-successful": self.successful,
            "repair-trouble": self.outcome.trouble,
            "post-repair-results": self.after.as_json(storage_index),
        }


async def mend_file(
    desk: KeepingDesk, capability: ImmutableVerify, findings: Findings, progress: Callable[[int, int], None]
) -> Mended:
    """Repair a file if it needs it, and look again.

    Args:
        desk: of the node.
        capability: of the file.
        findings: of a check or a verification.
        progress: called with bytes of the file done and bytes in all.
    """
    before = file_health(capability, findings.holdings, findings.flaws)
    outcome = await repair_file(desk, capability, findings, progress)
    if not outcome.attempted:
        return Mended(before, outcome, before)
    (after,), holdings = await check_files(desk, [capability], desk.servers())
    left = {place: reason for place, reason in findings.flaws.items() if place not in dict.fromkeys(outcome.replaced)}
    if left:
        after = file_health(capability, holdings, left)
    return Mended(before, outcome, after)


async def repair_file(
    desk: KeepingDesk,
    capability: ImmutableVerify,
    findings: Findings,
    progress: Callable[[int, int], None] = ignore_progress,
) -> RepairOutcome:
    """Make what is missing of a file.

    Args:
        desk: of the node.
        capability: of the file.
        findings: of a check or a verification.
        progress: called with bytes of the file done and bytes in all.
    """
    health = file_health(capability, findings.holdings, findings.flaws)
    missing = tuple(number for number in health.missing if number not in findings.presumed)
    if not missing:
        return NOTHING_DONE
    story = _Repair(desk, capability, findings, missing)
    try:
        return await story.run(progress)
    except TahoeError as error:
        return RepairOutcome(attempted=True, made={}, replaced=(), pushed=0, trouble=str(error))


class _Repair:
    """One repair under way."""

    def __init__(
        self, desk: KeepingDesk, capability: ImmutableVerify, findings: Findings, missing: tuple[int, ...]
    ) -> None:
        self._desk = desk
        self._ctx = desk.ctx
        self._capability = capability
        self._holdings = findings.holdings
        self._flaws = findings.flaws
        self._missing = missing
        self._sites = {server.node: server for server in permuted(desk.servers(), capability.storage_index)}

    async def run(self, progress: Callable[[int, int], None]) -> RepairOutcome:
        """Prove what there is, see what its servers find corrupt, make the rest."""
        capability, terms = self._capability, self._desk.terms()
        decoder: FileDecoder = await self._ctx.compute(coding.begin_reading, capability)
        layout_version, chains, ueb = await self._prove(decoder)
        plan = RepairPlan(ueb, decoder.uri_extension, layout_version, self._missing, chains)
        fits = plan.share_size <= terms.limits.message - 2 * ROOM_FOR_FACTS
        if fits and plan.share_size * len(self._missing) <= terms.limits.small:
            return await self._small(plan, await self._corrupt_by_their_servers())
        return await self._large(plan, progress)

    def _order(self, numbers: Sequence[int]) -> UploadOrder:
        """No upload is as easily content: whatever can be mended of these shares is better than nothing."""
        terms = self._desk.terms()
        encoding, policy = Encoding(self._capability.needed, 0, self._capability.total), FillGaps(numbers)
        return UploadOrder(encoding, None, terms.lease_master, limits=terms.limits, policy=policy)

    def _placing(self, plan: RepairPlan, numbers: Sequence[int]) -> Placing:
        """The dialogue about where these shares go, told what servers hold; a corrupt share only occupies its number."""
        capability = self._capability
        takers = [site for node, site in self._sites.items() if node in self._holdings.held]
        placing = Placing(self._ctx, self._order(numbers), capability.storage_index, plan.share_size, takers)
        placing.placement.identify(capability.ueb_hash)
        claims = self._holdings.claims(capability.storage_index)
        for site in takers:
            facts = [self._as_claim(site.node, each) for each in claims[site.node]]
            accepts = 0 if site.leaving else self._holdings.accepts.get(site.node, 0)
            placing.placement.learn(Answered(site.node, facts, accepts))
        return placing

    def _as_claim(self, node: NodeId, facts: ShareFacts) -> ShareFacts:
        return ShareFacts(facts.number, facts.size, b"") if (node, facts.number) in self._flaws else facts

    # --- what there is --------------------------------------------------------------------------------------

    async def _prove(self, decoder: FileDecoder) -> tuple[int, dict[int, bytes], bytes]:
        """Get UEB and chains from whoever has shares.

        Returns:
            The version of the share layout, the nodes of the tree over all shares that are proven, and the UEB.

        Raises:
            NotEnoughShares: nobody could prove enough.
        """
        capability = self._capability
        question = ReadShares(capability.storage_index, 0, 0, 1, most=MOST_SHARES)
        holders = dict.fromkeys(node for nodes in holders_of(capability, self._holdings).values() for node in nodes)
        errands = [Errand(node, self._sites[node].address, question) for node in holders]
        chains: dict[int, bytes] = {}
        version, ueb, proven = 0, b"", dict[int, None]()
        async with AskEach[NodeId, SharesRead](self._ctx, errands, timeout=self._desk.terms().question) as outcomes:
            async for node, outcome in outcomes:
                if isinstance(outcome, (Refused, Unanswered)):
                    continue
                for share in outcome.shares:
                    if await self._prove_share(decoder, node, share):
                        entries = {each.number: each.digest for each in share.share_hashes}
                        chains |= chain_nodes(capability.total, share.number, entries)
                        version, ueb = VERSIONS_BY_DATA_OFFSET.get(share.data_offset, 1), share.uri_extension
                        proven[share.number] = None
        if len(proven) < capability.needed:
            raise NotEnoughShares(len(proven), capability.needed)
        return version, chains, ueb

    async def _prove_share(self, decoder: FileDecoder, node: NodeId, share: ShareRead) -> bool:
        if (node, share.number) in self._flaws:
            return False
        reason = await self._ctx.compute(
            coding.prove_share, decoder, share.number, share.uri_extension, share.share_hashes
        )
        return not reason

    async def _corrupt_by_their_servers(self) -> dict[int, NodeId]:
        """Of the missing shares those that a server has in a corrupt form and, asked to check it, says so itself."""
        index = self._capability.storage_index
        wanted = dict.fromkeys(self._missing)
        errands = []
        for node, facts in self._holdings.claims(index).items():
            for share in facts:
                if share.number in wanted and node in self._sites:
                    reason = self._flaws.get((node, share.number), "not the share of the file that is asked for")
                    advice = AdviseCorrupt(index, share.number, reason)
                    errands.append(Errand((share.number, node), self._sites[node].address, advice))
        found: dict[int, NodeId] = {}
        async with AskEach[tuple[int, NodeId], Noted](
            self._ctx, errands, timeout=self._desk.terms().room.habits.patience
        ) as outcomes:
            async for (number, node), outcome in outcomes:
                if isinstance(outcome, Noted) and outcome.found_corrupt:
                    found.setdefault(number, node)
        return dict(sorted(found.items()))

    # --- making what is missing ----------------------------------------------------------------------------

    async def _small(self, plan: RepairPlan, in_place: Mapping[int, NodeId]) -> RepairOutcome:
        """Make whole shares in memory, and send each in one message."""
        recoder: Recoder = await self._ctx.compute(begin_recoding, plan)
        columns: list[list[Any]] = [[plan.layout.header] for _ in range(self._capability.total)]
        async with Ciphertext(self._desk, self._capability, plan.extension.parameters) as segments:
            async for segment in segments:
                blocks = await self._ctx.compute(recode_segment, recoder, segment)
                for column, block in zip(columns, blocks, strict=True):
                    column.append(block)
        trailers = await self._ctx.compute(finish_recoding, recoder)
        shares: list[Any] = [joined([*column, end]) for column, end in zip(columns, trailers, strict=True)]
        replaced, pushed = await self._replace(in_place, shares)
        done = dict.fromkeys(number for _, number in replaced)
        placing = self._placing(plan, [number for number in self._missing if number not in done])
        while offers := placing.placement.proposals():
            pushed += await placing.store(offers, shares)
        return self._outcome(placing, replaced, pushed)

    async def _large(self, plan: RepairPlan, progress: Callable[[int, int], None]) -> RepairOutcome:
        """Make shares segment after segment, each sent as it is made."""
        placing = self._placing(plan, self._missing)
        while offers := placing.placement.proposals():
            await placing.allocate(offers)
        placed = tuple(number for numbers in placing.placement.placed().values() for number in numbers)
        if not placed:
            return self._outcome(placing, (), 0)
        plan = plan._replace(numbers=tuple(sorted(placed)))
        try:
            pushed = await self._push(placing, plan, progress)
        except BaseException:
            placing.abandon()
            raise
        return self._outcome(placing, (), pushed)

    async def _push(self, placing: Placing, plan: RepairPlan, progress: Callable[[int, int], None]) -> int:
        """Fetch, make, send."""
        parameters, layout = plan.extension.parameters, plan.layout
        recoder: Recoder = await self._ctx.compute(begin_recoding, plan)
        async with (
            Ciphertext(self._desk, self._capability, parameters) as segments,
            Pushing(self._ctx, self._order(plan.numbers), placing) as pushing,
        ):
            number = 0
            async for segment in segments:
                blocks: list[Any] = await self._ctx.compute(recode_segment, recoder, segment)
                offset = layout.block_span(number)[0]
                if not number:
                    offset = 0
                    blocks = [joined([layout.header, block]) if len(block) else block for block in blocks]
                await pushing.write([Layer(offset, blocks)])
                number += 1
                progress(min(parameters.size, number * parameters.segment_size), parameters.size)
            trailers = await self._ctx.compute(finish_recoding, recoder)
            await pushing.write([Layer(layout.trailer_offset, trailers)])
            await pushing.flush()
            await pushing.close()
        return pushing.pushed

    def _outcome(self, placing: Placing, replaced: tuple[tuple[NodeId, int], ...], pushed: int) -> RepairOutcome:
        made = {number: node for node, numbers in placing.placement.placed().items() for number in numbers}
        done = dict.fromkeys([*made, *(number for _, number in replaced)])
        left = [number for number in self._missing if number not in done]
        trouble = f"no server in reach takes share {', '.join(map(str, left))}" if left else ""
        return RepairOutcome(attempted=True, made=made, replaced=replaced, pushed=pushed, trouble=trouble)

    async def _replace(
        self, in_place: Mapping[int, NodeId], shares: Sequence[Any]
    ) -> tuple[tuple[tuple[NodeId, int], ...], int]:
        """Replace corrupt shares where they are. Returns which, and the bytes sent and taken."""
        index = self._capability.storage_index
        errands = [
            Errand((node, number), self._sites[node].address, ReplaceShare(index, number, shares[number]))
            for number, node in in_place.items()
        ]
        replaced: list[tuple[NodeId, int]] = []
        patience = self._desk.terms().room.habits.patience_for(sum(len(shares[number]) for number in in_place))
        async with AskEach[tuple[NodeId, int], Replaced](self._ctx, errands, timeout=patience) as outcomes:
            async for place, outcome in outcomes:
                if isinstance(outcome, Replaced) and outcome.replaced:
                    replaced.append(place)
        return tuple(sorted(replaced)), sum(len(shares[number]) for _, number in replaced)
