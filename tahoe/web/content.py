"""Contents of files and slots as answers: whole or one range, as fast as the reader takes them and no faster."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from starlette.datastructures import Headers

from tahoe.actors.slots import STREAM_BYTES, SlotContents
from tahoe.codec import base32
from tahoe.codec.capability import MAX_SIZE, Capability, Directory, ImmutableRead, Literal, SlotRead, SlotWrite
from tahoe.errors import BadCapability
from tahoe.web.errors import ClientGone, WebError
from tahoe.web.manner import CONTENT_HEADERS, Manner
from tahoe.web.ranges import Span, Unsatisfiable, parse_range, tag_matches
from tahoe.web.services import Services
from tahoe.web.transfers import Transfer

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

T = TypeVar("T")

ReadableFile: TypeAlias = ImmutableRead | Literal | SlotRead | SlotWrite

STALE: Final = "Tahoe-May-Be-Stale"
"""Header of an answer about a slot of which so few servers are in reach that there may be a newer version."""


def readable(cap: Capability) -> ReadableFile:
    """Return the capability of a file that can be read here.

    Raises:
        BadCapability: it is something else.
    """
    cap.check_served()
    if isinstance(cap, ImmutableRead | Literal | SlotRead | SlotWrite):
        return cap
    if isinstance(cap, Directory):
        raise BadCapability("this is the capability of a directory, not of a file")
    raise BadCapability("this capability verifies a file but can't read it")


def send_file(services: Services, cap: ReadableFile, manner: Manner) -> FileAnswer | SlotAnswer:
    """Return the answer to a request for the contents of a file."""
    if isinstance(cap, ImmutableRead | Literal):
        return FileAnswer(services, cap, manner)
    return SlotAnswer(services, cap, manner)


class FileAnswer:
    """An immutable file, or one range of it."""

    def __init__(self, services: Services, cap: ImmutableRead | Literal, manner: Manner) -> None:
        self._services = services
        self._cap = cap
        self._manner = manner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what the request asks for."""
        cap = self._cap
        head = Head.to(Headers(scope=scope), self._manner, size_of(cap), entity_tag(cap))
        if scope["method"] == "HEAD" or not head.span.length:
            await head.alone(send)
        elif isinstance(cap, Literal):
            await head.begin(send)
            await _send_last(send, cap.data[head.span.offset : head.span.offset + head.span.length])
        else:
            await while_connected(receive, self._stream(cap, head, send))

    async def _stream(self, cap: ImmutableRead, head: Head, send: Send) -> None:
        offset, length = head.span
        with self._services.transfers.watch("download", self._manner.name, length) as transfer:
            async with self._services.client.download(cap, offset, length) as pieces:
                await _send_all(send, head, pieces, transfer)


