"""Ten years of a friendnet of fifty servers, with and without a caretaker: ``python -m tests.sim.long_years``.

Exit status 1 if with a caretaker anything was lost, collected while it was still reached, or paid for beyond the budget, or
if without one nothing was lost. ``--alone no`` leaves out the life without; ``--servers 24 --files 30 --directories 4`` takes
seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import click

from tahoe.actors.caretaker import CareTerms
from tahoe.policy.allowance import Budget
from tahoe.sim.years import DAY, HOUR, MONTH, YEAR, Outcome, YearsPlan, live, worst_month

MEGABYTE: Final = 1e6
OVERDRAFT: Final = 8
"""What is begun is finished: a month may have cost so many file sizes more than its days' budget, four repairs at a time."""


def tell(name: str, outcome: Outcome) -> None:
    """A line a year, and how it ended."""
    moved = 0.0
    for number, month in enumerate(outcome.months, start=1):
        moved += month.moved
        if number % 12 == 0 or number == len(outcome.months):
            click.echo(
                f"{name}, year {month.at / YEAR:.1f}: {month.lost} files lost, {month.mean:.2f} shares a file, the worst"
                f" {month.fewest}; {moved / 1e9:.2f} GB moved in a year; {month.deaths} disks have died"
            )
            moved = 0.0
    worst = worst_month(outcome.months)
    click.echo(
        f"{name}: at most {worst.moved / 1e9:.2f} GB were moved in a month, the one that ends in year {worst.at / YEAR:.1f}"
    )
    click.echo(f"{name}: {outcome.unreadable} directories unreadable; {outcome.tidings}; liars: {outcome.distrusted}")


def complaints(plan: YearsPlan, kept: Outcome) -> Iterator[str]:
    """What should not have happened with a caretaker."""
    if kept.lost or kept.unreadable:
        yield f"{kept.lost} files and {kept.unreadable} directories were lost although somebody looked after them"
    if strays := max(month.strays for month in kept.months):
        yield f"{strays} shares were collected although they were still reached"
    assert plan.care is not None, "this is about a life with a caretaker"
    budget = plan.care.budget.bytes_per_day
    limit = budget * (MONTH / DAY + 1) + OVERDRAFT * plan.file_size
    if budget and (worst := worst_month(kept.months).moved) > limit:
        yield f"{worst / MEGABYTE:.0f} MB were moved in a month that may have {limit / MEGABYTE:.0f} MB"


@click.command()
@click.option("--seed", default=1, show_default=True)
@click.option("--servers", default=50, show_default=True)
@click.option("--files", default=1000, show_default=True)
@click.option("--directories", default=50, show_default=True)
@click.option("--years", default=10.0, show_default=True)
@click.option("--budget", default=100.0, show_default=True, help="Megabytes that the caretaker may move a day; 0: any.")
@click.option("--alone", type=bool, default=True, show_default=True, help="Live it without a caretaker, too.")
def main(*, servers: int, files: int, directories: int, years: float, seed: int, budget: float, alone: bool) -> None:
    """Live through the same misfortunes with and without a caretaker."""
    terms = CareTerms(budget=Budget(bytes_per_day=budget * MEGABYTE), tick=12 * HOUR, own_roots=False)
    plan, wrong = YearsPlan(seed, servers, files, directories, years, terms), list[str]()
    if alone:
        began = time.process_time()
        left = live(replace(plan, care=None))
        tell("without a caretaker", left)
        click.echo(f"    {time.process_time() - began:.0f} s of processor time")
        wrong += [] if left.lost else ["without a caretaker nothing was lost, so this says nothing of one"]
    began = time.process_time()
    kept = live(plan)
    tell("with a caretaker", kept)
    click.echo(f"    {time.process_time() - began:.0f} s of processor time")
    wrong += complaints(plan, kept)
    for complaint in wrong:
        click.echo(complaint, err=True)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
