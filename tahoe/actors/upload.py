"""Upload: a file becomes shares on servers, or nothing does.

Four ways, by what is known and how large it is::

    up to 55 bytes      the capability holds it                                     no server is asked
    small               encode ─ ask ─ store                                        two round trips
    large, random key           ask ─ allocate ─ push ─ close                       read once, never held whole
    large, convergent   hash ─ ask ─ allocate ─ push ─ close                        read twice

A server's claim to hold a share counts only if its UEB hash is the file's. Of a large convergent file that hash is
known at the end, so as soon as a server claims anything, the file is encoded once without sending (``_identify``). If it
turns out to be stored already, that was all: no share data is sent, and leases are renewed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, cast

from tahoe.actors import coding
from tahoe.actors.placing import Placing
from tahoe.actors.pushing import Layer, Pushing
from tahoe.actors.servers import Server
from tahoe.actors.terms import Limits, Patience, UploadOrder
from tahoe.codec.capability import ImmutableRead, Literal
from tahoe.codec.file import LITERAL_LIMIT, EncodedFile, make_literal
from tahoe.codec.keys import KEY_SIZE, storage_index_of_key
from tahoe.codec.parameters import EncodingParameters
from tahoe.codec.share import ShareLayout
from tahoe.context import Context, Queue
from tahoe.errors import TahoeError
from tahoe.policy.placement import Placement
from tahoe.protocol import ROOM_FOR_FACTS, NodeId
from tahoe.storage.content import joined

__all__ = [
    "BytesSource",
    "Limits",
    "Patience",
    "Source",
    "SourceChanged",
    "Timings",
    "UploadOrder",
    "UploadResult",
    "upload",
]


ENCODED_AHEAD = 1
"""Segments encoded and waiting to be sent, so that encoding never waits for the line and the line never for encoding."""

STRIDE = 2
"""Segments sent together: each server gets its blocks of all of them one right after the other. A process that has to be
woken for every block spends half of its time on waking up; measured with ten servers on two cores, a stride of two saves
a fifth of their processor time, and longer ones little more."""


class SourceChanged(TahoeError):
    """The file to be uploaded was not as long as it said, or changed while it was read. Nothing was stored; try again."""


class Source(Protocol):
    """What is to be uploaded. ``size`` (bytes) must be known before: who does not know it keeps the data aside first."""

    size: int | None

    async def read(self, length: int) -> bytes:
        """The next ``length`` bytes; fewer only at the end."""

    async def rewind(self) -> None:
        """Go back to the first byte. The same bytes come again. Never called where the key is random."""


class BytesSource:
    """A source in memory."""

    def __init__(self, data: bytes) -> None:
        self.size: int | None = len(data)
        self._data = data
        self._offset = 0

    async def read(self, length: int) -> bytes:
        """See ``Source``."""
        piece = self._data[self._offset : self._offset + length]
        self._offset += len(piece)
        return piece

    async def rewind(self) -> None:
        """See ``Source``."""
        self._offset = 0


class Timings(NamedTuple):
    """Where the time went, in seconds: until the key was known, until servers had said what they have, until the end."""

    hashing: float
    asking: float
    pushing: float


class UploadResult(NamedTuple):
    """What came of an upload.

    Args:
        capability: reads the file.
        homes: where each share is, by share number.
        happiness: reached.
        pushed: bytes of shares sent and taken.
        existing: how many shares were there before.
        timings: where the time went.
    """

    capability: ImmutableRead | Literal
    homes: dict[int, NodeId]
    happiness: int
    pushed: int
    existing: int
    timings: Timings


async def upload(ctx: Context, servers: Sequence[Server], order: UploadOrder, source: Source) -> UploadResult:
    """Store a file.

    Args:
        ctx: of the client.
        servers: all that are known; those said to be gone are left out.
        order: what it is to be like.
        source: the file.

    Raises:
        NotEnoughServers: happiness was not reached; what was begun has been taken back.
        SourceChanged: the source did not give what it promised.
        ValueError: the size of the source is not known.
    """
    if source.size is None:
        raise ValueError("the size of what is uploaded must be known first: keep it aside and count")
    if source.size <= LITERAL_LIMIT:
        data = await _read(source, source.size)
        return UploadResult(make_literal(data), {}, 0, 0, 0, Timings(0.0, 0.0, 0.0))
    needed, total = order.encoding.needed, order.encoding.total
    story = _Upload(ctx, servers, order, EncodingParameters.of(source.size, needed, total, order.limits.segment))
    return await (story.small(source) if story.is_small else story.large(source))


async def _read(source: Source, length: int) -> bytes:
    data = await source.read(length)
    if len(data) != length:
        raise SourceChanged(f"the source gave {len(data)} bytes where {length} were due")
    return data


class _Upload:
    """One upload under way."""

    def __init__(
        self, ctx: Context, servers: Sequence[Server], order: UploadOrder, parameters: EncodingParameters
    ) -> None:
        self._ctx = ctx
        self._servers = servers
        self._order = order
        self._parameters = parameters
        self._layout = ShareLayout.of(parameters)
        self._marks = [ctx.now()]

    @property
    def is_small(self) -> bool:
        """Whether the shares may be held in memory and sent whole."""
        limits = self._order.limits
        fits = self._layout.size <= limits.message - 2 * ROOM_FOR_FACTS
        return fits and self._layout.size * self._parameters.total <= limits.small

    # --- small files ----------------------------------------------------------------------------------------

    async def small(self, source: Source) -> UploadResult:
        """Encode, ask, store."""
        plaintext = await _read(source, self._parameters.size)
        await _expect_end(source)
        file = await self._encode_small(plaintext)
        placing = await self._ask(file.key)
        placing.placement.identify(file.ueb_hash)
        try:
            pushed = 0
            while offers := self._offers(placing.placement):
                pushed += await placing.store(offers, file.shares)
            return await self._conclude(placing, self._capability(file.key, file.ueb_hash), pushed)
        except BaseException as error:
            await _undo(placing, error)
            raise

    async def _encode_small(self, plaintext: bytes) -> coding.SmallFile:
        secret = self._order.convergence
        if secret is None:
            key = self._ctx.rng.randbytes(KEY_SIZE)
            return await self._ctx.compute(coding.encode_small, self._parameters, key, plaintext)
        return await self._ctx.compute(coding.encode_small_convergent, self._parameters, secret, plaintext)

    # --- large files ----------------------------------------------------------------------------------------

    async def large(self, source: Source) -> UploadResult:
        """Find the key, ask, allocate, push, close."""
        key = await self._key(source)
        placing = await self._ask(key)
        try:
            await self._allocate(placing, key, source)
            pushed, ueb_hash = 0, placing.placement.ueb_hash
            if placing.placement.placed():
                pushed, ueb_hash = await self._push(placing, key, source)
            return await self._conclude(placing, self._capability(key, ueb_hash), pushed)
        except BaseException as error:
            await _undo(placing, error)
            raise

    async def _key(self, source: Source) -> bytes:
        """Random, or from a pass over the plaintext."""
        secret = self._order.convergence
        if secret is None:
            return self._ctx.rng.randbytes(KEY_SIZE)
        hasher = await self._ctx.compute(coding.begin_key, self._parameters, secret)
        for segment in range(self._parameters.segment_count):
            plaintext = await _read(source, self._parameters.segment_length(segment))
            await self._ctx.compute(coding.feed_key, hasher, plaintext)
        await _expect_end(source)
        await source.rewind()
        return await self._ctx.compute(coding.end_key, hasher)

    async def _allocate(self, placing: Placing, key: bytes, source: Source) -> None:
        """Find room for every share that has none."""
        placement = placing.placement
        if self._order.convergence is None:
            placement.identify(b"")  # a random key is nobody else's, so what others have under it is none of this file
        while True:
            if placement.unidentified:
                placement.identify(await self._identify(key, source))
            offers = self._offers(placement)
            if not offers:
                return
            await placing.allocate(offers)

    async def _identify(self, key: bytes, source: Source) -> bytes:
        """Encode without sending, for the UEB hash."""
        bench = await self._ctx.compute(coding.begin_file, self._parameters, key)
        for segment in range(self._parameters.segment_count):
            plaintext = await _read(source, self._parameters.segment_length(segment))
            await self._ctx.compute(coding.encode_segment, bench, plaintext)
        await source.rewind()
        encoded = await self._ctx.compute(coding.finish_file, bench)
        return encoded.ueb_hash

    async def _push(self, placing: Placing, key: bytes, source: Source) -> tuple[int, bytes]:
        """Encode and send, one segment being encoded while others are sent. Returns the bytes sent and the UEB hash."""
        ready = self._ctx.queue(ENCODED_AHEAD)
        encoding = self._ctx.spawn(self._encode(key, source, ready))
        try:
            async with Pushing(self._ctx, self._order, placing) as pushing:
                for first in range(0, self._parameters.segment_count, STRIDE):
                    segments = range(first, min(first + STRIDE, self._parameters.segment_count))
                    blocks = [await _taken(ready) for _ in segments]
                    await self._push_stride(pushing, segments, blocks)
                encoded: EncodedFile = await _taken(ready)
                await self._expect_same(source, placing.placement.ueb_hash, encoded.ueb_hash)
                await pushing.write([Layer(self._layout.trailer_offset, encoded.trailers)])
                await pushing.flush()
                await pushing.close()
        finally:
            encoding.cancel()
        return pushing.pushed, encoded.ueb_hash

    async def _encode(self, key: bytes, source: Source, ready: Queue[Any]) -> None:
        """Put every segment's blocks into the queue, then what stands behind them, or the error that came between."""
        try:
            bench = await self._ctx.compute(coding.begin_file, self._parameters, key)
            for segment in range(self._parameters.segment_count):
                plaintext = await _read(source, self._parameters.segment_length(segment))
                blocks = await self._ctx.compute(coding.encode_segment, bench, plaintext)
                await ready.put(blocks)
            await ready.put(await self._ctx.compute(coding.finish_file, bench))
        except Exception as error:  # noqa: BLE001  # it belongs to the story that waits for the blocks
            ready.put_nowait(error)

    async def _expect_same(self, source: Source, identified: bytes, pushed: bytes) -> None:
        """Look for signs that the source changed, before anything is made complete."""
        if identified not in (b"", pushed):
            raise SourceChanged("the file changed while it was read")
        if self._order.convergence is None:
            await _expect_end(source)

    async def _push_stride(self, pushing: Pushing, segments: range, blocks: Sequence[Sequence[bytes]]) -> None:
        layers = [
            Layer(self._layout.block_span(segment)[0], pieces) for segment, pieces in zip(segments, blocks, strict=True)
        ]
        if not segments.start:  # the header goes with the first block
            layers[0] = Layer(0, [_joined(self._layout.header, piece) for piece in blocks[0]])
        await pushing.write(layers)
        done = min(self._parameters.size, segments.stop * self._parameters.segment_size)
        self._order.progress(done, self._parameters.size)

    # --- both -----------------------------------------------------------------------------------------------

    async def _ask(self, key: bytes) -> Placing:
        """Ask the servers of this file what they have."""
        self._marks.append(self._ctx.now())
        storage_index = storage_index_of_key(key)
        sites = self._shortlist(storage_index)
        placing = Placing(self._ctx, self._order, storage_index, self._layout.size, sites)
        await placing.ask()
        self._marks.append(self._ctx.now())
        return placing

    def _shortlist(self, storage_index: bytes) -> list[Server]:
        """The servers to deal with. Most of a large grid never comes into question, so presence is asked for late.

        Who is there comes before those of whom nobody knows, or a flood of made-up servers would leave no room for them.
        """
        choose, total = self._order.policy.shortlist, self._order.encoding.total
        chosen = choose(self._servers, storage_index, total)
        if all(self._is_home(site) for site in chosen):
            return chosen
        there = choose([site for site in self._servers if self._is_home(site)], storage_index, total)
        unknown = choose([site for site in self._servers if self._may_be_home(site)], storage_index, total)
        return [*there, *unknown[: max(0, len(chosen) - len(there))]]

    def _is_home(self, site: Server) -> bool:
        """Whether it is there, and is going to stay."""
        return not site.leaving and self._ctx.presence(site.node) is True

    def _may_be_home(self, site: Server) -> bool:
        """Whether nobody knows."""
        return not site.leaving and self._ctx.presence(site.node) is None

    def _offers(self, placement: Placement) -> dict[NodeId, tuple[int, ...]]:
        """What to offer to whom, as long as it can make the file happy."""
        offers = placement.proposals()
        if offers:
            placement.check(placement.promise())
        return offers

    def _capability(self, key: bytes, ueb_hash: bytes) -> ImmutableRead:
        return ImmutableRead(key, ueb_hash, self._parameters.needed, self._parameters.total, self._parameters.size)

    async def _conclude(self, placing: Placing, capability: ImmutableRead, pushed: int) -> UploadResult:
        """Judge the whole once more and put the result together."""
        placement = placing.placement
        happiness = placement.check()
        await placing.renew()
        homes = placement.standing()
        sent = dict.fromkeys(number for numbers in placement.placed().values() for number in numbers)
        began, keyed, asked = self._marks
        return UploadResult(
            capability=capability,
            homes=homes,
            happiness=happiness,
            pushed=pushed,
            existing=sum(number not in sent for number in homes),
            timings=Timings(keyed - began, asked - keyed, self._ctx.now() - asked),
        )


async def _taken(ready: Queue[Any]) -> Any:
    """The next of what encoding puts into the queue; where that is an error, it is raised."""
    item = await ready.get()
    if isinstance(item, Exception):
        raise item
    return item


def _joined(header: bytes, block: bytes) -> bytes:
    return cast("bytes", joined((header, block)))  # of a kind with the block, which may be no bytes in the simulator


async def _expect_end(source: Source) -> None:
    if len(await source.read(1)):
        raise SourceChanged("the source has more bytes than it said")


async def _undo(placing: Placing, error: BaseException) -> None:
    """Take back what was begun: carefully, or, when the story itself is being stopped, without waiting."""
    if isinstance(error, Exception):
        await placing.take_back()
    else:
        placing.abandon()
