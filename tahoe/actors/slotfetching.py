"""Fetching blocks of one version of a slot, from whoever has sound shares of it.

The segments that are missing are cut into *stretches*, each as much as one message brings of all shares of a server.
Some stretches are under way at a time, each from as few servers as give k shares; another server is asked where one
fails, lies, has moved on to a newer version, or is slow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tahoe.actors.servers import Server
from tahoe.actors.slotterms import SlotDesk
from tahoe.codec.slot import SlotVersion, tree_height
from tahoe.context import AskEach, Errand, Failure, TimedOut
from tahoe.errors import Refused, Unanswered
from tahoe.protocol import ReadSlot, SlotRead

STRETCHES_AT_ONCE = 4

BLIND_HEDGE = 2.0
"""Seconds to wait for a first answer before others are asked as well."""

HASH_BYTES = 34
"""A hash in a message."""
BLOCK_BYTES = 80
"""What a block takes in a message beyond its data and its proof."""


class Keeper(Protocol):
    """Whoever wants the blocks: proves answers, keeps what is proven, and knows what is missing."""

    async def take(self, server: Server, outcome: SlotRead | Failure) -> None:
        """An answer, or none, from a server."""

    def lacking(self, version: SlotVersion, segments: Iterable[int]) -> list[int]:
        """Those of the segments that can't be decoded yet."""

    def sound_shares(self, version: SlotVersion) -> dict[bytes, list[int]]:
        """Which sound shares of a version each home has or, if it has not been heard, should have."""


@dataclass(slots=True, eq=False)
class _Stretch:
    """Consecutive segments, and how it stands with the servers asked for them.

    Args:
        segments: what is wanted.
        asked: homes that were asked.
        out: those that have not answered yet, and since when they have been asked.
        given: numbers of the shares that have come.
    """

    segments: Sequence[int]
    asked: dict[bytes, None] = field(default_factory=dict)
    out: dict[bytes, float] = field(default_factory=dict)
    given: dict[int, None] = field(default_factory=dict)


class SlotFetch:
    """Brings what is missing of some segments.

    Args:
        desk: what all stories share.
        keeper: takes what comes.
        storage_index: of the slot.
        version: that is fetched.
    """

    def __init__(self, desk: SlotDesk, keeper: Keeper, storage_index: bytes, version: SlotVersion) -> None:
        self._desk = desk
        self._keeper = keeper
        self._index = storage_index
        self._version = version
        self._turn = 0
        self._slowest = 0.0

    async def run(self, segments: Sequence[int]) -> bool:
        """Fetch blocks of these segments; whether enough of all has come."""
        waiting = deque(self._stretches(segments))
        active: list[_Stretch] = []
        terms = self._desk.terms()
        size = min(len(segments) * self._version.shape.segment_size, STRETCHES_AT_ONCE * terms.payload)
        timeout = terms.patience.question_about(size)
        async with AskEach[tuple[_Stretch, Server], SlotRead](self._desk.ctx, timeout=timeout) as outcomes:
            while True:
                active = [self._renewed(stretch) for stretch in active if self._lacking(stretch)]
                while waiting and len(active) < STRETCHES_AT_ONCE:
                    active.append(waiting.popleft())
                for stretch in active:
                    self._ask(outcomes, stretch)
                if not active:
                    return True
                if not all(stretch.out for stretch in active):
                    return False
                await self._listen(outcomes, active)

    async def _listen(self, outcomes: AskEach[tuple[_Stretch, Server], SlotRead], active: Sequence[_Stretch]) -> None:
        """Take an answer; if it is long in coming, ask others as well."""
        began = min(min(stretch.out.values()) for stretch in active)
        hedge = max(self._desk.terms().patience.hedge, 3 * self._slowest) if self._slowest else BLIND_HEDGE
        try:
            found = await outcomes.next(max(0.0, began + hedge - self._desk.ctx.now()) or hedge)
        except TimedOut:
            for stretch in active:
                self._ask(outcomes, stretch, more=1)
            return
        assert found is not None, "something is out"
        (stretch, server), outcome = found
        self._slowest = max(self._slowest, self._desk.ctx.now() - stretch.out.pop(server.permutation_seed))
        await self._keeper.take(server, outcome)
        for number in self._keeper.sound_shares(self._version).get(server.permutation_seed, ()):
            if not isinstance(outcome, (Refused, Unanswered)):
                stretch.given[number] = None

    # --- asking ---------------------------------------------------------------------------------------------

    def _ask(self, outcomes: AskEach[tuple[_Stretch, Server], SlotRead], stretch: _Stretch, more: int = 0) -> None:
        """Ask as many servers as give k shares together with those that are out, and ``more``."""
        shares = self._keeper.sound_shares(self._version)
        expected = dict(stretch.given)
        for home in stretch.out:
            expected |= dict.fromkeys(shares.get(home, ()))
        goal = len(expected) + more if more else self._version.shape.needed
        for home, server in self._candidates(shares):
            if len(expected) >= goal:
                return
            if home not in stretch.asked and any(number not in expected for number in shares[home]):
                expected |= dict.fromkeys(shares[home])
                stretch.asked[home] = None
                stretch.out[home] = self._desk.ctx.now()
                outcomes.add(Errand((stretch, server), server.address, self._request(stretch)))

    def _candidates(self, shares: Mapping[bytes, Sequence[int]]) -> Iterator[tuple[bytes, Server]]:
        """Servers with sound shares, another one first each time."""
        known = self._desk.by_home()
        homes = [home for home in shares if home in known and not self._desk.is_gone(known[home])]
        self._turn += 1
        for place in range(len(homes)):
            home = homes[(place + self._turn) % len(homes)]
            yield home, known[home]

    def _request(self, stretch: _Stretch) -> ReadSlot:
        size, first, last = self._version.shape.segment_size, stretch.segments[0], stretch.segments[-1]
        return ReadSlot(self._index, first * size, (last - first + 1) * size, self._desk.terms().payload)

    # --- stretches ------------------------------------------------------------------------------------------

    def _lacking(self, stretch: _Stretch) -> list[int]:
        return self._keeper.lacking(self._version, stretch.segments)

    def _renewed(self, stretch: _Stretch) -> _Stretch:
        """What is left of a stretch of which all that was asked for has come, and not all fitted the answers."""
        lacking = self._lacking(stretch)
        is_answered = not stretch.out and len(stretch.given) >= self._version.shape.needed
        return _Stretch(lacking) if is_answered and len(lacking) < len(stretch.segments) else stretch

    def _stretches(self, segments: Sequence[int]) -> Iterator[_Stretch]:
        """Runs of consecutive segments, each as long as a message takes of all the shares of any server."""
        shape = self._version.shape
        most_shares = max(map(len, self._keeper.sound_shares(self._version).values()), default=1)
        block = shape.block_length(0) + BLOCK_BYTES + HASH_BYTES * tree_height(shape.segment_count)
        most = max(1, self._desk.terms().payload // (block * most_shares))
        run: list[int] = []
        for segment in segments:
            if run and (segment != run[-1] + 1 or len(run) >= most):
                yield _Stretch(run)
                run = []
            run.append(segment)
        if run:
            yield _Stretch(run)
