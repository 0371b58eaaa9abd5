"""Editing one directory: edits that come at the same moment are made together, in one version of its slot.

::

    edit ─┐                      ┌─ made: in the table, or there already, by its id
    edit ─┼─► pending ──► batch ─┤
    edit ─┘   (while the batch   └─ refused: the table is not one that it can be made to
               before is under way)

A batch is one change of the slot (``slotchanging.py``), which may be planned several times. Each edit has a random id
that goes into the directory's log: after an attempt of which nothing was heard, the edit finds itself and is done.

*Who fights whom.* An edit remembers what its names led to when it was planned first. If that has changed when it is
planned again, somebody else was quicker: ``Conflict``. The first plan is often made on a table in hand, which may be
old; then it counts only if the link that is there now was set when this edit was begun, or later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from tahoe.actors.edits import Operation
from tahoe.actors.slotdraft import Draft, Revision, Stale
from tahoe.actors.slotreading import Wanted
from tahoe.actors.slots import Slots
from tahoe.actors.tables import Tables
from tahoe.codec.capability import SlotWrite
from tahoe.codec.directory import EDIT_ID_SIZE, DirectoryTable, Edit, Link
from tahoe.codec.slot import VersionId
from tahoe.context import Context, Queue
from tahoe.errors import Conflict, TahoeError

SHORTEST_WRITE_SECONDS = 0.005
"""What was begun so shortly before can't have been done yet."""


@dataclass(slots=True, eq=False)
class _Wish:
    """An edit that somebody waits for.

    Args:
        identity: its id.
        operation: what it does.
        begun: when, in seconds since the epoch.
        asked: the same in monotonic seconds.
        answer: gets None or an error.
        seen: what its names led to when it was first planned.
        is_certain: they did so after it was begun.
    """

    identity: bytes
    operation: Operation
    begun: float
    asked: float
    answer: Queue[Exception | None]
    seen: Mapping[str, Link | None] | None = None
    is_certain: bool = False

    def look(self, links: Mapping[str, Link], *, is_fresh: bool) -> None:
        """See what the names lead to now.

        Raises:
            Conflict: somebody else was quicker.
        """
        there = {name: links.get(name) for name in self.operation.names}
        before = there if self.seen is None else self.seen
        changed = [name for name in there if there[name] != before.get(name)]
        rivals = changed if self.is_certain else [name for name in changed if self._is_of_this_moment(there[name])]
        if rivals:
            raise Conflict(f"somebody else has just changed {', '.join(map(repr, rivals))}")
        self.seen = there
        self.is_certain = self.is_certain or is_fresh

    def _is_of_this_moment(self, link: Link | None) -> bool:
        if link is None:
            return False
        set_at = link.metadata_object.get("tahoe", {}).get("linkmotime", 0.0)
        return bool(set_at > self.begun - SHORTEST_WRITE_SECONDS)


