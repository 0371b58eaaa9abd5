"""Files by capability: ``PUT /uri`` takes one in, ``GET /uri/CAP`` gives it back.

Both ends are as slow as the slower side: nothing is read from a browser before servers want it, and no block is
asked of servers before the browser has taken the last one. These are plain ASGI applications rather than Starlette
endpoints, because here every megabyte passes through.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from tahoe.actors.upload import Source, UploadResult
from tahoe.codec import base32, capability
from tahoe.codec.capability import Directory, ImmutableRead, Literal
from tahoe.errors import BadCapability
from tahoe.web.errors import ClientGone, WebError
from tahoe.web.ranges import Span, Unsatisfiable, parse_range, tag_matches
from tahoe.web.spool import SMALL, Body, StreamedBody, spooled

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

ReadableFile: TypeAlias = ImmutableRead | Literal

CONTENT_HEADERS: Final[Mapping[str, str]] = {
    "Accept-Ranges": "bytes",
    "Content-Security-Policy": "sandbox",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Type": "application/octet-stream",
}
"""Stored content may be anybody's: it must neither run in the gateway's origin nor leak where it was read."""


class FileClient(Protocol):
    """What is needed of the client actor (``actors/client.py``)."""

    async def upload(self, source: Source, convergence: bytes | None) -> UploadResult:
        """Store all that ``source`` has; without ``convergence`` under a random key."""

    def download(
        self, capability: ReadableFile, offset: int = 0, length: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Verified plaintext, piece by piece."""


@dataclass(frozen=True, slots=True)
class Files:
    """What serving files takes: the client, the node's convergence secret, and where large uploads wait."""

    client: FileClient
    convergence: bytes
    spool: Path


class NewFile:
    """``PUT /uri``: store the body, answer its capability. 201, or 200 if the grid had it."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Store what the request brings."""
        convergence = self._convergence(scope)
        size = _announced_size(Headers(scope=scope))
        body = Body(receive)
        if convergence is None and size is not None and size > SMALL:
            uploaded = await self._files.client.upload(StreamedBody(body, size), None)
        else:
            async with spooled(body, size, self._files.spool) as source:
                uploaded = await self._files.client.upload(source, convergence)
        status = 201 if uploaded.pushed else 200
        await PlainTextResponse(f"{uploaded.capability}\n", status)(scope, receive, send)

    def _convergence(self, scope: Scope) -> bytes | None:
        wanted = parse_qs(scope["query_string"].decode("latin-1")).get("convergence", ["node"])
        if wanted not in (["none"], ["node"]):
            raise WebError(400, "convergence is none (a random key) or node (the node's secret, the default)")
        return None if wanted == ["none"] else self._files.convergence


class FileByCapability:
    """``GET`` and ``HEAD /uri/CAP``: the file, or one range of it."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what the capability names."""
        cap = readable(scope["path_params"]["cap"])
        reply = _Reply.to(cap, Headers(scope=scope))
        if scope["method"] == "HEAD" or not reply.span.length:
            await reply.begin(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif isinstance(cap, Literal):
            await reply.begin(send)
            end = reply.span.offset + reply.span.length
            await send({"type": "http.response.body", "body": cap.data[reply.span.offset : end]})
        else:
            await while_connected(receive, self._stream(cap, reply, send))

    async def _stream(self, cap: ImmutableRead, reply: _Reply, send: Send) -> None:
        """Send pieces as they come. The first is waited for, so that a lost file is an error and not a torn answer."""
        left = reply.span.length
        async with self._files.client.download(cap, reply.span.offset, left) as pieces:
            async for piece in pieces:
                if left == reply.span.length:
                    await reply.begin(send)
                left -= len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
        assert left == 0, "a download ends early only with an error"


@dataclass(frozen=True, slots=True)
class _Reply:
    """The head of an answer about a file, and the part of the file that follows it."""

    status: int
    headers: Mapping[str, str]
    span: Span

    @classmethod
    def to(cls, cap: ReadableFile, asked: Headers) -> _Reply:
        """Decide what a request for ``cap`` gets."""
        size = size_of(cap)
        headers = {**CONTENT_HEADERS, "ETag": entity_tag(cap)}
        if tag_matches(asked.get("if-none-match"), headers["ETag"]):
            return cls(304, headers, Span(0, 0))
        span = _wanted(asked, headers["ETag"], size)
        if span is None:
            return cls(200, headers | {"Content-Length": str(size)}, Span(0, size))
        headers |= {"Content-Length": str(span.length), "Content-Range": span.content_range(size)}
        return cls(206, headers, span)

    async def begin(self, send: Send) -> None:
        """Send the head."""
        raw = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})


def readable(text: str) -> ReadableFile:
    """Return the capability of a file that can be read here.

    Raises:
        BadCapability: it is something else.
    """
    cap = capability.parse(text)
    cap.check_served()
    if isinstance(cap, ImmutableRead | Literal):
        return cap
    if isinstance(cap, Directory):
        raise BadCapability("this is the capability of a directory, not of a file")
    raise BadCapability("this capability verifies a file but can't read it")


def size_of(cap: ReadableFile) -> int:
    """Return the file's length in bytes."""
    return len(cap.data) if isinstance(cap, Literal) else cap.size


def entity_tag(cap: ReadableFile) -> str:
    """Return an ETag: the hash of what the servers hold, which gives no power over the file."""
    digest = hashlib.sha256(cap.data).digest() if isinstance(cap, Literal) else cap.ueb_hash
    return f'"{base32.encode(digest)}"'


async def while_connected(receive: Receive, story: Coroutine[Any, Any, None]) -> None:
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


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _wanted(asked: Headers, etag: str, size: int) -> Span | None:
    """Return the range asked for, if it still counts."""
    if asked.get("if-range", etag) != etag:
        return None
    try:
        return parse_range(asked.get("range"), size)
    except Unsatisfiable:
        raise WebError(416, f"the file has {size} bytes", {"Content-Range": f"bytes */{size}"}) from None


def _announced_size(headers: Headers) -> int | None:
    """Return the length of a body; None for one that comes in chunks.

    Raises:
        WebError: 411, the request says neither: a body that nobody announced is taken for an empty one.
    """
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return None
    if "content-length" not in headers:
        raise WebError(411, "say how long the file is (Content-Length), or send it in chunks")
    return int(headers["content-length"])
