"""Keeping whole trees: every object of a tree is checked, verified or repaired once, and counted.

The tree is walked by whoever may read it; of each object only the verify cap goes on from here. Files are checked by the
hundred, which is nearly free, and verified or repaired a few at a time, which is not. So what has been done is
written down as it goes: a tree of a million files that is being verified when the power fails is not begun anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from tahoe.actors.keeper import LITERAL, Examination, Keeper, Target, do_each, target_of
from tahoe.actors.keeping import KeepingDesk
from tahoe.actors.repairing import Mended
from tahoe.actors.terms import ignore_progress
from tahoe.actors.tree import Visit
from tahoe.codec.capability import Capability
from tahoe.errors import BadCapability
from tahoe.policy.health import Health
from tahoe.policy.repair import AT_ONCE, RepairRule

BATCH = 128
"""Objects that are checked together."""

VERIFIED_AT_A_TIME = 2
REPAIRED_AT_A_TIME = 4

MOST_PROBLEMS = 1000
"""Objects that are named because something is wrong with them; the counts go on."""

UNREADABLE = "count-directories-unreadable"
UNKNOWN = "count-objects-unknown"
COUNTED_BY_WALKING = (UNREADABLE, UNKNOWN)
"""What is met again by whoever takes up a round."""

DIGEST_BYTES = 12
STALE_SECONDS = 7 * 86400.0
"""What was done so long ago is done again."""


class Action(Enum):
    """What is done with every object."""

    CHECK = "check"
    VERIFY = "verify"
    REPAIR = "repair"
    VERIFY_AND_REPAIR = "verify-and-repair"

    @property
    def verifies(self) -> bool:
        """Whether every byte is looked at."""
        return self in (Action.VERIFY, Action.VERIFY_AND_REPAIR)

    @property
    def repairs(self) -> bool:
        """Whether what is missing is made."""
        return self in (Action.REPAIR, Action.VERIFY_AND_REPAIR)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done.

    Args:
        action: with every object.
        add_lease: and add this node's lease, or renew it.
        rule: when to repair.
    """

    action: Action = Action.CHECK
    add_lease: bool = False
    rule: RepairRule = AT_ONCE


class Treated(NamedTuple):
    """One object, and what came of it.

    Args:
        path: in the tree.
        examination: what was found.
        mended: what was done; None where repairs were not asked for.
    """

    path: tuple[str, ...]
    examination: Examination
    mended: Mended | None

    @property
    def after(self) -> Health:
        """Its health as last seen."""
        return self.examination.health if self.mended is None else self.mended.after

    def as_json(self) -> dict[str, Any]:
        """As programs get it."""
        facts = {"path": list(self.path), **self.examination.as_json()}
        if self.mended is not None:
            facts |= self.mended.as_json(self.examination.storage_index)
        return facts


@dataclass(slots=True)
class Tally:
    """How many objects were found in which state.

    Attributes:
        counts: by the names of the reference.
        problems: the first objects with which something is wrong, or that were repaired.
    """

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[dict[str, Any]] = field(default_factory=list)

    def add(self, treated: Treated) -> None:
        """Count an object. What a capability holds by itself is not counted."""
        if treated.examination.target is None:
            return
        mended = treated.mended
        suffix = "" if mended is None else "-pre-repair"
        self.counts["count-objects-checked"] += 1
        self._add_health(treated.examination.health, suffix)
        if mended is not None:
            self._add_health(mended.after, "-post-repair")
            self.counts["count-repairs-attempted"] += mended.outcome.attempted
            self.counts["count-repairs-successful"] += mended.successful
            self.counts["count-repairs-unsuccessful"] += mended.outcome.attempted and not mended.successful
        is_of_interest = not treated.after.is_healthy or (mended is not None and mended.outcome.attempted)
        if is_of_interest and len(self.problems) < MOST_PROBLEMS:
            self.problems.append(treated.as_json())

    def _add_health(self, health: Health, suffix: str) -> None:
        self.counts[f"count-objects-healthy{suffix}"] += health.is_healthy
        self.counts[f"count-objects-unhealthy{suffix}"] += not health.is_healthy
        self.counts[f"count-objects-unrecoverable{suffix}"] += not health.is_recoverable
        self.counts[f"count-corrupt-shares{suffix}"] += len(health.corrupt)

    def as_json(self) -> dict[str, Any]:
        """As programs get it."""
        return {**{name: int(count) for name, count in self.counts.items()}, "problems": list(self.problems)}


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    began: float
    done: tuple[bytes, ...]
    counts: dict[str, int]
    problems: list[dict[str, Any]]


