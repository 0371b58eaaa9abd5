"""Moving: a caretaker gives new servers their part, and empties those that are about to leave."""

from __future__ import annotations

from collections.abc import Sequence

from tahoe.actors.carelist import Record
from tahoe.actors.careround import CareRound
from tahoe.actors.moving import Carrier
from tahoe.codec.capability import ImmutableVerify
from tahoe.errors import TahoeError
from tahoe.policy.care import Standing
from tahoe.policy.order import permuted
from tahoe.policy.rebalance import LEAVE, SPREAD, Move, Takers, next_move
from tahoe.protocol import NodeId

MOVES_IN_ROUND = 200


class Moving:
    """The last stage.

    Args:
        shared: by all stages.
    """

    def __init__(self, shared: CareRound) -> None:
        self._round = shared
        self._desk = shared.desk
        self._ctx = shared.desk.ctx

    async def move(self, records: Sequence[Record]) -> None:
        """Give new servers their part, one move a file and round, and empty those that leave."""
        standing = self._round.standing()
        sites = [site for site in self._desk.servers() if site.node in standing.present]
        sites = [site for site in sites if site.node not in standing.distrusted]
        count = len(self._desk.servers()) - len(self._round.care.gone)
        wanting = [record for record in records if self._may_move(record, count, standing)]
        load = self._load() if wanting else {}
        moves = 0
        for record in wanting:
            if moves >= MOVES_IN_ROUND or not self._round.is_left():
                return
            record.sites = count
            self._round.care.touch(record)
            takers = Takers(permuted(sites, record.target.storage_index), standing.leaving, load)
            moves += await self._move_shares(record, takers, standing)

    async def _move_shares(self, record: Record, takers: Takers, standing: Standing) -> int:
        """Make the moves that are worth most for one file; return how many."""
        for moves in range(record.total):
            move = next_move(record.needed, record.total, _trusted(record, standing), takers)
            if move is None or not await self._carry(record, move):
                return moves
            if move.reason != LEAVE:
                return moves + 1
        return record.total

    def _may_move(self, record: Record, sites: int, standing: Standing) -> bool:
        """Whether anything has changed since it was last thought of; slots stay with the homes that their writer chose."""
        if not isinstance(record.target, ImmutableVerify):
            return False
        homes = [node for nodes in record.homes.values() for node in nodes]
        return sites != record.sites or any(node in standing.leaving for node in homes)

    def _load(self) -> dict[NodeId, float]:
        """Bytes of files that each server holds for us."""
        load: dict[NodeId, float] = {}
        for record in self._round.care.records.values():
            target = record.target
            if isinstance(target, ImmutableVerify):
                size = target.size / target.needed
                for nodes in record.homes.values():
                    for node in nodes:
                        load[node] = load.get(node, 0.0) + size
        return load

    async def _carry(self, record: Record, move: Move) -> bool:
        """Copy a share, and let the old one go where that takes none along that stays; whether it was copied."""
        number, source, target, reason = move
        assert isinstance(record.target, ImmutableVerify), "only files' shares move"
        sites = self._desk.sites()
        carrier = Carrier(self._desk, record.target, number, sites[source], sites[target])
        try:
            size = await carrier.copy()
        except TahoeError as error:
            self._round.tidings.complain(f"share {number} could not be moved to {self._round.label(target)}: {error}")
            return False
        self._round.spend(2.0 * size, 6)
        self._round.tidings.counts["moves"] += 1
        record.homes[number] = [*record.homes.get(number, ()), target]
        alone = sum(source in nodes for nodes in record.homes.values()) == 1
        if reason != SPREAD and alone:
            await carrier.farewell()
            record.homes[number] = [node for node in record.homes[number] if node != source]
        record.sites = 0  # there may be more to move
        record.leased = 0.0  # as after a repair
        self._round.care.touch(record)
        return True


def _trusted(record: Record, standing: Standing) -> dict[int, list[NodeId]]:
    """Who has which share, as far as it can be read now."""
    bad = dict.fromkeys(record.flaws)
    found = {
        number: [node for node in nodes if node in standing.present and (node, number) not in bad]
        for number, nodes in record.homes.items()
    }
    return {number: nodes for number, nodes in found.items() if nodes}
