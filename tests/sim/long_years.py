"""Ten years of a friendnet of fifty servers, with and without a caretaker: ``python -m tests.sim.long_years``.

At full size it takes the better part of an hour; ``--servers 24 --files 30 --directories 4`` takes a minute. Exit status 1 if the caretaker lost anything, or if nothing is lost without one.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace

import click

from tahoe.sim.years import YEAR, Outcome, YearsPlan, live


def tell(name: str, outcome: Outcome) -> None:
    """A line a year."""
    for month in outcome.months[11::12]:
        click.echo(
            f"{name}, year {month.at / YEAR:.0f}: {month.lost} files lost, {month.mean:.2f} shares a file, the worst"
            f" {month.fewest}; {month.moved / 1e9:.2f} GB moved in the last month; {month.deaths} disks have died"
        )
    click.echo(f"{name}: {outcome.unreadable} directories unreadable; {outcome.tidings}; liars: {outcome.distrusted}")


def main() -> int:
    """Live both lives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--servers", type=int, default=50)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--directories", type=int, default=50)
    parser.add_argument("--years", type=float, default=10.0)
    options = parser.parse_args()
    plan = YearsPlan(options.seed, options.servers, options.files, options.directories, options.years)
    began = time.process_time()
    alone = live(replace(plan, care=None))
    tell("without a caretaker", alone)
    kept = live(plan)
    tell("with a caretaker", kept)
    click.echo(f"{time.process_time() - began:.0f} s of processor time")
    return 0 if not kept.lost and not kept.unreadable and alone.lost else 1


if __name__ == "__main__":
    sys.exit(main())
