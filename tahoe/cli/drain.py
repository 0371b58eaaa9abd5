"""``drain``: a storage server says that it is going to leave, and those who keep things there move them.

Nothing new is put on it from then on; what is there is read as before. Every owner's caretaker copies his shares elsewhere
at its next look and then takes its leases off, so the end is near when no leased share is left. It may be stopped and
started meanwhile, and can change its mind.
"""

from __future__ import annotations

from pathlib import Path

import click

from tahoe.cli.claim import runner
from tahoe.cli.report import ask_for_report
from tahoe.cli.values import default_node_directory, json_option

MARK = "leaving"


@click.command()
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--undo", is_flag=True, help="Stay after all.")
@json_option
def drain(directory: Path | None, *, undo: bool, as_json: bool) -> None:
    """Announce that the storage server in DIR is about to leave, and tell how much is left on it. May be repeated."""
    directory = directory or default_node_directory()
    if not (directory / "format").exists():
        raise click.ClickException(f"there is no node in {directory}")
    if undo:
        (directory / MARK).unlink(missing_ok=True)
    else:
        (directory / MARK).touch(mode=0o600)
    report = ask_for_report(directory) if runner(directory) is not None else None
    storage = None if report is None else report["storage"]
    if report is not None and storage is None:
        raise click.ClickException(f"the node in {directory} stores nothing for others")
    if as_json:
        import json  # noqa: PLC0415  # start-up time

        click.echo(json.dumps({"leaving": not undo, "running": report is not None, "storage": storage}))
        return
    click.echo(
        "It stays." if undo else "It is leaving: others hear of it within a minute, and move what they keep here."
    )
    if storage is None:
        click.echo(f"It does not run. Start it, so that others can fetch what is there: tahoe start {directory}")
    else:
        click.echo(f"{storage['shares']} shares are on it, those included that nobody needs there any more.")
