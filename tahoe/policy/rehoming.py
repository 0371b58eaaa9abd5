"""Giving the shares of a slot other homes: which, how many at a time, and why nothing can be lost by it.

A version of a slot names its homes, so a share position moves by a write: version n + 1 with the contents of version n and
some other homes. What the register rule (``register.py``) promises rests on two quorums having positions in
common, and versions with different homes have fewer of them. Say that version n + 1 is written by two, by one with d other
homes. They have N - d positions in common, each of which takes one of them, and d positions each for
themselves::

    Q + Q  <=  (N - d) + 2 d     both win                   so d < 2 Q - N, and one of them loses

With 3-of-10 (Q = 7) that allows three homes at a time. Three rules more keep the rest of the argument simple:

* A mover writes only on top of a version that is known to have won, and only if no other version that is as new is to
  be seen. Then no rival exists that he would have to merge.
* A version that only moves has nothing in it that could be lost. So it does no harm when a writer, who saw it on less
  than k positions, overwrites it.
* The old homes are told of the new version, as far as they are in reach. It names the new ones; so whoever knows
  only the old homes still finds the way, after any number of moves.
"""

from __future__ import annotations

from collections.abc import Collection

from tahoe.codec.slot import SlotShape, SlotVersion
from tahoe.policy.order import Site
from tahoe.policy.rebalance import LEAVE, Takers, next_move
from tahoe.policy.register import Register
from tahoe.protocol import NodeId
from tahoe.session.identity import node_of


def homes_at_a_time(shape: SlotShape) -> int:
    """How many positions may get another home in one write."""
    return 2 * shape.quorum - shape.total - 1


def may_rehome(register: Register, version: SlotVersion) -> bool:
    """Whether a version may be followed by one that only moves: it has won, and nothing else that is as new is to be seen."""
    newest = [identity for identity in register.versions if identity.sequence >= version.sequence]
    return newest == [version.identity] and register.has_won(version)


def better_homes(version: SlotVersion, sites: list[Site], unwanted: Collection[NodeId]) -> tuple[bytes, ...]:
    """The homes of the next version: unwanted ones are replaced, as many as may be at a time, by the rule of files.

    Args:
        version: that is there.
        sites: servers that may be homes, in the slot's order.
        unwanted: servers that should be none any more.

    Returns:
        As many homes as before; the same if there is nothing to be done, or nobody to take a share.
    """
    homes = list(version.homes)
    takers = Takers(sites, leaving=unwanted)
    by_node = {site.node: site.permutation_seed for site in sites}
    for _ in range(homes_at_a_time(version.shape)):
        holders = {number: [node_of(home)] for number, home in enumerate(homes)}
        move = next_move(version.shape.needed, version.shape.total, holders, takers)
        if move is None or move.reason != LEAVE:
            break
        homes[move.number] = by_node[move.target]
    return tuple(homes)
