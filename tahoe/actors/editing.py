"""Editing one directory: edits that come at the same moment are made together, in one version of its slot.

::

    edit ─┐                      ┌─ made: in the table, or there already, by its id
    edit ─┼─► pending ──► batch ─┤
    edit ─┘   (while the batch   └─ refused: the table is not one that it can be made to
               before is under way)

A batch is one change of the slot (``slotchanging.py``), which may be planned several times. Each edit has a random id
that goes into the directory's log: after an attempt of which nothing was heard, the edit finds itself and is done.

*Who fights whom.* An edit remembers what its names led to when it was first planned on a table known to be current. If
that has changed when it is planned again, somebody else was quicker: ``Conflict``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from tahoe.actors.edits import Operation
from tahoe.actors.slotdraft import Draft, Revision, Stale
from tahoe.actors.slotreading import Known, Wanted
from tahoe.actors.slots import Slots
from tahoe.actors.tables import Tables
from tahoe.codec.capability import SlotWrite
from tahoe.codec.directory import EDIT_ID_SIZE, DirectoryTable, Edit, Link
from tahoe.context import Context, Queue
from tahoe.errors import Conflict, TahoeError

CURRENT_SECONDS = 10.0
"""A table that was the newest so lately counts as current: what has changed since, has changed at the same moment."""


@dataclass(slots=True, eq=False)
class _Wish:
    """An edit that somebody waits for.

    Args:
        identity: its id.
        operation: what it does.
        answer: gets None or an error.
        seen: what its names led to when it was first planned on a current table.
    """

    identity: bytes
    operation: Operation
    answer: Queue[Exception | None]
    seen: Mapping[str, Link | None] | None = None


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
        wish = _Wish(self._ctx.rng.randbytes(EDIT_ID_SIZE), operation, self._ctx.queue())
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
                await _Batch(self._slots, self._tables, self._slot, self._pending).make(self._ctx.now())
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
        self._next: DirectoryTable | None = None
        self._began = 0.0

    async def make(self, now: float) -> None:
        """Make them, and answer."""
        self._began = now
        kept = self._tables.kept(self._index)
        wanted = Wanted.since(None if kept is None else kept.known, writing=True)
        failure: TahoeError | None = None
        try:
            version = await self._slots.modify(self._slot, self._revise, wanted)
        except TahoeError as error:
            failure = error
            self._tables.drop(self._index)
        else:
            self._keep(version)
        for wish in self._planned or [self._pending[0]]:
            self._pending.remove(wish)
            wish.answer.put_nowait(self._refused.get(wish, failure))

    def _keep(self, version: object) -> None:
        """What was written is now the newest, and is known."""
        held = self._slots.held(self._index)
        if self._next is not None and held is not None and held.version.identity == version:
            known = Known(held.version, self._next.contents, dict(enumerate(held.trees)))
            self._tables.keep(self._index, known, self._next)

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
            return None
        if is_whole:
            return Revision.whole(table.contents)
        assert begun == shape.length, "what is kept of a directory is what its slot holds"
        return Revision(begun, table.log[begun - len(table.snapshot) :], grown)

    def _is_anything_new(self, base: DirectoryTable, table: DirectoryTable) -> bool:
        return table.recent[-1:] != base.recent[-1:]

    def _fits(self, base: DirectoryTable, most: int) -> bool:
        """Whether a new snapshot can be written in one version, as it must: a directory is never seen in part."""
        return len(base.snapshot) + len(base.log) <= most // 2

    def _plan(self, table: DirectoryTable, draft: Draft, room: int) -> None:
        """Append the edits one after the other, as far as there is room."""
        self._planned, self._refused = [], {}
        is_current = draft.is_fresh or self._is_current()
        begun = len(table.log)
        for wish in self._pending:
            if self._planned and len(table.log) - begun > room // 2:
                return
            try:
                self._plan_one(wish, table, is_current=is_current)
            except TahoeError as error:
                if not draft.is_fresh:
                    raise Stale("the table may be out of date") from error
                self._refused[wish] = error
            self._planned.append(wish)

    def _is_current(self) -> bool:
        kept = self._tables.kept(self._index)
        return kept is not None and self._began - kept.confirmed < CURRENT_SECONDS

    def _plan_one(self, wish: _Wish, table: DirectoryTable, *, is_current: bool) -> None:
        if table.has_made(wish.identity):
            return
        there = {name: table.links.get(name) for name in wish.operation.names}
        if wish.seen is None and is_current:
            wish.seen = there
        elif wish.seen is not None and wish.seen != there:
            raise Conflict(f"somebody else has just changed {', '.join(map(repr, _changed(wish.seen, there)))}")
        changes = wish.operation.changes(table.links)
        if changes:
            table.append(Edit(wish.identity, changes))


def _changed(before: Mapping[str, Link | None], now: Mapping[str, Link | None]) -> list[str]:
    return [name for name in now if before.get(name) != now[name]]
