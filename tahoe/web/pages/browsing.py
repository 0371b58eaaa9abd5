"""Pages about places: looking at folders and files, and what forms do to them.

The same address is looked at (GET), changed by forms (POST with the operation as a bare word in the query, ``?mkdir``) and
written to by the script (PUT). What is done is done by the API's own operations.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.responses import PlainTextResponse

from tahoe.actors.directories import Found
from tahoe.actors.edits import Replace
from tahoe.codec.capability import Capability, Directory, ImmutableRead, ImmutableVerify, Literal, SlotRead, SlotWrite
from tahoe.errors import TahoeError
from tahoe.web import files, forms, linking, multipart, zips
from tahoe.web.content import readable, send_file
from tahoe.web.errors import WebError, status_of, text_of
from tahoe.web.keeping import Incoming, keep
from tahoe.web.manner import Manner
from tahoe.web.pages import render
from tahoe.web.pages.about import TEXT_PREVIEW_BYTES, about
from tahoe.web.pages.caring import treat
from tahoe.web.pages.directory import COLUMNS, Order, rows, summary
from tahoe.web.pages.holdings import LEGEND, ask_holdings, matrix
from tahoe.web.pages.site import Site, Visit, see
from tahoe.web.pages.spots import Crumb, Spot, opened
from tahoe.web.places import checked_path, directory_at, find, parse_place

if TYPE_CHECKING:
    from starlette.types import ASGIApp


class Message(NamedTuple):
    """What a page says after a form was sent."""

    level: str
    text: str


DONE: Final[Mapping[str, Message]] = {
    "made": Message("good", "The folder is made."),
    "stored": Message("good", "Everything is stored."),
    "renamed": Message("good", "It has its new name."),
    "moved": Message("good", "It is moved."),
    "removed": Message("good", "It is removed. Whoever has its capability can still read it, until its leases end."),
}


class Browsing:
    """Endpoints of places."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._forms: dict[str, Callable[[Visit, Spot], Awaitable[ASGIApp]]] = {
            "mkdir": _mkdir,
            "upload": _upload,
            "rename": _rename,
            "move": _move,
            "unlink": _unlink,
            "selected": _selected,
            "treat": _treat,
        }

    async def look(self, visit: Visit) -> ASGIApp:
        """GET: a folder's list, a file's page, or (``?raw``, ``?save``, ``?zip``) what is in it."""
        spot = visit.spot
        if "zip" in visit.query:
            return await zips.zip_directory(visit.call(spot))
        found = await find(visit.services.client, spot.place)
        if "raw" in visit.query or "save" in visit.query:
            return send_file(visit.services, readable(found.capability), Manner(spot.title, "save" in visit.query))
        if isinstance(found.capability, Directory) and "about" not in visit.query:
            return await self._folder(visit, spot, found.capability)
        return await self._thing(visit, spot, found)

    async def change(self, visit: Visit) -> ASGIApp:
        """POST: do what a form says, then show the place again."""
        chosen = next((done for word, done in self._forms.items() if word in visit.query), None)
        if chosen is None:
            raise WebError(400, "this form is of another version of the gateway; load the page again")
        return await chosen(visit, visit.spot)

    async def put(self, visit: Visit) -> ASGIApp:
        """PUT: store the body at the place. For the script, which shows errors itself."""
        try:
            await files.put(visit.call(visit.spot))
        except (WebError, TahoeError) as error:
            return PlainTextResponse(text_of(error), status_of(error, "PUT"), headers={"Cache-Control": "no-store"})
        return PlainTextResponse("stored\n", 201, headers={"Cache-Control": "no-store"})

    async def _folder(self, visit: Visit, spot: Spot, directory: Directory) -> ASGIApp:
        listing = await visit.services.client.directories.list(directory)
        order = Order.asked(visit.query)
        head = await self._site.head(spot.url)

        def draw() -> ASGIApp:
            drawn = rows(listing.values(), order)
            context = {
                "site": head,
                "spot": spot,
                "rows": drawn,
                "summary": summary(drawn),
                "order": order,
                "columns": COLUMNS,
                "writeable": directory.writeable,
                "may_be_stale": listing.may_be_stale,
                "message": _message(visit),
            }
            return render.page("directory", context)

        return await asyncio.to_thread(draw)

    async def _thing(self, visit: Visit, spot: Spot, found: Found) -> ASGIApp:
        client, cap = visit.services.client, found.capability
        view = about(cap, spot.title, found.entry)
        text, length = await _text_of(visit, cap, preview=view.preview == "text")
        drawn = None
        if "shares" in visit.query and cap.storage_index is not None:
            drawn = matrix(cap, client.membership.servers(), *await ask_holdings(client, cap))
        context = {
            "spot": spot,
            "view": view,
            "size": view.size if length is None else length,
            "folder": isinstance(cap, Directory),
            "readable": isinstance(cap, ImmutableRead | Literal | SlotRead | SlotWrite),
            "text": text,
            "cut": len(text) >= TEXT_PREVIEW_BYTES,
            "encoding": _encoding(cap),
            "on_servers": cap.storage_index is not None,
            "matrix": drawn,
            "legend": LEGEND,
            "share": "share" in visit.query,
            "manageable": found.parent is not None and found.parent.writeable,
            "message": _message(visit),
        }
        return await self._site.draw(visit, "about", context, spot.url)


