"""Does a live grid do what the simulator says?

The same work is done twice: by processes on this machine (servers, a client behind its gateway, mosquitto; killed by
SIGKILL, frozen by SIGSTOP) and by the very same code in the simulator, at wire fidelity. Both have the same keys, so
every file has the same homes, and each operation is held against its twin. What the simulator has to be told of this
machine, its laws, is measured before with other codes, one server or four at a time and nothing wrong: the wait of a
message on its way through the broker, processor time for a packet and a byte of each kind of process, that of a
request to the gateway, the disk's time to make a share durable, the number of cores that all compete for.

Predicted is how often reads succeed while servers are down or frozen, how long small puts and gets take then, and how
quickly large files go. The gap between the two is the figure. ``python -m experiments.twin FOLDER`` prints the
laws found in a folder of results as TOML, from which the predictions can be made again, anywhere.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from experiments.framework.configuration import plain
from experiments.twinning import figure
from experiments.twinning.laws import Laws, laws_of
from experiments.twinning.live import LiveTwin
from experiments.twinning.measuring import measure
from experiments.twinning.plan import Outcome, Scope, Twin, carry_out
from experiments.twinning.rows import LAW, Row
from experiments.twinning.simulated import SimulatedTwin
from tahoe.errors import BadConfiguration
from tahoe.net.mosquitto import find_mosquitto

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Row"]

MOST_FROZEN_SECONDS = 42.0
"""A broker takes clients for dead that say nothing for one and a half times their keepalive of 30 seconds."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is asked.

    Args:
        servers: in the grid.
        needed: k of small files.
        total: N of small files, each share on a server of its own.
        ill: how many servers are killed, and then frozen, at the same time; one condition after the other.
        reads: small files that are read in each condition.
        writes: small files that are stored in each condition.
        kilobytes: of a small file.
        megabytes: sizes of large files.
        repeats: of each large transfer.
        at_once: how many small files are under way together, where that is measured.
        deadline: seconds after which a reader or writer gives up.
        rounds: how often everything is done, each time with other keys and laws measured anew.
        effort: in measuring laws: hundreds of small operations.
        live: False: only predict, by ``laws``.
        laws: of the machine; None: they are measured.
    """

    servers: int = 10
    needed: int = 3
    total: int = 6
    ill: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7)
    reads: int = 10
    writes: int = 5
    kilobytes: int = 10
    megabytes: tuple[float, ...] = (1.0, 4.0, 16.0, 64.0)
    repeats: int = 3
    at_once: int = 8
    deadline: float = 3.0
    rounds: int = 4
    effort: int = 20
    live: bool = True
    laws: Laws | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.needed <= self.total <= self.servers:
            raise ValueError("1 <= needed <= total <= servers must hold")
        if any(not 0 <= count <= self.servers for count in self.ill):
            raise ValueError(f"ill is a number of servers between 0 and {self.servers}")
        if self.reads * self.deadline + 2 * self.writes > MOST_FROZEN_SECONDS:
            raise ValueError(
                "so many reads, until their deadlines, keep servers frozen for longer than the broker believes them alive: "
                f"let reads * deadline + 2 * writes be at most {MOST_FROZEN_SECONDS:g} s"
            )
        if not self.live and self.laws is None:
            raise ValueError("without a live grid there is nothing to measure: give laws, or let live be true")


QUICK = {"ill": (0, 3, 6), "reads": 6, "writes": 3, "megabytes": (1.0, 8.0), "repeats": 1, "rounds": 1, "effort": 10}

MEASURED = ("live", "live_succeeded", "simulated", "simulated_succeeded", "value")
"""The simulator's columns among them, because the laws that they follow from are measured."""


@dataclass(frozen=True, slots=True)
class Point:
    """One round."""

    number: int
    configuration: Configuration


def points(configuration: Configuration) -> Iterator[Point]:
    """Every round."""
    for number in range(configuration.rounds):
        yield Point(number, configuration)


def run(point: Point, seed: int) -> list[Row]:
    """One round: measure, live, simulate."""
    asked = point.configuration
    scope = _scope(asked)
    lived: Sequence[Outcome | None] = []
    laws = asked.laws
    if asked.live:
        _check_broker()
        with tempfile.TemporaryDirectory(prefix="tahoe-twin-") as root, _live(Path(root), asked, seed) as twin:
            laws = laws or measure(twin, seed, asked.servers, asked.effort)
            lived = _outcomes(scope, seed, twin)
    assert laws is not None, "the configuration has them, or they were measured"
    simulated = SimulatedTwin(laws, seed, asked.servers)
    simulated.wait(WARM_UP)
    predicted = _outcomes(scope, seed, simulated)
    pairs = zip(lived or [None] * len(predicted), predicted, strict=True)
    return [Row.of_law(point.number, *law) for law in laws.rows()] + [
        Row.of_pair(point.number, *pair) for pair in pairs
    ]


WARM_UP = 5.0
"""Seconds for a simulated grid to come to rest after its start."""


def _outcomes(scope: Scope, seed: int, twin: Twin) -> list[Outcome]:
    """Of all operations, in the order of their names: those of a crowd end in any order."""
    return sorted(carry_out(scope, seed, twin), key=lambda outcome: msgspec.json.encode(outcome.operation))


def _live(root: Path, asked: Configuration, seed: int) -> LiveTwin:
    return LiveTwin(root, seed, asked.servers)


def _scope(asked: Configuration) -> Scope:
    return msgspec.convert({name: getattr(asked, name) for name in Scope.__dataclass_fields__}, Scope)


def _check_broker() -> None:
    if find_mosquitto() is None:
        raise BadConfiguration("a live grid needs mosquitto as its broker (Debian: apt-get install mosquitto)")


def plot(rows: Sequence[Row], configuration: Configuration) -> Figure:
    """Measured against predicted, and the ratio of the two."""
    return figure.plot(rows, _scope(configuration))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--round", "number", default=0, show_default=True, help="Which one's.")
def main(folder: Path, number: int) -> None:
    """Print the laws that were measured in a round of a study, as TOML for --config."""
    values: dict[str, Any] = {}
    with (folder / "rows.jsonl").open(encoding="utf-8") as lines:
        for _, rows in (msgspec.json.decode(line) for line in list(lines)[1:]):
            found = [msgspec.convert(row, Row) for row in rows]
            values |= {row.name: row.value for row in found if row.act == LAW and row.round == number}
    if not values:
        raise click.ClickException(f"{folder} has no round {number}")
    print("live = false\n\n[laws]")
    for name, value in plain(laws_of(values)).items():
        print(f"{name} = {value}")


if __name__ == "__main__":
    main(prog_name="python -m experiments.twin")
