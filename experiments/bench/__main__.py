"""``python -m experiments.bench``: measure, print, write docs/benchmarks.md."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
from platformdirs import user_cache_path

from experiments.bench.bounds import Bounds
from experiments.bench.keeping import KeepingWork
from experiments.bench.load import NOTHING, Account, FileWork, Grid, Size, forget_peak_memory
from experiments.bench.names import NameWork
from experiments.bench.ours import OurGrid
from experiments.bench.rival import RivalGrid, install
from experiments.bench.table import Results, document, lines, processor_lines

QUICK = Size(
    megabytes=10,
    repeats=1,
    small_files=5,
    entries=20,
    mutable_megabytes=1,
    tree_files=5,
    kept_megabytes=5,
    tree_objects=15,
)
WORKS = {"files": FileWork, "names": NameWork, "keeping": KeepingWork}


@click.command()
@click.option("--rival", is_flag=True, help="Do the same work on Tahoe-LAFS, installed from PyPI.")
@click.option("--megabytes", default=Size().megabytes, show_default=True, help="Size of the large file.")
@click.option("--repeats", default=Size().repeats, show_default=True, help="Of large transfers; the median counts.")
@click.option("--quick", is_flag=True, help="A few seconds: to see that it works, not for figures.")
@click.option(
    "--work",
    "works",
    type=click.Choice([*WORKS]),
    multiple=True,
    default=[*WORKS],
    help="What to measure; may be repeated. Default: all.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("docs/benchmarks.md"), show_default=True
)
def bench(*, rival: bool, megabytes: int, repeats: int, quick: bool, works: tuple[str, ...], out: Path) -> None:
    """Measure our grid, the bounds of this machine and, if asked to, the rival, in one run."""
    size = QUICK if quick else Size(megabytes, repeats)
    environment = user_cache_path("tahoe-bench") / "rival"
    if rival:
        install(environment)
    with tempfile.TemporaryDirectory(prefix="tahoe-bench-") as folder:
        with OurGrid(Path(folder) / "ours") as grid:
            bounds = Bounds(grid.broker)
            measure_bounds = partial(_measure_bounds, bounds, grid)
            measure_bounds()
            ours = _measure(grid, works, size, measure_bounds)
        rivals = NOTHING
        if rival:
            with RivalGrid(Path(folder) / "rival", environment) as other:
                rivals = _measure(other, works, size, _do_nothing)
    results = Results(ours, rivals, bounds.figures())
    click.echo("\n".join((*lines(results), "", *processor_lines(results))))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(document(f"python -m experiments.bench {' '.join(sys.argv[1:])}".strip(), results))


def _measure(grid: Grid, works: tuple[str, ...], size: Size, before_each: Callable[[], None]) -> Account:
    """Do all works; what they found together."""
    accounts = [WORKS[work](grid, size, before_each).take(_report) for work in works]
    figures = {name: value for account in accounts for name, value in account.figures.items()}
    return Account(figures, {kind: spent for account in accounts for kind, spent in account.processor.items()})


def _measure_bounds(bounds: Bounds, grid: Grid) -> None:
    """Raw messages wait in the broker if they come too quickly: what it needed for them is not the grid's."""
    bounds.measure()
    for process in grid.processes()["the broker"]:
        forget_peak_memory(process)


def _do_nothing() -> None:
    """Nothing is measured between uploads."""


def _report(step: str) -> None:
    click.echo(f"... {step}", err=True)


if __name__ == "__main__":
    bench()
