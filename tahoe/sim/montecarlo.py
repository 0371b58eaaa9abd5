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

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf
from random import Random
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tahoe.policy.health import Answers, health_of_file
from tahoe.policy.placement import SPREAD, PlacementPolicy
from tahoe.policy.repair import AT_ONCE, FillGaps, RepairRule
from tahoe.protocol import NodeId
from tahoe.sim.inventory import Assigner, Inventory, Numbers
from tahoe.sim.weather import DAY, Incident, Weather, forecast


class RepairDecision(Protocol):
    """When is a file repaired?"""

    def decide(self, living: int) -> bool:
        """Whether a file is repaired of which a check has found so many different shares."""


@dataclass(frozen=True, slots=True)
class Below:
    """Repair what has fewer shares than a threshold R. With R = N every loss is mended, with R = 0 none."""

    threshold: int

    def decide(self, living: int) -> bool:
        """See ``RepairDecision``."""
        return living < self.threshold


NEVER = Below(0)


@dataclass(frozen=True, slots=True)
class Caretaker:
    """The decision that the caretaker's own rule makes, asked about a file of which so many shares were found.

    Args:
        rule: the caretaker's.
        needed: k.
        total: N.
    """

    rule: RepairRule = AT_ONCE
    needed: int = 3
    total: int = 10

    def decide(self, living: int) -> bool:
        """See ``RepairDecision``."""
        holders = {number: (NodeId(f"v0-{number}"),) for number in range(living)}
        return self.rule.wants(health_of_file(self.needed, self.total, holders, Answers()))


@dataclass(frozen=True, slots=True)
class Checks:
    """When files are checked, and what repair may cost.

    Args:
        every: seconds between two checks of one file.
        cohorts: files are checked in so many groups, one after the other; 1: all at the same moment.
        budget: bytes per second that repairs may read and write; files in the greatest danger come first.
    """

    every: float = 30 * DAY
    cohorts: int = 1
    budget: float = inf


@dataclass(frozen=True, slots=True)
class Code:
    """k of N, and what a file weighs.

    Args:
        needed: k.
        total: N.
        size: bytes of a file.
    """

    needed: int = 3
    total: int = 10
    size: float = 1e6

    def share_size(self) -> float:
        """Bytes of one share."""
        return self.size / self.needed


@dataclass(frozen=True, slots=True)
class Rules:
    """Who decides: the same objects that actors are given.

    Args:
        placement: of new files.
        repair: when a file is repaired; ``Caretaker`` asks the caretaker's rule.
        checks: when it is looked at.
        mend: the rule by which share numbers that are missing are placed.
    """

    placement: PlacementPolicy = SPREAD
    repair: RepairDecision = NEVER
    checks: Checks = field(default_factory=Checks)
    mend: Callable[[Sequence[int]], PlacementPolicy] = FillGaps


@dataclass(frozen=True, slots=True)
class Study:
    """What is simulated.

    Args:
        locations: of the servers, ``site/rack/host``, one each; ``unplaced(100)`` makes a hundred that say nothing.
        files: how many.
        weathers: what happens to the servers.
        seconds: for how long.
        code: of all files.

    See ``run`` for the rules, which are not part of the study but what is compared in it.
    """

    locations: tuple[str, ...]
    files: int
    weathers: tuple[Weather, ...]
    seconds: float
    code: Code = field(default_factory=Code)


def unplaced(servers: int) -> tuple[str, ...]:
    """Locations of servers that have none."""
    return ("",) * servers


class Repair(NamedTuple):
    """One file made whole.

    Args:
        at: seconds.
        file: its number.
        living: different shares found.
        made: shares made anew, by the cause of their absence.
        moved: bytes read and written.
    """

    at: float
    file: int
    living: int
    made: dict[str, int]
    moved: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    Args:
        lost_at: for each file, when it was lost; infinite if it was not.
        repairs: in order of time.
        checked: checks of files that were not lost.
        unreadable: checks that found fewer than k good shares in reach.
        incidents: how many there were.
    """

    lost_at: NDArray[np.float64]
    repairs: tuple[Repair, ...]
    checked: int
    unreadable: int
    incidents: int

    @property
    def lost(self) -> int:
        """How many files were lost."""
        return int(np.isfinite(self.lost_at).sum())

    @property
    def moved(self) -> float:
        """Bytes that repairs read and wrote."""
        return sum(repair.moved for repair in self.repairs)


REACH = 64
"""How many servers, drawn at random, the uploader of a file chooses among.

