"""``python -m tahoe.sim.traces FILE``: what a trace holds, and which laws fit it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import fmean, median

import click

from tahoe.errors import TahoeError
from tahoe.sim.fitting import Times, fit
from tahoe.sim.traces.archive import read_archive
from tahoe.sim.traces.availability import read_avt
from tahoe.sim.traces.drives import read_drives
from tahoe.sim.traces.history import History
from tahoe.sim.traces.lanl import read_lanl, systems
from tahoe.sim.traces.uptime import read_uptime

READERS: dict[str, Callable[[Path], History]] = {
    "lanl": read_lanl,
    "archive": read_archive,
    "avt": read_avt,
    "uptime": read_uptime,
}
LARGE_SYSTEMS = 5


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--format", "kind", required=True, type=click.Choice([*READERS, "drives"]), help="What the file is.")
def main(files: tuple[Path, ...], kind: str) -> None:
    """Print a summary of a trace and the laws that fit it, the best first."""
    try:
        if kind == "drives":
            _tell_drives(files)
            return
        for path in files:
            _tell(READERS[kind](path))
            if kind == "lanl":
                for system in systems(path)[:LARGE_SYSTEMS]:
                    _fits(f"gaps between failures of system {system}", read_lanl(path, system).gaps(), 1)
    except TahoeError as error:
        raise click.ClickException(str(error)) from error


def _tell(history: History) -> None:
    click.echo(f"{len(history.nodes)} machines, {len(history.spans)} spans down, {history.seconds / 86400:.1f} days")
    click.echo(f"availability {history.availability():.6f}")
    _fits("spans down", history.downs(), 60)
    _fits("spans up", history.ups(), 60)


def _tell_drives(files: tuple[Path, ...]) -> None:
    drives = read_drives(files)
    click.echo(f"{len(drives.failed) + len(drives.alive)} drives, {len(drives.failed)} failed")
    if drives.failed:
        click.echo(f"{drives.yearly_failure_rate():.4%} fail in a year")


def _fits(title: str, times: Times, unit: float) -> None:
    """A law a line; times are shown in units of so many seconds (60: minutes)."""
    shown = [time / unit for time in times]
    if len(set(shown)) < 3:
        return
    label = "min" if unit == 60 else "s"
    click.echo(f"\n{title}: {len(shown)}, mean {fmean(shown):.1f} {label}, median {median(shown):.1f} {label}")
    for found in fit(shown):
        click.echo(f"  {found.law}  criterion {found.criterion:.0f}, distance {found.distance:.3f}")


if __name__ == "__main__":
    main()
