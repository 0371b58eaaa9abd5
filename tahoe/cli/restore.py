"""``restore``: a snapshot, or any directory of the grid, back on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from tahoe.cli.backup import JOBS, location_of, name_some
from tahoe.cli.errands import Errands
from tahoe.cli.gateway import Gateway, gateway_options
from tahoe.cli.progress import progress
from tahoe.cli.restoresnapshot import Restoration, Restored
from tahoe.cli.restoretarget import Target
from tahoe.cli.values import human_size


@click.command()
@click.argument("snapshot")
@click.argument("target", type=click.Path(file_okay=False, path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace files that are there, and give directories their old modes.")
@click.option("--jobs", default=JOBS, show_default=True, type=click.IntRange(1, 64), help="Files under way at once.")
@gateway_options
def restore(  # noqa: PLR0913  # a command has as many parameters as its user has options
    snapshot: str,
    target: Path,
    jobs: int,
    node_directory: Path | None,
    node_url: str | None,
    token_file: Path | None,
    *,
    overwrite: bool,
) -> None:
    """Bring SNAPSHOT (such as backups:Latest) back into the directory TARGET, with times and modes.

    What is in TARGET already stays as it is and is named, unless it is what the snapshot has; so a restoration that was
    interrupted goes on where it was when it is started again. Nothing is ever written outside of TARGET.

    Fails if something could not be brought back.
    """
    gateway = Gateway(node_directory, node_url, token_file)
    with Errands(jobs) as errands, progress("restore", None) as advance:
        restoration = Restoration(gateway, Target(target, overwrite=overwrite), errands, advance)
        restoration.run(location_of(snapshot))
    _tell(restoration.outcome)


def _tell(outcome: Restored) -> None:
    """Print what came of it.

    Raises:
        ClickException: something is missing.
    """
    name_some(outcome.missing, "NOT RESTORED")
    there = f" ({outcome.there} more were there already)" if outcome.there else ""
    click.echo(f"{outcome.files} files, {human_size(outcome.bytes_fetched)}{there}; {outcome.directories} directories")
    if outcome.missing:
        raise click.ClickException(f"{len(outcome.missing)} things were not brought back")
