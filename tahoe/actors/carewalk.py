"""One walk down from a root: what is linked, where, and what is to be believed of directories that can't be read.

What no directory links any more is forgotten in time (``carelist.py``), and a walk that reads all of them tells what that
is. One directory that is lost for good must neither end this for ever nor cost what is below it. So it is noted of every
object which directories link it, and of those that can't be read, what they linked when they last could is believed::

    root ─┬─ read ──────── a          linked: it was met
          ├─ read ─ ─ x ─ ─ b         not linked any more: whoever linked it was read, and does not
          └─ unreadable ── c ─── d    held: nobody can tell, and so it is with all below
                     └─ ── b          and thus b is held as well, whatever others say

Where more directories link an object than are noted, or it is not known which do, it is held by any that can't be read.
"""

from __future__ import annotations

from collections.abc import Iterator

from tahoe.actors.carelist import CareList, Record, Root
from tahoe.actors.keeper import Target, target_of
from tahoe.actors.tree import Visit
from tahoe.codec.capability import Capability, Directory
from tahoe.errors import BadCapability

MOST_PARENTS = 8
"""Directories that are noted of one object; if there are more, none is."""

INSIDE_A_CAP = b""
"""The parent of what is linked by a directory that is no object, since its capability holds all of it."""


class CareWalk:
    """What one walk has found.

    Args:
        care: the list, which learns of it.
        root: that is walked.
        now: seconds since the epoch.
    """

    def __init__(self, care: CareList, root: Root, now: float) -> None:
        self._care = care
        self._root = root
        self._now = now
        self._links: dict[bytes, list[bytes]] = {}
        self._of_old: dict[bytes, None] = {}
        self._read: dict[bytes, None] = {}
        self._unreadable: dict[bytes, None] = {}

    def see(self, visit: Visit) -> None:
        """Reach the root itself, and all that a directory links."""
        target = _target(visit.capability)
        if not visit.path and target is not None:
            self._care.reach(target, self._root.name, self._now)
        if not isinstance(visit.capability, Directory):
            return
        index = INSIDE_A_CAP if target is None else target.storage_index
        (self._read if visit.trouble is None else self._unreadable)[index] = None
        for entry in visit.entries:
            self._link(_target(entry.capability), index, (*visit.path, entry.name))

    def end(self) -> bool:
        """Note who links what, and hold what nobody can tell to be linked no more. Returns whether all could be read."""
        for index, parents in self._links.items():
            if (record := self._care.records.get(index)) is not None:
                record.parents = self._parents(record, index, parents)
                self._care.touch(record)
        for record in list(self._held()) if self._unreadable else ():
            self._care.hold(record, self._now)
        self._root.surveyed = self._now
        return not self._unreadable

    def _link(self, target: Target | None, parent: bytes, path: tuple[str, ...]) -> None:
        if target is None:
            return
        index = target.storage_index
        if index not in self._links:
            known = self._care.records.get(index)
            if known is not None and not known.parents:
                self._of_old[index] = None
            self._links[index] = []
            self._care.reach(target, self._root.name, self._now, "/".join(path))
        parents = self._links[index]
        if parent not in parents and len(parents) <= MOST_PARENTS:
            parents.append(parent)

    def _parents(self, record: Record, index: bytes, met: list[bytes]) -> list[bytes]:
        """Who links a record: those met now, and those that could not be read now. Empty: it is not known who does."""
        believed = [each for each in record.parents if each not in self._read and each in self._care.records]
        parents = list(dict.fromkeys([*met, *believed]))
        is_unknown = INSIDE_A_CAP in parents or len(parents) > MOST_PARENTS
        return [] if is_unknown or (self._unreadable and index in self._of_old) else parents

    def _held(self) -> Iterator[Record]:
        """What was not met, and was linked by a directory that can't be read, or below one."""
        below: dict[bytes, list[bytes]] = {}
        held: list[bytes] = []
        for index, record in self._care.records.items():
            if record.reached == self._now:
                continue
            if not record.parents and record.root == self._root.name:
                held.append(index)
            for parent in record.parents:
                if parent not in self._read:
                    below.setdefault(parent, []).append(index)
        for parent in self._unreadable:
            held += below.pop(parent, ())
        while held:
            index = held.pop()
            held += below.pop(index, ())
            yield self._care.records[index]


def _target(capability: Capability) -> Target | None:
    """What there is to be looked after; None for what can't be lost, and what is of a kind not known here."""
    try:
        return target_of(capability)
    except BadCapability:
        return None
