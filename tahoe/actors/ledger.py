"""The newest signed facts a node knows: who is in the grid, and what the grid's owner decreed.

Both introducers and members keep a ledger. It believes nothing unsigned: an announcement counts when
its own node's key signed it, a statement when the grid's key did; of two with the same subject the one
of greater age (epoch and sequence, or statement sequence) stands, for ever, across restarts. Whatever
is forged or stale is counted and dropped, so it does not matter who brought it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from tahoe.context import Context
from tahoe.errors import BadMessage
from tahoe.protocol import Announcement, NodeId
from tahoe.session.statement import GridStatement, open_announcement, open_statement

STATE_NAME = "roster"
MOST_NODES = 10_000
"""A ledger takes no more nodes than this: whoever holds the join secret could otherwise fill the memory."""


class Entry(NamedTuple):
    """One node as the ledger knows it."""

    announcement: Announcement
    signed: bytes


class News(NamedTuple):
    """What one delivery taught: the signed bytes of what was newer than what was known."""

    announcements: tuple[bytes, ...]
    statements: tuple[bytes, ...]

    def __bool__(self) -> bool:
        return bool(self.announcements or self.statements)


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    announcements: tuple[bytes, ...]
    statements: tuple[bytes, ...]


class Ledger:
    """Newest announcements by node and newest grid statements by name, kept in ``ctx.state``."""

    def __init__(self, ctx: Context, grid_public_key: bytes) -> None:
        self._ctx = ctx
        self.grid_public_key = grid_public_key
        self.nodes: dict[NodeId, Entry] = {}
        self.statements: dict[str, tuple[GridStatement, bytes]] = {}
        self.dropped: Counter[str] = Counter()
        self._unsaved = False
        self._saving = False

    async def load(self) -> None:
        """Read back what the last incarnation knew."""
        stored = await self._ctx.state.get(STATE_NAME)
        if stored is not None:
            saved = msgspec.msgpack.decode(stored, type=_Saved)
            self._take(saved.announcements, saved.statements)

    async def learn(self, announcements: Iterable[bytes], statements: Iterable[bytes] = ()) -> News:
        """Take what is authentic and newer, and make it durable.

        Returns:
            The signed bytes that were news.
        """
        news = self._take(announcements, statements)
        if news:
            await self._save()
        return news

    def note(self, announcement: bytes) -> bool:
        """Take one announcement without making it durable: that of a node that introduces itself whenever it comes.

        Returns:
            Whether it was news.
        """
        return self._take_announcement(announcement)

    def _take(self, announcements: Iterable[bytes], statements: Iterable[bytes]) -> News:
        return News(
            tuple(signed for signed in announcements if self._take_announcement(signed)),
            tuple(signed for signed in statements if self._take_statement(signed)),
        )

    def _take_announcement(self, signed: bytes) -> bool:
        try:
            announcement = open_announcement(signed)
        except BadMessage:
            self.dropped["forged-announcement"] += 1
            return False
        known = self.nodes.get(announcement.node)
        if known is not None and announcement.age <= known.announcement.age:
            self.dropped["stale-announcement"] += announcement.age < known.announcement.age
            return False
        if known is None and len(self.nodes) >= MOST_NODES:
            self.dropped["too-many-nodes"] += 1
            return False
        self.nodes[announcement.node] = Entry(announcement, signed)
        self._ctx.meet(announcement.node, announcement.exchange_key)
        return True

    def _take_statement(self, signed: bytes) -> bool:
        try:
            statement = open_statement(self.grid_public_key, signed)
        except BadMessage:
            self.dropped["forged-statement"] += 1
            return False
        known = self.statements.get(statement.name)
        if known is not None and statement.sequence <= known[0].sequence:
            self.dropped["stale-statement"] += statement.sequence < known[0].sequence
            return False
        self.statements[statement.name] = (statement, signed)
        return True

    async def _save(self) -> None:
        """Write the whole ledger; writes that come while one is under way become one more write."""
        self._unsaved = True
        if self._saving:
            return
        self._saving = True
        try:
            while self._unsaved:
                self._unsaved = False
                await self._ctx.state.put(STATE_NAME, self._saved())
        finally:
            self._saving = False

    def _saved(self) -> bytes:
        return encode_saved(
            (entry.signed for entry in self.nodes.values()), (signed for _, signed in self.statements.values())
        )


def encode_saved(announcements: Iterable[bytes], statements: Iterable[bytes]) -> bytes:
    """The durable form of a ledger: what a node that has run before finds in its state."""
    return msgspec.msgpack.encode(_Saved(tuple(announcements), tuple(statements)))
