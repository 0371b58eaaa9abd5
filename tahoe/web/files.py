"""Operations on what a place names, file or directory: read it, write it, say what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from starlette.responses import RedirectResponse

from tahoe.actors.children import NewChild
from tahoe.actors.directories import Found
from tahoe.codec.capability import Capability, Directory, SlotRead, SlotWrite
from tahoe.errors import BadCapability, ReadOnly
from tahoe.web.calls import Call, json_answer, text_answer
from tahoe.web.content import readable, send_file
from tahoe.web.describe import Described, information, listing_pair, new_child
from tahoe.web.errors import WebError
from tahoe.web.keeping import Incoming, incoming, keep, overwrite_slot, wanted_format, write_into_slot
from tahoe.web.linking import link, way_to
from tahoe.web.manner import Manner
from tahoe.web.places import Place, checked_path, find, start_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# --- reading -----------------------------------------------------------------------------------------------


async def get(call: Call) -> ASGIApp:
    """Send a file's contents; of a directory, what ``t=json`` sends."""
    found = await find(call.services.client, call.place)
    if isinstance(found.capability, Directory):
        return await _description(call, found)
    name = call.query.get("filename") or call.place.name
    return send_file(call.services, readable(found.capability), Manner(name, call.flag("save")))


async def get_named(call: Call) -> ASGIApp:
    """Send a file's contents under a name: ``/named/CAP/NAME``, where the name is only for people."""
    place = call.place
    if not place.path:
        raise WebError(404, "a name stands behind the capability here: /named/CAP/NAME; without one it is /uri/CAP")
    found = await find(call.services.client, Place(place.start))
    name = call.query.get("filename") or place.name
    return send_file(call.services, readable(found.capability), Manner(name, call.flag("save")))


async def redirect_to_capability(call: Call) -> ASGIApp:
    """Send on from ``/uri?uri=CAP`` to ``/uri/CAP``, as forms do; what else the query says goes along."""
    rest = urlencode({name: value for name, value in call.query.items() if name != "uri"})
    return RedirectResponse(f"/uri/{quote(call.needed('uri').strip(), safe=':')}{rest and '?'}{rest}", 302)


async def describe(call: Call) -> ASGIApp:
    """Say what is there, as JSON."""
    return await _description(call, await find(call.services.client, call.place))


async def _description(call: Call, found: Found) -> ASGIApp:
    cap = found.capability
    metadata = None if found.entry is None else found.entry.metadata
    if isinstance(cap, Directory) and _is_listable(cap):
        listing = await call.services.client.directories.list(cap)
        return json_answer(await listing_pair(cap, listing, metadata))
    return json_answer(Described(cap, await _size(call, cap), metadata).pair())


def _is_listable(cap: Directory) -> bool:
    """Whether it reads: a verify cap tells what it is, but not what is in it."""
    return cap != cap.verifier()


async def _size(call: Call, cap: Capability) -> int | None:
    """The length of a slot, which its capability does not tell."""
    if not isinstance(cap, SlotRead | SlotWrite):
        return None
    return (await call.services.client.slots.read(cap, 0, 0)).length


async def inform(call: Call) -> ASGIApp:
    """Say all that is known of it without a listing."""
    found = await find(call.services.client, call.place)
    return json_answer(await information(found, await _size(call, found.capability)))


async def capability_text(call: Call) -> ASGIApp:
    """Answer its capability, with all the power that the way to it gives."""
    return text_answer((await find(call.services.client, call.place)).capability)


async def read_only_text(call: Call) -> ASGIApp:
    """Answer its read-only capability."""
    return text_answer((await find(call.services.client, call.place)).capability.read_only())


async def verifier_text(call: Call) -> ASGIApp:
    """Answer its verify capability; what has nothing on servers has none."""
    verifier = (await find(call.services.client, call.place)).capability.verifier()
    if verifier is None:
        raise WebError(404, "there is nothing on servers to be verified: the capability holds it all")
    return text_answer(verifier)


# --- writing -----------------------------------------------------------------------------------------------


async def put_unlinked(call: Call) -> ASGIApp:
    """Store the body; nothing links to it. 201, or 200 if the grid had it."""
    kept = await keep(call, incoming(call))
    return text_answer(kept.capability, 201 if kept.is_new else 200)


async def put(call: Call) -> ASGIApp:
    """Store the body at a place: as a new file, or into the slot that is there."""
    return await store(call, incoming(call, call.place.name))


async def store(call: Call, coming: Incoming) -> ASGIApp:
    """Store contents at the call's place."""
    client, place = call.services.client, call.place
    if not place.path:
        return await _store_into(call, await start_of(client, place), coming)
    way = await way_to(client, place)
    way.check(call.replace)
    slot = slot_to_write(call, way.there)
    if slot is not None:
        return await _store_into(call, slot, coming)
    if "offset" in call.query:
        raise WebError(400, "offset= writes into a slot that is there already")
    kept = await keep(call, coming)
    await link(client, way, NewChild(kept.capability), call.replace)
    return text_answer(kept.capability, 201 if way.there is None else 200)


async def _store_into(call: Call, cap: Capability, coming: Incoming) -> ASGIApp:
    """Store contents in a slot that is there."""
    slot = _slot(cap)
    if slot is None:
        cap.check_served()
        raise BadCapability("contents go into a slot by its write capability, or below a directory")
    offset = call.number("offset")
    if offset is None:
        await overwrite_slot(call.services, slot, coming)
    else:
        await write_into_slot(call.services, slot, offset, coming)
    return text_answer(slot)


async def attach(call: Call) -> ASGIApp:
    """Link the capability in the body at a place."""
    if not call.place.path:
        raise WebError(400, "say under which name: PUT .../name?t=uri")
    return await _attach(call, call.place, (await call.whole_body(1 << 16)).decode("utf-8", "replace"))


async def attach_child(call: Call) -> ASGIApp:
    """Link the capability `uri` as the child `name` of a directory."""
    return await _attach(call, call.place.child(*checked_path([call.needed("name")])), call.needed("uri"))


async def _attach(call: Call, place: Place, text: str) -> ASGIApp:
    child = new_child(text.strip(), None)
    way = await way_to(call.services.client, place)
    way.check(call.replace)
    await link(call.services.client, way, child, call.replace)
    return text_answer(child.capability, 201 if way.there is None else 200)


def slot_to_write(call: Call, there: Capability | None) -> SlotWrite | None:
    """Return the slot that contents go into: what is there, unless the request wants a new file in its place.

    Raises:
        ReadOnly: it can't be written to.
    """
    return None if there is None or wanted_format(call) is not None else _slot(there)


def _slot(cap: Capability) -> SlotWrite | None:
    """Return a slot to be written to; None for what is no slot.

    Raises:
        ReadOnly: the capability reads it.
    """
    if isinstance(cap, SlotRead):
        raise ReadOnly("this capability reads the slot; changing it takes its write capability")
    return cap if isinstance(cap, SlotWrite) else None
