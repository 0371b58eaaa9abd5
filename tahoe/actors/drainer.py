"""The drainer: when a storage server is about to leave, sees to it that nothing is on it that is not elsewhere, too.

::

    leased shares, oldest lease first ──► is it elsewhere? ──yes──► it may go
                                             │ no
                                             ▼
                            owners have had their time? ──no──► left
                                             │ yes
                                             ▼
                        copied on this node's account ──► it may go

Owners come first: their caretakers move what is theirs (``caremoving.py``), keep the leases, and give slots new homes, which
only they can. What they have not fetched in time the server copies itself, as raw shares: it has no capability, but
a share of a file proves itself against the hash of its URI extension block, and a version of a slot is signed. Copies
are leased to the leaving node, so owners who were away have one lease period to find them.

It ends when a look from end to end has found everything elsewhere. Looks go on all the same until the server is gone, since
writers may still come. Nothing is ever removed: who changes his mind has lost nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from tahoe.actors.checking import INDEXES_IN_MESSAGE, Holdings, ask_servers
from tahoe.actors.drainwork import Dispatcher
from tahoe.actors.keeper import do_each
from tahoe.actors.keeping import KeepingDesk, KeepingTerms
from tahoe.actors.membership import Membership
from tahoe.actors.servers import Server
from tahoe.actors.storage import StorageServer
from tahoe.actors.terms import Limits
from tahoe.context import Actor, Context, TimedOut
from tahoe.errors import CorruptShare, TahoeError
from tahoe.protocol import DRAINER, HaveShares
from tahoe.session.identity import lease_seed_of, public_key_of
from tahoe.session.statement import open_announcement
from tahoe.storage.leaseindex import NEVER, Entry, ShareName

LOOK_EVERY = 600.0
"""Seconds between two looks; somebody who wants to know starts one at once."""

NOTICE_EVERY = 30.0
"""Seconds between two looks at whether the server is to leave at all."""

OBJECTS_AT_A_TIME = 4

LEASE_MASTER = "lease-master"
LEASE_MASTER_BYTES = 32


@dataclass(frozen=True, slots=True)
class Drained:
    """How far it is.

    Args:
        shares: leased ones on the server that were looked at.
        elsewhere: that other servers have, too, copies included.
        copied: that this server has copied since the node started.
        spoilt: that are corrupt here, so that there is nothing to be copied.
        bytes: sent for copies since the node started.
        trouble: why the last share that could not be copied could not.
        ended: when the last look ended, in seconds since the epoch; 0: none has.
    """

    shares: int = 0
    elsewhere: int = 0
    copied: int = 0
    spoilt: int = 0
    bytes: int = 0
    trouble: str = ""
    ended: float = 0.0

    @property
    def left(self) -> int:
        """Shares that are nowhere else."""
        return self.shares - self.elsewhere - self.spoilt

    @property
    def done(self) -> bool:
        """Whether the server may go."""
        return self.ended > 0 and not self.left


class Drainer(Actor):
    """Empties the storage server of its own node.

    Args:
        ctx: of this actor.
        membership: of the same node.
        server: of the same node.
        limits: of messages.
        notice: tells from when on the server copies by itself (seconds since the epoch); None: it is not going to leave.

    Attributes:
        last: what the last complete look has found.
        now: what the one under way has found so far; None: none is.
    """

    role = DRAINER

    def __init__(
        self,
        ctx: Context,
        membership: Membership,
        server: StorageServer,
        limits: Limits,
        notice: Callable[[], float | None],
    ) -> None:
        super().__init__(ctx)
        self._server = server
        self._limits = limits
        self._notice = notice
        self._master = b""
        self._desk = KeepingDesk(ctx, membership.servers, self._terms)
        self._wishes = ctx.queue()
        self._nickname = ""
        self._looked = -LOOK_EVERY
        self.last = Drained()
        self.now: Drained | None = None

    def _terms(self) -> KeepingTerms:
        return KeepingTerms(self._master, self._limits)

    async def start(self) -> None:
        """Remember the secret of its leases, and wait for the server to be given notice."""
        stored = await self.ctx.state.get(LEASE_MASTER)
        self._master = stored or self.ctx.rng.randbytes(LEASE_MASTER_BYTES)
        if stored is None:
            await self.ctx.state.put(LEASE_MASTER, self._master)
        self._nickname = open_announcement(self.ctx.announcement()).nickname
        self.ctx.spawn(self._run())

    def hurry(self) -> None:
        """Look now: somebody wants to know."""
        self._wishes.put_nowait(None)

    async def _run(self) -> None:
        while True:
            is_wanted = await self._is_wanted()
            if self._notice() is None:
                self.last = Drained()
            elif is_wanted or self.ctx.now() - self._looked >= LOOK_EVERY:
                await self.look()

    async def _is_wanted(self) -> bool:
        try:
            await self._wishes.get(NOTICE_EVERY)
        except TimedOut:
            return False
        return True

    async def look(self) -> None:
        """Look at everything that is leased, and copy what it is time to copy; nothing, if a look is under way."""
        if self.now is not None:
            return
        self._looked = self.ctx.now()
        self.now = Drained(copied=self.last.copied, bytes=self.last.bytes)
        try:
            async for entries in self._pages():
                await self._treat(entries)
        except TahoeError as error:  # a disk, or nobody in reach: the next look may see more
            self.last = replace(self.last, trouble=str(error))
        else:
            self.last = replace(self.now, ended=self.ctx.wall_time())
        finally:
            self.now = None

    def _count(self, **more: int) -> None:
        assert self.now is not None, "a look is under way"
        self.now = replace(self.now, **{name: getattr(self.now, name) + count for name, count in more.items()})

    async def _pages(self) -> AsyncIterator[list[Entry]]:
        """All leased shares, those of at most so many objects at a time as one message can ask about."""
        books = self._server.steward.books
        if not books.index.complete:
            raise TahoeError("the server is still counting what it has")
        first, before, most = self._server.steward.now(), dict[ShareName, None](), INDEXES_IN_MESSAGE
        while True:
            found = await self.ctx.compute(books.index.expiring, first, NEVER - 1.0, most)
            fresh = [entry for entry in found if entry.name not in before]
            if fresh:
                yield fresh
            if len(found) < most:
                return
            if not fresh:
                most *= 2  # more than a page of them end in the same second
            first = float(found[-1].expires)
            before = dict.fromkeys(entry.name for entry in found if entry.expires == first)

    # --- one page ----------------------------------------------------------------------------------------------

    async def _treat(self, entries: Sequence[Entry]) -> None:
        indexes = tuple(dict.fromkeys(entry.name.storage_index for entry in entries))
        for start in range(0, len(indexes), INDEXES_IN_MESSAGE):
            some = indexes[start : start + INDEXES_IN_MESSAGE]
            holdings = await self._ask(some)
            by_index = {index: [each.name for each in entries if each.name.storage_index == index] for index in some}

            async def settle(names: Sequence[ShareName], holdings: Holdings = holdings) -> None:
                await self._settle(names, holdings)

            await do_each(self._desk, list(by_index.values()), settle, OBJECTS_AT_A_TIME)

    async def _ask(self, indexes: tuple[bytes, ...]) -> Holdings:
        """What everybody has of some objects who does not leave himself, and we."""
        others = [server for server in self._desk.servers() if not server.leaving and server.node != self.ctx.name]
        question = HaveShares(indexes, slots=True)
        holdings = await ask_servers(self._desk, dict.fromkeys([*others, self._own()], question))
        if self.ctx.name not in holdings.held:
            raise TahoeError("this node is not connected to its grid")
        return holdings

    async def _settle(self, names: Sequence[ShareName], holdings: Holdings) -> None:
        """See to the shares of one object."""
        dispatcher = Dispatcher(self._desk, self._own(), holdings, names[0])
        for name in names:
            held = dispatcher.is_held_here(name.number)
            if held:
                self._count(shares=1)
            if held and await dispatcher.is_elsewhere(name.number):
                self._count(elsewhere=1)
            elif held:
                await self._copy(dispatcher, name.number)

    async def _copy(self, dispatcher: Dispatcher, number: int) -> None:
        notice = self._notice()
        if notice is None or self.ctx.wall_time() < notice:
            return
        try:
            size = await dispatcher.copy(number)
        except CorruptShare as error:
            is_ours = error.server == self._own().label
            self._count(spoilt=int(is_ours))
            self._complain(str(error))
        except TahoeError as error:
            self._complain(str(error))
        else:
            self._count(elsewhere=1, copied=1, bytes=size)

    def _complain(self, trouble: str) -> None:
        assert self.now is not None, "a look is under way"
        self.now = replace(self.now, trouble=trouble)

    def _own(self) -> Server:
        """This server as others see it; a node is not in its own roster."""
        node = self.ctx.name
        return Server(node, self._nickname, public_key_of(node), lease_seed_of(node), leaving=True)