class SlotAnswer:
    """The newest contents of a slot, or one range of them, all of one version."""

    def __init__(self, services: Services, cap: SlotRead | SlotWrite, manner: Manner) -> None:
        self._services = services
        self._cap = cap
        self._manner = manner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what the request asks for."""
        await while_connected(receive, self._answer(scope, send))

    async def _answer(self, scope: Scope, send: Send) -> None:
        asked = Headers(scope=scope)
        reads_nothing = scope["method"] == "HEAD"
        first = await self._read(Span(0, 0) if reads_nothing else likely_span(asked.get("range")))
        head = Head.to(asked, self._manner, first.length, version_tag(first))
        if first.may_be_stale:
            head = replace(head, headers={**head.headers, STALE: "true"})
        if reads_nothing or not head.span.length:
            await head.alone(send)
            return
        with self._services.transfers.watch("download", self._manner.name, head.span.length) as transfer:
            async with aclosing(self._pieces(head.span, first)) as pieces:
                await _send_all(send, head, pieces, transfer)

    async def _read(self, span: Span) -> SlotContents:
        return await self._services.client.slots.read(self._cap, span.offset, span.length)

    async def _pieces(self, span: Span, first: SlotContents) -> AsyncGenerator[bytes, None]:
        """The contents, beginning with what was read already where that fits."""
        data = first.data[: span.length] if first.offset == span.offset else b""
        if data:
            yield data
        if len(data) < span.length:
            slots = self._services.client.slots
            stream = await slots.stream(self._cap, span.offset + len(data), span.length - len(data))
            if stream.version.identity != first.version:
                raise WebError(409, "the file was changed while it was read; read it again")
            async for piece in stream:
                yield piece


def likely_span(asked: str | None) -> Span:
    """Return the beginning of what a ``Range`` header asks for, before anybody knows how long the contents are."""
    try:
        span = parse_range(asked, MAX_SIZE)
    except Unsatisfiable:
        span = None
    if span is None or span.offset + span.length == MAX_SIZE > span.length:  # of the end nothing is known yet
        offset = 0 if span is None or not (asked or "").rstrip().endswith("-") else span.offset
        return Span(offset, STREAM_BYTES)
    return Span(span.offset, min(span.length, STREAM_BYTES))


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer about contents, and the part of them that follows it."""

    status: int
    headers: Mapping[str, str]
    span: Span

    @classmethod
    def to(cls, asked: Headers, manner: Manner, size: int, tag: str) -> Head:
        """Decide what a request gets of contents of ``size`` bytes.

        Raises:
            WebError: 416, the range that is asked for does not exist.
        """
        headers = {**CONTENT_HEADERS, "ETag": tag}
        if tag_matches(asked.get("if-none-match"), tag):
            return cls(304, headers, Span(0, 0))
        headers |= manner.headers()
        span = _wanted(asked, tag, size)
        if span is None:
            return cls(200, headers | {"Content-Length": str(size)}, Span(0, size))
        headers |= {"Content-Length": str(span.length), "Content-Range": span.content_range(size)}
        return cls(206, headers, span)

    async def begin(self, send: Send) -> None:
        """Send the head."""
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})

    async def alone(self, send: Send) -> None:
        """Send the head and nothing else."""
        await self.begin(send)
        await _send_last(send, b"")


def size_of(cap: ImmutableRead | Literal) -> int:
    """Return the file's length in bytes."""
    return len(cap.data) if isinstance(cap, Literal) else cap.size


def entity_tag(cap: ImmutableRead | Literal) -> str:
    """Return an ETag: the hash of what the servers hold, which gives no power over the file."""
    digest = hashlib.sha256(cap.data).digest() if isinstance(cap, Literal) else cap.ueb_hash
    return f'"{base32.encode(digest)}"'


def version_tag(contents: SlotContents) -> str:
    """Return an ETag for one version of a slot."""
    return f'"{contents.version.sequence}-{base32.encode(contents.version.root_hash)}"'


async def while_connected(receive: Receive, story: Coroutine[Any, Any, T]) -> T:
    """Run a story that answers a request; stop it when nobody listens any more.

    Raises:
        ClientGone: that happened.
    """
    work = asyncio.ensure_future(story)
    watch = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait((work, watch), return_when=asyncio.FIRST_COMPLETED)
    finally:
        watch.cancel()
        gone = work.cancel()
        with suppress(asyncio.CancelledError):
            await work
    if gone:
        raise ClientGone
    return work.result()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_all(send: Send, head: Head, pieces: AsyncIterator[bytes], transfer: Transfer) -> None:
    """Send pieces as they come. The first is waited for, so that a lost file is an error and not a torn answer."""
    left = head.span.length
    async for piece in pieces:
        if left == head.span.length:
            await head.begin(send)
        left -= len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
        transfer.moved += len(piece)
    assert left == 0, "contents end early only with an error"


async def _send_last(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _wanted(asked: Headers, tag: str, size: int) -> Span | None:
    """Return the range asked for, if it still counts."""
    if asked.get("if-range", tag) != tag:
        return None
    try:
        return parse_range(asked.get("range"), size)
    except Unsatisfiable:
        raise WebError(416, f"the file has {size} bytes", {"Content-Range": f"bytes */{size}"}) from None
