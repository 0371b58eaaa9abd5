"""Cutting a failing case down: as few faults and as little work as still fail.

It is Zeller's delta debugging (Simplifying and isolating failure-inducing input, 2002): parts of the list are left out, halves first,
then smaller ones, as long as what is left still fails. Faults go first, then work, then faults again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tahoe.sim.plan import Case

T = TypeVar("T")

Fails = Callable[[Case], bool]


def shrink(case: Case, fails: Fails, most_tries: int = 300) -> Case:
    """The smallest case found that fails.

    Args:
        case: fails.
        fails: runs a case.
        most_tries: how many runs to spend.
    """
    budget = _Budget(most_tries)

    def with_faults(case: Case) -> Case:
        faults = _smallest(case.faults, lambda some: fails(Case(case.seed, case.jobs, some)), budget)
        return Case(case.seed, case.jobs, faults)

    def with_jobs(case: Case) -> Case:
        jobs = _smallest(case.jobs, lambda some: fails(Case(case.seed, some, case.faults)), budget)
        return Case(case.seed, jobs, case.faults)

    return with_faults(with_jobs(with_faults(case)))


class _Budget:
    """Runs that are left."""

    def __init__(self, runs: int) -> None:
        self._runs = runs

    def spend(self) -> bool:
        self._runs -= 1
        return self._runs >= 0


def _smallest(items: tuple[T, ...], fails: Callable[[tuple[T, ...]], bool], budget: _Budget) -> tuple[T, ...]:
    size = len(items)
    while items and size:
        start, found = 0, False
        while start < len(items):
            rest = items[:start] + items[start + size :]
            if not budget.spend():
                return items
            if fails(rest):
                items, found = rest, True
            else:
                start += size
        if not found or size > len(items):
            size //= 2
    return items
