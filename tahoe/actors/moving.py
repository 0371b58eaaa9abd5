"""Moving shares: a copy first, proven on its way, and only then a farewell where it was.

What is copied is one share, not the file: a k-th of what a repair would read. Every block is proven before it is passed on, so
that nobody's rot spreads, and the copy is complete only after the last one.
"""

from __future__ import annotations

from typing import Any, cast

from tahoe.actors.keeping import KeepingDesk
from tahoe.actors.leases import FileLeases
from tahoe.actors.placing import SECRET_BYTES
from tahoe.actors.servers import Server
from tahoe.actors.shareproof import FrameFound, find_tail, prove_blocks, prove_frame
from tahoe.codec.capability import ImmutableVerify
from tahoe.codec.share import MAX_HEADER_SIZE
from tahoe.codec.verification import ShareFrame
from tahoe.errors import CorruptShare, Refused, TahoeError
from tahoe.protocol import (
    Abort,
    Allocate,
    CancelLeases,
    Close,
    HaveShares,
    LeaseWanted,
    ReadShare,
    Request,
    ShareToStore,
    StoreShares,
    Write,
)
from tahoe.storage.content import cut, joined


class Carrier:
    """Copies one share from a server to another.

    Args:
        desk: of the node.
        capability: of the file.
        number: of the share.
        source: who has it.
        target: who is to have it.
    """

    def __init__(
        self, desk: KeepingDesk, capability: ImmutableVerify, number: int, source: Server, target: Server
    ) -> None:
        self._desk = desk
        self._capability = capability
        self._index = capability.storage_index
        self._number = number
        self._source = source
        self._target = target
        self._secret = desk.ctx.rng.randbytes(SECRET_BYTES)
        self._leases = FileLeases(desk.terms().lease_master, self._index)

    async def copy(self) -> int:
        """Copy the share.

        Returns:
            Bytes sent.

        Raises:
            CorruptShare: the source gives something that is not the share.
            Refused: the source has it no more, or the target does not take it.
            Unanswered: one of them fell silent.
        """
        size = await self._size()
        header = await self._read(0, MAX_HEADER_SIZE)
        offset = await self._desk.ctx.compute(find_tail, cast("bytes", header))
        if isinstance(offset, FrameFound):
            raise CorruptShare(self._source.label, self._number, offset.reason)
        tail = await self._read(offset, max(0, size - offset))
        found = await self._desk.ctx.compute(
            prove_frame, self._capability, self._number, cast("bytes", header), offset, cast("bytes", tail)
        )
        if found.frame is None:
            raise CorruptShare(self._source.label, self._number, found.reason)
        payload = self._desk.terms().limits.payload
        if size <= payload:
            await self._carry_whole(found.frame, size)
        else:
            await self._carry(found.frame, size, payload)
        return size

    async def farewell(self) -> None:
        """Take our lease off what the source has of the file: the share goes when its room is needed."""
        lease = LeaseWanted(self._index, self._leases.on(self._source.lease_seed))
        try:
            await self._ask(self._source, CancelLeases((lease,)))
        except TahoeError:  # it goes by itself, when nobody renews it
            return

    async def _size(self) -> int:
        answer = await self._ask(self._source, HaveShares((self._index,)))
        for held in answer.held:
            for facts in held.shares:
                if facts.number == self._number and facts.ueb_hash == self._capability.ueb_hash:
                    return int(facts.size)
        raise Refused("no-such-share", f"share {self._number} is not on {self._source.label} any more")

    async def _carry_whole(self, frame: ShareFrame, size: int) -> None:
        data = await self._read(0, size)
        parameters = frame.share.uri_extension.parameters
        await self._prove(frame, 0, cut(data, frame.share.offsets.data, parameters.data_length))
        lease = self._leases.on(self._target.lease_seed)
        share = ShareToStore(self._number, data)
        await self._ask(self._target, StoreShares(self._index, self._secret, lease, (share,)))

    async def _carry(self, frame: ShareFrame, size: int, payload: int) -> None:
        """Pass it on piece by piece; a copy that fails is taken back."""
        lease = self._leases.on(self._target.lease_seed)
        allocated = await self._ask(self._target, Allocate(self._index, self._secret, lease, (self._number,), size))
        if self._number not in allocated.allocated:
            return  # somebody has put it there already
        try:
            await self._carry_pieces(frame, size, payload)
            await self._ask(self._target, Close(self._index, self._secret, (self._number,)))
        except BaseException:
            self._desk.ctx.tell(self._target.address, Abort(self._index, self._secret, (self._number,)))
            raise

    async def _carry_pieces(self, frame: ShareFrame, size: int, payload: int) -> None:
        parameters, start = frame.share.uri_extension.parameters, frame.share.offsets.data
        await self._write(0, await self._read(0, start), payload)
        stride = max(1, payload // parameters.block_size)
        for first in range(0, parameters.segment_count, stride):
            segments = range(first, min(first + stride, parameters.segment_count))
            length = sum(map(parameters.block_length, segments))
            offset = start + first * parameters.block_size
            data = await self._read(offset, length)
            await self._prove(frame, first, data)
            await self._write(offset, data, payload)
        end = start + parameters.data_length
        await self._write(end, await self._read(end, size - end), payload)

    async def _prove(self, frame: ShareFrame, first: int, data: Any) -> None:
        reason = await self._desk.ctx.compute(prove_blocks, frame, first, data)
        if reason:
            raise CorruptShare(self._source.label, self._number, reason)

    async def _write(self, offset: int, data: Any, payload: int) -> None:
        for start in range(0, len(data), payload):
            piece = cast("bytes", cut(data, start, payload))
            await self._ask(self._target, Write(self._index, self._secret, self._number, offset + start, piece))

    async def _read(self, offset: int, length: int) -> Any:
        payload = self._desk.terms().limits.payload
        pieces = []
        for start in range(offset, offset + length, payload):
            want = min(payload, offset + length - start)
            answer = await self._ask(self._source, ReadShare(self._index, self._number, start, want))
            pieces.append(cut(answer.data, 0, want))
        return joined(pieces)

    async def _ask(self, server: Server, request: Request[Any]) -> Any:
        terms = self._desk.terms()
        timeout = terms.room.habits.patience_for(terms.limits.payload)
        return await self._desk.ctx.ask(server.address, request, timeout=timeout)
