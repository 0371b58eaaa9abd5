"""A caretaker's round: look, renew, mend, challenge, move; each within the allowance, and whoever is nearest to the end first.

::

    due records ──► known homes are asked, now and then everybody ──► homes, leases
                      │ chance                                         │ too few shares reckoned with
                      ▼                                                ▼
                  challenges ──► who lies                           repair ──► moves

What to do is decided in ``policy/care.py`` and ``policy/rebalance.py``; here it is done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tahoe.actors.carelist import CareList, Record
from tahoe.actors.challenging import Challenge, Reply, pose
from tahoe.actors.checking import INDEXES_IN_MESSAGE, Holdings, ask_servers
from tahoe.actors.keeper import Examination, Keeper, do_each
from tahoe.actors.keeping import KeepingDesk
from tahoe.actors.moving import Carrier
from tahoe.actors.repairing import Findings, mend_file
from tahoe.actors.slotchecking import SlotFindings
from tahoe.actors.slotrepairing import mend_slot
from tahoe.actors.terms import ignore_progress
from tahoe.codec.capability import ImmutableVerify, SlotVerify
from tahoe.errors import Refused, TahoeError, Unanswered
from tahoe.policy.allowance import Allowance
from tahoe.policy.care import SURVIVAL, CareRules, Safety, Standing, standing_of
from tahoe.policy.order import permuted
from tahoe.policy.rebalance import SPREAD, Takers, next_move
from tahoe.protocol import AdviseCorrupt, HaveShares, NodeId

REPAIRS_AT_A_TIME = 4
MOVES_IN_ROUND = 200


@dataclass(slots=True)
class Tidings:
    """What a caretaker has done, in all.

    Attributes:
        counts: ``checked``, ``renewed``, ``challenged``, ``lies``, ``repairs``, ``failures``, ``moves``.
        bytes: sent and received for it, roughly.
        troubles: the last things that went wrong, newest last.
    """

    counts: Counter[str] = field(default_factory=Counter)
    bytes: float = 0.0
    troubles: list[str] = field(default_factory=list)

    def complain(self, text: str) -> None:
        """Something went wrong."""
        self.troubles = [*self.troubles[-19:], text]


class CareWork:
    """The work of one caretaker.

    Args:
        desk: of the node.
        keeper: checks and repairs.
        care: what is looked after.
        rules: how.
        allowance: what may be spent.
    """

    def __init__(
        self, desk: KeepingDesk, keeper: Keeper, care: CareList, rules: CareRules, allowance: Allowance
    ) -> None:
        self._desk = desk
        self._ctx = desk.ctx
        self._keeper = keeper
        self._care = care
        self._rules = rules
        self._allowance = allowance
        self._silent: dict[NodeId, None] = {}
        self.tidings = Tidings()

    # --- servers ------------------------------------------------------------------------------------------

    def meet(self) -> None:
        """Note who is there, as far as the network tells."""
        now = self._ctx.wall_time()
        for server in self._desk.servers():
            if self._ctx.presence(server.node):
                self._care.seen[server.node] = now
                self._silent.pop(server.node, None)

    def _heard(self, holdings: Holdings) -> None:
        now = self._ctx.wall_time()
        for node in holdings.held:
            self._care.seen[node] = now
            self._silent.pop(node, None)
        self._silent.update(dict.fromkeys(holdings.silent))

    def standing(self) -> Standing:
        """Servers as they are seen now."""
        care, now = self._care, self._ctx.wall_time()
        servers = [server for server in self._desk.servers() if server.node not in care.gone]
        present: list[NodeId] = []
        absent: list[NodeId] = []
        for server in servers:
            is_there = self._ctx.presence(server.node) is not False and server.node not in self._silent
            (present if is_there else absent).append(server.node)
        asleep = standing_of(absent, care.seen, now, self._rules.grace, care.gone)
        leaving = [server.node for server in servers if server.leaving]
        return Standing(frozenset(present), frozenset(asleep), frozenset(care.trust.distrusted), frozenset(leaving))

    def _is_left(self) -> bool:
        return self._allowance.is_left(self._ctx.now())

    def _spend(self, size: float, requests: float) -> None:
        self._allowance.spend(size, requests)
        self.tidings.bytes += size

    # --- looking --------------------------------------------------------------------------------------------

    def due(self, *, everything: bool = False) -> list[Record]:
        """The records that should be looked at now (or all of them), those in most danger first."""
        now, standing = self._ctx.wall_time(), self.standing()
        records = self._care.records.values()
        found = [each for each in records if everything or now - each.checked >= self._rules.check_every]
        return sorted(found, key=lambda record: (-self._danger(record, standing), record.checked, record.capability))

    def _danger(self, record: Record, standing: Standing) -> float:
        is_known = record.checked and record.total
        return record.outlook(standing).danger(SURVIVAL) if is_known else 1.0

    async def look(self, records: Sequence[Record]) -> None:
        """Ask about records where they were last found, and about those whose turn it is everywhere."""
        standing = self.standing()
        everywhere = {record.capability: None for record in records if self._looks_everywhere(record, standing)}
        askable = self._askable(records, everywhere)
        sites = self._desk.sites()
        by_node: dict[NodeId, list[bytes]] = {}
        for index, nodes in askable.items():
            for node in nodes:
                by_node.setdefault(node, []).append(index)
        questions = {sites[node]: HaveShares(tuple(indexes), slots=True) for node, indexes in by_node.items()}
        holdings = await ask_servers(self._desk, questions)
        self._heard(holdings)
        self._spend(64.0 * sum(map(len, by_node.values())), len(questions))
        for record in records:
            asked = askable[record.target.storage_index]
            self._learn(record, holdings, asked, everywhere=record.capability in everywhere)
        self.tidings.counts["checked"] += len(records)
        await self._renew(records)

    def _looks_everywhere(self, record: Record, standing: Standing) -> bool:
        """Whether to ask all servers: now and then, and whenever those that are known don't suffice."""
        if not record.total or self._ctx.wall_time() - record.everywhere >= self._rules.everywhere_every:
            return True
        return record.outlook(standing).safety(self._rules.repair) is not Safety.SAFE

    def _askable(self, records: Sequence[Record], everywhere: dict[str, None]) -> dict[bytes, list[NodeId]]:
        """Whom to ask about each record."""
        nodes = [server.node for server in self._desk.servers() if server.node not in self._care.gone]
        known = dict.fromkeys(nodes)
        askable: dict[bytes, list[NodeId]] = {}
        for record in records:
            homes = dict.fromkeys(node for each in record.homes.values() for node in each if node in known)
            askable[record.target.storage_index] = nodes if record.capability in everywhere else list(homes)
        return askable

    def _learn(self, record: Record, holdings: Holdings, asked: Iterable[NodeId], *, everywhere: bool) -> None:
        now, target = self._ctx.wall_time(), record.target
        if isinstance(target, ImmutableVerify):
            claims = holdings.claims(target.storage_index)
            for node in asked:
                if node in claims:
                    numbers = [each.number for each in claims[node] if each.ueb_hash == target.ueb_hash]
                    record.learn_homes(node, numbers)
        else:
            self._learn_slot(record, target, holdings, asked)
        record.checked = now
        if everywhere:
            record.everywhere = now
        outlook = record.outlook(self.standing())
        if record.total and outlook.here >= record.needed:
            record.confirmed = now
        self._care.touch(record)

    def _learn_slot(self, record: Record, target: SlotVerify, holdings: Holdings, asked: Iterable[NodeId]) -> None:
        """What servers say of a slot is no proof; it only tells whether a closer look is needed."""
        shown = {
            node: holdings.slots.get(node, {}).get(target.storage_index, ()) for node in asked if node in holdings.held
        }
        newest = max((each.sequence for shares in shown.values() for each in shares), default=0)
        versions = dict.fromkeys((each.sequence, each.root_hash) for shares in shown.values() for each in shares)
        record.behind = len(versions) > 1 or not record.total
        record.sequence = max(record.sequence, newest)
        for node, shares in shown.items():
            record.learn_homes(node, [each.number for each in shares if each.sequence == newest])

    # --- leases ----------------------------------------------------------------------------------------------

    async def _renew(self, records: Iterable[Record]) -> None:
        """Renew leases whose time it is."""
        now = self._ctx.wall_time()
        wanted: dict[NodeId, dict[bytes, None]] = {}
        due = [record for record in records if now - record.leased >= self._rules.renew_every and record.homes]
        for record in due:
            for node in dict.fromkeys(node for nodes in record.homes.values() for node in nodes):
                wanted.setdefault(node, {})[record.target.storage_index] = None
        if not wanted:
            return
        leased = await self._keeper.renew({node: list(indexes) for node, indexes in wanted.items()})
        for record in due:
            if record.target.storage_index in leased:
                record.leased = now
        self._spend(100.0 * sum(map(len, wanted.values())), len(wanted))
        self.tidings.counts["renewed"] += len(leased)

    # --- challenges -------------------------------------------------------------------------------------------

    async def challenge(self, records: Sequence[Record]) -> None:
        """Ask for some blocks by chance; for more of whoever has failed once."""
        count = -(-self._rules.challenges * len(records) // 100)
        places = self._places(records)
        if not places or not count or not self._is_left():
            return
        chosen = self._ctx.rng.sample(places, min(count, len(places)))
        await self._pose(chosen)
        suspects = [
            (record, node, number)
            for record, node, number in places
            if self._care.trust.is_suspect(node) and (node, number) not in record.flaws
        ]
        if suspects and self._is_left():
            await self._pose(self._ctx.rng.sample(suspects, min(5, len(suspects))))

    def _places(self, records: Iterable[Record]) -> list[tuple[Record, NodeId, int]]:
        present = self.standing().present
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
        self._spend(reply.size + 2000, 1)
        self.tidings.counts["challenged"] += 1
        if not reply.flaw:
            self._care.trust.learn(node, passed=True)
            record.flaws = [each for each in record.flaws if each != place]
        elif not is_known:
            is_honest = await self._admits(record, node, number, reply.flaw)
            self.tidings.counts["rot" if is_honest else "lies"] += 1
            self.tidings.complain(f"share {number} on {self._label(node)}: {reply.flaw}")
            record.flaws = [*record.flaws, place]
            if not is_honest:
                self._care.trust.learn(node, passed=False)
        self._care.touch(record)

    async def _admits(self, record: Record, node: NodeId, number: int, flaw: str) -> bool:
        """Whether a server, asked to look at its share, finds it corrupt, too."""
        advice = AdviseCorrupt(record.target.storage_index, number, flaw)
        address, patience = self._desk.sites()[node].address, self._desk.terms().room.habits.patience
        try:
            return (await self._ctx.ask(address, advice, timeout=patience)).found_corrupt
        except (Refused, Unanswered):
            return False

    def _label(self, node: NodeId) -> str:
        site = self._desk.sites().get(node)
        return node if site is None else site.label

    # --- mending ----------------------------------------------------------------------------------------------

    async def mend(self, records: Sequence[Record]) -> None:
        """Repair what needs it, most endangered first, as long as the allowance lasts."""
        standing = self.standing()
        wanting = [record for record in records if self._wants_mending(record, standing)]
        wanting.sort(key=lambda record: (-self._danger(record, standing), record.capability))
        for start in range(0, len(wanting), INDEXES_IN_MESSAGE):
            batch = wanting[start : start + INDEXES_IN_MESSAGE]
            if not self._is_left():
                return
            examinations = await self._keeper.check([record.target for record in batch])
            self._spend(64.0 * len(batch) * len(self._desk.servers()), len(self._desk.servers()))
            await do_each(self._desk, list(zip(batch, examinations, strict=True)), self._mend, REPAIRS_AT_A_TIME)

    def _wants_mending(self, record: Record, standing: Standing) -> bool:
        if not record.total or record.behind:
            return True
        return record.outlook(standing).wants_repair(self._rules.repair)

    async def _mend(self, pair: tuple[Record, Examination]) -> None:
        record, examination = pair
        try:
            await self._mend_one(record, examination)
        except TahoeError as error:
            self.tidings.counts["failures"] += 1
            self.tidings.complain(f"a repair failed: {error}")

    async def _mend_one(self, record: Record, examination: Examination) -> None:
        self._take_in(record, examination)
        standing = self.standing()
        outlook = record.outlook(standing)
        if isinstance(examination.findings, SlotFindings):
            await self._mend_slot(record, examination.findings, outlook.spared)
            return
        if not outlook.wants_repair(self._rules.repair) or not self._is_left():
            return
        assert isinstance(examination.findings, Findings), "an examination of a file has findings of a file"
        assert isinstance(record.target, ImmutableVerify), "a file is examined as one"
        flaws = self._flaws(record, examination.findings.holdings, standing)
        findings = Findings(examination.findings.holdings, flaws, outlook.spared)
        mended = await mend_file(self._desk, record.target, findings, ignore_progress)
        self._spend(mended.outcome.pushed + record.target.size, 3 * len(mended.outcome.made) + record.needed)
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
            self._heard(findings.holdings)
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
        self._care.touch(record)

    async def _mend_slot(self, record: Record, findings: SlotFindings, spared: tuple[int, ...]) -> None:
        if findings.best() is None or not self._is_left():
            return
        findings.presumed = spared
        for node in self.standing().distrusted:
            for place in [place for place in findings.shares if place[0] == node]:
                findings.flaws.setdefault(place, "its server has lied")
        assert isinstance(record.target, SlotVerify), "a slot is examined as one"
        mended = await mend_slot(self._desk, record.target, findings)
        if mended.outcome.attempted:
            self._spend(2 * mended.outcome.pushed, 3 * len(mended.outcome.made))
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
            self.tidings.counts["repairs"] += 1
            self.tidings.counts["shares made"] += len(made) + len(mended)
        if trouble:
            self.tidings.counts["failures"] += 1
            self.tidings.complain(f"a repair is not complete: {trouble}")
        self._care.touch(record)

    # --- moving -------------------------------------------------------------------------------------------------

    async def move(self, records: Sequence[Record]) -> None:
        """Give new servers their part and empty those that leave, one move a file and round."""
        standing = self.standing()
        sites = [site for site in self._desk.servers() if site.node in standing.present]
        sites = [site for site in sites if site.node not in standing.distrusted]
        count = len(self._desk.servers()) - len(self._care.gone)
        wanting = [record for record in records if self._may_move(record, count, standing)]
        load = self._load() if wanting else {}
        moves = 0
        for record in wanting:
            if moves >= MOVES_IN_ROUND or not self._is_left():
                return
            record.sites = count
            self._care.touch(record)
            order = permuted(sites, record.target.storage_index)
            takers = Takers(order, standing.leaving, load)
            move = next_move(record.needed, record.total, _trusted(record, standing), takers)
            if move is not None:
                moves += 1
                await self._carry(record, move.number, move.source, move.target, farewell=move.reason != SPREAD)

    def _may_move(self, record: Record, sites: int, standing: Standing) -> bool:
        """Whether anything has changed since it was last thought of; slots stay with the homes that their writer chose."""
        if not isinstance(record.target, ImmutableVerify):
            return False
        homes = [node for nodes in record.homes.values() for node in nodes]
        return sites != record.sites or any(node in standing.leaving for node in homes)

    def _load(self) -> dict[NodeId, float]:
        """Bytes of files that each server holds for us."""
        load: dict[NodeId, float] = {}
        for record in self._care.records.values():
            target = record.target
            if isinstance(target, ImmutableVerify):
                size = target.size / target.needed
                for nodes in record.homes.values():
                    for node in nodes:
                        load[node] = load.get(node, 0.0) + size
        return load

    async def _carry(self, record: Record, number: int, source: NodeId, target: NodeId, *, farewell: bool) -> None:
        assert isinstance(record.target, ImmutableVerify), "only files' shares move"
        sites = self._desk.sites()
        carrier = Carrier(self._desk, record.target, number, sites[source], sites[target])
        try:
            size = await carrier.copy()
        except TahoeError as error:
            self.tidings.complain(f"share {number} could not be moved to {self._label(target)}: {error}")
            return
        self._spend(2.0 * size, 6)
        self.tidings.counts["moves"] += 1
        record.homes[number] = [*record.homes.get(number, ()), target]
        alone = sum(source in nodes for nodes in record.homes.values()) == 1
        if farewell and alone:
            await carrier.farewell()
            record.homes[number] = [node for node in record.homes[number] if node != source]
        record.sites = 0  # there may be more to move
        self._care.touch(record)


def _trusted(record: Record, standing: Standing) -> dict[int, list[NodeId]]:
    """Who has which share, as far as it can be read now."""
    bad = dict.fromkeys(record.flaws)
    found = {
        number: [node for node in nodes if node in standing.present and (node, number) not in bad]
        for number, nodes in record.homes.items()
    }
    return {number: nodes for number, nodes in found.items() if nodes}
