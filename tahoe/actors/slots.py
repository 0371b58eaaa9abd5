"""The slots of a client: made, read, and changed in one round trip where nobody interferes.

A writer first builds on what he has in hand. If that is out of date, or a rival comes between, he looks at the
servers, merges what else may still win, and tries again after a pause that grows and is never the same for two::

    in hand ──► revise ──► write ──► a quorum has it: done
       ▲                     │
       └── look, pause ◄─────┘ lost, or nobody knows

Whoever changes a slot hands in a function rather than contents, since it may have to be done over. It gets a ``Draft``
and returns a ``Revision``; it should leave contents alone that have its change already, because an attempt of
which nothing was heard may have been made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from tahoe.actors.slotchanging import VERSION_ONLY, Change, Revise, remember
from tahoe.actors.slotcoding import edge_of, has_edge
from tahoe.actors.slotdraft import Draft, Revision
from tahoe.actors.slotmemory import SMALL_CONTENTS, Hearing, Holding, SlotMemory
from tahoe.actors.slotreading import ALL, Inquiry, Known, Superseded, Torn, Wanted
from tahoe.actors.slotterms import SlotDesk, SlotPatience, SlotTerms
from tahoe.actors.slotwriting import BLOCK_BYTES, Packing, Verdict, Writing
from tahoe.codec.capability import SlotRead, SlotWrite
from tahoe.codec.hashing import HASH_SIZE
from tahoe.codec.slot import SEED_SIZE, SlotReader, SlotShape, SlotVersion, SlotWriter, VersionId
from tahoe.context import Context, Queue
from tahoe.errors import Conflict, NotEnoughServers, NotEnoughShares
from tahoe.policy.register import Choice
from tahoe.policy.rehoming import may_rehome

__all__ = [
    "Draft",
    "Known",
    "Look",
    "Revision",
    "SlotContents",
    "SlotDesk",
    "SlotMemory",
    "SlotPatience",
    "SlotStream",
    "SlotTerms",
    "Slots",
    "Turns",
]

T = TypeVar("T")

TRIES_TO_READ = 5
"""How often a reader begins anew because his version was replaced under his hands."""

TRIES_TO_CREATE = 3
"""How many sets of homes a new slot is offered to."""

STREAM_BYTES = 2**20
"""How much a stream brings at a time."""


class SlotContents(NamedTuple):
    """Bytes of a slot.

    Args:
        version: they are of.
        length: of the slot.
        offset: of the bytes in it.
        data: the bytes.
        may_be_stale: too few servers were in reach to be sure that there is nothing newer.
    """

    version: VersionId
    length: int
    offset: int
    data: bytes
    may_be_stale: bool


class Look(NamedTuple):
    """The whole contents of a slot.

    Args:
        known: version and contents, to be shown at the next look.
        may_be_stale: too few servers were in reach to be sure that there is nothing newer.
    """

    known: Known
    may_be_stale: bool


class Slots:
    """Makes, reads and changes slots.

    Args:
        desk: what all stories share.
    """

    def __init__(self, desk: SlotDesk) -> None:
        self._desk = desk
        self._ctx = desk.ctx
        self._memory = desk.memory
        self._turns = Turns(desk.ctx)

    # --- new ------------------------------------------------------------------------------------------------

    async def create(self, contents: bytes, segment_size: int | None = None) -> SlotWrite:
        """Make a slot.

        Args:
            contents: its first.
            segment_size: another than that of the terms, in bytes.

        Raises:
            NotEnoughServers: too few servers took it. Nothing can be read of what others took.
            Indefinite: contents that are too large for one message were written in part.
        """
        return await self.create_for(lambda _: contents, segment_size)

    async def create_for(
        self, contents_for: Callable[[SlotWrite], bytes], segment_size: int | None = None
    ) -> SlotWrite:
        """Make a slot whose contents depend on its capability; see ``create``."""
        terms = self._desk.terms()
        segment = (terms.segment_size if segment_size is None else segment_size) // terms.needed * terms.needed
        shape = SlotShape(terms.needed, terms.total, max(terms.needed, segment), 0)
        most = self.most(shape)
        capability, contents = await self._create(contents_for, shape)
        for offset in range(most, len(contents), most):
            await self.update(capability, offset, contents[offset : offset + most])
        return capability

    async def _create(self, contents_for: Callable[[SlotWrite], bytes], shape: SlotShape) -> tuple[SlotWrite, bytes]:
        """Offer as much of the contents as fits a message to one set of homes after the other."""
        refused: dict[bytes, None] = {}
        verdict = None
        for _ in range(TRIES_TO_CREATE):
            capability = SlotWrite(self._ctx.rng.randbytes(SEED_SIZE))
            contents = contents_for(capability)
            writer = capability.writer
            homes = self._homes(writer.reader.storage_index, shape.total, refused)
            if not homes:
                break
            first = contents[: self.most(shape)]
            verdict = await self._found(writer, shape.grown(len(first)), first, homes)
            if verdict.done:
                return capability, contents
            refused |= dict.fromkeys(verdict.reasons)
        reasons = () if verdict is None else verdict.reasons.values()
        raise NotEnoughServers(verdict.taken if verdict else 0, shape.quorum, "; ".join(reasons))

    def _homes(self, storage_index: bytes, total: int, refused: Mapping[bytes, None]) -> tuple[bytes, ...]:
        """The first servers of the slot's order, over again where they are fewer than shares.

        Those of whom nobody knows whether they are there are homes only where there are no others.
        """
        ranked = self._desk.order(storage_index)
        known = [server for server in ranked if self._ctx.presence(server.node) is not None]
        order = [server.permutation_seed for server in known or ranked]
        order = [home for home in order if home not in refused]
        return tuple(order[number % len(order)] for number in range(total)) if order else ()

    async def _found(self, writer: SlotWriter, shape: SlotShape, contents: bytes, homes: tuple[bytes, ...]) -> Verdict:
        """Offer the first version to these homes."""
        index = writer.reader.storage_index
        nothing = SlotVersion(1, bytes(HASH_SIZE), shape.grown(0), homes)
        draft = Draft(self._desk, Holding(nothing, Hearing(), (), b"", b""), None)
        revision = Revision.whole(contents)
        prepared = await draft.code(writer, revision)
        writing = Writing(self._desk, index, prepared.coded, draft.hearing)
        parcels = Packing(self._desk, writer.reader, prepared.coded, draft.hearing).new()
        verdict = await writing.send(parcels)
        if verdict.done:
            await remember(self._desk, index, draft.successor(prepared, revision, writing.settling))
        return verdict

    # --- reading --------------------------------------------------------------------------------------------

    async def read(self, capability: SlotRead | SlotWrite, offset: int = 0, length: int | None = None) -> SlotContents:
        """Bytes of the version that counts.

        Args:
            capability: of the slot.
            offset: of the first byte.
            length: how many; None: to the end.

        Raises:
            NotEnoughShares: too few good shares are in reach, or none as new as one that was seen before.
            RolledBack: the servers show an older version than was seen before.
            CorruptFile: whoever wrote the slot wrote nonsense.
        """
        reader = _reader_of(capability)
        return await self._persistently(lambda: self._read(reader, offset, ALL if length is None else length))

    async def _persistently(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read, and do it again where writers came between."""
        for tries in range(1, TRIES_TO_READ + 1):
            try:
                return await read()
            except Superseded:
                continue
            except Torn:
                if tries == TRIES_TO_READ:
                    raise
                await self._ctx.sleep(self._desk.terms().patience.backoff * 2**tries)
        raise NotEnoughShares(0, self._desk.terms().needed, ("the slot changes faster than it can be read",))

    async def _read(self, reader: SlotReader, offset: int, length: int) -> SlotContents:
        index = reader.storage_index
        held = self._memory.holding(index)
        known = held.version.identity if held is not None and held.contents is not None else None
        inquiry = Inquiry(self._desk, reader, Wanted(offset, length, known))
        choice = await inquiry.run()
        shape = choice.version.shape
        if held is not None and held.contents is not None and choice.version == held.version:
            data = held.contents[offset : offset + length]
        else:
            segments = shape.segments(offset, length)
            texts = await inquiry.texts(choice.version, segments)
            joined = b"".join(texts[segment].plaintext for segment in segments)
            start = offset - segments.start * shape.segment_size
            data = joined[start : start + length]
            self._keep_read(index, choice, inquiry, data)
        return SlotContents(choice.version.identity, shape.length, offset, data, choice.may_be_stale)

    def _keep_read(self, index: bytes, choice: Choice, inquiry: Inquiry, data: bytes) -> None:
        """Keep small contents that were read whole, so that next time only the version is asked for."""
        shape = choice.version.shape
        held = self._memory.holding(index)
        is_known = held is not None and held.version.identity >= choice.version.identity
        if not choice.may_be_stale and len(data) == shape.length <= SMALL_CONTENTS and not is_known:
            self._memory.hold(index, Holding(choice.version, inquiry.hearing, (), b"", data))

    async def look(self, capability: SlotRead | SlotWrite, known: Known | None = None) -> Look:
        """The whole contents, of which only what has changed is fetched, whatever their size.

        Args:
            capability: of the slot.
            known: what an earlier look gave.

        Raises:
            NotEnoughShares, RolledBack, CorruptFile: as ``read``.
        """
        reader = _reader_of(capability)
        return await self._persistently(lambda: self._look(reader, known))

    async def _look(self, reader: SlotReader, known: Known | None) -> Look:
        inquiry = Inquiry(self._desk, reader, Wanted.since(known))
        choice = await inquiry.run()
        if known is not None and known.version == choice.version:
            return Look(known, choice.may_be_stale)
        contents = await inquiry.contents(choice.version, known)
        trees = inquiry.trees(choice.version)
        edges = {number: edge_of(tree) for number, tree in trees.items() if has_edge(tree)}
        return Look(Known(choice.version, contents, edges), choice.may_be_stale)

    async def stream(self, capability: SlotRead | SlotWrite, offset: int = 0, length: int | None = None) -> SlotStream:
        """The same, piece by piece and of one version, for what is too large to be held.

        Raises:
            NotEnoughShares, RolledBack: as ``read``.
        """
        reader = _reader_of(capability)
        wanted = Wanted(offset, ALL if length is None else length)
        inquiry = Inquiry(self._desk, reader, wanted)
        return SlotStream(inquiry, await inquiry.run(), wanted)

    # --- changing -------------------------------------------------------------------------------------------

    async def overwrite(self, capability: SlotWrite, contents: bytes, expected: VersionId | None = None) -> VersionId:
        """Replace the contents. Contents too large for one message go in several versions, each a beginning of them.

        Args:
            capability: of the slot.
            contents: the new ones.
            expected: replace this version only.

        Raises:
            Conflict: another version counts than was expected, or others were always quicker. Nothing was changed.
            Indefinite: it may have been written, or will be.
            NotEnoughServers: too few homes are in reach. Nothing was changed.
        """
        shapes: list[SlotShape] = []

        async def revise(draft: Draft) -> Revision:
            if expected is not None and draft.version.identity != expected:
                raise Conflict("the slot has changed since it was read")
            shapes[:] = [draft.version.shape]
            return Revision.whole(contents[: self.most(draft.version.shape)])

        version = await self.modify(capability, revise, merges=expected is None)
        most = self.most(shapes[0])
        for offset in range(most, len(contents), most):
            version = await self.update(capability, offset, contents[offset : offset + most])
        return version

    async def update(self, capability: SlotWrite, offset: int, data: bytes) -> VersionId:
        """Put data into the contents at an offset; what lies beyond the old end grows. The rest is not touched.

        Raises:
            Conflict, Indefinite, NotEnoughServers: as ``overwrite``.
        """

        async def revise(draft: Draft) -> Revision:
            return Revision(offset, data, max(draft.version.shape.length, offset + len(data)))

        wanted = Wanted(offset, len(data), edges=True, writing=True, everywhere=True)
        return await self.modify(capability, revise, wanted, merges=False)

    async def modify(
        self, capability: SlotWrite, revise: Revise, wanted: Wanted = VERSION_ONLY, *, merges: bool = True
    ) -> VersionId:
        """Change the contents by a function of them, which may be called several times.

        Args:
            capability: of the slot.
            revise: says what is to be changed. Contents that have the change already, it leaves alone.
            wanted: what it will need.
            merges: it takes in what the other heads of a draft have, or does not care; if not, rivals are given way.

        Returns:
            The version that has the change.

        Raises:
            Conflict: others were always quicker. Nothing was changed.
            Indefinite: it may have been written, or will be.
            NotEnoughServers: too few homes are in reach. Nothing was changed.
            NotEnoughShares, RolledBack, CorruptFile: the contents can't be read.
            TahoeError: whatever ``revise`` raises about the version that counts.
        """
        writer = capability.writer
        async with self._turns.of(writer.reader.storage_index):
            return await Change(self._desk, writer, revise, wanted, merges=merges).run()

    async def rehome(self, capability: SlotWrite, homes_for: Callable[[SlotVersion], tuple[bytes, ...]]) -> VersionId:
        """Give shares other homes, and leave the contents as they are; see ``policy/rehoming.py``.

        Where rivals have left traces, these are written over first, and homes change only with the next call. Nothing is done
        for a slot of which a share does not fit one message.

        Args:
            capability: of the slot.
            homes_for: says which homes the version that counts should have.

        Returns:
            The version that counts now.

        Raises:
            TahoeError: as ``modify``.
        """

        async def revise(draft: Draft) -> Revision | None:
            shape, homes = draft.version.shape, homes_for(draft.version)
            weight = sum(shape.block_length(each) + BLOCK_BYTES for each in range(shape.segment_count))
            is_too_large = weight > self._desk.terms().payload
            if homes == draft.version.homes or is_too_large:
                return None
            await draft.load()
            same = Revision.nothing(shape)
            return same._replace(homes=homes) if may_rehome(draft.hearing, draft.version) else same

        return await self.modify(capability, revise, merges=False)

    async def newest(self, storage_index: bytes) -> SlotVersion | None:
        """The newest version of a slot that this node has seen."""
        return await self._memory.newest(storage_index)

    def held(self, storage_index: bytes) -> Holding | None:
        """What is in hand of a slot."""
        return self._memory.holding(storage_index)

    # --- helpers --------------------------------------------------------------------------------------------

    def most(self, shape: SlotShape) -> int:
        """Bytes of new contents that one version can bring: their blocks fit one message to each home."""
        return (
            max(1, self._desk.terms().payload // (shape.segment_size // shape.needed + BLOCK_BYTES))
            * shape.segment_size
        )


def _reader_of(capability: SlotRead | SlotWrite) -> SlotReader:
    return capability.writer.reader if isinstance(capability, SlotWrite) else capability.reader


class SlotStream:
    """Contents of one version, as an async iterator of pieces.

    Args:
        inquiry: that brings them.
        choice: the version.
        wanted: which part.

    Attributes:
        version: that is read.
        may_be_stale: whether there may be a newer one.

    Raises:
        NotEnoughShares, CorruptFile: while iterating.
        Superseded: while iterating: somebody has changed what was still to come.
    """

    def __init__(self, inquiry: Inquiry, choice: Choice, wanted: Wanted) -> None:
        self._inquiry = inquiry
        self.version = choice.version
        self.may_be_stale = choice.may_be_stale
        self._offset = wanted.offset
        self._end = min(wanted.offset + wanted.length, choice.version.shape.length)

    @property
    def length(self) -> int:
        """Bytes that are still to come."""
        return max(0, self._end - self._offset)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self.length:
            raise StopAsyncIteration
        shape = self.version.shape
        segments = shape.segments(self._offset, min(self.length, STREAM_BYTES))
        texts = await self._inquiry.texts(self.version, segments)
        joined = b"".join(texts[segment].plaintext for segment in segments)
        start = self._offset - segments.start * shape.segment_size
        piece = joined[start : start + self.length]
        self._inquiry.forget(self.version, segments)
        self._offset += len(piece)
        return piece


class Turns:
    """Lets the stories of one client change a slot one after the other, in the order in which they came.

    Args:
        ctx: of the client.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._waiting: dict[bytes, deque[Queue[None]]] = {}

    def of(self, storage_index: bytes) -> Turn:
        """A turn at this slot, to be used with ``async with``."""
        return Turn(self._ctx, self._waiting, storage_index)


class Turn:
    """One turn at a slot."""

    def __init__(self, ctx: Context, waiting: dict[bytes, deque[Queue[None]]], storage_index: bytes) -> None:
        self._ctx = ctx
        self._waiting = waiting
        self._index = storage_index

    async def __aenter__(self) -> None:
        line = self._waiting.get(self._index)
        if line is None:
            self._waiting[self._index] = deque()
            return
        call: Queue[None] = self._ctx.queue()
        line.append(call)
        try:
            await call.get()
        except BaseException:
            if call in line:
                line.remove(call)
            else:
                self._pass_on()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        line = self._waiting[self._index]
        if line:
            line.popleft().put_nowait(None)
        else:
            del self._waiting[self._index]
