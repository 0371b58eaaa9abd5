"""The introducer: tells everybody who else there is. It can omit nodes, and nothing worse.

Nodes join by handing in their signed announcement; the answer is everybody else's. From then on the
introducer tells each of them what is new. It signs nothing: announcements are signed by their nodes and
the grid's statements by the grid key, so clients need not trust it, several may serve one grid, and
losing all of them only means that newcomers are not heard of.
"""

from __future__ import annotations

from collections.abc import Iterable

from tahoe.actors.ledger import Ledger, News
from tahoe.context import Actor, Context, handles
from tahoe.errors import BadMessage, Refused
from tahoe.protocol import DEFAULT_MESSAGE_BYTES, INTRODUCER, MEMBER, Address, Join, NodeId, Roster, RosterChanged
from tahoe.session.statement import open_announcement

BATCH_BYTES = DEFAULT_MESSAGE_BYTES // 4
"""Announcements per message, in bytes: small enough for any broker."""


class Introducer(Actor):
    """Keeps the ledger of the grid and tells subscribers what is new.

    Args:
        ctx: of this actor.
        grid_public_key: whose statements count.
        statements: signed by the grid key, known from this node's own files.
    """

    role = INTRODUCER

    def __init__(self, ctx: Context, grid_public_key: bytes, statements: tuple[bytes, ...] = ()) -> None:
        super().__init__(ctx)
        self.ledger = Ledger(ctx, grid_public_key)
        self._statements = statements
        self._boot = 0
        self._revision = 0
        self._revised: dict[bytes, int] = {}
        self._subscribers: dict[NodeId, None] = {}

    async def start(self) -> None:
        """Load the ledger; the boot number makes versions of an earlier incarnation worthless."""
        await self.ledger.load()
        self._boot = open_announcement(self.ctx.announcement()).epoch
        await self.ledger.learn([self.ctx.announcement()], self._statements)
        self._number([entry.signed for entry in self.ledger.nodes.values()])
        self._number([signed for _, signed in self.ledger.statements.values()])

    @property
    def subscribers(self) -> tuple[NodeId, ...]:
        """Who has joined in this incarnation."""
        return tuple(self._subscribers)

    @handles(Join)
    async def join(self, sender: NodeId, request: Join) -> Roster:
        """Take the announcement, subscribe its node, answer with what it does not know yet."""
        try:
            announcement = open_announcement(request.announcement)
        except BadMessage as error:
            self.ledger.dropped["forged-announcement"] += 1
            raise Refused("forged", str(error)) from error
        if announcement.node != sender:
            raise Refused("not-yours", "a node announces itself only")
        await self.ledger.learn([request.announcement], request.statements)
        known = self.ledger.nodes.get(sender)
        if known is None or known.announcement.age > announcement.age:
            raise Refused(
                "stale", "a newer announcement of this node is known; is its clock or its disk from the past?"
            )
        self._subscribers[sender] = None
        self._publish(self._unpublished(known.signed), sender)
        return self._roster(sender, request.since)

    def _unpublished(self, announcement: bytes) -> News:
        """What is in the ledger and was never told to anybody.

        Not what this join brought: one before may have brought the same, and been cancelled before it came to tell it.
        """
        statements = (signed for _, signed in self.ledger.statements.values())
        return News(
            () if announcement in self._revised else (announcement,),
            tuple(signed for signed in statements if signed not in self._revised),
        )

    def _number(self, items: Iterable[bytes]) -> None:
        for signed in items:
            self._revision += 1
            self._revised[signed] = self._revision

    def _publish(self, news: News, author: NodeId) -> None:
        if not news:
            return
        self._number(news.announcements + news.statements)
        current = {entry.signed for entry in self.ledger.nodes.values()}
        current.update(signed for _, signed in self.ledger.statements.values())
        self._revised = {signed: revision for signed, revision in self._revised.items() if signed in current}
        message = RosterChanged(news.announcements, news.statements)
        for subscriber in self._subscribers:
            if subscriber != author:
                self.ctx.tell(Address(subscriber, MEMBER), message)

    def _roster(self, subscriber: NodeId, since: tuple[int, int]) -> Roster:
        """What is newer than ``since``, oldest news first, as much as one message holds.

        The version answered is that of the last item included, so that asking again brings the rest.
        """
        floor = since[1] if since[0] == self._boot else 0
        own = self.ledger.nodes[subscriber].signed
        statements = {signed for _, signed in self.ledger.statements.values()}
        announcements: list[bytes] = []
        decrees: list[bytes] = []
        size, reached = 0, floor
        for signed, revision in self._revised.items():
            if revision <= floor:
                continue
            if size + len(signed) > BATCH_BYTES and size:
                break
            reached = revision
            if signed != own:
                (decrees if signed in statements else announcements).append(signed)
                size += len(signed)
        return Roster(tuple(announcements), tuple(decrees), (self._boot, reached))
