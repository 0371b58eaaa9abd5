"""Looking: a caretaker asks servers about what it looks after, and renews leases on what they have.

Known homes are asked at every look; all servers now and then, and whenever the known ones don't suffice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tahoe.actors.carelist import Record, indexes_by_home
from tahoe.actors.careround import CareRound
from tahoe.actors.checking import Holdings, ask_servers
from tahoe.actors.keeper import Keeper
from tahoe.actors.leases import Mandate
from tahoe.codec.capability import ImmutableVerify, SlotVerify
from tahoe.policy.care import DAY, Safety, Standing
from tahoe.protocol import HaveShares, NodeId

LEAVING_EVERY = DAY / 4
"""Seconds between two looks at what is on a server that leaves."""


class Looking:
    """The first stage.

    Args:
        shared: by all stages.
        keeper: renews leases.
    """

    def __init__(self, shared: CareRound, keeper: Keeper) -> None:
        self._round = shared
        self._desk = shared.desk
        self._ctx = shared.desk.ctx
        self._keeper = keeper

    def due(self, *, everything: bool = False) -> list[Record]:
        """The records that should be looked at now (or all of them), those in most danger first."""
        now, standing = self._ctx.wall_time(), self._round.standing()
        found = [each for each in self._round.care.records.values() if everything or self._is_due(each, now, standing)]
        return sorted(
            found, key=lambda record: (-self._round.danger(record, standing), record.checked, record.capability)
        )

    def _is_due(self, record: Record, now: float, standing: Standing) -> bool:
        """Whether it is its turn; that comes early for files of which shares are on servers that leave, and nowhere else."""
        age = now - record.checked
        if age >= self._round.rules.check_every:
            return True
        if not standing.leaving or age < LEAVING_EVERY or not isinstance(record.target, ImmutableVerify):
            return False
        return any(all(node in standing.leaving for node in nodes) for nodes in record.homes.values())

    async def look(self, records: Sequence[Record]) -> None:
        """Ask about records where they were last found, and about those whose turn it is everywhere."""
        standing = self._round.standing()
        everywhere = {record.capability: None for record in records if self._looks_everywhere(record, standing)}
        askable = self._askable(records, everywhere)
        sites = self._desk.sites()
        by_node: dict[NodeId, list[bytes]] = {}
        for index, nodes in askable.items():
            for node in nodes:
                by_node.setdefault(node, []).append(index)
        questions = {sites[node]: HaveShares(tuple(indexes), slots=True) for node, indexes in by_node.items()}
        holdings = await ask_servers(self._desk, questions)
        self._round.heard(holdings)
        self._round.spend(64.0 * sum(map(len, by_node.values())), len(questions))
        for record in records:
            asked = askable[record.target.storage_index]
            self._learn(record, holdings, asked, everywhere=record.capability in everywhere)
        self._round.tidings.counts["checked"] += len(records)
        await self._renew(records)

    def _looks_everywhere(self, record: Record, standing: Standing) -> bool:
        """Whether to ask all servers: now and then, and whenever those that are known don't suffice."""
        if not record.total or self._ctx.wall_time() - record.everywhere >= self._round.rules.everywhere_every:
            return True
        return record.outlook(standing).safety(self._round.rules.repair) is not Safety.SAFE

    def _askable(self, records: Sequence[Record], everywhere: dict[str, None]) -> dict[bytes, list[NodeId]]:
        """Whom to ask about each record."""
        nodes = [server.node for server in self._desk.servers() if server.node not in self._round.care.gone]
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
        outlook = record.outlook(self._round.standing())
        if record.total and outlook.here >= record.needed:
            record.confirmed = now
        self._round.care.touch(record)

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

    async def _renew(self, records: Iterable[Record]) -> None:
        """Renew leases whose time it is."""
        now = self._ctx.wall_time()
        due = [record for record in records if now - record.leased >= self._round.rules.renew_every and record.homes]
        by_root: dict[str, list[Record]] = {}
        for record in due:
            by_root.setdefault(record.root, []).append(record)
        for name, some in by_root.items():
            root = self._round.care.roots.get(name)
            mandate = None if root is None else root.mandate
            if root is None or mandate is None or now < root.expires:  # else the report says that there is none
                await self._renew_for(mandate, some)

    async def _renew_for(self, mandate: Mandate | None, records: Sequence[Record]) -> None:
        """Renew leases for one account, wherever shares are."""
        wanted = indexes_by_home(records)
        leased = await self._keeper.renew(wanted, mandate)
        for record in records:
            if record.target.storage_index in leased:
                record.leased = self._ctx.wall_time()
        self._round.spend(100.0 * sum(map(len, wanted.values())), len(wanted))
        self._round.tidings.counts["renewed"] += len(leased)
