"""Monte Carlo: files lost in years of failures and repairs, without a single message.

A run keeps an inventory of shares and lets two kinds of events happen to it: *incidents* of a weather (a disk dies, a
server is away) and *checks*, at which a repair rule looks at each file and a placement rule finds homes for what is
missing. Both rules are the objects that the actors use; nothing here knows what they decide.

    incidents  ──x────────x─x──────────x────►        a file with fewer than k sound shares anywhere is lost,
    checks     ────|────────|────────|──────►        for good; what is merely out of sight may come back

Time is spent on what happens and not on what does not: an incident costs one pass over a matrix, a check another, and
only files that are repaired cost a call of the placement rule. ``tahoe.sim.compiled`` is the same for the simplest
weather and the standard rule, compiled; ``tahoe.sim.rare`` answers for losses so rare that no run would show one.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import numpy as np

from tahoe.policy.placement import PlacementPolicy
from tahoe.protocol import NodeId
from tahoe.sim.chronicle import Chronicle, Outcome, Placed, Repair, node_ids
from tahoe.sim.inventory import Assigner
from tahoe.sim.study import (
    NEVER,
    Below,
    Caretaker,
    Checks,
    Code,
    RepairDecision,
    Rules,
    Study,
    unplaced,
)
from tahoe.sim.weather import Incident, forecast

__all__ = [
    "LEFT_ALONE",
    "NEVER",
    "REACH",
    "Below",
    "Caretaker",
    "Checks",
    "Code",
    "Outcome",
    "Placed",
    "Repair",
    "RepairDecision",
    "Rules",
    "Study",
    "place",
    "replay",
    "run",
    "unplaced",
]

LEFT_ALONE = Rules()
"""The standard placement, and no repair."""

REACH = 64
"""How many servers, drawn at random, the uploader of a file chooses among.

Ranking a thousand servers for each of ten thousand files would take longer than everything else. For a rule that looks
at nothing but the file's own order the result has the same law: the front of the order of a random part is a random
draw from the whole."""


def run(study: Study, rules: Rules = LEFT_ALONE, seed: int | str = 1, reach: int = REACH) -> Outcome:
    """One history of a grid.

    Args:
        study: what there is, and what happens to it.
        rules: who decides.
        seed: names the run: it alone determines weather and placement, the rules don't.
        reach: servers among which an upload chooses; the number of servers for rules that need to know all.
    """
    incidents = forecast(study.weathers, study.locations, study.seconds, seed)
    return replay(study, rules, place(study, rules.placement, seed, reach), incidents, seed)


def replay(study: Study, rules: Rules, placed: Placed, incidents: Sequence[Incident], seed: int | str = 1) -> Outcome:
    """The history that these incidents make of files in these homes; the seed says only which shares rot."""
    return Chronicle(study, rules, placed, Random(f"{seed}/rot")).unfold(incidents)


class _Server(NamedTuple):
    """A server as placement rules see one."""

    node: NodeId
    nickname: str
    permutation_seed: bytes
    location: str
    number: int


def _servers(locations: Sequence[str], rng: Random) -> list[_Server]:
    return [
        _Server(NodeId(f"v0-{number}"), f"server-{number}", rng.randbytes(32), location, number)
        for number, location in enumerate(locations)
    ]


def place(study: Study, policy: PlacementPolicy, seed: int | str, reach: int = REACH) -> Placed:
    """Store all files by a rule: its ``shortlist`` for each, and what its ``assign`` makes of that."""
    rng = Random(f"{seed}/placement")
    servers = _servers(study.locations, rng)
    assigner = Assigner(node_ids(study), study.locations, study.code.total)
    homes, orders = [], []
    for _ in range(study.files):
        known = servers if reach >= len(servers) else rng.sample(servers, reach)
        order = [server.number for server in policy.shortlist(known, rng.randbytes(16), study.code.total)]
        assigned = assigner.assign(policy, order, {})
        homes.append([assigned.get(number, -1) for number in range(study.code.total)])
        orders.append(order)
    width = max(map(len, orders))
    padded = [order + [-1] * (width - len(order)) for order in orders]
    return Placed(np.array(homes, np.int32), np.array(padded, np.int32))