Ranking a thousand servers for each of ten thousand files would take longer than everything else. For a rule that looks
at nothing but the file's own order the result has the same law: the front of the order of a random part is a random
draw from the whole."""


def run(study: Study, rules: Rules = Rules(), seed: int | str = 1, reach: int = REACH) -> Outcome:  # immutable
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
    return _History(study, rules, placed, Random(f"{seed}/rot")).unfold(incidents)


class Placed(NamedTuple):
    """Where the shares of all files are, and in which order their servers would be asked again."""

    homes: Numbers
    orders: Numbers


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
    assigner = _assigner(study)
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


def _assigner(study: Study) -> Assigner:
    nodes = [NodeId(f"v0-{number}") for number in range(len(study.locations))]
    return Assigner(nodes, study.locations, study.code.total)


class _History:
    """One run under way."""

    def __init__(self, study: Study, rules: Rules, placed: Placed, rng: Random) -> None:
        self._study = study
        self._rules = rules
        self._rng = rng
        self._inventory = Inventory(placed.homes, len(study.locations))
        self._orders = placed.orders
        self._assigner = _assigner(study)
        self._decisions = np.array([rules.repair.decide(living) for living in range(study.code.total + 1)])
        self._lost_at = np.full(study.files, inf)
        self._causes: dict[tuple[int, int], str] = {}
        self._absent: dict[int, tuple[float, str]] = {}
        self._scrubs: dict[int, tuple[Any, Any]] = {}
        self._repairs: list[Repair] = []
        self._checked = 0
        self._unreadable = 0

    def unfold(self, incidents: Sequence[Incident]) -> Outcome:
        """Let everything happen in its order: incidents before returns before checks of the same moment."""
        heap: list[tuple[float, int, int]] = [(one.at, 0, number) for number, one in enumerate(incidents)]
        checks = _check_times(self._rules.checks, self._study.seconds)
        heappush(heap, next(checks, (inf, 2, 0)))
        heap.sort()
        while heap and heap[0][0] <= self._study.seconds:
            at, kind, number = heappop(heap)
            if kind == 0:
                incident = incidents[number]
                self._strike(incident, number)
                heappush(heap, (at + incident.seconds, 1, number))
            elif kind == 1:
                self._end(incidents[number], number, at)
            else:
                self._check(at, number)
                heappush(heap, next(checks, (inf, 2, 0)))
        return Outcome(self._lost_at, tuple(self._repairs), self._checked, self._unreadable, len(incidents))

    # --- incidents --------------------------------------------------------------------------------------------------

    def _strike(self, incident: Incident, number: int) -> None:
        if incident.harm == "rot":
            self._rot(incident, number)
            return
        until, _ = self._absent.get(incident.server, (-inf, ""))
        self._absent[incident.server] = max((until, incident.cause), (incident.at + incident.seconds, incident.cause))
        self._inventory.up[incident.server] = False
        if incident.harm == "lost":
            self._drop(*self._inventory.on(incident.server), incident.cause, incident.at)

    def _rot(self, incident: Incident, number: int) -> None:
        files, slots = self._inventory.on(incident.server)
        if len(files):
            chosen = self._rng.randrange(len(files))
            one = files[chosen : chosen + 1], slots[chosen : chosen + 1]
            self._inventory.rotten[one] = True
            self._scrubs[number] = one
            self._bury(one[0], incident.at)

    def _drop(self, files: Any, slots: Any, cause: str, at: float) -> None:
        self._inventory.drop(files, slots)
        total = self._study.code.total
        self._causes.update(dict.fromkeys(zip(files.tolist(), (slots % total).tolist(), strict=True), cause))
        self._bury(files, at)

    def _bury(self, files: Any, at: float) -> None:
        """Count those among the files that are lost by now."""
        dead = files[self._inventory.alive(files).sum(axis=1) < self._study.code.needed]
        self._lost_at[dead] = np.minimum(self._lost_at[dead], at)

    def _end(self, incident: Incident, number: int, at: float) -> None:
        """An absence is over, or a scrub finds what is rotten."""
        if incident.harm == "rot":
            found = self._scrubs.pop(number, None)
            if found is not None and self._inventory.rotten[found].all():
                self._drop(*found, incident.cause, at)
        elif self._absent[incident.server][0] <= at:
            self._inventory.up[incident.server] = True

    # --- checks -----------------------------------------------------------------------------------------------------

    def _check(self, at: float, cohort: int) -> None:
        """Look at a cohort of files, and repair those that the rule wants repaired, the thinnest first."""
        inventory, code, checks = self._inventory, self._study.code, self._rules.checks
        files = np.arange(cohort, self._study.files, checks.cohorts)
        files = files[np.isinf(self._lost_at[files])]
        living = inventory.visible(files).sum(axis=1)
        good = inventory.readable(files).sum(axis=1)
        self._checked += len(files)
        self._unreadable += int((good < code.needed).sum())
        chosen = np.nonzero(self._decisions[living] & (good >= code.needed) & (living < code.total))[0]
        allowance = checks.budget * checks.every / checks.cohorts
        for index in chosen[np.argsort(living[chosen], kind="stable")]:
            if allowance <= 0:
                break
            allowance -= self._repair(at, int(files[index]), int(living[index]))

    def _repair(self, at: float, file: int, living: int) -> float:
        """Make a file whole; returns the bytes moved."""
        inventory, code = self._inventory, self._study.code
        held: dict[int, tuple[int, ...]] = {}
        for slot in np.nonzero(inventory.in_sight(file))[0].tolist():
            server = int(inventory.homes[file, slot])
            held[server] = (*held.get(server, ()), slot % code.total)
        order = [server for server in self._orders[file].tolist() if server >= 0 and inventory.up[server]]
        order += [server for server in held if server not in order]
        present = {number for numbers in held.values() for number in numbers}
        made: Counter[str] = Counter()
        policy = self._rules.mend([number for number in range(code.total) if number not in present])
        for number, server in self._assigner.assign(policy, order, held).items():
            if number not in present:
                made[self._cause(file, number)] += 1
                inventory.put(file, number, server)
        moved = (code.needed + made.total()) * code.share_size() if made else 0.0
        if made:
            self._repairs.append(Repair(at, file, living, dict(made), moved))
        return moved

    def _cause(self, file: int, number: int) -> str:
        """Why a share is not in sight: its home is away, or it was lost before."""
        for slot in (number, number + self._study.code.total):
            server = int(self._inventory.homes[file, slot])
            if server >= 0:
                return self._absent[server][1]
        return self._causes.get((file, number), "never placed")


def _check_times(checks: Checks, seconds: float) -> Iterator[tuple[float, int, int]]:
    """When each cohort is checked, as entries of the heap."""
    turn = 0
    while (at := (1 + turn / checks.cohorts) * checks.every) <= seconds:
        yield at, 2, turn % checks.cohorts
        turn += 1
