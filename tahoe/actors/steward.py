"""The steward of a storage server: knows what time it is and whom leases are for, and lets go what nobody leases.

What it does is decided by ``policy/lease.py`` and ``policy/quota.py``; it asks the lease index, and tells the stores. Shares
go in small portions, so that whoever is served meanwhile hardly notices.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from tahoe.codec.container import RELEASED_OWNER
from tahoe.context import Context, Queue
from tahoe.errors import NoSpace, TahoeError
from tahoe.policy.lease import Collection, CollectionTerms, Room
from tahoe.policy.quota import UNLIMITED
from tahoe.protocol import AccountUsage, Lease, LeaseWanted, NodeId, UsageTold
from tahoe.session.delegation import account_of
from tahoe.storage.books import Books, OverQuota, OwnedLease, Usage
from tahoe.storage.diskerrors import as_store_errors
from tahoe.storage.leaseindex import FILE, Entry
from tahoe.storage.slots import SlotStore
from tahoe.storage.store import DEFAULT_OPTIONS, SECRET_SIZE, ShareStore

PORTION: Final = 64
"""Shares that one step does something to."""

AT_A_TIME: Final = 4
"""Such steps at a time: a disk that has to look for each share is kept busy by several."""

QUESTION: Final = 512
"""Shares that the index is asked for at once."""

COUNT: Final = 200
"""Storage indexes that one step reports to an index that can't be trusted."""

COUNT_PAUSE: Final = 0.05
"""Seconds between two such steps."""

Keepers: TypeAlias = tuple[ShareStore, SlotStore]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stewardship:
    """How a server deals with leases.

    Args:
        grid_public_key: who speaks for the grid's named roots.
        collection: when shares go.
        lease_seconds: how long a lease lasts.
        collect_every: seconds between two looks at what may go; 0: only when somebody wants room.
    """

    grid_public_key: bytes = b""
    collection: CollectionTerms = field(default_factory=CollectionTerms)
    lease_seconds: int = DEFAULT_OPTIONS.lease_seconds
    collect_every: float = 3600.0


