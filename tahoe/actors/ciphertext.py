"""The ciphertext of a file, segment by segment, for whoever repairs it: no key is needed, and every byte is proven."""

from __future__ import annotations

from typing import Any, Self

from tahoe.actors.fetching import Chunk, Fetch
from tahoe.actors.keeping import KeepingDesk
from tahoe.codec.capability import ImmutableVerify
from tahoe.codec.parameters import EncodingParameters
from tahoe.context import Task
from tahoe.storage.content import cut


class Ciphertext:
    """The segments of a file's ciphertext in order, to be used with ``async with``; no key is needed.

    Args:
        desk: of the node.
        capability: of the file.
        parameters: of the file, proven.
    """

    def __init__(self, desk: KeepingDesk, capability: ImmutableVerify, parameters: EncodingParameters) -> None:
        room = desk.terms().room
        self._fetch = Fetch(desk.ctx, desk.servers(), capability, range(capability.size), room)
        self._ctx = desk.ctx
        self._parameters = parameters
        self._segment = 0
        self._chunk: Chunk | None = None
        self._offset = 0
        self._task: Task | None = None

    async def __aenter__(self) -> Self:
        self._task = self._ctx.spawn(self._fetch.run())
        return self

    async def __aexit__(self, *raised: object) -> None:
        if self._task is not None:
            self._task.cancel()
        self._fetch.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._segment >= self._parameters.segment_count:
            raise StopAsyncIteration
        length = self._parameters.segment_length(self._segment)
        self._segment += 1
        if self._chunk is None or self._offset >= len(self._chunk.data):
            await self._next_chunk()
        assert self._chunk is not None
        segment = cut(self._chunk.data, self._offset, length)
        assert len(segment) == length, "stretches are made of whole segments"
        self._offset += length
        return segment

    async def _next_chunk(self) -> None:
        if self._chunk is not None:
            self._fetch.give_back(self._chunk.weight)
        found = await self._fetch.ready.get()
        if isinstance(found, Exception):
            raise found
        self._chunk, self._offset = found, 0
