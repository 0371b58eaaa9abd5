"""Study: what Monte Carlo is asked, and the rules that decide in it.

The study says what there is and what happens to it, the rules who decides; so the same ten years can be lived through under
several rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

from tahoe.policy.health import Answers, health_of_file
from tahoe.policy.placement import SPREAD, PlacementPolicy
from tahoe.policy.repair import AT_ONCE, FillGaps, RepairRule
from tahoe.protocol import NodeId
from tahoe.sim.weather import DAY, Weather


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
