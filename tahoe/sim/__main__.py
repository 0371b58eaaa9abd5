"""``python -m tahoe.sim``: show a run, hunt for failures with many seeds, measure speed."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import click

from tahoe.sim import sequence, showcase, speed, swarm
from tahoe.sim.plan import case_of, load_case, save_case
from tahoe.sim.shrink import shrink
from tahoe.sim.world import settle_memory


@click.group()
def main() -> None:
    """The simulated grid."""


@main.command()
@click.argument("seed", type=int)
@click.option("--as", "form", default="text", show_default=True, type=click.Choice(["text", "csv", "svg"]))
@click.option("--from", "begin", default=0.0, show_default=True, help="Second at which a table or chart begins.")
@click.option("--until", "end", default=showcase.SECONDS, show_default=True, help="Second at which it ends.")
def trace(seed: int, form: str, begin: float, end: float) -> None:
    """Print a small busy run and its hash, or print it as a table (CSV) or a message sequence chart (SVG)."""
    if form == "text":
        click.echo(f"hash {showcase.run(seed, click.echo)}")
        return
    lines: list[str] = []
    digest = showcase.run(seed, lines.append)
    shown = [event for event in sequence.events(lines) if begin <= event.at <= end]
    click.echo(
        sequence.table(shown) if form == "csv" else sequence.drawing(shown, f"seed {seed}, hash {digest}"), nl=False
    )


@main.command("swarm")
@click.option("--seeds", default="0-199", show_default=True, help="One seed, or first-last.")
@click.option("--workers", default=1, show_default=True, help="Processes.")
@click.option("--hash", "hashed", is_flag=True, help="Print the hash of each seed's trace: the same on every machine.")
@click.option("--demand", is_flag=True, help="Fail if any rare state was not met by any seed.")
@click.option("--stop", is_flag=True, help="Stop at the first seed that fails.")
@click.option("--case", type=click.Path(exists=True, path_type=Path), help="Replay this case instead.")
@click.option(
    "--save-case", type=click.Path(path_type=Path), help="Write work and faults of the first seed to this file."
)
@click.option(
    "--shrink", "shrunk", type=click.Path(path_type=Path), help="Cut the first failure down, into this folder."
)
def hunt(**options: Any) -> None:
    """Run a random world, work and faults for every seed; fail with the command that replays a failure."""
    first, _, last = options["seeds"].partition("-")
    numbers = range(int(first), int(last or first) + 1)
    settle_memory()
    if options["hashed"]:
        for number in numbers:
            click.echo(swarm.attempt(number, is_hashed=True).line())
        return
    if options["save_case"] is not None:
        save_case(case_of(numbers[0]), options["save_case"])
    if options["case"] is not None:
        case = load_case(options["case"])
        failed = _report([swarm.attempt(case.seed, case.faults, case.jobs)], options)
    elif options["workers"] > 1:
        with ProcessPoolExecutor(options["workers"], initializer=settle_memory) as pool:
            failed = _report(pool.map(swarm.attempt, numbers, chunksize=4), options)
            pool.shutdown(cancel_futures=True)
    else:
        failed = _report(map(swarm.attempt, numbers), options)
    if failed and options["shrunk"] is not None:
        _shrink(failed[0], options["shrunk"])
    if failed:
        raise SystemExit(1)


def _report(verdicts: swarm.Verdicts, options: Mapping[str, Any]) -> list[int]:
    """Print what came of each seed as it comes; return those that failed.

    Raises:
        SystemExit: a rare state that is demanded was not met.
    """
    total = swarm.Verdict(0)
    failed = []
    for verdict in verdicts:
        total = total + verdict
        if verdict.failure:
            failed.append(verdict.seed)
            click.echo(f"seed {verdict.seed} FAILED: {verdict.failure}")
            click.echo(f"    replay: python -m tahoe.sim swarm --seeds {verdict.seed}")
            if options["stop"]:
                break
    click.echo(total.summary())
    click.echo(f"met: {total.met()}")
    if options["demand"] and total.never():
        raise SystemExit(f"never met: {', '.join(total.never())}")
    return failed


def _shrink(seed: int, folder: Path) -> None:
    """Write the smallest case that fails, and the chart of its end."""
    folder.mkdir(parents=True, exist_ok=True)
    case = shrink(case_of(seed), lambda case: bool(swarm.attempt(case.seed, case.faults, case.jobs).failure))
    path = folder / f"seed-{seed}.json"
    save_case(case, path)
    picture = path.with_suffix(".svg")
    picture.write_text(swarm.charted(case))
    click.echo(f"    {len(case.faults)} faults and {len(case.jobs)} pieces of work still fail, drawn in {picture}")
    click.echo(f"    replay: python -m tahoe.sim swarm --case {path}")


@main.command("speed")
@click.option("--clients", default=100, show_default=True)
@click.option("--servers", default=1000, show_default=True)
@click.option("--uploads", default=10_000, show_default=True)
@click.option("--size", default=100_000, show_default=True, help="Bytes of a file.")
@click.option("--asks", default=200_000, show_default=True)
def gauge(clients: int, servers: int, uploads: int, size: int, asks: int) -> None:
    """Measure messages and uploads at phantom fidelity, also as a ratio to a bare heap's pushes and pops."""
    load = speed.Load(clients, servers, uploads, size, asks)
    heap = speed.heap_rate()
    click.echo(f"bare heap               {heap:10.0f} pushes and pops per second")
    _print_rate("asks, 1 to 10 nodes", speed.measure_asks(speed.large_grid(speed.SNUG), speed.SNUG), heap)
    grid = speed.large_grid(load)
    _print_rate(f"asks, {clients} to {servers}", speed.measure_asks(grid, load), heap)
    figures = speed.measure_uploads(grid, load)
    click.echo(
        f"{uploads:6} uploads in       {figures.seconds:10.1f} s, {figures.messages / uploads:.0f} messages each"
    )
    _print_rate("", figures, heap)


def _print_rate(what: str, figures: speed.Figures, heap: float) -> None:
    click.echo(f"{what:24}{figures.rate:10.0f} messages per second, {figures.rate / heap:.4f} of the heap")


if __name__ == "__main__":
    main()