class Editor:
    """Makes the edits of one directory.

    Args:
        ctx: of the client.
        slots: where the directory is kept.
        tables: of the client.
        slot: the directory's.
    """

    def __init__(self, ctx: Context, slots: Slots, tables: Tables, slot: SlotWrite) -> None:
        self._ctx = ctx
        self._slots = slots
        self._tables = tables
        self._slot = slot
        self._index = slot.storage_index
        self._pending: deque[_Wish] = deque()
        self._working = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be done."""
        return not self._working

    async def make(self, operation: Operation) -> None:
        """Make an edit, together with others that are pending.

        Raises:
            Conflict: somebody else changed the same names at the same moment, or others were always quicker.
            Indefinite: it may have been made, or will be.
            TahoeError: whatever the operation raises, or the slot.
        """
        identity = self._ctx.rng.randbytes(EDIT_ID_SIZE)
        wish = _Wish(identity, operation, self._ctx.wall_time(), self._ctx.now(), self._ctx.queue())
        self._pending.append(wish)
        if not self._working:
            self._working = True
            self._ctx.spawn(self._work())
        error = await wish.answer.get()
        if error is not None:
            raise error

    async def _work(self) -> None:
        try:
            while self._pending:
                await _Batch(self._slots, self._tables, self._slot, self._pending).make()
        finally:
            self._working = False


class _Batch:
    """Pending edits, as many as fit a message.

    Args:
        slots: where the directory is kept.
        tables: of the client.
        slot: the directory's.
        pending: the edits; those that are dealt with are taken out.
    """

    def __init__(self, slots: Slots, tables: Tables, slot: SlotWrite, pending: deque[_Wish]) -> None:
        self._slots = slots
        self._tables = tables
        self._slot = slot
        self._index = slot.storage_index
        self._pending = pending
        self._planned: list[_Wish] = []
        self._refused: dict[_Wish, TahoeError] = {}
        self._written: dict[_Wish, None] = {}
        """Wishes that were in an attempt: others may have seen it, and merge what is left of it."""
        self._next: DirectoryTable | None = None

    async def make(self) -> None:
        """Make them, and answer."""
        kept = self._tables.kept(self._index)
        wanted = Wanted.since(None if kept is None else kept.known, writing=True)
        failure: Exception | None = None
        try:
            version = await self._slots.modify(self._slot, self._revise, wanted)
        except Exception as error:  # noqa: BLE001 - even of a bug those have to hear who wait for their edits
            failure = error
            self._tables.drop(self._index)
        else:
            self._keep(version)
        for wish in self._planned or [self._pending[0]]:
            self._pending.remove(wish)
            # what was refused for edits before it was refused for nothing if they were not written
            wish.answer.put_nowait(failure or self._refused.get(wish))

    def _keep(self, version: VersionId) -> None:
        """What was written is now the newest, and is known."""
        held = self._slots.held(self._index)
        if self._next is not None and held is not None and held.version.identity == version:
            self._tables.keep_held(self._index, self._next)

    # --- planning -------------------------------------------------------------------------------------------

    async def _revise(self, draft: Draft) -> Revision | None:
        """Plan all edits on the table that counts."""
        base, merged = await self._tables.base(self._index, draft)
        shape = draft.version.shape
        most = self._slots.most(shape)
        is_whole = not shape.length or (base.wants_compaction() and not merged and self._fits(base, most))
        table = base.compacted() if is_whole else base.copy()
        for edit in merged:
            table.append(edit)
        room = most - 2 * shape.segment_size - (len(table.snapshot) if is_whole else 0)
        self._plan(table, draft, room)
        begun = len(base.snapshot) + len(base.log)
        grown = len(table.snapshot) + len(table.log)
        self._next = table
        if not merged and not self._is_anything_new(base, table):
            self._leave_later_ones(draft)
            return None
        if is_whole:
            return Revision.whole(table.contents)
        assert begun == shape.length, "what is kept of a directory is what its slot holds"
        return Revision(begun, table.log[begun - len(table.snapshot) :], grown)

    def _leave_later_ones(self, draft: Draft) -> None:
        """Nothing will be written that proves the table to be the newest, so it is no answer to what was begun after the look."""
        if draft.is_fresh:
            self._planned = [wish for wish in self._planned if wish.asked <= draft.looked]

    def _is_anything_new(self, base: DirectoryTable, table: DirectoryTable) -> bool:
        return table.recent[-1:] != base.recent[-1:]

    def _fits(self, base: DirectoryTable, most: int) -> bool:
        """Whether a new snapshot can be written in one version, as it must: a directory is never seen in part."""
        return len(base.snapshot) + len(base.log) <= most // 2

    def _plan(self, table: DirectoryTable, draft: Draft, room: int) -> None:
        """Append the edits one after the other, as far as there is room."""
        self._planned, self._refused = [], {}
        begun = len(table.log)
        for wish in self._pending:
            if self._planned and len(table.log) - begun > room // 2:
                return
            try:
                self._plan_one(wish, table, is_fresh=draft.is_fresh and wish.asked <= draft.looked)
            except TahoeError as error:
                if not draft.is_fresh:
                    raise Stale("the table may be out of date") from error
                doubt = draft.doubt if wish in self._written else None
                self._refused[wish] = error if doubt is None else doubt
            else:
                self._written[wish] = None
            self._planned.append(wish)

    def _plan_one(self, wish: _Wish, table: DirectoryTable, *, is_fresh: bool) -> None:
        if table.has_made(wish.identity):
            return
        wish.look(table.links, is_fresh=is_fresh)
        changes = wish.operation.changes(table.links)
        if changes:
            table.append(Edit(wish.identity, changes))