class Steward:
    """One server's.

    Args:
        ctx: of the server's actor.
        keepers: its stores, as they are now.
        terms: how to deal with leases.
    """

    def __init__(self, ctx: Context, keepers: Callable[[], Keepers], terms: Stewardship) -> None:
        self._ctx = ctx
        self._keepers = keepers
        self._terms = terms
        self._released = float("-inf")

    @property
    def books(self) -> Books:
        """Of the stores."""
        return self._keepers()[0].books()

    # --- time -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up the time where it was left, and go on counting if the index can't be trusted."""
        self.books.host = self._ctx.name
        await self._quietly(self.books.clock.start, self._ctx.wall_time(), self._ctx.now())
        await self._quietly(self.books.refresh)
        if not self.books.index.complete:
            self._ctx.spawn(self._count())
        if self._terms.collect_every:
            self._ctx.spawn(self._collect_now_and_then())

    def now(self) -> float:
        """The server's own time, in seconds since the epoch; the machine's until it has one."""
        clock = self.books.clock
        return clock.now if clock.is_started else self._ctx.wall_time()

    def sight(self, sender: NodeId, clock: float) -> None:
        """Take in what a client's clock says; 0: it says nothing."""
        if clock > 0:
            self.books.clock.sight(sender, clock, self._ctx.now())

    async def keep(self) -> None:
        """Let time go on, look at the allowances, make the index durable; to be called every few minutes."""
        books = self.books
        books.clock.sight(self._ctx.name, self._ctx.wall_time(), self._ctx.now())
        live = books.index.live()
        is_empty = books.index.complete and live is not None and not live.shares and not books.index.trash().shares
        await self._quietly(_keep, books, self._ctx.now(), is_empty)

    # --- accounts ---------------------------------------------------------------------------------------

    async def owner(self, sender: NodeId, delegation: bytes = b"") -> int:
        """The owner number of the account that a sender acts for.

        Raises:
            Refused: ``bad-delegation``.
        """
        account = self._account(sender, delegation)
        known = self.books.accounts.known(account)
        return await self._ctx.compute(_number_of, self.books, account) if known is None else known

    async def owned(self, sender: NodeId, lease: Lease) -> OwnedLease:
        """The lease that a sender asks for, as his."""
        return OwnedLease(lease.renew_secret, lease.cancel_secret, await self.owner(sender))

    def usage_of(self, sender: NodeId, delegation: bytes) -> UsageTold:
        """What the account keeps that a sender acts for."""
        account, books = self._account(sender, delegation), self.books
        usage = books.usage()
        return UsageTold((_told(books, account, usage),), self._keepers()[0].space())

    def usage_of_all(self) -> UsageTold:
        """What everybody keeps, and those who keep nothing but may, largest first."""
        books = self.books
        usage = books.usage()
        named = [name for name in books.allowances.members if name not in usage and name != books.host]
        told = [_told(books, account, usage) for account in (*usage, *named)]
        return UsageTold(tuple(sorted(told, key=lambda each: (-each.bytes, each.account))), self._keepers()[0].space())

    def _account(self, sender: NodeId, delegation: bytes) -> str:
        if delegation:
            return account_of(self._terms.grid_public_key, delegation, sender, self.now())
        return self.books.allowances.account_of(sender)

    # --- leases -----------------------------------------------------------------------------------------

    async def add(self, wanted: Sequence[LeaseWanted], owner: int) -> tuple[list[bytes], list[bytes], int]:
        """Add or renew leases.

        Returns:
            Indexes of which there are shares, leased now; those refused for a quota; bytes over it.
        """
        found: list[bytes] = []
        refused: list[bytes] = []
        over = 0
        for start in range(0, len(wanted), PORTION):
            part = wanted[start : start + PORTION]
            some, others, more = await self._ctx.compute(add_leases, self._keepers(), part, owner, self.now())
            found += some
            refused += others
            over += more
        return found, refused, over

    async def cancel(self, wanted: Sequence[LeaseWanted]) -> int:
        """Remove leases by their cancel secrets; return how many."""
        count = 0
        for start in range(0, len(wanted), PORTION):
            part = wanted[start : start + PORTION]
            count += await self._ctx.compute(cancel_leases, self._keepers(), part, self.now())
        return count

    # --- room -------------------------------------------------------------------------------------------

    async def with_room(self, wanted: int, function: Callable[..., T], *args: Any) -> T:
        """Compute something that takes so many bytes; collect what may go first if there is no room.

        Raises:
            NoSpace: there is none even so.
        """
        try:
            return await self._ctx.compute(function, *args)
        except NoSpace:
            if not await self.collect(wanted):
                raise
            return await self._ctx.compute(function, *args)

    async def collect(self, wanted: int = 0) -> int:
        """Put into the trash what may go, as far as room is short or its grace is over; return how many shares.

        Args:
            wanted: bytes that somebody wants now.
        """
        if not self.books.index.complete or not self.books.clock.is_started:
            return 0
        policy = Collection(self._terms.collection, self.books.clock.since, self._terms.lease_seconds)
        collected = 0
        while True:
            space, now = self._keepers()[0].space(), self.now()
            shortage = policy.shortage(Room(space.capacity, space.available), wanted)
            chosen = await self._ctx.compute(_choose, self.books, policy, now, shortage)
            moved = await self._each(chosen, discard_all, now)
            if not moved:
                return collected
            collected += moved

    async def release_ended(self) -> int:
        """Charge nobody any more for shares whose last lease has ended; return how many there were since the last time.

        They may stay for months yet, when there is room; that is this server's kindness, and counts against no quota.
        """
        if not self.books.clock.is_started:
            return 0
        first, now, count = self._released, self.now(), 0
        while True:
            ended = await self._ctx.compute(self.books.index.expiring, first, now - 1.0, QUESTION)
            await self._ctx.compute(_release, self.books, ended)
            count += len(ended)
            if len(ended) < QUESTION or ended[-1].expires == first:
                self._released = now
                return count
            first = float(ended[-1].expires)

    async def empty_trash(self) -> int:
        """Remove what has been in the trash for its whole window; return how many shares."""
        if not self.books.clock.is_started:
            return 0
        policy = Collection(self._terms.collection, self.books.clock.since, self._terms.lease_seconds)
        purged = 0
        while True:
            trash = await self._ctx.compute(self.books.index.discarded, QUESTION)
            moved = await self._each(policy.forget(trash, self.now()), purge_all)
            if not moved:
                return purged
            purged += moved

    async def undelete(self, storage_indexes: Sequence[bytes] | None) -> int:
        """Bring shares back from the trash; they are leased to our own node then, for a period, or they would go again.

        Args:
            storage_indexes: whose; None: all.

        Returns:
            How many shares came back.
        """
        restored = 0
        if storage_indexes is not None:
            return await self._undelete(storage_indexes)
        while True:
            trash = await self._ctx.compute(self.books.index.discarded, QUESTION)
            count = await self._undelete(list(dict.fromkeys(entry.name.storage_index for entry in trash)))
            restored += count
            if not count:
                return restored

    async def _undelete(self, storage_indexes: Sequence[bytes]) -> int:
        owner = await self.owner(self._ctx.name)
        renew, cancel = (self._ctx.rng.randbytes(SECRET_SIZE) for _ in range(2))
        lease, restored = OwnedLease(renew, cancel, owner), 0
        for start in range(0, len(storage_indexes), PORTION):
            part = storage_indexes[start : start + PORTION]
            restored += await self._ctx.compute(_restore, self._keepers(), part, lease, self.now())
        return restored

    # --- stories ----------------------------------------------------------------------------------------

    async def _collect_now_and_then(self) -> None:
        while True:
            await self._ctx.sleep(self._terms.collect_every)
            try:
                await self.release_ended()
                await self.collect()
                await self.empty_trash()
            except TahoeError:  # a disk that fails shows in every answer; this goes on when it is well again
                continue

    async def _count(self) -> None:
        """Report what is there to the index, a little at a time."""
        while not await self._quietly(self._keepers()[0].catch_up, COUNT):
            await self._ctx.sleep(COUNT_PAUSE)

    async def _each(self, entries: Sequence[Entry], work: Callable[..., int], *args: Any) -> int:
        """Do something to shares, some portions at a time; return to how many it was done.

        Raises:
            TahoeError: what went wrong first; other portions under way are finished, and no more are begun.
        """
        portions = deque(entries[start : start + PORTION] for start in range(0, len(entries), PORTION))
        outcomes: Queue[int | TahoeError] = self._ctx.queue()

        async def work_on() -> None:
            while portions:
                try:
                    outcomes.put_nowait(await self._ctx.compute(work, self._keepers(), portions.popleft(), *args))
                except TahoeError as error:
                    portions.clear()
                    outcomes.put_nowait(error)

        done, expected = 0, len(portions)
        for _ in range(min(AT_A_TIME, expected)):
            self._ctx.spawn(work_on())
        for _ in range(expected):
            outcome = await outcomes.get()
            if isinstance(outcome, TahoeError):
                raise outcome
            done += outcome
        return done

    async def _quietly(self, function: Callable[..., T], *args: Any) -> T | None:
        try:
            return await self._ctx.compute(function, *args)
        except (TahoeError, OSError):
            return None


