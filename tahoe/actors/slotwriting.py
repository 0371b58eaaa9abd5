"""Writing a version of a slot: what each home is sent, and when the write is done.

Every position is sent what makes its share that of the new version: the segments that differ from what it carries, which
its block tree tells. Mostly that is the change alone. A position that has fallen behind, or carries a rival that won
nowhere, gets a few segments more, and one without a share all of them, as far as they are at hand. Who can't be served
that way is left for a repair, as long as the others make a quorum.

The write is done when a quorum has it. What is still under way goes on behind the writer's back, for a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tahoe.actors.leases import FileLeases
from tahoe.actors.servers import Server
from tahoe.actors.slotcoding import CodedVersion, checked_version, differing_segments, encode_segments
from tahoe.actors.slotdraft import Draft
from tahoe.actors.slotkeeping import DAMAGED, PRESENT, WRITTEN
from tahoe.actors.slotmemory import Hearing
from tahoe.actors.slotterms import SlotDesk
from tahoe.codec.slot import SlotReader, SlotSegment, SlotVersion, VersionId
from tahoe.context import AskEach, Errand, Failure, Queue, TimedOut
from tahoe.errors import NotEnoughServers, Refused, Unanswered
from tahoe.policy.register import Ballot, Position, positions_of
from tahoe.protocol import SlotBlock, SlotOutcome, SlotShareToWrite, SlotWritten, VersionName, WriteSlot

BLOCK_BYTES = 64
"""What a block takes in a message beyond its data."""


class Parcel(NamedTuple):
    """What one position is sent."""

    place: Position
    share: SlotShareToWrite
    weight: int


class Batch(NamedTuple):
    """The positions that one message is about, all on one server."""

    server: Server
    places: tuple[Position, ...]


class Verdict(NamedTuple):
    """What became of a write, as far as it is known.

    Args:
        version: that was written.
        taken: positions that have it.
        unknown: positions that may have it, or get it yet.
        rivals: positions that had something else than was thought.
        reasons: why others don't, by home.
    """

    version: SlotVersion
    taken: int
    unknown: int
    rivals: int
    reasons: Mapping[bytes, str]

    @property
    def done(self) -> bool:
        """Whether a quorum has it."""
        return self.taken >= self.version.shape.quorum

    @property
    def is_lost(self) -> bool:
        """Whether nobody will ever read it: it makes no quorum, and too few shares are left to be found and merged."""
        return self.taken + self.unknown < self.version.shape.needed


class Packing:
    """Makes the parcels of a version.

    Args:
        desk: what all stories share.
        reader: of the slot.
        coded: the version.
        hearing: what every position carries.
    """

    def __init__(self, desk: SlotDesk, reader: SlotReader, coded: CodedVersion, hearing: Hearing) -> None:
        self._desk = desk
        self._reader = reader
        self._coded = coded
        self._hearing = hearing
        self._chains = coded.chains()
        self._places = positions_of(coded.version)
        self._touched = sorted(coded.segments)

    def new(self) -> list[Parcel]:
        """All of a new slot."""
        everything = range(self._coded.version.shape.segment_count)
        return [self._parcel(place, None, everything, self._coded.segments) for place in self._places]

    async def change(self, draft: Draft) -> list[Parcel]:
        """For every position that can be brought to the version, what brings it there."""
        carried = {place: self._carried(place, draft) for place in self._places}
        needs = {place: self._needed(place, carried[place], draft) for place in self._places}
        segments = await self._segments(draft, needs.values())
        most = self._desk.terms().payload
        parcels = [
            self._parcel(place, carried[place], needed, segments)
            for place, needed in needs.items()
            if all(segment in segments for segment in needed)
        ]
        return [parcel for parcel in parcels if parcel.weight <= most]

    def farewells(self, draft: Draft) -> list[Parcel]:
        """What tells the homes of the base that are none any more where the slot has gone, as far as they have the base.

        They get the version, too, and nobody counts them; the contents are the same, so no blocks are sent.
        """
        left = [place for place in positions_of(draft.version) if place not in self._places]
        known = [place for place in left if self._hearing.carried(place) == draft.version.identity]
        return [self._parcel(place, draft.version.identity, (), {}) for place in known]

    def _carried(self, place: Position, draft: Draft) -> VersionId | None:
        """What a position carries; of a silent home it is assumed that it has the base, if it is one of the base's."""
        if place.home in self._hearing.heard:
            return self._hearing.carried(place)
        return draft.version.identity if place in positions_of(draft.version) else None

    def _needed(self, place: Position, carried: VersionId | None, draft: Draft) -> Sequence[int]:
        """The segments that a position lacks."""
        everything = range(self._coded.version.shape.segment_count)
        if len(self._coded.segments) == len(everything):
            return everything  # each has a new salt, so none is as it was
        if carried is None or (place.home, place.number) in self._hearing.unsound:
            return everything
        if carried == draft.version.identity:
            return self._touched  # all others are kept from it, or they would have been coded, too
        version = self._hearing.versions[carried]
        if version.shape.grown(0) != draft.version.shape.grown(0):
            return everything
        tree = draft.tree(version, place.number)
        return everything if tree is None else differing_segments(tree, self._coded.trees[place.number])

    async def _segments(self, draft: Draft, needs: Iterable[Sequence[int]]) -> dict[int, SlotSegment]:
        """The segments of the version that can be sent: coded ones, and old ones that are at hand with their salts."""
        coded = self._coded.segments
        at_hand = draft.texts_at_hand()
        missing = {each for needed in needs for each in needed if each not in coded}
        texts = {each: at_hand[each] for each in sorted(missing) if each in at_hand}
        if not texts:
            return coded
        return coded | await self._desk.ctx.compute(encode_segments, self._reader, draft.version.shape, texts)

    def _parcel(
        self,
        place: Position,
        carried: VersionId | None,
        needed: Sequence[int],
        segments: Mapping[int, SlotSegment],
    ) -> Parcel:
        number = place.number
        blocks = tuple(SlotBlock(each, segments[each].salt, segments[each].blocks[number]) for each in needed)
        replaces = None if carried is None else VersionName(*carried)
        share = SlotShareToWrite(number, replaces, self._chains[number], blocks)
        return Parcel(place, share, sum(len(block.data) + BLOCK_BYTES for block in blocks))


