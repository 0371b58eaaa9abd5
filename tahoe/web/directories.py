"""Operations on directories: make, link, unlink, rename, move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tahoe.actors.children import NewChild
from tahoe.actors.edits import Kind
from tahoe.codec.capability import Directory
from tahoe.web.calls import Call, text_answer
from tahoe.web.describe import new_children
from tahoe.web.errors import WebError
from tahoe.web.linking import Way, link, make_directory, way_to, writeable
from tahoe.web.places import Place, checked_path, directory_at, find, parse_place

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# --- making ------------------------------------------------------------------------------------------------


async def mkdir_unlinked(call: Call) -> ASGIApp:
    """Make an empty directory that nothing links to."""
    return text_answer(await call.services.client.directories.create(), 201)


async def mkdir_with_children_unlinked(call: Call) -> ASGIApp:
    """Make a directory with children that nothing links to."""
    return text_answer(await call.services.client.directories.create(new_children(await call.json({}))), 201)


async def mkdir_immutable_unlinked(call: Call) -> ASGIApp:
    """Make an immutable directory that nothing links to."""
    children = new_children(await call.json())
    return text_answer(await call.services.client.directories.create_immutable(children, call.convergence), 201)


async def mkdir(call: Call) -> ASGIApp:
    """Make a directory at a place, and its parents; one that is there already is the answer, too."""
    directory, is_new = await make_directory(call.services.client, _named(call))
    return text_answer(directory, 201 if is_new else 200)


async def mkdir_with_children(call: Call) -> ASGIApp:
    """Make a directory with children at a place, and its parents."""
    children = new_children(await call.json({}))
    way = await _way(call)
    return await _linked(call, way, await call.services.client.directories.create(children))


async def mkdir_immutable(call: Call) -> ASGIApp:
    """Make an immutable directory at a place, and its parents."""
    children = new_children(await call.json())
    way = await _way(call)
    made = await call.services.client.directories.create_immutable(children, call.convergence)
    return await _linked(call, way, made)


async def _way(call: Call) -> Way:
    """Return the way to what is to be made."""
    place = _named(call)
    if not place.path:
        raise WebError(400, "say under which name: a path, or name=")
    way = await way_to(call.services.client, place)
    way.check(call.replace)
    return way


async def _linked(call: Call, way: Way, made: Directory) -> ASGIApp:
    await link(call.services.client, way, NewChild(made), call.replace)
    return text_answer(made, 201)


def _named(call: Call) -> Place:
    """The call's place, or what ``name=`` names in it."""
    name = call.query.get("name")
    return call.place if name is None else call.place.child(*checked_path([name]))


# --- changing ----------------------------------------------------------------------------------------------


async def set_children(call: Call) -> ASGIApp:
    """Link children, all at once."""
    children = new_children(await call.json())
    directory = await _directory(call)
    await call.services.client.directories.set_children(directory, children, call.replace)
    return text_answer(directory)


async def delete(call: Call) -> ASGIApp:
    """Take the child at a place out of its directory. Answers its capability: it stays readable while its leases last."""
    if not call.place.path:
        raise WebError(400, "a capability can't be deleted; its shares go when their leases end")
    return await _unlink(call, call.place)


async def unlink(call: Call) -> ASGIApp:
    """Take the child ``name`` out of a directory."""
    return await _unlink(call, call.place.child(*checked_path([call.needed("name")])))


async def _unlink(call: Call, place: Place) -> ASGIApp:
    found = await find(call.services.client, place)
    assert found.parent is not None
    writeable(found.parent)
    await call.services.client.directories.unlink(found.parent, place.name, _kind(call))
    return text_answer(found.capability)


async def rename(call: Call) -> ASGIApp:
    """Give a child another name in its directory; answers the directory's capability."""
    directory = await _directory(call)
    old, new = call.needed("from_name"), call.needed("to_name")
    await call.services.client.directories.rename(directory, old, new, call.replace)
    return text_answer(directory)


async def relink(call: Call) -> ASGIApp:
    """Move a child to another directory, and possibly under another name; answers that directory's capability."""
    client = call.services.client
    source = await _directory(call)
    old = call.needed("from_name")
    to_dir = call.query.get("to_dir")
    target = source if not to_dir else writeable(await directory_at(client, parse_place(to_dir)))
    await client.directories.move(source, old, target, call.query.get("to_name") or old, call.replace)
    return text_answer(target)


async def _directory(call: Call) -> Directory:
    """The directory at the call's place, to be changed."""
    return writeable(await directory_at(call.services.client, call.place))


def _kind(call: Call) -> Kind:
    text = call.query.get("kind", Kind.ANY.value)
    if text not in {kind.value for kind in Kind}:
        raise WebError(400, "kind is file, directory or any")
    return Kind(text)
