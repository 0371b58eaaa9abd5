"""Tables of mutable directories: read, kept, and merged where writers have raced.

A table that was read is kept with the version it is of. At the next look the servers mostly say that it is still
that one; if something was appended, only that is fetched.

Where versions race, the table of the one that counts is taken, and the edits of the others that it lacks are made anew on
top of it, by their ids. One that touches a name which the table's own writer changed at the same moment is left out:
of two who fight over a name the first stands.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from tahoe.actors.slots import Draft, Known, Slots
from tahoe.codec.capability import SlotRead, SlotWrite
from tahoe.codec.directory import CorruptDirectory, DirectoryTable, Edit
from tahoe.context import Context
from tahoe.errors import NotEnoughShares

MOST_KEPT_BYTES = 96 * 2**20
LINK_WEIGHT = 600
"""Bytes that a link takes in memory, roughly."""


class Kept(NamedTuple):
    """A table in hand.

    Args:
        known: the slot's version and contents.
        table: that they hold; not to be changed.
    """

    known: Known
    table: DirectoryTable

    @property
    def weight(self) -> int:
        """Bytes that it takes, roughly."""
        return 4096 + 2 * len(self.known.contents) + LINK_WEIGHT * len(self.table.links)


class Seen(NamedTuple):
    """A table that was looked at.

    Args:
        table: not to be changed.
        size: bytes of the contents.
        may_be_stale: there may be a newer one out of reach.
    """

    table: DirectoryTable
    size: int
    may_be_stale: bool


class Tables:
    """The tables of a client, those used lately in memory.

    Args:
        ctx: of the client.
        slots: where they are kept.
    """

    def __init__(self, ctx: Context, slots: Slots) -> None:
        self._ctx = ctx
        self._slots = slots
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._bytes = 0

    async def look(self, slot: SlotRead | SlotWrite) -> Seen:
        """The table as it is now.

        Raises:
            NotEnoughShares, RolledBack, CorruptFile, CorruptDirectory: it can't be read.
        """
        index = slot.storage_index
        kept = self.kept(index)
        look = await self._slots.look(slot, None if kept is None else kept.known)
        if kept is not None and kept.known.version == look.known.version:
            table = kept.table
        else:
            table = await self._parsed(look.known.contents)
        if not look.may_be_stale:
            self.keep(index, look.known, table)
        return Seen(table, len(look.known.contents), look.may_be_stale)

    async def base(self, index: bytes, draft: Draft) -> tuple[DirectoryTable, list[Edit]]:
        """The table that a draft builds on, not to be changed, and edits of others to be made on top of it."""
        kept = self.kept(index)
        known = None if kept is None else kept.known
        if kept is not None and kept.known.version == draft.version:
            table = kept.table
        else:
            table = await self._parsed(await draft.contents(known=known))
        edits: list[Edit] = []
        for head in draft.heads[1:]:
            try:
                other = await self._parsed(await draft.contents(head, known))
            except (NotEnoughShares, CorruptDirectory):
                continue  # what can't be read never won
            edits += missing_edits([*table.edits(), *edits], table, other)
        return table, edits

    async def _parsed(self, contents: bytes) -> DirectoryTable:
        return await self._ctx.compute(DirectoryTable.parse, contents)

    # --- what is kept ---------------------------------------------------------------------------------------

    def kept(self, index: bytes) -> Kept | None:
        """The table in hand of a directory."""
        found = self._kept.get(index)
        if found is not None:
            self._kept.move_to_end(index)
        return found

    def keep(self, index: bytes, known: Known, table: DirectoryTable) -> None:
        """This is certainly the newest."""
        before = self._kept.get(index)
        if before is not None and before.known.version.identity > known.version.identity:
            return
        self.drop(index)
        kept = Kept(known, table)
        self._kept[index] = kept
        self._bytes += kept.weight
        while self._bytes > MOST_KEPT_BYTES and len(self._kept) > 1:
            self.drop(next(iter(self._kept)))

    def keep_held(self, index: bytes, table: DirectoryTable) -> None:
        """This was written just now, unless something newer is in hand already."""
        held = self._slots.held(index)
        contents = table.contents
        if held is not None and held.version.shape.length == len(contents):
            self.keep(index, Known(held.version, contents, dict(enumerate(held.trees))), table)

    def drop(self, index: bytes) -> None:
        """Forget it."""
        found = self._kept.pop(index, None)
        if found is not None:
            self._bytes -= found.weight


def missing_edits(made: Sequence[Edit], table: DirectoryTable, other: DirectoryTable) -> list[Edit]:
    """The edits in the log of ``other`` that are lacking and can be made on top of what is made.

    One that is left out takes with it those after it that touch the same names: they build on it.

    Args:
        made: edits in the log of the table, and those that have been taken from others.
        table: that is built on.
        other: another writer's.
    """
    known, theirs = {edit.identity for edit in made}, dict.fromkeys(other.recent)
    fought_over = {change.name for edit in made if edit.identity not in theirs for change in edit.changes}
    found: list[Edit] = []
    for edit in other.edits():
        if edit.identity in known or table.has_made(edit.identity):
            continue
        names = {change.name for change in edit.changes}
        if names & fought_over:
            fought_over |= names
        else:
            found.append(edit)
    return found
