"""When a file is to be repaired, and where shares that are made anew go.

Two rules, because two things change independently:

* ``RepairRule`` says when. At once is safest and dearest: every laptop that is closed for a week costs a share that was
  not lost. A lazy rule waits until fewer than ``threshold`` shares are left, and then restores all N, so that what a
  repair costs (k shares read) is shared by several. Servers that are only away for a while have come back by then.
* ``FillGaps`` says where: shares that are there stay where they are, whatever better place there might be, since moving
  is rebalancing's work. What is missing goes to servers that take it, first to those without any share of the file, in
  the failure domains that have fewest of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tahoe.policy.domains import domain_of
from tahoe.policy.health import Health
from tahoe.policy.order import S, permuted
from tahoe.policy.placement import Candidate
from tahoe.protocol import NodeId


@dataclass(frozen=True, slots=True)
class RepairRule:
    """When to repair.

    Args:
        margin: repair when the shares left are no more than k and this part of the N - k spare ones. 1: whenever
            any is missing; 0: only when the next loss would be the end.
    """

    margin: float = 1.0

    def threshold(self, needed: int, total: int) -> int:
        """Repair if fewer shares are left than this, R; between k + 1 and N."""
        spare = total - needed
        return min(total, needed + 1 + int(self.margin * max(0, spare - 1) + 0.5)) if spare else total

    def wants(self, health: Health) -> bool:
        """Whether an object is to be repaired now."""
        best = health.best
        left = len(health.good)
        return best.is_recoverable and bool(health.missing) and left < self.threshold(best.needed, best.total)


AT_ONCE = RepairRule()
"""What a person means who says "repair"."""

LAZY = RepairRule(0.5)
"""What a caretaker does unless told otherwise: of ten shares it lets three go, and then makes all anew. In the simulated
lives of ``docs/keeping.md`` that moved a third of the bytes and lost nothing either (``experiments/maintenance.py``)."""


class FillGaps:
    """A placement policy that moves nothing.

    Args:
        missing: share numbers to be placed.
    """

    def __init__(self, missing: Sequence[int]) -> None:
        self._missing = missing

    def shortlist(self, servers: Sequence[S], storage_index: bytes, total: int) -> list[S]:
        """All servers, in the file's order: whoever repairs has asked them anyway."""
        return permuted(servers, storage_index)

    def assign(self, total: int, candidates: Sequence[Candidate]) -> dict[int, NodeId]:
        """See ``PlacementPolicy``."""
        homes: dict[int, NodeId] = {}
        load = {candidate.node: len(candidate.holds) for candidate in candidates}
        domains: Counter[str] = Counter()
        for candidate in candidates:
            domains[domain_of(candidate)] += len(candidate.holds)
            homes.update({number: candidate.node for number in candidate.holds if number not in homes})
        for number in self._missing:
            pool = [candidate for candidate in candidates if candidate.takes(number)]
            if number in homes or not pool:
                continue
            home = min(pool, key=lambda candidate: (load[candidate.node], domains[domain_of(candidate)]))
            homes[number] = home.node
            load[home.node] += 1
            domains[domain_of(home)] += 1
        return homes
