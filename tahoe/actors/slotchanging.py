"""One change of a slot: built on what is in hand or on what the servers have, and tried until it stands or fails.

::

    in hand ──► revise ──► code ──► write ──► a quorum has it: done
       ▲                              │
       └──── look, pause ◄────────────┘ lost, or nobody knows

Whoever looks merges what else may still win. That may be an attempt of his own of which he heard nothing; so what
revises contents leaves them alone if they have its change already. An attempt that lost for certain leaves no
trace; as long as one may have left some, a failure is ``Indefinite``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from tahoe.actors.slotcoding import SaltedText
from tahoe.actors.slotdraft import Draft, Revision, Stale
from tahoe.actors.slotmemory import Hearing, Holding
from tahoe.actors.slotreading import Inquiry, Superseded, Torn, Wanted
from tahoe.actors.slotterms import SlotDesk
from tahoe.actors.slotwriting import Packing, Parcel, Verdict, Writing
from tahoe.codec.slot import SlotVersion, SlotWriter, VersionId
from tahoe.errors import Conflict, Indefinite, NotEnoughServers, NotEnoughShares, TahoeError
from tahoe.policy.register import Choice, Position, positions_of

MEND_BYTES = 256 * 1024
"""Slots up to this size are read whole to bring up positions that have fallen behind."""

TRIES_WITHOUT_RIVAL = 3
"""How often homes are asked that refuse, or don't answer, though nobody has changed anything."""

TRIES_WHILE_TORN = 5
"""How often a writer looks who finds that his rivals have left nothing whole."""

VERSION_ONLY = Wanted(length=0, edges=True, writing=True)
"""What a writer asks for who may need nothing of the contents."""

Revise = Callable[[Draft], Awaitable[Revision | None]]
"""What is to be changed; None: nothing, the contents are as they should be."""


async def remember(desk: SlotDesk, storage_index: bytes, holding: Holding) -> None:
    """A version has won: it is the newest seen, and in hand for the next writer."""
    holding.hearing.forget_all_but(holding.version)
    desk.memory.hold(storage_index, holding)
    await desk.memory.note(storage_index, holding.version)


class _Written(NamedTuple):
    """The last attempt.

    Args:
        holding: what will be in hand if it wins.
        texts: the segments that were coded for it.
        base: version that it was made of.
    """

    holding: Holding
    texts: Mapping[int, SaltedText]
    base: SlotVersion

    def may_be_written_anew(self, hearing: Hearing) -> bool:
        """Whether it certainly holds all that was ever acknowledged."""
        version = self.holding.version
        if version.sequence != self.base.sequence + 1 or hearing.highest_sequence() > version.sequence:
            return False
        rivals = [other for other in hearing.versions.values() if other not in (version, self.base)]
        places = {place: None for each in (version, self.base, *rivals) for place in positions_of(each)}
        open_places = sum(place.home not in hearing.heard or _is_of(hearing, place, self.base) for place in places)
        return max([0, *map(hearing.count, rivals)]) + open_places < version.shape.quorum


def _is_of(hearing: Hearing, place: Position, base: SlotVersion) -> bool:
    """Whether a position carries the base or something as old, and so takes what was made of it."""
    carried = hearing.carried(place)
    return carried is None or carried <= base.identity


