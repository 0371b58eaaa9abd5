"""``drain``: a storage server says that it is going to leave, and sees to it that what it has is elsewhere, too.

Nothing new is put on it from then on; what is there is read as before. Every owner's caretaker moves his shares at its
next look. What is still nowhere else when their time is over, the server copies itself. The end is reached when nothing is
left here that isn't elsewhere. It may be stopped and started meanwhile, and can change its mind.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final

import click

from tahoe.cli.claim import runner
from tahoe.cli.durations import DurationText
from tahoe.cli.report import ask_for_report
from tahoe.cli.values import default_node_directory, human_size, human_time, json_option

MARK: Final = "leaving"

POLL_SECONDS: Final = 1.0

LOOK_AGAIN_SECONDS: Final = 60.0
"""Between two looks that somebody who waits asks for."""


@click.command()
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--undo", is_flag=True, help="Stay after all.")
@click.option(
    "--patience",
    type=DurationText(),
    help="How long owners have to move what is theirs, before this server copies the rest. Default: 1d; 0s: at once.",
)
@click.option("--status", is_flag=True, help="Change nothing; tell how far it is.")
@click.option("--wait", is_flag=True, help="Wait for the end, with a progress bar.")
@json_option
@click.pass_context
def drain(  # noqa: PLR0913  # a command has as many parameters as its user has options
    ctx: click.Context,
    directory: Path | None,
    patience: float | None,
    *,
    undo: bool,
    status: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Let the storage server in DIR leave the grid in good order: nothing new comes, and all that it has goes elsewhere.

    May be repeated. With --status or --wait its exit status is 1 as long as shares are left that are nowhere else.
    """
    directory = directory or default_node_directory()
    if not (directory / "format").exists():
        raise click.ClickException(f"there is no node in {directory}")
    if undo:
        (directory / MARK).unlink(missing_ok=True)
    elif not status:
        _mark(directory / MARK, patience)
    is_leaving, is_running = (directory / MARK).exists(), runner(directory) is not None
    told = _ask(directory, *(("now",) if is_leaving and (wait or not status) else ())) if is_running else None
    if wait and is_leaving and told is not None:
        told = _wait(directory, told["ended"])
    if as_json:
        import json  # noqa: PLC0415  # start-up time

        click.echo(json.dumps({"leaving": is_leaving, "running": is_running, "drain": told}))
    else:
        click.echo("\n".join(_words(directory, told, is_leaving=is_leaving)))
    is_asked = is_leaving and (status or wait)
    ctx.exit(1 if is_asked and not (told is not None and told["done"]) else 0)


def _mark(mark: Path, patience: float | None) -> None:
    """Note from when on the server copies by itself. A mark that is there stays, unless there is a new patience."""
    if mark.exists() and patience is None:
        return
    copies_from = time.time() + (86400.0 if patience is None else patience)
    new = mark.with_name(MARK + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{copies_from:.0f}\n")
    new.replace(mark)


def _ask(directory: Path, *words: str) -> dict[str, Any] | None:
    """How far the node is.

    Raises:
        click.ClickException: it stores nothing for others.
    """
    report = ask_for_report(directory, "drain", *words)
    if report is not None and report["drain"] is None:
        raise click.ClickException(f"the node in {directory} stores nothing for others")
    return None if report is None else report["drain"]


def _wait(directory: Path, since: float) -> dict[str, Any] | None:
    """Wait until a look that ends later than ``since`` finds everything elsewhere; None if the node ends before."""
    from rich.console import Console  # noqa: PLC0415  # start-up time
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415  # start-up time

    columns = (TextColumn("elsewhere"), BarColumn(), MofNCompleteColumn(), TextColumn("shares {task.fields[note]}"))
    asked_at = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("", total=None, note="")
        told = _ask(directory)
        while told is not None:
            if told["done"] and told["ended"] > since:
                return told
            shown = told["under_way"] or told
            total = max(told["shares"], shown["shares"]) or None
            bars.update(bar, total=total, completed=shown["elsewhere"] + shown["spoilt"], note=told["trouble"][:60])
            time.sleep(POLL_SECONDS)
            is_time = time.monotonic() - asked_at >= LOOK_AGAIN_SECONDS
            asked_at = time.monotonic() if is_time else asked_at
            told = _ask(directory, *(("now",) if is_time else ()))
    return None


def _words(directory: Path, told: dict[str, Any] | None, *, is_leaving: bool) -> list[str]:
    if not is_leaving:
        return ["It stays."]
    lines = ["It is leaving: others hear of it within a minute, and move what they keep here."]
    if told is None:
        return [*lines, f"It does not run. Start it, so that others can fetch what is there: tahoe start {directory}"]
    waits = (told["copies_from"] or 0.0) - time.time()
    if waits > 0 and not told["done"]:
        lines.append(f"In {human_time(waits)} it begins to copy what they have not moved (now: --patience 0s).")
    if told["copied"]:
        lines.append(f"It has copied {told['copied']} shares, {human_size(told['bytes'])}.")
    if not told["ended"]:
        lines.append("It is looking at what it has; see tahoe drain --status.")
    elif told["done"]:
        lines.append(f"Nothing is left here that isn't elsewhere: it may go. tahoe stop {directory}")
    else:
        lines.append(f"{told['left']} of {told['shares']} shares are nowhere else yet.")
    if told["spoilt"]:
        lines.append(f"{told['spoilt']} shares are corrupt here, so that nobody misses them.")
    if told["trouble"]:
        lines.append(f"Trouble: {told['trouble']}")
    return lines
