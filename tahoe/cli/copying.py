"""``cp`` and ``mv``: files and trees between this machine and the grid, in all directions."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from tahoe.cli.copier import Copier
from tahoe.cli.endpoints import STREAM, Destination, Folder, Thing, destination_of, source_of
from tahoe.cli.errands import Errands
from tahoe.cli.gateway import Gateway, with_gateway
from tahoe.cli.linking import move, unlink
from tahoe.cli.locations import Locations, is_in_grid, named
from tahoe.cli.names import shown
from tahoe.cli.progress import progress
from tahoe.cli.trees import Contents

JOBS: Final = 8

_jobs_option = click.option(
    "--jobs", default=JOBS, show_default=True, type=click.IntRange(1, 64), help="Files under way at once."
)


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.argument("target")
@click.option("-r", "recursive", is_flag=True, help="Directories, with all that is in them.")
@click.option(
    "--skip-unchanged", is_flag=True, help="Leave alone what is there with the same size and time (slots: contents)."
)
@_jobs_option
@with_gateway
def cp(
    gateway: Gateway, sources: tuple[str, ...], target: str, jobs: int, *, recursive: bool, skip_unchanged: bool
) -> None:
    """Copy SOURCE... to TARGET, or into it if it is a directory or there are several.

    What has a colon in front of its first slash is in the grid (global:letters, :mine, a capability), all else on this
    machine; - is standard input or output. Between places in the grid no contents move. Files keep their times. Symbolic
    links within a directory are left out. Interrupted, the same command goes on.
    """
    locations = Locations(gateway.directory)
    things = [source_of(gateway, locations, text) for text in sources]
    for text, thing in zip(sources, things, strict=True):
        if isinstance(thing, Folder) and not recursive:
            raise click.ClickException(f"{shown(text)} is a directory; cp -r copies it")
    destination = destination_of(gateway, locations, target)
    within = any(is_in_grid(text) == is_in_grid(target) for text in sources)
    with Errands(jobs) as errands, progress("cp", _size_of(things)) as advance:
        copier = Copier(errands, advance, skip_unchanged=skip_unchanged, within=within)
        copy(copier, things, destination)
    if recursive:
        click.echo(str(copier.tally), err=True)
    if copier.tally.failed:
        raise click.ClickException(f"{copier.tally.failed} could not be copied")


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.argument("target")
@_jobs_option
@with_gateway
def mv(gateway: Gateway, sources: tuple[str, ...], target: str, jobs: int) -> None:
    """Move SOURCE... to TARGET, or into it if it is a directory or there are several.

    What has a colon in front of its first slash is in the grid, all else on this machine. Within the grid the new link is made
    before the old one goes: interrupted, a thing is in both places, and the same command finishes the work. From or to
    this machine things are copied, and taken away only when all of them have arrived.
    """
    locations = Locations(gateway.directory)
    if len(sources) > 1 and not destination_of(gateway, locations, target).is_directory:
        raise click.ClickException(f"{shown(target)} is no directory; several things need one")
    for source in sources:
        if is_in_grid(source) and is_in_grid(target):
            move(gateway, locations.find(source), locations.find(target))
        elif STREAM in {source, target}:
            raise click.UsageError("standard input and output can't be moved; see cp")
        elif is_in_grid(source) or is_in_grid(target):
            _copy_and_remove(gateway, source, target, jobs)
        else:
            shutil.move(source, target)


def copy(copier: Copier, things: Sequence[Thing], destination: Destination) -> None:
    """Copy things to a place and wait until they are there.

    Raises:
        ClickException: that makes no sense.
    """
    straight = destination.stream()
    if straight is not None:
        for thing in things:
            if isinstance(thing, Folder):
                raise click.ClickException(f"{destination.label} takes the contents of files only")
            straight(thing)
        return
    first = things[0]
    if destination.is_directory or (destination.slash and not isinstance(first, Folder) and not destination.is_there):
        _copy_into(copier, things, destination)
    elif len(things) > 1 or (destination.slash and destination.is_there):
        raise click.ClickException(f"{destination.label} is no directory; several things need one")
    else:
        _copy_to(copier, first, destination)
    copier.finish()


def _copy_into(copier: Copier, things: Sequence[Thing], destination: Destination) -> None:
    """Copy things into a directory by their own names; of what has none, that which is in it."""
    contents = Contents([], [], [])
    for thing in things:
        if not isinstance(thing, Folder):
            if not thing.name:
                raise click.UsageError(f"it has no name; say which one it gets in {destination.label}")
            contents.files.append(thing)
        elif thing.name:
            contents.folders.append(thing)
        else:
            copier.copy_tree(thing, destination.folder())
    if contents.files or contents.folders:
        copier.copy(contents, destination.folder())


def _copy_to(copier: Copier, thing: Thing, destination: Destination) -> None:
    """Copy one thing so that it has a certain name."""
    if isinstance(thing, Folder):
        if destination.is_there:
            raise click.ClickException(f"{destination.label}: there is a file of this name")
        copier.copy_tree(thing, destination.folder())
    else:
        target, thing.name = destination.parent()
        copier.copy(Contents([thing], [], []), target)


def _size_of(things: Sequence[Thing]) -> int | None:
    """Return the bytes that are to be copied, if that is known."""
    sizes = [None if isinstance(thing, Folder) else thing.size for thing in things]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _copy_and_remove(gateway: Gateway, source: str, target: str, jobs: int) -> None:
    """Move something between the grid and this machine."""
    locations = Locations(gateway.directory)
    origin = named(locations.find(source), "move") if is_in_grid(source) else None
    thing = source_of(gateway, locations, source)
    with Errands(jobs) as errands, progress("mv", _size_of([thing])) as advance:
        copier = Copier(errands, advance)
        copy(copier, [thing], destination_of(gateway, locations, target, durable=True))
    if copier.tally.failed or copier.tally.left_out:
        raise click.ClickException(f"{shown(source)} stays where it is: not all of it could be copied")
    if origin is not None:
        unlink(gateway, origin, "any")
    elif isinstance(thing, Folder):
        shutil.rmtree(source)
    else:
        Path(source).unlink()
