"""Download: bytes of a file, in order, none of them before it is proven.

``Fetch`` (``fetching.py``) brings them; here the reader takes them. What he has not come back for weighs on the node's
budget, so a reader who stalls stalls the fetching, all the way down to the servers.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Self

from tahoe.actors.fetching import Fetch
from tahoe.actors.readingroom import Habits, ReadingRoom
from tahoe.actors.servers import Server
from tahoe.codec.capability import ImmutableRead, Literal
from tahoe.context import Context, Task

__all__ = ["Download", "Habits", "ReadingRoom", "Span"]


class Span(NamedTuple):
    """A part of a file, in bytes; without length: up to its end."""

    offset: int = 0
    length: int | None = None

    def within(self, size: int) -> range:
        """The bytes it is of, in a file of ``size`` bytes."""
        first = min(self.offset, size)
        return range(first, size if self.length is None else min(size, first + self.length))


class Download:
    """Bytes of a file, as an async iterator of chunks; to be used with ``async with``.

    ::

        async with Download(ctx, servers, capability, Span(), room) as chunks:
            async for chunk in chunks:
                ...

    Leaving early stops what is under way and gives its memory back.

    Args:
        ctx: of the client.
        servers: all that are known, in any order.
        capability: of the file.
        span: which part of it.
        room: what this node's downloads share.

    Raises:
        NotEnoughShares: while iterating: too few good shares are in reach; it tells why, server by server.
        CorruptFile: while iterating: whoever wrote the file wrote nonsense.
        BadCapability: on entering: its numbers make no sense.
    """

    def __init__(
        self,
        ctx: Context,
        servers: Sequence[Server],
        capability: ImmutableRead | Literal,
        span: Span,
        room: ReadingRoom,
    ) -> None:
        self.file_size = len(capability.data) if isinstance(capability, Literal) else capability.size
        self.part = span.within(self.file_size)
        self._ctx = ctx
        self._servers = servers
        self._capability = capability
        self._room = room
        self._fetch: Fetch | None = None
        self._task: Task | None = None
        self._lent = 0
        self._left = len(self.part)

    async def __aenter__(self) -> Self:
        if isinstance(self._capability, ImmutableRead):
            self._capability.check_served()
            if self._left:
                self._fetch = Fetch(self._ctx, self._servers, self._capability, self.part, self._room)
                self._task = self._ctx.spawn(self._fetch.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = 0
        if self._task is not None:
            self._task.cancel()
        if self._fetch is not None:
            self._fetch.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        chunk = await self._next_chunk()
        self._left -= len(chunk)
        return chunk

    async def _next_chunk(self) -> bytes:
        if isinstance(self._capability, Literal):
            return self._capability.data[self.part.start : self.part.stop]
        assert self._fetch is not None, "a download is used with 'async with'"
        if self._lent:
            self._fetch.give_back(self._lent)
        found = await self._fetch.ready.get()
        if isinstance(found, Exception):
            self._left = 0
            raise found
        self._lent = found.weight
        return found.data  # type: ignore[no-any-return]  # a queue holds anything; this one holds chunks
