"""``python -m tahoe.sim``: show a run, hunt for failures with many seeds, measure speed."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click

from tahoe.sim import sequence, showcase, speed, swarm
from tahoe.sim.faults import load_schedule, save_schedule
from tahoe.sim.plan import draw


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
@click.option(
    "--faults", type=click.Path(exists=True, path_type=Path), help="Replay this schedule instead of the seed's."
)
@click.option(
    "--save-faults", type=click.Path(path_type=Path), help="Write the schedule of the first seed to this file."
)
def hunt(seeds: str, workers: int, faults: Path | None, save_faults: Path | None) -> None:
    """Run a random world, workload and faults for every seed; fail with the command that replays a failure."""
    first, _, last = seeds.partition("-")
    numbers = range(int(first), int(last or first) + 1)
    if save_faults is not None:
        save_schedule(draw(numbers[0]).faults, save_faults)
    schedule = load_schedule(faults) if faults is not None else None
    if workers > 1:
        with ProcessPoolExecutor(workers) as pool:
            failed = _report(pool.map(swarm.attempt, numbers, [schedule] * len(numbers), chunksize=4))
    else:
        failed = _report(swarm.attempt(number, schedule) for number in numbers)
    if failed:
        raise SystemExit(1)


def _report(verdicts: swarm.Verdicts) -> bool:
    """Print what came of each seed as it comes; True if any failed."""
    total = swarm.Verdict(0)
    failed = False
    for verdict in verdicts:
        if verdict.failure:
            failed = True
            click.echo(f"seed {verdict.seed} FAILED: {verdict.failure}")
            click.echo(f"    replay: python -m tahoe.sim swarm --seeds {verdict.seed}")
        total = total + verdict
    click.echo(total.summary())
    return failed


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
    grid = speed.large_grid(load)
    figures = speed.measure_asks(grid, load)
    click.echo(
        f"asks alone              {figures.rate:10.0f} messages per second, {figures.rate / heap:.4f} of the heap"
    )
    figures = speed.measure_uploads(grid, load)
    click.echo(
        f"{uploads:6} uploads in       {figures.seconds:10.1f} s, {figures.messages / uploads:.0f} messages each"
    )
    click.echo(
        f"                        {figures.rate:10.0f} messages per second, {figures.rate / heap:.4f} of the heap"
    )


if __name__ == "__main__":
    main()
