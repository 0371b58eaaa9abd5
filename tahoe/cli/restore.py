"""``restore``: a snapshot, or any directory of the grid, back on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from tahoe.cli.backup import JOBS, name_some
from tahoe.cli.errands import Errands
from tahoe.cli.gateway import Gateway, with_gateway
from tahoe.cli.locations import Locations
from tahoe.cli.progress import progress
from tahoe.cli.restoresnapshot import Restoration, Restored
from tahoe.cli.restoretarget import Target
from tahoe.cli.values import CapabilityText, human_size


@click.command()
@click.argument("snapshot", type=CapabilityText())
@click.argument("target", type=click.Path(file_okay=False, path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace files that are there, and give directories their old modes.")
@click.option("--jobs", default=JOBS, show_default=True, type=click.IntRange(1, 64), help="Files under way at once.")
@with_gateway
def restore(gateway: Gateway, snapshot: str, target: Path, jobs: int, *, overwrite: bool) -> None:
    """Bring SNAPSHOT (such as backups:Latest) back into the directory TARGET, with times and modes.

    Of modes come the rights to read, write and execute; the bits that lend the owner's rights to others (setuid, setgid, sticky)
    do not. A symbolic link that is in the way is named and not followed.

    What is in TARGET already stays as it is and is named, unless it is what the snapshot has; so a restoration that was
    interrupted goes on where it was when it is started again. Nothing is ever written outside of TARGET.

    Fails if something could not be brought back.
    """
    with Errands(jobs) as errands, progress("restore", None) as advance:
        restoration = Restoration(gateway, Target(target, overwrite=overwrite), errands, advance)
        restoration.run(Locations(gateway.directory).find(snapshot).url)
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
