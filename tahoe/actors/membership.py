"""Membership: what every node does to be part of the grid, whatever its roles.

It joins every introducer it knows, keeps the roster on disk and hears of changes. With all introducers
down a started or restarted node still works with everybody it knew: the roster is a cache of signed
facts, not a lookup service.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from tahoe.actors.ledger import Ledger
from tahoe.actors.servers import Server
from tahoe.context import Actor, Context, handles
from tahoe.errors import BadConfiguration, Refused, Unanswered
from tahoe.protocol import (
    INTRODUCER,
    MEMBER,
    STORAGE,
    Address,
    Announcement,
    Encoding,
    Join,
    NodeId,
    Roster,
    RosterChanged,
)
from tahoe.session.identity import lease_seed_of, public_key_of
from tahoe.session.statement import ENCODING_STATEMENT, decode_encoding

JOIN_TIMEOUT = 10.0
REJOIN_SECONDS = 60.0
FIRST_RETRY_SECONDS = 1.0
MOST_SHARES = 256


class IntroducerContact(NamedTuple):
    """An introducer as the grid card names it."""

    node: NodeId
    exchange_key: bytes


class EncodingBounds(NamedTuple):
    """Which encoding parameters of the grid this node is willing to use; ``fixed`` overrides the grid's."""

    fixed: Encoding | None = None
    lowest_happy: int = 1
    most_expansion: float = 16.0

    def check(self, encoding: Encoding) -> None:
        """Raise ``BadConfiguration`` where the parameters make no sense or are out of bounds."""
        if not 1 <= encoding.needed <= encoding.total <= MOST_SHARES:
            raise BadConfiguration(f"encoding {encoding}: 1 <= needed <= total <= {MOST_SHARES} must hold")
        if not encoding.needed <= encoding.happy <= encoding.total:
            raise BadConfiguration(f"encoding {encoding}: needed <= happy <= total must hold")
        if encoding.happy < self.lowest_happy:
            raise BadConfiguration(f"encoding {encoding}: this node wants happy to be at least {self.lowest_happy}")
        if encoding.total / encoding.needed > self.most_expansion:
            raise BadConfiguration(
                f"encoding {encoding}: this node accepts at most {self.most_expansion:g} times the size"
            )


class IntroducerStatus(NamedTuple):
    """How it stands with one introducer. ``since`` is the wall time of the last change; None before any."""

    node: NodeId
    connected: bool
    since: float | None
    problem: str


class Membership(Actor):
    """Joins the grid and knows who else is in it.

    Args:
        ctx: of this actor.
        grid_public_key: whose statements count.
        introducers: to join.
        bounds: of encoding parameters.
    """

    role = MEMBER

    def __init__(
        self,
        ctx: Context,
        grid_public_key: bytes,
        introducers: tuple[IntroducerContact, ...],
        bounds: EncodingBounds = EncodingBounds(),  # noqa: B008  # immutable
    ) -> None:
        super().__init__(ctx)
        self.ledger = Ledger(ctx, grid_public_key)
        self.bounds = bounds
        self._introducers = introducers
        self._versions: dict[NodeId, tuple[int, int]] = {}
        self._status = {
            contact.node: IntroducerStatus(contact.node, False, None, "not tried yet") for contact in introducers
        }
        self._servers: tuple[Server, ...] | None = None

    async def start(self) -> None:
        """Read the cached roster, then keep joined for ever."""
        await self.ledger.load()
        self._servers = None
        for contact in self._introducers:
            self.ctx.meet(contact.node, contact.exchange_key)
            self.ctx.spawn(self._stay_joined(contact))

    # --- what others in the node ask -----------------------------------------------------------------

    def servers(self) -> tuple[Server, ...]:
        """All storage servers known, reachable or not."""
        if self._servers is None:
            found = [entry.announcement for entry in self.ledger.nodes.values() if STORAGE in entry.announcement.roles]
            self._servers = tuple(_server(announcement) for announcement in found)
        return self._servers

    def announcements(self) -> tuple[Announcement, ...]:
        """What every known node says of itself."""
        return tuple(entry.announcement for entry in self.ledger.nodes.values())

    def encoding(self) -> Encoding:
        """The parameters for new files: fixed by this node, or the grid's within this node's bounds.

        Raises:
            BadConfiguration: the grid's parameters are out of this node's bounds.
        """
        if self.bounds.fixed is not None:
            self.bounds.check(self.bounds.fixed)
            return self.bounds.fixed
        known = self.ledger.statements.get(ENCODING_STATEMENT)
        encoding = Encoding() if known is None or known[0].retracted else decode_encoding(known[0].value)
        self.bounds.check(encoding)
        return encoding

    def introducers(self) -> tuple[IntroducerStatus, ...]:
        """How it stands with every introducer."""
        return tuple(self._status.values())

    async def introduced(self, signed: bytes) -> None:
        """Another node's announcement, seen when it shook hands with us."""
        if self.ledger.note(signed):
            self._servers = None

    # --- joining --------------------------------------------------------------------------------------

    async def _stay_joined(self, contact: IntroducerContact) -> None:
        retry = FIRST_RETRY_SECONDS
        while True:
            joined = await self._join(contact)
            retry = FIRST_RETRY_SECONDS if joined else min(2 * retry, REJOIN_SECONDS)
            await self.ctx.sleep(REJOIN_SECONDS if joined else retry * self.ctx.rng.uniform(0.5, 1.0))

    async def _join(self, contact: IntroducerContact) -> bool:
        statements = tuple(signed for _, signed in self.ledger.statements.values())
        since = self._versions.get(contact.node, (0, 0))
        request = Join(self.ctx.announcement(), statements, since)
        try:
            roster: Roster = await self.ctx.ask(Address(contact.node, INTRODUCER), request, timeout=JOIN_TIMEOUT)
        except (Refused, Unanswered) as problem:
            self._note(contact.node, connected=False, problem=str(problem))
            return False
        self._note(contact.node, connected=True, problem="")
        await self._learn(roster.announcements, roster.statements)
        self._versions[contact.node] = roster.version
        return await self._join(contact) if roster.announcements else True

    def _note(self, node: NodeId, *, connected: bool, problem: str) -> None:
        before = self._status[node]
        changed = before.since is None or before.connected != connected
        since = self.ctx.wall_time() if changed else before.since
        self._status[node] = IntroducerStatus(node, connected, since, problem)

    @handles(RosterChanged)
    async def roster_changed(self, sender: NodeId, message: RosterChanged) -> None:
        """Believe what is signed, whoever tells it."""
        await self._learn(message.announcements, message.statements)

    async def _learn(self, announcements: tuple[bytes, ...], statements: tuple[bytes, ...]) -> None:
        if announcements:
            self._servers = None
        await self.ledger.learn(announcements, statements)


@lru_cache(maxsize=4096)  # the clients of a simulated grid, or of one process, keep each server once
def _server(announcement: Announcement) -> Server:
    node, seeds = announcement.node, (public_key_of(announcement.node), lease_seed_of(announcement.node))
    return Server(node, announcement.nickname, *seeds, announcement.location, announcement.leaving)
