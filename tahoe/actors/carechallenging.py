"""Finding out liars: a caretaker asks for blocks by chance, and for more of whoever has failed once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tahoe.actors.carelist import Record
from tahoe.actors.careround import CareRound
from tahoe.actors.challenging import Challenge, Reply, pose
from tahoe.actors.keeper import do_each
from tahoe.errors import Refused, Unanswered
from tahoe.protocol import AdviseCorrupt, NodeId


class Challenging:
    """The stage after mending.

    Args:
        shared: by all stages.
    """

    def __init__(self, shared: CareRound) -> None:
        self._round = shared
        self._desk = shared.desk
        self._ctx = shared.desk.ctx

    async def challenge(self, records: Sequence[Record]) -> None:
        """Ask for some blocks by chance; for more of whoever has failed once."""
        count = -(-self._round.rules.challenges * len(records) // 100)
        places = self._places(records)
        if not places or not count or not self._round.is_left():
            return
        chosen = self._ctx.rng.sample(places, min(count, len(places)))
        await self._pose(chosen)
        suspects = [
            (record, node, number)
            for record, node, number in places
            if self._round.care.trust.is_suspect(node) and (node, number) not in record.flaws
        ]
        if suspects and self._round.is_left():
            await self._pose(self._ctx.rng.sample(suspects, min(5, len(suspects))))

    def _places(self, records: Iterable[Record]) -> list[tuple[Record, NodeId, int]]:
        present = self._round.standing().present
        return [
            (record, node, number)
            for record in records
            for number, nodes in sorted(record.homes.items())
            for node in nodes
            if node in present
        ]

    async def _pose(self, places: Sequence[tuple[Record, NodeId, int]]) -> None:
        sites = self._desk.sites()
        known = [place for place in places if place[1] in sites]
        challenges = [Challenge(record.target, sites[node], number) for record, node, number in known]

        async def ask(challenge: Challenge) -> Reply:
            return await pose(self._desk, challenge)

        replies = await do_each(self._desk, challenges, ask)
        for (record, node, number), reply in zip(known, replies, strict=True):
            if reply.answered:
                await self._judge(record, node, number, reply)

    async def _judge(self, record: Record, node: NodeId, number: int, reply: Reply) -> None:
        """Believe the server less, or more. One that finds its own share corrupt when it is asked to look is honest."""
        place, is_known = (node, number), (node, number) in record.flaws
        self._round.spend(reply.size + 2000, 1)
        self._round.tidings.counts["challenged"] += 1
        if not reply.flaw:
            self._round.care.trust.learn(node, passed=True)
            record.flaws = [each for each in record.flaws if each != place]
        elif not is_known:
            is_honest = await self._admits(record, node, number, reply.flaw)
            self._round.tidings.counts["rot" if is_honest else "lies"] += 1
            self._round.tidings.complain(f"share {number} on {self._round.label(node)}: {reply.flaw}")
            record.flaws = [*record.flaws, place]
            if not is_honest:
                self._round.care.trust.learn(node, passed=False)
                self._desk.terms().room.times.lied(node)
        self._round.care.touch(record)

    async def _admits(self, record: Record, node: NodeId, number: int, flaw: str) -> bool:
        """Whether a server, asked to look at its share, finds it corrupt, too."""
        advice = AdviseCorrupt(record.target.storage_index, number, flaw)
        address, patience = self._desk.sites()[node].address, self._desk.terms().room.habits.patience
        try:
            return (await self._ctx.ask(address, advice, timeout=patience)).found_corrupt
        except (Refused, Unanswered):
            return False
