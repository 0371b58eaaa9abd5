"""Linking something at a place, whose parents are made: what is refused is refused first, and rounds are few.

The path is walked once, as far as it leads. What is missing of it is made from its end: the last directory with the new
child in it, the one above with that in it, and so on; one link then makes all of it appear at one stroke.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tahoe.actors.children import NewChild
from tahoe.actors.edits import Replace
from tahoe.codec.capability import Capability, Directory
from tahoe.codec.directory import check_name
from tahoe.errors import ChildExists, Conflict, NoSuchChild, NotADirectory, ReadOnly
from tahoe.web.places import Place, PlaceClient, as_directory, start_of


class Way(NamedTuple):
    """How far the path to a place leads.

    Args:
        directory: the last one on it that is there.
        names: what is left of the path from there; at least one.
        there: what has the last name, if that is the only one left.
    """

    directory: Directory
    names: tuple[str, ...]
    there: Capability | None

    def check(self, replace: Replace) -> None:
        """Refuse a link before anything is made for it.

        Raises:
            ReadOnly: the directory can't be changed.
            ChildExists: something is there that has to stay.
            BadName: one of the names can't be given.
        """
        writeable(self.directory)
        for name in self.names:
            check_name(name)
        if self.there is None or replace is Replace.ALWAYS:
            return
        if replace is Replace.NEVER:
            raise ChildExists(f"there is a child named {self.names[0]!r} already")
        if isinstance(self.there, Directory):
            raise ChildExists(f"there is a directory named {self.names[0]!r} already")


async def way_to(client: PlaceClient, place: Place) -> Way:
    """Walk to a place that has a path.

    Raises:
        NotADirectory: the way leads through a file.
        NoSuchRoot, and what listing a directory raises.
    """
    directory = as_directory(await start_of(client, place))
    for number, name in enumerate(place.path):
        try:
            there = (await client.directories.get(directory, name)).capability
        except NoSuchChild:
            return Way(directory, place.path[number:], None)
        if number == len(place.path) - 1:
            return Way(directory, place.path[number:], there)
        if not isinstance(there, Directory):
            raise NotADirectory(f"{name!r} is a file and no directory: nothing can be below it")
        directory = there
    raise AssertionError("a place to link at has a path")


async def link(client: PlaceClient, way: Way, child: NewChild, replace: Replace = Replace.ALWAYS) -> None:
    """Link a child where a way leads to, and make what is missing on it.

    Raises:
        ChildExists: something is there that has to stay.
        Conflict, Indefinite, NotEnoughServers: as ``Directories.set_children``.
    """
    *parents, name = way.names
    if not parents:
        await client.directories.set_children(way.directory, {name: child}, replace)
        return
    try:
        await _link_with_parents(client, way.directory, parents, {name: child})
    except Conflict:  # somebody else has made one of them meanwhile
        parent = await client.directories.make_path(way.directory, parents)
        await client.directories.set_children(parent, {name: child}, replace)


async def _link_with_parents(
    client: PlaceClient, directory: Directory, parents: Sequence[str], children: dict[str, NewChild]
) -> None:
    for name in reversed(parents):
        children = {name: NewChild(await client.directories.create(children))}
    await client.directories.set_children(directory, children, Replace.NEVER)


async def make_directory(client: PlaceClient, place: Place) -> tuple[Directory, bool]:
    """Return the directory at a place, which is made with its parents if need be; and whether it was.

    Raises:
        NotADirectory: a file is there.
        ReadOnly, and what making a directory raises.
    """
    if not place.path:
        return as_directory(await start_of(client, place)), False
    way = await way_to(client, place)
    if isinstance(way.there, Directory):
        return way.there, False
    if way.there is not None:
        raise NotADirectory(f"{place.name!r} is a file")
    way.check(Replace.NEVER)
    made = await client.directories.create()
    try:
        await link(client, way, NewChild(made), Replace.NEVER)
    except Conflict:  # somebody else has made it meanwhile
        return await client.directories.make_path(way.directory, way.names), False
    return made, True


def writeable(directory: Directory) -> Directory:
    """Return a directory that the caller may change.

    Raises:
        ReadOnly: he may not.
    """
    directory.check_served()
    if not directory.writeable:
        what = "reads the directory; changing it takes its write capability" if directory.mutable else "is immutable"
        raise ReadOnly(f"this capability {what}")
    return directory
