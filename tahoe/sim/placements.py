"""Placements: other rules than the standard one, for comparison. The grid, the simulator and Monte Carlo take any of them.

==================  ====================================================================================================
rule                each file's shares go to
==================  ====================================================================================================
``PermutedRing``    the first N servers of the file's own order, and there is no more to it (Tahoe's first rule)
``RandomChoice``    any server each, drawn anew for each share: two may meet
``Copysets``        one of a few fixed sets of N servers, so that few sets of failures are deadly
==================  ====================================================================================================

The standard rule is ``tahoe.policy.placement.SPREAD``, and over domains ``tahoe.policy.domains.SpreadOverDomains``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from math import ceil

from tahoe.policy.order import S, permuted
from tahoe.policy.placement import Candidate
from tahoe.protocol import NodeId


def in_order(total: int, candidates: Sequence[Candidate]) -> dict[int, NodeId]:
    """Share i to the i-th candidate; where there are too few, round and round."""
    return {number: candidates[number % len(candidates)].node for number in range(total)} if candidates else {}


class PermutedRing:
    """The first N servers of the file's order."""

    def shortlist(self, servers: Sequence[S], storage_index: bytes, total: int) -> list[S]:
        """See ``PlacementPolicy``."""
        return permuted(servers, storage_index, total)

    def assign(self, total: int, candidates: Sequence[Candidate]) -> dict[int, NodeId]:
        """See ``PlacementPolicy``."""
        return in_order(total, candidates)


class RandomChoice:
    """Each share to any server, whatever the others do: what a hash of file and share number amounts to."""

    def shortlist(self, servers: Sequence[S], storage_index: bytes, total: int) -> list[S]:
        """See ``PlacementPolicy``. A server may be listed twice, and will hold two shares then."""
        draws = (sha256(storage_index + bytes([number])).digest() for number in range(total))
        return [servers[int.from_bytes(draw[:8], "big") % len(servers)] for draw in draws]

    def assign(self, total: int, candidates: Sequence[Candidate]) -> dict[int, NodeId]:
        """See ``PlacementPolicy``."""
        return in_order(total, candidates)


@dataclass(frozen=True)
class Copysets:
    """Few sets: random orders of all servers are cut into sets of N, and a file goes to one of its first server's sets.

    Args:
        width: how many others a server shares its files with, at least N - 1.

    Source: Cidon et al., Copysets, USENIX ATC 2013.
    """

    width: int

    def shortlist(self, servers: Sequence[S], storage_index: bytes, total: int) -> list[S]:
        """See ``PlacementPolicy``."""
        numbers = {server.node: number for number, server in enumerate(servers)}
        sets = _copysets(tuple(numbers), total, ceil(self.width / max(1, total - 1)))
        draw = int.from_bytes(sha256(storage_index).digest()[:8], "big")
        first = draw % len(servers)
        chosen = sets[draw // len(servers) % len(sets)][first]
        return [servers[numbers[node]] for node in chosen]

    def assign(self, total: int, candidates: Sequence[Candidate]) -> dict[int, NodeId]:
        """See ``PlacementPolicy``."""
        return in_order(total, candidates)


@lru_cache(maxsize=8)
def _copysets(nodes: tuple[NodeId, ...], total: int, orders: int) -> list[list[tuple[NodeId, ...]]]:
    """For each order and each server (by its number), the set that it is in; the last sets of an order share servers."""
    sets = []
    number = {node: place for place, node in enumerate(nodes)}
    for order in range(orders):
        ranked = sorted(nodes, key=lambda node: sha256(f"{order}/{node}".encode()).digest())
        mine: list[tuple[NodeId, ...]] = [()] * len(nodes)
        for start in range(0, len(ranked), total):
            chosen = tuple(ranked[start : start + total])
            chosen = chosen if len(chosen) == total else tuple(ranked[-total:])
            for node in ranked[start : start + total]:
                mine[number[node]] = chosen
        sets.append(mine)
    return sets