# --- what is computed ------------------------------------------------------------------------------------


def add_leases(
    keepers: Keepers, wanted: Sequence[LeaseWanted], owner: int, now: float
) -> tuple[list[bytes], list[bytes], int]:
    """Add or renew leases on shares of files and of slots alike; see ``Steward.add``."""
    found, refused, over = [], [], 0
    for each in wanted:
        try:
            if sum([keeper.add_lease(each.storage_index, each.lease, owner, now) for keeper in keepers]):
                found.append(each.storage_index)
        except OverQuota as error:
            refused.append(each.storage_index)
            over += error.over
    return found, refused, over


def cancel_leases(keepers: Keepers, wanted: Sequence[LeaseWanted], now: float) -> int:
    """Remove leases on shares of files and of slots alike; return how many."""
    return sum(
        keeper.cancel_lease(each.storage_index, each.lease.cancel_secret, now) for each in wanted for keeper in keepers
    )


def discard_all(keepers: Keepers, entries: Sequence[Entry], now: float) -> int:
    """Put shares into the trash whose leases still end as the index says; return how many."""
    count = 0
    for entry in entries:
        keeper = keepers[0] if entry.name.kind == FILE else keepers[1]
        count += keeper.discard(entry.name.storage_index, entry.name.number, entry.expires, now)
    return count


def purge_all(keepers: Keepers, entries: Sequence[Entry]) -> int:
    """Remove shares from the trash; return how many."""
    count = 0
    for entry in entries:
        keeper = keepers[0] if entry.name.kind == FILE else keepers[1]
        count += keeper.purge(entry.name.storage_index, entry.name.number)
    return count


def _restore(keepers: Keepers, storage_indexes: Sequence[bytes], lease: OwnedLease, now: float) -> int:
    """Bring shares back from the trash, and lease what came back; return how many."""
    restored = 0
    for storage_index in storage_indexes:
        for keeper in keepers:
            count = keeper.restore(storage_index)
            if count:
                keeper.add_lease(storage_index, lease, lease.owner, now)
            restored += count
    return restored


def _keep(books: Books, uptime: float, is_empty: bool) -> None:  # noqa: FBT001  # compute passes arguments by position
    books.clock.step(uptime, nothing_kept=is_empty)
    books.refresh()
    books.index.flush()


@as_store_errors()
def _number_of(books: Books, account: str) -> int:
    return books.number_of(account)


def _release(books: Books, ended: Sequence[Entry]) -> None:
    for entry in ended:
        if RELEASED_OWNER not in entry.leases:
            books.index.release(entry.name, entry.expires)


def _choose(books: Books, policy: Collection, now: float, shortage: int) -> list[Entry]:
    return policy.collect(books.index.expiring(float("-inf"), policy.horizon(now), QUESTION), now, shortage)


def _told(books: Books, account: str, usage: dict[str, Usage]) -> AccountUsage:
    """What is said of an account."""
    mine, allowances = usage.get(account, Usage(0, 0)), books.allowances
    is_pooled, quota = allowances.is_pooled(account), allowances.quota_of(account)
    kept = {name: each.bytes for name, each in usage.items()} if is_pooled else {}
    pool = allowances.kept(account, kept) if is_pooled and quota != UNLIMITED else 0
    return AccountUsage(account, mine.bytes, mine.shares, quota, is_pooled, pool)