class Change:
    """A change under way.

    Args:
        desk: what all stories share.
        writer: of the slot.
        revise: says what is to be changed.
        wanted: what it will need of the contents.
        merges: ``revise`` takes in what other heads of the draft have; if not, they are given way.
    """

    def __init__(self, desk: SlotDesk, writer: SlotWriter, revise: Revise, wanted: Wanted, *, merges: bool) -> None:
        self._desk = desk
        self._writer = writer
        self._index = writer.reader.storage_index
        self._revise = revise
        self._wanted = wanted
        self._attempts: list[Verdict] = []
        self._last: _Written | None = None
        self._merges = merges
        self._given_way = 0.0
        self._pauses = 0

    async def run(self) -> VersionId:
        """Try until it stands; see ``Slots.modify``."""
        draft = await self._held()
        tries = self._desk.terms().patience.tries
        drafts = 0
        while len(self._attempts) < tries and drafts <= 2 * tries:
            drafts += 1
            try:
                if draft is None:
                    draft = await self._settled()
                verdict = await self._attempt(draft)
            except (Stale, Superseded):
                draft = None
                continue
            except TahoeError as error:
                if draft is not None and not draft.is_fresh:
                    draft = None
                    continue
                raise self._judged(error) from error
            if verdict is None or verdict.done:
                return draft.version.identity if verdict is None else verdict.version.identity
            self._desk.memory.drop(self._index)
            self._attempts.append(verdict)
            draft = None
            if self._is_turned_away():
                raise self._judged(
                    NotEnoughServers(verdict.taken, verdict.version.shape.quorum, "; ".join(verdict.reasons.values()))
                )
            await self._pause()
        raise self._judged(Conflict("others were always quicker to change it"))

    def _is_turned_away(self) -> bool:
        """Whether there are no rivals, and yet too few homes take anything: they are full, say."""
        last = self._attempts[-TRIES_WITHOUT_RIVAL:]
        return len(last) == TRIES_WITHOUT_RIVAL and not any(attempt.rivals for attempt in last)

    async def _attempt(self, draft: Draft) -> Verdict | None:
        """Revise, code, write; None: there is nothing to write."""
        has_won = draft.hearing.has_won(draft.version)
        if has_won and any(attempt.version == draft.version for attempt in self._attempts):
            return None
        draft.doubt = self._doubt()
        revision = await self._revise(draft)
        if revision is None:
            if not draft.is_fresh:
                raise Stale("that nothing is to be changed has to be seen")
            if has_won:
                return None
            revision = Revision.nothing(draft.version.shape)  # it is safe only in a version that a quorum has
        return await self._write(draft, revision)

    async def _write(self, draft: Draft, revision: Revision) -> Verdict:
        """Code and write.

        Raises:
            Stale: a newer version has shown itself, which has to be merged.
        """
        prepared = await draft.code(self._writer, revision)
        if not draft.is_fresh:
            await draft.settle()
            if draft.is_overtaken():
                raise Stale("there is a newer version than the one in hand")
        packing = Packing(self._desk, self._writer.reader, prepared.coded, draft.hearing)
        writing = Writing(self._desk, self._index, prepared.coded, draft.hearing)
        parcels = await self._pack(packing, draft)
        successor = draft.successor(prepared, revision, writing.settling)
        self._last = _Written(successor, prepared.texts, draft.version)
        verdict = await writing.send(parcels)
        if verdict.done:
            await remember(self._desk, self._index, successor)
            if revision.homes is not None:
                await writing.inform(packing.farewells(draft))
        return verdict

    async def _pack(self, packing: Packing, draft: Draft) -> list[Parcel]:
        """What the positions are sent; where some have fallen behind and it pays, the contents are read for them."""
        parcels = await packing.change(draft)
        shape = draft.version.shape
        is_worth_it = shape.length <= MEND_BYTES or len(parcels) < shape.quorum
        if len(parcels) == shape.total or not draft.is_fresh or not is_worth_it:
            return parcels
        try:
            await draft.load()
        except NotEnoughShares:
            return parcels
        return await packing.change(draft)

    # --- what to build on -----------------------------------------------------------------------------------

    async def _held(self) -> Draft | None:
        """A draft without asking, unless it is time to look after positions that have fallen behind."""
        holding = self._desk.memory.holding(self._index)
        newest = await self._desk.memory.newest(self._index)
        if holding is None or (newest is not None and newest.identity > holding.version.identity):
            return None
        draft = Draft(self._desk, holding, None)
        if self._desk.ctx.now() >= holding.mend_at:
            await draft.settle()
            if holding.hearing.count(holding.version) < holding.version.shape.total:
                return None
        return None if draft.is_overtaken() else draft

    async def _fresh(self) -> Draft:
        """A draft of what the servers have.

        Raises:
            NotEnoughServers: too few homes answer.
            NotEnoughShares, RolledBack: the version that counts can't be read.
        """
        inquiry, choice = await self._look()
        quorum = choice.version.shape.quorum
        if not inquiry.hearing.is_quorum_heard():
            heard = sum(home in inquiry.hearing.heard for home in choice.version.homes)
            raise NotEnoughServers(heard, quorum, "homes of the slot: " + inquiry.explanation)
        held = self._desk.memory.holding(self._index)
        hearing = inquiry.hearing.snapshot()
        if held is not None and held.version == choice.version:
            return Draft(self._desk, replace(held, hearing=hearing), inquiry)
        return Draft(self._desk, Holding(choice.version, hearing, (), b"", None), inquiry)

    async def _settled(self) -> Draft:
        """A fresh draft without rivals that may yet win and are left out of it: they would be lost.

        Those are left out of which too little is there to be read, and all where ``revise`` does not merge. Whoever is
        under way for longer than a write takes has died of it, or will look again himself.
        """
        while True:
            draft = await self._fresh()
            if not self._left_out(draft) or self._given_way >= self._desk.terms().patience.write:
                return draft
            self._given_way += await self._pause()

    def _left_out(self, draft: Draft) -> list[SlotVersion]:
        """Rivals that may yet win and are not merged."""
        mine = [attempt.version for attempt in self._attempts]
        merged = draft.heads if self._merges else draft.heads[:1]
        rivals = [version for version in draft.hearing.versions.values() if version not in (*mine, *merged)]
        return [version for version in rivals if draft.hearing.may_yet_win(version)]

    async def _look(self) -> tuple[Inquiry, Choice]:
        """Find the version that counts. Of a wreck, what can be saved is written first."""
        torn = 0
        while True:
            inquiry = Inquiry(self._desk, self._writer.reader, self._wanted)
            try:
                return inquiry, await inquiry.run()
            except NotEnoughShares as error:
                if self._can_salvage(inquiry.hearing):
                    verdict = await self._salvage(inquiry)
                    if verdict.done:
                        continue
                    self._attempts.append(verdict)
                elif not isinstance(error, Torn) or torn >= TRIES_WHILE_TORN:
                    raise
                torn += 1
                await self._pause()

    def _can_salvage(self, hearing: Hearing) -> bool:
        """Whether the last attempt holds all that may ever have been acknowledged, and may be written anew."""
        if self._last is None or len(self._attempts) >= self._desk.terms().patience.tries:
            return False
        return hearing.is_quorum_heard() and self._last.may_be_written_anew(hearing)

    async def _salvage(self, inquiry: Inquiry) -> Verdict:
        """Write the last attempt anew."""
        assert self._last is not None, "there is something to be salvaged"
        holding, texts, _ = self._last
        inquiry.lend(holding.version, texts)
        draft = Draft(self._desk, replace(holding, hearing=inquiry.hearing.snapshot()), inquiry)
        contents = holding.contents
        whole = Revision.nothing(holding.version.shape) if contents is None else Revision.whole(contents)
        return await self._write(draft, whole)

    async def _pause(self) -> float:
        patience = self._desk.terms().patience
        longest = min(patience.longest_backoff, patience.backoff * 2.0**self._pauses)
        self._pauses += 1
        seconds = longest * self._desk.ctx.rng.uniform(0.1, 1.0)
        await self._desk.ctx.sleep(seconds)
        return seconds

    def _judged(self, error: TahoeError) -> TahoeError:
        """The error, or the doubt that earlier attempts leave."""
        doubt = self._doubt()
        return error if doubt is None else Indefinite(doubt.taken, doubt.quorum, (*doubt.reasons, str(error)))

    def _doubt(self) -> Indefinite | None:
        """The doubt about an attempt of which something is left that others may merge."""
        doubtful = [attempt for attempt in self._attempts if not attempt.is_lost]
        if not doubtful:
            return None
        last = doubtful[-1]
        return Indefinite(last.taken, last.version.shape.quorum, tuple(last.reasons.values()))