class Journal:
    """What has been done of one tree, durable until the end.

    Args:
        desk: of the node.
        root: of the tree.
        order: what is being done.
    """

    def __init__(self, desk: KeepingDesk, root: Capability, order: Order) -> None:
        verifier = root.verifier()
        digest = sha256(f"{order.action.value} {'' if verifier is None else verifier}".encode()).hexdigest()[:24]
        self._name = f"keeping-{digest}"
        self._desk = desk
        self._began = desk.ctx.wall_time()
        self._done: dict[bytes, None] = {}
        self.tally = Tally()

    async def load(self) -> int:
        """Take up what an earlier attempt has left. Returns how many objects it has done."""
        stored = await self._desk.ctx.state.get(self._name)
        if not stored:
            return 0
        saved = msgspec.msgpack.decode(stored, type=_Saved)
        if not 0 <= self._desk.ctx.wall_time() - saved.began <= STALE_SECONDS:
            return 0
        self._began = saved.began
        self._done = dict.fromkeys(saved.done)
        counts = {name: count for name, count in saved.counts.items() if name not in COUNTED_BY_WALKING}
        self.tally = Tally(Counter(counts), list(saved.problems))
        return len(self._done)

    def has(self, target: Target | None) -> bool:
        """Whether an object has been done."""
        return target is not None and _digest_of(target) in self._done

    async def note(self, treated: Sequence[Treated]) -> None:
        """These have been done."""
        for each in treated:
            self.tally.add(each)
            if each.examination.target is not None:
                self._done[_digest_of(each.examination.target)] = None
        saved = _Saved(self._began, tuple(self._done), dict(self.tally.counts), self.tally.problems)
        await self._desk.ctx.state.put(self._name, msgspec.msgpack.encode(saved))

    async def end(self) -> None:
        """All has been done."""
        await self._desk.ctx.state.put(self._name, b"")


def _digest_of(target: Target) -> bytes:
    return sha256(str(target).encode()).digest()[:DIGEST_BYTES]


class TreeKeeping:
    """One round over a tree.

    Args:
        desk: of the node.
        keeper: that does the work.
        order: what is to be done.
    """

    def __init__(self, desk: KeepingDesk, keeper: Keeper, order: Order) -> None:
        self._desk = desk
        self._keeper = keeper
        self._order = order

    async def one(self, capability: Capability, progress: Callable[[int, int], None]) -> Treated:
        """Treat one object.

        Args:
            capability: of the object.
            progress: called with what is done and what there is to be done, where that is known.
        """
        target = target_of(capability)
        if self._order.action.verifies:
            examination = await self._keeper.verify(target, progress)
        else:
            (examination,) = await self._keeper.check([target])
        treated = await self._finish((), examination, progress)
        if self._order.add_lease:
            await self._keeper.add_leases([examination])
        return treated

    async def tree(self, root: Capability, visits: AsyncIterator[Visit], tell: Callable[[Tally], None]) -> Tally:
        """Treat every object of a tree.

        Args:
            root: of the tree.
            visits: a walk over it.
            tell: called now and then with what has been counted so far.
        """
        journal = Journal(self._desk, root, self._order)
        await journal.load()
        batch: list[tuple[tuple[str, ...], Target | None]] = []
        async for visit in visits:
            target, is_known = _target_in(visit, journal.tally)
            if is_known and not journal.has(target):
                batch.append((visit.path, target))
            if len(batch) >= BATCH:
                await self._treat(batch, journal, tell)
                batch = []
        await self._treat(batch, journal, tell)
        await journal.end()
        return journal.tally

    async def _treat(
        self,
        batch: Sequence[tuple[tuple[str, ...], Target | None]],
        journal: Journal,
        tell: Callable[[Tally], None],
    ) -> None:
        if not batch:
            return
        targets = [target for _, target in batch]
        if self._order.action.verifies:
            examinations = await do_each(self._desk, targets, self._keeper.verify, VERIFIED_AT_A_TIME)
        else:
            examinations = await self._keeper.check(targets)
        if self._order.add_lease:
            await self._keeper.add_leases(each for each in examinations if each is not LITERAL)
        pairs = list(zip((path for path, _ in batch), examinations, strict=True))
        treated = await do_each(self._desk, pairs, self._finish_pair, REPAIRED_AT_A_TIME)
        await journal.note(treated)
        tell(journal.tally)

    async def _finish_pair(self, pair: tuple[tuple[str, ...], Examination]) -> Treated:
        return await self._finish(*pair)

    async def _finish(
        self,
        path: tuple[str, ...],
        examination: Examination,
        progress: Callable[[int, int], None] = ignore_progress,
    ) -> Treated:
        """Repair an object, if that is to be done."""
        if not self._order.action.repairs:
            return Treated(path, examination, None)
        return Treated(path, examination, await self._keeper.mend(examination, self._order.rule, progress))


def _target_in(visit: Visit, tally: Tally) -> tuple[Target | None, bool]:
    """What there is to be looked after in an object of a tree; counts what can't be."""
    if visit.trouble is not None:
        tally.counts[UNREADABLE] += 1
    try:
        return target_of(visit.capability), True
    except BadCapability:
        tally.counts[UNKNOWN] += 1
        return None, False
