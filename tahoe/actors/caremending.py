"""Mending: a caretaker repairs what needs it, and whoever is nearest to the end comes first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tahoe.actors.carelist import Record
from tahoe.actors.careround import CareRound
from tahoe.actors.checking import Holdings
from tahoe.actors.keeper import Examination, Keeper, do_each
from tahoe.actors.repairing import Findings, mend_file
from tahoe.actors.slotchecking import SlotFindings
from tahoe.actors.slotrepairing import mend_slot
from tahoe.actors.terms import ignore_progress
from tahoe.codec.capability import ImmutableVerify, SlotVerify
from tahoe.errors import TahoeError
from tahoe.policy.care import Standing
from tahoe.protocol import NodeId

REPAIRS_AT_A_TIME = 4
LOOKED_AT_TOGETHER = 32
"""Objects that servers are asked about in one message before they are repaired: few, as an allowance may not reach further."""


class Mending:
    """The second stage.

    Args:
        shared: by all stages.
        keeper: looks before anything is made.
    """

    def __init__(self, shared: CareRound, keeper: Keeper) -> None:
        self._round = shared
        self._desk = shared.desk
        self._ctx = shared.desk.ctx
        self._keeper = keeper

    def owed(self) -> list[Record]:
        """What was not reached by an allowance, if there is some again."""
        records = self._round.care.records.values() if self._round.is_left() else ()
        return [record for record in records if record.owed]

    async def mend(self, records: Sequence[Record]) -> None:
        """Repair what needs it, as long as the allowance lasts; the rest is owed.

        Slots come first, being small and leading to the rest, and then whatever is most endangered.
        """
        standing = self._round.standing()
        for record in records:
            self._owe(record, owed=self._wants_mending(record, standing))
        wanting = [record for record in records if record.owed]
        wanting.sort(key=lambda record: (_is_file(record), -self._round.danger(record, standing), record.capability))
        for start in range(0, len(wanting), LOOKED_AT_TOGETHER):
            batch = wanting[start : start + LOOKED_AT_TOGETHER]
            if self._round.is_left():
                examinations = await self._keeper.check([record.target for record in batch])
                self._round.spend(64.0 * len(batch) * len(self._desk.servers()), len(self._desk.servers()))
                await do_each(self._desk, list(zip(batch, examinations, strict=True)), self._mend, REPAIRS_AT_A_TIME)
            await self._round.care.save()

    def _owe(self, record: Record, *, owed: bool) -> None:
        if record.owed != owed:
            record.owed = owed
            self._round.care.touch(record)

    def _wants_mending(self, record: Record, standing: Standing) -> bool:
        if not record.total or record.behind:
            return True
        return record.outlook(standing).wants_repair(self._round.rules.repair)

    async def _mend(self, pair: tuple[Record, Examination]) -> None:
        record, examination = pair
        self._take_in(record, examination)
        if not self._round.is_left():
            return
        record.owed = False
        try:
            await self._mend_one(record, examination)
        except TahoeError as error:
            self._round.tidings.counts["failures"] += 1
            self._round.tidings.complain(f"a repair failed: {error}")

    async def _mend_one(self, record: Record, examination: Examination) -> None:
        standing = self._round.standing()
        outlook = record.outlook(standing)
        if isinstance(examination.findings, SlotFindings):
            await self._mend_slot(record, examination.findings, outlook.spared)
            return
        if not outlook.wants_repair(self._round.rules.repair):
            return
        assert isinstance(examination.findings, Findings), "an examination of a file has findings of a file"
        assert isinstance(record.target, ImmutableVerify), "a file is examined as one"
        flaws = self._flaws(record, examination.findings.holdings, standing)
        findings = Findings(examination.findings.holdings, flaws, outlook.spared)
        mended = await mend_file(self._desk, record.target, findings, ignore_progress)
        self._round.spend(mended.outcome.pushed + record.target.size, 3 * len(mended.outcome.made) + record.needed)
        self._conclude(record, mended.outcome.made, mended.outcome.replaced, mended.outcome.trouble)

    def _flaws(self, record: Record, holdings: Holdings, standing: Standing) -> dict[tuple[NodeId, int], str]:
        """Shares that don't count: bad ones, and all that liars claim or leavers still have."""
        flaws = dict.fromkeys(record.flaws, "it failed a challenge")
        for node, facts in holdings.claims(record.target.storage_index).items():
            if node in standing.distrusted:
                flaws |= {(node, each.number): "its server has lied" for each in facts}
        return flaws

    def _take_in(self, record: Record, examination: Examination) -> None:
        """Learn homes from a proven or complete look."""
        now, findings = self._ctx.wall_time(), examination.findings
        if isinstance(findings, Findings):
            self._round.heard(findings.holdings)
        good = examination.health.good
        for node in examination.health.answers.responding:
            record.learn_homes(node, [number for number, nodes in good.items() if node in nodes])
        record.checked = record.everywhere = now
        if isinstance(findings, SlotFindings) and (version := findings.best()) is not None:
            record.needed, record.total = version.shape.needed, version.shape.total
            record.sequence = version.sequence
            record.behind = False
        if record.total and len(good) >= record.needed:
            record.confirmed = now
        self._round.care.touch(record)

    async def _mend_slot(self, record: Record, findings: SlotFindings, spared: tuple[int, ...]) -> None:
        if findings.best() is None:
            return
        findings.presumed = spared
        for node in self._round.care.trust.distrusted:
            for place in [place for place in findings.shares if place[0] == node]:
                findings.flaws.setdefault(place, "its server has lied")
        assert isinstance(record.target, SlotVerify), "a slot is examined as one"
        mended = await mend_slot(self._desk, record.target, findings)
        if mended.outcome.attempted:
            self._round.spend(2 * mended.outcome.pushed, 3 * len(mended.outcome.made))
            self._conclude(record, mended.outcome.made, mended.outcome.replaced, mended.outcome.trouble)

    def _conclude(
        self, record: Record, made: dict[int, NodeId], replaced: Iterable[tuple[NodeId, int]], trouble: str
    ) -> None:
        for number, node in made.items():
            nodes = record.homes.setdefault(number, [])
            if node not in nodes:
                nodes.append(node)
        mended = dict.fromkeys(replaced)
        record.flaws = [place for place in record.flaws if place not in mended]
        if made or mended:
            self._round.tidings.counts["repairs"] += 1
            self._round.tidings.counts["shares made"] += len(made) + len(mended)
            record.leased = 0.0  # new shares bear this node's lease, which need not be the one that is wanted
        if trouble:
            self._round.tidings.counts["failures"] += 1
            self._round.tidings.complain(f"a repair is not complete: {trouble}")
        self._round.care.touch(record)


def _is_file(record: Record) -> bool:
    return isinstance(record.target, ImmutableVerify)
