"""``mkdir``, ``rm``, ``ln`` and ``mv`` within the grid: what changes directories and moves no contents."""

from __future__ import annotations

import click

from tahoe.cli.gateway import Gateway, GatewayError, with_gateway
from tahoe.cli.locations import Location, Locations, named
from tahoe.cli.nodes import ask_text, is_taken, look, look_if_there, make_directory, set_children
from tahoe.cli.values import CapabilityText


@click.command()
@click.argument("path", type=CapabilityText(), required=False)
@with_gateway
def mkdir(gateway: Gateway, path: str | None) -> None:
    """Make the directory PATH and print its capability; parents are made, too.

    Without PATH, a directory that nothing links to: whoever loses its capability has lost it. One that is there already
    stays as it is.
    """
    if path is None:
        click.echo(gateway.text("POST", "/uri?t=mkdir"))
        return
    click.echo(make_directory(gateway, named(Locations(gateway.directory).find(path), "make")))


@click.command()
@click.argument("paths", metavar="PATH...", type=CapabilityText(), nargs=-1, required=True)
@click.option("-r", "recursive", is_flag=True, help="Directories, too.")
@click.option("-f", "force", is_flag=True, help="What is not there is no failure.")
@with_gateway
def rm(gateway: Gateway, paths: tuple[str, ...], *, recursive: bool, force: bool) -> None:
    """Take PATH... out of their directories.

    What was there is still in the grid for whoever has its capability, until nobody renews its leases.
    """
    locations = [named(Locations(gateway.directory).find(path), "remove") for path in paths]
    failures = [failure for location in locations if (failure := _remove(gateway, location, recursive, force))]
    if failures:
        raise click.ClickException("\n".join(failures))


@click.command()
@click.argument("source", type=CapabilityText())
@click.argument("target", type=CapabilityText())
@click.option("--read-only", is_flag=True, help="Link the capability that only reads.")
@click.option("-f", "force", is_flag=True, help="Replace a file of this name.")
@with_gateway
def ln(gateway: Gateway, source: str, target: str, *, read_only: bool, force: bool) -> None:
    """Link SOURCE (a path or capability) to TARGET, too: one thing, two names. Into TARGET if it is a directory."""
    locations = Locations(gateway.directory)
    origin, place = locations.find(source), locations.find(target)
    node = look(gateway, origin)
    place = into(gateway, place, origin)
    link = node.link({key: value for key, value in node.metadata.items() if key != "tahoe"}, read_only=read_only)
    try:
        set_children(gateway, place.parent, {place.name: link}, "only-files" if force else "false")
    except GatewayError as error:
        raise _explained(error, place) from error


def move(gateway: Gateway, source: Location, target: Location) -> None:
    """Move something from one name to another.

    The new link is made before the old one goes. Interrupted in between, it is in both places, and moving it once
    more finishes the work.

    Raises:
        GatewayError: the source is not there, the target is and may not be replaced, or one can't be changed.
        ClickException: it would be moved into itself.
    """
    node = look(gateway, named(source, "move"))
    there = look_if_there(gateway, target)
    if there is not None and there.is_directory and there.verify_cap != node.verify_cap:
        target = target.child(source.name)
    elif not target.names or (target.slash and there is None):
        raise GatewayError(f"{target}: there is no such directory", 404, "NoSuchChild")
    if node.is_directory:
        if there is not None and not there.is_directory:
            raise GatewayError(
                f"{target} is a file, and a directory takes no file's place: remove it first", 409, "ChildExists"
            )
        _check_not_below(gateway, node.verify_cap, target)
    where = {"from_name": source.name, "to_dir": target.parent.plain, "to_name": target.name}
    try:
        gateway.text("POST", source.parent.request(t="relink", replace="only-files", **where))
    except GatewayError as error:
        raise _explained(error, target) from error


def into(gateway: Gateway, target: Location, source: Location) -> Location:
    """Return where something goes: to the target itself or, if that is a directory, into it by its own name.

    Raises:
        UsageError: it has no name of its own.
        GatewayError: the user says that the target is a directory, and it is none.
    """
    if target.names and not target.slash:
        there = look_if_there(gateway, target)
        if there is None or not there.is_directory:
            return target
    if not source.name:
        raise click.UsageError(f"{source} has no name; say which one it gets: {target}NAME")
    return target.child(source.name)


def unlink(gateway: Gateway, location: Location, kind: str) -> None:
    """Take something out of its directory; it has to be of a kind: ``any``, ``file`` or ``directory``."""
    ask_text(gateway, "POST", location.parent, t="unlink", name=location.name, kind=kind)


def _remove(gateway: Gateway, location: Location, recursive: bool, force: bool) -> str | None:  # noqa: FBT001  # facts
    """Unlink one thing; returns why it failed."""
    try:
        unlink(gateway, location, "any" if recursive else "file")
    except GatewayError as error:
        if error.kind == "NoSuchChild":
            return None if force else f"{location}: there is nothing of this name"
        if is_taken(error) and not recursive:
            return f"{location} is a directory; rm -r takes it away with all that is in it"
        return error.message
    return None


def _check_not_below(gateway: Gateway, verify_cap: str | None, target: Location) -> None:
    """Refuse to move a directory into itself or below: nothing would lead there any more."""
    for depth in range(len(target.names)):
        above = Location(target.start, target.names[:depth], target.label)
        try:
            found = ask_text(gateway, "GET", above, t="verify-uri")
        except GatewayError as error:
            if error.status == 404:
                return  # not there: nothing can be below
            raise
        if found == verify_cap:
            raise click.ClickException(f"{target} is inside of what is to be moved there")


def _explained(error: GatewayError, target: Location) -> GatewayError:
    """Return the error that tells what is in the way."""
    if not is_taken(error):
        return error
    return GatewayError(f"{target}: there is something of this name; remove it first", error.status, error.kind)
