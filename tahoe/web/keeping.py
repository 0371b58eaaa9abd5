"""Taking files in: from a request's body into the grid, as an immutable file or into a slot.

Nothing is half stored: an immutable file appears whole or not at all, and what goes into a slot is first taken in
whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from tahoe.actors.upload import Source
from tahoe.codec.capability import Capability, Literal, SlotWrite
from tahoe.codec.slot import MAX_LENGTH
from tahoe.net.config import parse_encoding
from tahoe.protocol import Encoding
from tahoe.web.calls import Call
from tahoe.web.errors import WebError
from tahoe.web.services import Services
from tahoe.web.spool import SMALL, Readable, SpooledBody, StreamedBody, spooled
from tahoe.web.transfers import Transfer

FORMATS: Final = ("CHK", "SLOT")
SLOT_PIECE: Final = 1 << 20
"""Bytes of a large slot that are written at a time, where the client doesn't say how many are best."""


class Kept(NamedTuple):
    """What became of a body: its capability, and whether the grid did not have it before."""

    capability: Capability
    is_new: bool


class Incoming(NamedTuple):
    """Contents on their way in.

    Args:
        body: of the request, or of one of its parts.
        size: as announced, if it was.
        name: of the file, for people who watch transfers.
    """

    body: Readable
    size: int | None
    name: str = ""


def wanted_format(call: Call) -> str | None:
    """Return ``CHK`` or ``SLOT``; None if the request does not say.

    Raises:
        WebError: 400, it says something else; the names that other grids have for mutable files are among that.
    """
    text = call.query.get("format", "").upper()
    if not text:
        return "SLOT" if call.flag("mutable") else None
    if text not in FORMATS:
        raise WebError(
            400, "format is CHK (immutable, the default) or SLOT (mutable; grids of RSA kinds say SDMF or MDMF)"
        )
    return text


def incoming(call: Call, name: str = "") -> Incoming:
    """Return the request's body as contents.

    Raises:
        WebError: 411, the request does not say how long it is: a body that nobody announced is taken for an empty one.
    """
    if "chunked" in call.headers.get("transfer-encoding", "").lower():
        return Incoming(call.body, None, name)
    if "content-length" not in call.headers:
        raise WebError(411, "say how long the file is (Content-Length), or send it in chunks")
    return Incoming(call.body, int(call.headers["content-length"]), name)


async def keep(call: Call, coming: Incoming) -> Kept:
    """Store contents as the request wants it.

    Raises:
        ClientGone: they broke off.
        NotEnoughServers: too few servers took them.
    """
    if wanted_format(call) == "SLOT":
        return Kept(await new_slot(call.services, coming), is_new=True)
    if call.convergence is None and coming.size is not None and coming.size > SMALL:
        return await _upload(call, StreamedBody(coming.body, coming.size), coming.name)
    async with spooled(coming.body, coming.size, call.services.keeping.spool) as source:
        return await _upload(call, source, coming.name)


async def _upload(call: Call, source: Source, name: str) -> Kept:
    services, encoding = call.services, _wanted_encoding(call)
    with services.transfers.watch("upload", name, source.size) as transfer:
        uploaded = await services.client.upload(source, call.convergence, transfer.progress, encoding)
        transfer.moved = source.size or 0
    return Kept(uploaded.capability, bool(uploaded.pushed) or isinstance(uploaded.capability, Literal))


def _wanted_encoding(call: Call) -> Encoding | None:
    """The encoding that the request wants; None: the grid's.

    Raises:
        WebError: 400, it is none.
    """
    text = call.query.get("encoding")
    try:
        return None if text is None else parse_encoding(text)
    except ValueError as error:
        raise WebError(400, str(error)) from error


# --- slots -------------------------------------------------------------------------------------------------


async def new_slot(services: Services, coming: Incoming) -> SlotWrite:
    """Store contents in a new slot."""
    async with _whole(services, coming) as (source, transfer):
        cap = await services.client.slots.create(await source.read(SLOT_PIECE))
        await _write(services, cap, source, transfer, SLOT_PIECE)
    return cap


async def overwrite_slot(services: Services, cap: SlotWrite, coming: Incoming) -> None:
    """Replace a slot's contents."""
    async with _whole(services, coming) as (source, transfer):
        await services.client.slots.overwrite(cap, await source.read(SLOT_PIECE))
        await _write(services, cap, source, transfer, SLOT_PIECE)


async def write_into_slot(services: Services, cap: SlotWrite, offset: int, coming: Incoming) -> None:
    """Write contents into a slot at an offset; the rest of it stays."""
    if offset + (coming.size or 0) > MAX_LENGTH:
        raise WebError(400, f"a slot has at most {MAX_LENGTH} bytes")
    async with _whole(services, coming) as (source, transfer):
        await _write(services, cap, source, transfer, offset)


@asynccontextmanager
async def _whole(services: Services, coming: Incoming) -> AsyncIterator[tuple[SpooledBody, Transfer]]:
    """Have the whole body here before a byte of it is written: one that breaks off changes nothing."""
    async with spooled(coming.body, coming.size, services.keeping.spool) as source:
        await source.fill()
        with services.transfers.watch("upload", coming.name, source.size) as transfer:
            yield source, transfer
            transfer.moved = source.size or 0


async def _write(services: Services, cap: SlotWrite, source: SpooledBody, transfer: Transfer, offset: int) -> None:
    """Write what is left of a body into a slot, from an offset on."""
    while piece := await source.read(_piece_bytes(services, cap)):
        await services.client.slots.update(cap, offset, piece)
        offset += len(piece)
        transfer.moved += len(piece)


def _piece_bytes(services: Services, cap: SlotWrite) -> int:
    """As many as one version can bring, if anything is known of the slot."""
    held = services.client.slots.held(cap.storage_index)
    return SLOT_PIECE if held is None else services.client.slots.most(held.version.shape)
