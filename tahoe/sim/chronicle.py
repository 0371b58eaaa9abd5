"""Chronicle: one history of a grid under way, incident after incident and check after check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf
from random import Random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tahoe.protocol import NodeId
from tahoe.sim.inventory import Assigner, Inventory, Numbers
from tahoe.sim.study import Checks, Rules, Study
from tahoe.sim.weather import Incident


class Placed(NamedTuple):
    """Where the shares of all files are, and in which order their servers would be asked again."""

    homes: Numbers
    orders: Numbers


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


def node_ids(study: Study) -> list[NodeId]:
    """The servers' ids by number."""
    return [NodeId(f"v0-{number}") for number in range(len(study.locations))]


class Chronicle:
    """One run under way."""

    def __init__(self, study: Study, rules: Rules, placed: Placed, rng: Random) -> None:
        self._study = study
        self._rules = rules
        self._rng = rng
        self._inventory = Inventory(placed.homes, len(study.locations))
        self._orders = placed.orders
        self._assigner = Assigner(node_ids(study), study.locations, study.code.total)
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