# --- what pages show ---------------------------------------------------------------------------------------


async def _text_of(visit: Visit, cap: Capability, *, preview: bool) -> tuple[str, int | None]:
    """Return the beginning of a text, and the length of a slot, which its capability does not tell."""
    client = visit.services.client
    if isinstance(cap, SlotRead | SlotWrite):
        read = await client.slots.read(cap, 0, TEXT_PREVIEW_BYTES if preview else 0)
        return read.data.decode("utf-8", "replace"), read.length
    if not preview:
        return "", None
    if isinstance(cap, Literal):
        return cap.data.decode("utf-8", "replace"), None
    assert isinstance(cap, ImmutableRead), "others have no preview"
    length = min(cap.size, TEXT_PREVIEW_BYTES)
    if not length:
        return "", None
    async with client.download(cap, 0, length) as pieces:
        return b"".join([piece async for piece in pieces]).decode("utf-8", "replace"), None


def _encoding(cap: Capability) -> tuple[int, int] | None:
    file = cap.file if isinstance(cap, Directory) else cap
    return (file.needed, file.total) if isinstance(file, ImmutableRead | ImmutableVerify) else None


def _message(visit: Visit) -> Message | None:
    return DONE.get(visit.query.get("done", ""))


# --- what forms do -----------------------------------------------------------------------------------------


async def _mkdir(visit: Visit, spot: Spot) -> ASGIApp:
    name = await visit.field("name")
    parent = linking.writeable(await directory_at(visit.services.client, spot.place))
    await visit.services.client.directories.mkdir(parent, checked_path([name])[0])
    return see(f"{spot.url}?done=made")


async def _upload(visit: Visit, spot: Spot) -> ASGIApp:
    await forms.upload(visit.call(spot))
    return see(f"{spot.url}?done=stored")


async def _rename(visit: Visit, spot: Spot) -> ASGIApp:
    name = checked_path([await visit.field("name")])[0]
    parent = await _parent(visit, spot)
    await visit.services.client.directories.rename(parent, spot.place.name, name, Replace.NEVER)
    return see(f"{spot.parent.child(name).url}?about&done=renamed")


async def _move(visit: Visit, spot: Spot) -> ASGIApp:
    target = _below(spot, await visit.field("to"))
    await _move_one(visit, spot, target)
    return see(f"{target.child(spot.title).url}?about&done=moved")


async def _unlink(visit: Visit, spot: Spot) -> ASGIApp:
    parent = await _parent(visit, spot)
    await visit.services.client.directories.unlink(parent, spot.place.name)
    return see(f"{spot.parent.url}?done=removed")


async def _treat(visit: Visit, spot: Spot) -> ASGIApp:
    """Check, verify or repair it, and of a folder everything below it."""
    found = await find(visit.services.client, spot.place)
    return treat(visit, found.capability, await visit.field("do"), Crumb(spot.title, spot.url))


async def _selected(visit: Visit, spot: Spot) -> ASGIApp:
    """Do one thing to all children that were chosen in a list."""
    fields = await visit.form()
    names = [value for key, value in fields if key == "name"]
    chosen = dict(fields)
    if not names:
        raise WebError(400, "nothing is chosen; tick what you mean in the list first")
    if chosen.get("do") == "unlink":
        parent = linking.writeable(await directory_at(visit.services.client, spot.place))
        for name in names:
            await visit.services.client.directories.unlink(parent, name)
        return see(f"{spot.url}?done=removed")
    if not chosen.get("to", "").strip():
        raise WebError(400, "say to which folder; / is the top")
    target = _below(spot, chosen["to"])
    for name in names:
        await _move_one(visit, spot.child(name), target)
    return see(f"{target.url}?done=moved")


async def _move_one(visit: Visit, spot: Spot, target: Spot) -> None:
    source = await _parent(visit, spot)
    home = linking.writeable(await directory_at(visit.services.client, target.place))
    await visit.services.client.directories.move(source, spot.place.name, home, spot.place.name, Replace.NEVER)


async def _parent(visit: Visit, spot: Spot) -> Directory:
    if not spot.below:
        raise WebError(400, "this is where the address begins; it has no name that could be changed")
    return linking.writeable(await directory_at(visit.services.client, spot.parent.place))


def _below(spot: Spot, path: str) -> Spot:
    """Return the spot that a path from the start of the address names."""
    while spot.below:
        spot = spot.parent
    return spot.descend(checked_path(name for name in path.strip().split("/") if name))


# --- without an address yet --------------------------------------------------------------------------------


async def open_capability(visit: Visit) -> ASGIApp:
    """Give a capability an address of this session, and go there."""
    text = await visit.field("cap")
    place = parse_place(text)
    if isinstance(place.start, str):
        raise WebError(400, "a capability begins with URI:")
    return see(opened(visit.session, place.start).descend(place.path).url)


async def store_loose(visit: Visit) -> ASGIApp:
    """Store the file of a form, linked from nowhere, and show its page with the capability."""
    call = visit.call()
    async for part in multipart.file_parts(call):
        kept = await keep(call, Incoming(part, None, part.filename))
        return see(f"{opened(visit.session, kept.capability).url}?about&share&done=stored")
    raise WebError(400, "no file was chosen; go back and choose one")
