"""``start``, ``stop`` and ``restart``: nodes in a process of their own that outlives the terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from tahoe.cli.claim import is_ready, run_together, runner
from tahoe.cli.report import ask_for_report

F = TypeVar("F", bound=Callable[..., Any])

START_SECONDS: Final = 60.0
GRID_SECONDS: Final = 10.0
STOP_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.02
LAST_LINES: Final = 12

_arguments = click.argument(
    "directories",
    metavar="DIR...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path, resolve_path=True),
)


@click.command()
@_arguments
def start(directories: tuple[Path, ...]) -> None:
    """Run the nodes in DIR... in the background, all in one process; returns when they do their work and know the grid."""
    start_nodes(directories)


@click.command()
@_arguments
def stop(directories: tuple[Path, ...]) -> None:
    """Stop the nodes in DIR..., and those that share a process with them."""
    stop_nodes(directories)


@click.command()
@_arguments
def restart(directories: tuple[Path, ...]) -> None:
    """Stop the nodes in DIR..., if they run, and start them again, with those that shared a process with them."""
    others = [other for directory in directories for other in run_together(directory)]
    stop_nodes(directories)
    start_nodes(list(dict.fromkeys((*directories, *others))))


def start_nodes(directories: Sequence[Path]) -> None:
    """Start nodes that do not run.

    Raises:
        ClickException: they did not start; with the last words of their log.
    """
    waiting = [directory for directory in directories if runner(directory) is None]
    for directory in set(directories) - set(waiting):
        click.echo(f"{directory} runs already")
    if not waiting:
        return
    log = _log_of(waiting[0])
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # our own program
            [sys.executable, "-m", "tahoe.cli.main", "run", "--quiet", *map(str, waiting)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=waiting[0].anchor,
        )
    _await_start(process, waiting, log)
    _await_grid(waiting)
    for directory in waiting:
        click.echo(f"{directory} runs as process {process.pid}")


def stop_nodes(directories: Iterable[Path]) -> None:
    """Stop nodes and wait until they have ended."""
    running = {directory: pid for directory in directories if (pid := runner(directory)) is not None}
    for pid in set(running.values()):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for directory in directories:
        if directory not in running:
            click.echo(f"{directory} was not running")
            continue
        if not _until(lambda directory=directory: runner(directory) is None, deadline):  # type: ignore[misc]  # bound now
            raise click.ClickException(
                f"{directory}: process {running[directory]} does not end; if it hangs: kill -9 {running[directory]}"
            )
        click.echo(f"{directory} has stopped")


def _await_start(process: subprocess.Popen[bytes], directories: Sequence[Path], log: Path) -> None:
    """Wait until all nodes do their work."""
    deadline = time.monotonic() + START_SECONDS
    _until(lambda: process.poll() is not None or all(map(is_ready, directories)), deadline)
    if process.poll() is not None:
        raise click.ClickException(f"the node did not start. The end of {log}:\n{_tail(log)}")
    if not all(map(is_ready, directories)):
        process.terminate()
        raise click.ClickException(f"the node was not ready within {START_SECONDS:.0f} s. {log}:\n{_tail(log)}")


def _await_grid(directories: Sequence[Path]) -> None:
    """Wait a moment until nodes know who is in their grid, so that the next command finds servers there."""
    deadline = time.monotonic() + GRID_SECONDS
    for directory in directories:
        _until(lambda directory=directory: _knows_grid(ask_for_report(directory)), deadline)  # type: ignore[misc]  # bound now


def _knows_grid(report: Mapping[str, Any] | None) -> bool:
    """Whether an introducer has told a node who is there, or none can: no broker is in reach, or the node has ended."""
    if report is None or any(introducer["connected"] for introducer in report["introducers"]):
        return True
    brokers = report["brokers"]
    return any(broker["problem"] for broker in brokers) and not any(broker["connected"] for broker in brokers)


def _until(reached: Callable[[], bool], deadline: float) -> bool:
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _log_of(directory: Path) -> Path:
    """Return the file for what a process says before its node's own log is open."""
    folder = directory / "logs"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / "start.log"


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join("  " + line for line in lines[-LAST_LINES:]) or "  (it is empty)"
