"""The storage server: keeps shares for others, and trusts nobody's word about them.

Handlers are short: they turn a message into a few calls of the store, run off the event loop. What the
store promises (whole or not at all, first complete stays, uploads are private) is what the server
promises. Two stories run beside them: one forgets uploads that stand still, one scrubs, so that a share
which rots is found by its own server before a reader needs it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from tahoe.actors.reading import ProofCache, read_shares
from tahoe.context import Actor, Context, handles
from tahoe.errors import Refused, TahoeError
from tahoe.protocol import (
    STORAGE,
    Abort,
    Aborted,
    AddLeases,
    AdviseCorrupt,
    Allocate,
    Allocated,
    CancelLeases,
    Close,
    Closed,
    HaveShares,
    Held,
    LeasesAdded,
    LeasesCancelled,
    NodeId,
    Noted,
    ReadShare,
    ReadShares,
    ShareBytes,
    SharesHeld,
    SharesRead,
    Stored,
    StoreShares,
    Write,
    Written,
)
from tahoe.storage.store import ShareStore, Verdict

LATER_LEASE_OWNER = 1
"""Owner number of leases added to shares that are there already (docs/formats.md)."""

MOST_CHECKS_WAITING = 16
MOST_INDEXES_ASKED = 1024
MOST_ARRIVALS = 65_536
"""New shares remembered for an early scrub; what falls out is reached by the rounds."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """When a storage server looks after itself, in seconds; 0 switches a story off.

    Args:
        idle_upload: an upload that saw no write for so long is aborted.
        sweep_every: how often to look for those.
        scrub_every: pause between the scrubs of two shares.
    """

    idle_upload: float = 1800.0
    sweep_every: float = 300.0
    scrub_every: float = 5.0


class StorageServer(Actor):
    """Answers the storage messages of ``protocol.py`` from one store.

    Args:
        ctx: of this actor.
        store: what the shares are kept in.
        upkeep: when to sweep and scrub.
    """

    role = STORAGE

    def __init__(self, ctx: Context, store: ShareStore, upkeep: Upkeep = Upkeep()) -> None:  # immutable
        super().__init__(ctx)
        self.store = store
        self._upkeep = upkeep
        self._proofs = ProofCache()
        self._arrived: deque[tuple[bytes, int]] = deque(maxlen=MOST_ARRIVALS)
        self._checks_waiting = 0
        self.corrupt: dict[tuple[bytes, int], str] = {}

    async def start(self) -> None:
        """Start the upkeep."""
        if self._upkeep.sweep_every:
            self.ctx.spawn(self._sweep())
        if self._upkeep.scrub_every:
            self.ctx.spawn(self._scrub())

    # --- questions and reading --------------------------------------------------------------------------

    @handles(HaveShares)
    async def have_shares(self, sender: NodeId, request: HaveShares) -> SharesHeld:
        """Facts of shares held, and the room left."""
        if len(request.storage_indexes) > MOST_INDEXES_ASKED:
            raise Refused("too-many", f"at most {MOST_INDEXES_ASKED} storage indexes a question")
        return await self.ctx.compute(shares_held, self.store, request.storage_indexes)

    @handles(ReadShares)
    async def read_shares(self, sender: NodeId, request: ReadShares) -> SharesRead:
        """Blocks with their proofs."""
        return await self.ctx.compute(read_shares, self.store, self._proofs, request)

    @handles(ReadShare)
    async def read_share(self, sender: NodeId, request: ReadShare) -> ShareBytes:
        """Raw bytes of one share."""
        data = await self.ctx.compute(
            self.store.read, request.storage_index, request.number, request.offset, request.length
        )
        return ShareBytes(data)

    # --- writing ------------------------------------------------------------------------------------------

    @handles(StoreShares)
    async def store_shares(self, sender: NodeId, request: StoreShares) -> Stored:
        """Whole small shares in one."""
        shares = {share.number: share.data for share in request.shares}
        stored, present = await self.ctx.compute(
            self.store.store, request.storage_index, shares, request.lease, self.ctx.wall_time()
        )
        self._arrived.extend((request.storage_index, number) for number in stored)
        return Stored(stored, tuple(present.values()))

    @handles(Allocate)
    async def allocate(self, sender: NodeId, request: Allocate) -> Allocated:
        """Begin uploads."""
        allocated, present = await self.ctx.compute(
            self.store.allocate,
            request.storage_index,
            request.upload_secret,
            request.numbers,
            request.size,
            request.lease,
            self.ctx.wall_time(),
        )
        return Allocated(allocated, tuple(present.values()))

    @handles(Write)
    async def write(self, sender: NodeId, request: Write) -> Written:
        """Bytes of an upload."""
        await self.ctx.compute(
            self.store.write,
            request.storage_index,
            request.upload_secret,
            request.number,
            request.offset,
            request.data,
            self.ctx.wall_time(),
        )
        return Written()

    @handles(Close)
    async def close(self, sender: NodeId, request: Close) -> Closed:
        """Make uploads complete."""
        closed = await self.ctx.compute(self.store.close, request.storage_index, request.upload_secret, request.numbers)
        self._arrived.extend((request.storage_index, number) for number in closed)
        return Closed(closed)

    @handles(Abort)
    async def abort(self, sender: NodeId, request: Abort) -> Aborted:
        """Forget uploads."""
        await self.ctx.compute(self.store.abort, request.storage_index, request.upload_secret, request.numbers)
        return Aborted()

    # --- leases and advice ----------------------------------------------------------------------------------

    @handles(AddLeases)
    async def add_leases(self, sender: NodeId, request: AddLeases) -> LeasesAdded:
        """Add or renew leases."""
        found = []
        for wanted in request.leases:
            count = await self.ctx.compute(
                self.store.add_lease, wanted.storage_index, wanted.lease, LATER_LEASE_OWNER, self.ctx.wall_time()
            )
            if count:
                found.append(wanted.storage_index)
        return LeasesAdded(tuple(found))

    @handles(CancelLeases)
    async def cancel_leases(self, sender: NodeId, request: CancelLeases) -> LeasesCancelled:
        """Remove leases."""
        count = 0
        for wanted in request.leases:
            count += await self.ctx.compute(self.store.cancel_lease, wanted.storage_index, wanted.lease.cancel_secret)
        return LeasesCancelled(count)

    @handles(AdviseCorrupt)
    async def advise_corrupt(self, sender: NodeId, request: AdviseCorrupt) -> Noted:
        """Check the share ourselves; keep the advice only where our own check agrees."""
        if self._checks_waiting >= MOST_CHECKS_WAITING:
            raise Refused("busy", "many shares are being checked already; try again later")
        self._checks_waiting += 1
        try:
            verdict = await self._check(request.storage_index, request.number)
        finally:
            self._checks_waiting -= 1
        if not verdict.sound:
            reason = f"{sender}: {request.reason}; own check: {verdict.reason}"
            await self.ctx.compute(
                self.store.advise_corrupt, request.storage_index, request.number, reason, self.ctx.wall_time()
            )
        return Noted(not verdict.sound)

    # --- upkeep ---------------------------------------------------------------------------------------------

    async def _check(self, storage_index: bytes, number: int) -> Verdict:
        verdict = await self.ctx.compute(self.store.scrub, storage_index, number)
        if verdict.sound:
            self.corrupt.pop((storage_index, number), None)
        else:
            self.corrupt[storage_index, number] = verdict.reason
            self._proofs.forget(storage_index, number)
        return verdict

    async def _sweep(self) -> None:
        while True:
            await self.ctx.sleep(self._upkeep.sweep_every)
            await self.ctx.compute(self.store.abort_idle, self.ctx.wall_time(), self._upkeep.idle_upload)

    async def _scrub(self) -> None:
        """New shares first, then round and round over all of them."""
        after = b""
        while True:
            await self.ctx.sleep(self._upkeep.scrub_every)
            if self._arrived:
                await self._scrub_quietly(*self._arrived.popleft())
                continue
            following = await self.ctx.compute(next_index, self.store, after)
            if following:
                for number in await self.ctx.compute(self.store.shares, following):
                    await self._scrub_quietly(following, number)
            after = following

    async def _scrub_quietly(self, storage_index: bytes, number: int) -> None:
        """A share that went away meanwhile is nobody's concern; a failing disk shows in every answer."""
        try:
            await self._check(storage_index, number)
        except TahoeError:
            return


def shares_held(store: ShareStore, storage_indexes: tuple[bytes, ...]) -> SharesHeld:
    """What the store holds of several indexes, and its room."""
    held = []
    for storage_index in storage_indexes:
        shares = store.shares(storage_index)
        if shares:
            held.append(Held(storage_index, tuple(shares.values())))
    return SharesHeld(tuple(held), store.space())


def next_index(store: ShareStore, after: bytes) -> bytes:
    """The first storage index greater than ``after``; empty at the end, where the round begins anew."""
    return next(store.storage_indexes(after), b"")
