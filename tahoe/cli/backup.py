"""``backup``: a directory of this machine as an immutable snapshot in the grid, quick where little has changed."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Final, TextIO

import click

from tahoe.cli.backupdatabase import BackupDatabase
from tahoe.cli.backuproot import BackupRoot
from tahoe.cli.backupsnapshot import Snapshot, Tally
from tahoe.cli.backuptree import VERSION_CONTROL, Exclusion, look, place_of
from tahoe.cli.errands import Errands
from tahoe.cli.gateway import Gateway, with_gateway
from tahoe.cli.locations import Locations
from tahoe.cli.names import shown
from tahoe.cli.progress import progress
from tahoe.cli.values import CapabilityText, human_size

JOBS: Final = 8
NAMED_AT_MOST: Final = 20
"""Names that are told one by one."""


@click.command()
@click.argument("source", type=click.Path(exists=True, file_okay=False))
@click.argument("destination", metavar="DEST", type=CapabilityText())
@click.option(
    "--exclude",
    "patterns",
    metavar="GLOB",
    multiple=True,
    help="Leave out what has such a name; with a slash in it, such a path below SOURCE. May be repeated.",
)
@click.option(
    "--exclude-from", metavar="FILE", type=click.File(encoding="utf-8"), help="A file with such patterns, a line each."
)
@click.option("--exclude-vcs", is_flag=True, help="Leave out what version control keeps: .git, .svn and the like.")
@click.option("--jobs", default=JOBS, show_default=True, type=click.IntRange(1, 64), help="Files under way at once.")
@click.option(
    "--database",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What is known to have been sent. Default: private/backup.sqlite of the node.",
)
@with_gateway
def backup(  # noqa: PLR0913, PLR0917  # a command has as many parameters as its user has options
    gateway: Gateway,
    source: str,
    destination: str,
    patterns: tuple[str, ...],
    exclude_from: TextIO | None,
    jobs: int,
    database: Path | None,
    *,
    exclude_vcs: bool,
) -> None:
    """Save the directory SOURCE in the grid, as DEST/Archives/<time> and DEST/Latest.

    Only what has changed since the last time is read, and only what the grid does not have is sent. A backup that was
    interrupted goes on where it was when it is started again. Symbolic links, devices and
    the like are not followed: they are named and left out.

    Fails if there was something that could not be read; what could be is saved all the same.
    """
    if exclude_from is not None:
        patterns += tuple(line.strip() for line in exclude_from if line.strip())
    exclusion = Exclusion(
        os.path.abspath(source),  # noqa: PTH100  # text, with undecodable bytes in it
        patterns + (VERSION_CONTROL if exclude_vcs else ()),
        place_of(gateway.directory),
    )
    root = BackupRoot.open(gateway, Locations(gateway.directory).find(destination).url)
    path = database or gateway.directory / "private" / "backup.sqlite"
    found = look(exclusion.root)
    with (
        BackupDatabase(path, root.encoding.frozen) as known,
        Errands(jobs) as errands,
        progress("backup", None) as advance,
    ):
        snapshot = Snapshot(root, known, exclusion, errands, advance)
        capability = snapshot.take(found)
    name = root.link(capability, found.metadata)
    _tell(name, snapshot.tally)


def _tell(name: str, tally: Tally) -> None:
    """Print what came of it.

    Raises:
        ClickException: something is missing.
    """
    name_some(tally.left_out, "left out")
    name_some(tally.missing, "NOT SAVED")
    click.echo(
        f"{name}: {tally.files} files ({tally.sent} read, {human_size(tally.bytes_sent)}),"
        f" {tally.directories} directories ({tally.made} changed)"
    )
    kinds = Counter(kind for _, kind in tally.left_out)
    if kinds:
        click.echo(
            "left out: " + ", ".join(f"{count} {kind}{'s'[: count > 1]}" for kind, count in sorted(kinds.items()))
        )
    if tally.missing:
        raise click.ClickException(f"{len(tally.missing)} things could not be read and are not in the snapshot")


def name_some(things: list[tuple[str, str]], what: str) -> None:
    """Tell of things on standard error, a line each, as long as they are not too many."""
    for path, reason in things[:NAMED_AT_MOST]:
        click.echo(f"{what}: {shown(path)} ({reason})", err=True)
    if len(things) > NAMED_AT_MOST:
        click.echo(f"{what}: {len(things) - NAMED_AT_MOST} more", err=True)