class Writing:
    """One version on its way to its homes.

    Args:
        desk: what all stories share.
        storage_index: of the slot.
        coded: the version.
        hearing: learns what becomes of every position.

    Attributes:
        settling: gets an item when nothing is under way any more.
    """

    def __init__(self, desk: SlotDesk, storage_index: bytes, coded: CodedVersion, hearing: Hearing) -> None:
        self._desk = desk
        self._index = storage_index
        self._coded = coded
        self._hearing = hearing
        self._ballot = Ballot(coded.version)
        self._unknown: dict[Position, None] = {}
        """Positions that may have the version or get it, though they have not said so."""
        self._rivals = 0
        self._reasons: dict[bytes, str] = {}
        self.settling: Queue[None] = desk.ctx.queue()

    async def send(self, parcels: Sequence[Parcel]) -> Verdict:
        """Send all parcels; return when it is decided what becomes of the version.

        Raises:
            NotEnoughServers: too few homes can be reached. Nothing was sent.
        """
        errands = list(self._errands(parcels))
        self._check(parcels, errands)
        self._unknown = {place: None for errand in errands for place in errand.key.places}
        decided = self._desk.ctx.queue()
        timeout = self._desk.terms().patience.write_of(sum(parcel.weight for parcel in parcels))
        self._desk.ctx.spawn(self._run(errands, decided, timeout))
        verdict: Verdict = await decided.get()
        return verdict

    async def inform(self, parcels: Sequence[Parcel]) -> None:
        """Send parcels to who has no vote. Best effort."""
        async with AskEach(
            self._desk.ctx, list(self._errands(parcels)), timeout=self._desk.terms().patience.write
        ) as outcomes:
            async for _ in outcomes:
                pass

    def _check(self, parcels: Sequence[Parcel], errands: Sequence[Errand[Batch, SlotWritten]]) -> None:
        places = positions_of(self._coded.version)
        sent = {place for errand in errands for place in errand.key.places}
        served = {parcel.place for parcel in parcels}
        for place in places:
            if place not in sent:
                reason = "not in reach" if place in served else "has fallen too far behind"
                self._fail(place, reason)
        quorum = self._coded.version.shape.quorum
        if len(sent) < quorum:
            raise NotEnoughServers(len(sent), quorum, "homes of the slot: " + "; ".join(self._explained().values()))

    def _errands(self, parcels: Sequence[Parcel]) -> Iterable[Errand[Batch, SlotWritten]]:
        """One message for each home, or several where its shares don't fit one."""
        known = self._desk.by_home()
        leases = FileLeases(self._desk.lease_master, self._index)
        by_home: dict[bytes, list[Parcel]] = {}
        for parcel in parcels:
            by_home.setdefault(parcel.place.home, []).append(parcel)
        for home, some in by_home.items():
            server = known.get(home)
            if server is None or self._desk.is_gone(server):
                continue
            for together in _fitting(some, self._desk.terms().payload):
                shares = tuple(parcel.share for parcel in together)
                request = WriteSlot(self._index, leases.on(server.lease_seed), self._coded.signed, shares)
                yield Errand(Batch(server, tuple(parcel.place for parcel in together)), server.address, request)

    # --- the ballot -----------------------------------------------------------------------------------------

    async def _run(
        self, errands: Sequence[Errand[Batch, SlotWritten]], decided: Queue[Verdict], timeout: float
    ) -> None:
        """Take outcomes until none is due; tell as soon as it is decided."""
        patience = self._desk.terms().patience
        told = False
        async with AskEach(self._desk.ctx, errands, timeout=timeout) as outcomes:
            while len(outcomes):
                is_lost = self._ballot.is_lost and not self._ballot.is_done
                try:
                    found = await outcomes.next(patience.straggler if is_lost and not told else None)
                except TimedOut:
                    decided.put_nowait(self._verdict())
                    told = True
                    continue
                assert found is not None, "something is out"
                self._take(*found)
                if self._ballot.is_done and not told:
                    decided.put_nowait(self._verdict())
                    told = True
        if not told:
            decided.put_nowait(self._verdict())
        self.settling.put_nowait(None)

    def _verdict(self) -> Verdict:
        taken = len(self._ballot.taken)
        return Verdict(self._coded.version, taken, len(self._unknown), self._rivals, self._explained())

    def _take(self, batch: Batch, outcome: SlotWritten | Failure) -> None:
        if isinstance(outcome, (Refused, Unanswered)):
            for place in batch.places:
                self._fail(place, str(outcome))
                if isinstance(outcome, Refused):
                    self._unknown.pop(place, None)
            return
        answered = {each.number: each for each in outcome.outcomes}
        for place in batch.places:
            if place.number in answered:
                self._unknown.pop(place, None)
                self._judge(place, answered[place.number])
            else:
                self._fail(place, "left a share out of its answer")

    def _judge(self, place: Position, outcome: SlotOutcome) -> None:
        if outcome.outcome in (WRITTEN, PRESENT):
            self._ballot.take([place])
            self._learn(place, self._coded.version)
            return
        self._fail(place, outcome.outcome)
        if outcome.outcome == DAMAGED:
            self._hearing.unsound[place.home, place.number] = DAMAGED
        else:
            self._rivals += 1
            self._learn(place, checked_version(self._index, outcome.signed))

    def _learn(self, place: Position, carried: SlotVersion | None) -> None:
        """What a position carries now, unless something newer has been heard of it meanwhile."""
        before = self._hearing.carried(place)
        if before is None or carried is None or before <= carried.identity:
            self._hearing.set(place, carried)

    def _fail(self, place: Position, reason: str) -> None:
        self._ballot.fail([place])
        self._reasons[place.home] = reason

    def _explained(self) -> dict[bytes, str]:
        known = self._desk.by_home()
        labels = {home: known[home].label if home in known else "a server unknown here" for home in self._reasons}
        return {home: f"{labels[home]}: {reason}" for home, reason in self._reasons.items()}


def _fitting(parcels: Iterable[Parcel], most: int) -> Iterator[list[Parcel]]:
    """Parcels in groups, each as much as fits a message."""
    together: list[Parcel] = []
    for parcel in parcels:
        if together and sum(each.weight for each in together) + parcel.weight > most:
            yield together
            together = []
        together.append(parcel)
    yield together
