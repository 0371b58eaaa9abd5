"""The storage server: keeps shares for others, and trusts nobody's word about them.

Handlers are short: they turn a message into a few calls of the store, run off the event loop. What the
store promises (whole or not at all, first complete stays, uploads are private) is what the server
promises. Two stories run beside them: one forgets uploads that stand still, one scrubs, so that a share
which rots is found by its own server before a reader needs it. Whose leases are, how long they last and
what goes when they have ended is the steward's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import msgspec

from tahoe.actors.reading import ProofCache, read_shares
from tahoe.actors.slotkeeping import WRITTEN, read_slot, slots_held, stage_slot, write_slot
from tahoe.actors.steward import Steward, Stewardship
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
    ReadSlot,
    Replaced,
    ReplaceShare,
    ShareBytes,
    SharesHeld,
    SharesRead,
    SlotRead,
    SlotStaged,
    SlotWritten,
    StageSlot,
    Stored,
    StoreShares,
    UsageOf,
    UsageTold,
    Write,
    WriteSlot,
    Written,
)
from tahoe.storage.slots import SlotStore
from tahoe.storage.store import ShareStore, Verdict, no_such_share

Keeper: TypeAlias = ShareStore | SlotStore

T = TypeVar("T")

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
    """Answers the storage messages of ``protocol.py`` from one store of shares and one of slots.

    Args:
        ctx: of this actor.
        store: what the shares are kept in.
        slots: what the shares of slots are kept in.
        upkeep: when to sweep and scrub.
        stewardship: how to deal with leases.
    """

    role = STORAGE

    def __init__(
        self,
        ctx: Context,
        store: ShareStore,
        slots: SlotStore,
        upkeep: Upkeep,
        stewardship: Stewardship = Stewardship(),  # noqa: B008  # immutable
    ) -> None:
        super().__init__(ctx)
        self.steward = Steward(ctx, lambda: (self.store, self.slots), stewardship)
        self._lease_seconds = stewardship.lease_seconds
        self.store = store
        self.slots = slots
        self._upkeep = upkeep
        self._proofs = ProofCache()
        self._arrived: deque[tuple[bytes, int]] = deque(maxlen=MOST_ARRIVALS)
        self._checks_waiting = 0
        self.corrupt: dict[tuple[bytes, int], str] = {}

    async def start(self) -> None:
        """Start the upkeep."""
        await self.steward.start()
        if self._upkeep.sweep_every:
            self.ctx.spawn(self._sweep())
        if self._upkeep.scrub_every:
            self.ctx.spawn(self._scrub())

    # --- questions and reading --------------------------------------------------------------------------

    @handles(HaveShares)
    async def have_shares(self, sender: NodeId, request: HaveShares) -> SharesHeld:
        """Facts of shares held, and the room left."""
        _check_count(request.storage_indexes)
        answer = await self.ctx.compute(shares_held, self.store, request.storage_indexes)
        if not request.slots:
            return answer
        slots = await self.ctx.compute(slots_held, self.slots, request.storage_indexes)
        return SharesHeld(answer.held, answer.space, slots)

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
        lease = await self.steward.owned(sender, request.lease)
        stored, present = await self.steward.with_room(
            sum(map(len, shares.values())), self.store.store, request.storage_index, shares, lease, self.steward.now()
        )
        self._arrived.extend((request.storage_index, number) for number in stored)
        return Stored(stored, tuple(present.values()))

    @handles(Allocate)
    async def allocate(self, sender: NodeId, request: Allocate) -> Allocated:
        """Begin uploads."""
        allocated, present = await self.steward.with_room(
            request.size * len(request.numbers),
            self.store.allocate,
            request.storage_index,
            request.upload_secret,
            request.numbers,
            request.size,
            await self.steward.owned(sender, request.lease),
            self.steward.now(),
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
            self.steward.now(),
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

    # --- slots ----------------------------------------------------------------------------------------------

    @handles(ReadSlot)
    async def read_slot(self, sender: NodeId, request: ReadSlot) -> SlotRead:
        """The version that each share carries, and blocks with their proofs."""
        return await self.ctx.compute(read_slot, self.slots, request)

    @handles(WriteSlot)
    async def write_slot(self, sender: NodeId, request: WriteSlot) -> SlotWritten:
        """A signed version, once all of it is proven. New shares are scrubbed early; changed ones in their round."""
        lease = await self.steward.owned(sender, request.lease)
        owned = msgspec.structs.replace(request, lease=lease)
        size = sum(len(block.data) for share in request.shares for block in share.blocks)
        answer = await self.steward.with_room(size, write_slot, self.slots, owned, self.steward.now(), sender)
        new = {share.number for share in request.shares if share.replaces is None}
        arrived = (outcome.number for outcome in answer.outcomes if outcome.outcome == WRITTEN)
        self._arrived.extend((request.storage_index, number) for number in arrived if number in new)
        return answer

    @handles(StageSlot)
    async def stage_slot(self, sender: NodeId, request: StageSlot) -> SlotStaged:
        """Parts of a share to come."""
        lease = await self.steward.owned(sender, request.lease)
        owned = msgspec.structs.replace(request, lease=lease)
        size = sum(len(block.data) for block in request.blocks)
        return await self.steward.with_room(size, stage_slot, self.slots, owned, self.steward.now(), sender)

    # --- leases and advice ----------------------------------------------------------------------------------

    @handles(AddLeases)
    async def add_leases(self, sender: NodeId, request: AddLeases) -> LeasesAdded:
        """Add or renew leases, and bring back what is in the trash."""
        _check_count(request.leases)
        self.steward.sight(sender, request.time)
        owner = await self.steward.owner(sender, request.delegation)
        found, refused, over = await self.steward.add(request.leases, owner)
        return LeasesAdded(tuple(found), tuple(refused), over, self._lease_seconds)

    @handles(CancelLeases)
    async def cancel_leases(self, sender: NodeId, request: CancelLeases) -> LeasesCancelled:
        """Remove leases."""
        _check_count(request.leases)
        return LeasesCancelled(await self.steward.cancel(request.leases))

    @handles(UsageOf)
    async def usage_of(self, sender: NodeId, request: UsageOf) -> UsageTold:
        """What an account keeps; to our own node, what everybody keeps."""
        if request.everybody and sender != self.ctx.name:
            raise Refused("not-allowed", "what others keep is told to this server's own node only")
        return self.steward.usage_of_all() if request.everybody else self.steward.usage_of(sender, request.delegation)

    @handles(AdviseCorrupt)
    async def advise_corrupt(self, sender: NodeId, request: AdviseCorrupt) -> Noted:
        """Check the share ourselves; keep the advice only where our own check agrees."""
        if self._checks_waiting >= MOST_CHECKS_WAITING:
            raise Refused("busy", "many shares are being checked already; try again later")
        self._checks_waiting += 1
        try:
            unsound = await self._check(request.storage_index, request.number)
        finally:
            self._checks_waiting -= 1
        for keeper, verdict in unsound:
            reason = f"{sender}: {request.reason}; own check: {verdict.reason}"
            await self.ctx.compute(
                keeper.advise_corrupt, request.storage_index, request.number, reason, self.ctx.wall_time()
            )
        return Noted(bool(unsound))

    @handles(ReplaceShare)
    async def replace_share(self, sender: NodeId, request: ReplaceShare) -> Replaced:
        """A sound share in place of ours, if our own check finds ours corrupt."""
        replaced = await self.ctx.compute(
            self.store.replace_corrupt, request.storage_index, request.number, request.data
        )
        if replaced:
            self.corrupt.pop((request.storage_index, request.number), None)
            self._proofs.forget(request.storage_index, request.number)
        return Replaced(replaced)

    # --- upkeep ---------------------------------------------------------------------------------------------

    async def _check(self, storage_index: bytes, number: int) -> list[tuple[Keeper, Verdict]]:
        """Scrub whatever bears this name, a file's share, a slot's or (if somebody means ill) both.

        Returns:
            What is not sound, and who keeps it.

        Raises:
            Refused: ``no-such-share``: there is neither.
        """
        keepers: tuple[Keeper, ...] = (self.store, self.slots)
        verdicts = [(keeper, await self._verdict(keeper, storage_index, number)) for keeper in keepers]
        found = [(keeper, verdict) for keeper, verdict in verdicts if verdict is not None]
        if not found:
            raise no_such_share(number)
        unsound = [(keeper, verdict) for keeper, verdict in found if not verdict.sound]
        if unsound:
            self.corrupt[storage_index, number] = unsound[0][1].reason
            self._proofs.forget(storage_index, number)
        else:
            self.corrupt.pop((storage_index, number), None)
        return unsound

    async def _verdict(self, keeper: Keeper, storage_index: bytes, number: int) -> Verdict | None:
        """What a scrub finds; None if there is no such share."""
        try:
            return await self.ctx.compute(keeper.scrub, storage_index, number)
        except Refused as refused:
            if refused.code != "no-such-share":
                raise
            return None

    async def _sweep(self) -> None:
        while True:
            await self.ctx.sleep(self._upkeep.sweep_every)
            await self._quietly(self.store.abort_idle, self.steward.now(), self._upkeep.idle_upload)
            await self.steward.keep()

    async def _scrub(self) -> None:
        """Round and round over all shares of files, and then over those of slots."""
        while True:
            await self._scrub_round(self.store.storage_indexes, self.store.shares)
            await self._scrub_round(self.slots.storage_indexes, self.slots.numbers)

    async def _scrub_round(
        self, indexes: Callable[[bytes], Iterator[bytes]], numbers: Callable[[bytes], Iterable[int]]
    ) -> None:
        """Once over all shares of a store, new ones of any store first."""
        after = b""
        while True:
            await self.ctx.sleep(self._upkeep.scrub_every)
            if self._arrived:
                await self._scrub_quietly(*self._arrived.popleft())
                continue
            after = await self._quietly(next_index, indexes, after) or b""
            if not after:
                return
            for number in await self._quietly(numbers, after) or ():
                await self._scrub_quietly(after, number)

    async def _scrub_quietly(self, storage_index: bytes, number: int) -> None:
        """A share that went away meanwhile is nobody's concern."""
        try:
            await self._check(storage_index, number)
        except TahoeError:
            return

    async def _quietly(self, function: Callable[..., T], *args: Any) -> T | None:
        """Upkeep goes on after a failure of the disk, which shows in every answer anyway. None: it failed."""
        try:
            return await self.ctx.compute(function, *args)
        except TahoeError:
            return None


def _check_count(asked: Sized) -> None:
    if len(asked) > MOST_INDEXES_ASKED:
        raise Refused("too-many", f"at most {MOST_INDEXES_ASKED} storage indexes a question")


def shares_held(store: ShareStore, storage_indexes: tuple[bytes, ...]) -> SharesHeld:
    """What the store holds of several indexes, and its room."""
    held = []
    for storage_index in storage_indexes:
        shares = store.shares(storage_index)
        if shares:
            held.append(Held(storage_index, tuple(shares.values())))
    return SharesHeld(tuple(held), store.space())


def next_index(indexes: Callable[[bytes], Iterator[bytes]], after: bytes) -> bytes:
    """The first storage index greater than ``after``; empty at the end."""
    return next(indexes(after), b"")
