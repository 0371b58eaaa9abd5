"""Filling the room that servers gave: several segments under way to all of them at once, and who falls silent is let go.

::

    segments 6, 7 ─┬─ two blocks for share 0 ──► alice   The window bounds the bytes sent and not yet answered, over all
                   ├─ two blocks for share 1 ──► bob     servers together: what is kept in memory, here and on the line.
                   └─ two blocks for share 2 ──► carol   It holds at most a few seconds of the pace seen so far.

A line may be so slow that every answer takes minutes, so there is no fixed time in which a write must be answered. A
server counts as gone when others have answered what was sent together with the oldest write that it owes an answer to,
and it has still not done so some time later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self, cast

from tahoe.actors.placing import Placing
from tahoe.actors.terms import UploadOrder
from tahoe.context import AskEach, Context, Failure, TimedOut
from tahoe.errors import Refused, Unanswered
from tahoe.policy.placement import Failed
from tahoe.protocol import Close, Closed, NodeId, Write, Written
from tahoe.storage.content import cut

LONGEST_WAIT = 3600.0
"""Seconds after which even the slowest line has brought an answer to a write."""

LINE_PATIENCE = 4.0
"""How many times longer to wait where nobody at all answers: a broker may be about to come back."""

WINDOW_SECONDS = 4.0
"""The window holds so much of the pace seen so far, so that a slow line is not stuffed with what a fast one needs."""

SLOWEST_PACE = 4096.0
"""Bytes per second to reckon with before any have been seen."""

GLANCE_SECONDS = 5.0
"""How often to look for silent servers while nothing comes in."""


class Layer(NamedTuple):
    """Bytes that stand at one offset of every share: a piece for each of the N numbers, empty where none is written."""

    offset: int
    pieces: Sequence[bytes]


class Parcel(NamedTuple):
    """One write under way."""

    node: NodeId
    number: int
    offset: int
    length: int


@dataclass(slots=True)
class _Home:
    """One server being filled. ``overtaken`` is since when others have answered what it still owes an answer to."""

    numbers: tuple[int, ...]
    under_way: dict[Parcel, None] = field(default_factory=dict)
    overtaken: float | None = None


class Pushing:
    """Writes the shares of one upload; to be used with ``async with``.

    Args:
        ctx: of the client.
        order: what the upload is to be like.
        placing: who took which shares.
    """

    def __init__(self, ctx: Context, order: UploadOrder, placing: Placing) -> None:
        self.pushed = 0
        self._ctx = ctx
        self._order = order
        self._placing = placing
        self._began = ctx.now()
        placed = placing.placement.placed()
        self._homes = {node: _Home(numbers) for node, numbers in placed.items()}
        self._under_way = 0
        self._glanced = self._heard = self._began
        self._front = -1  # the greatest offset answered by anybody
        self._layer_bytes = 0  # the largest, over all shares
        self._round_bytes = 0  # of the layers written together
        self._asks: AskEach[Parcel, Written] = AskEach(ctx, timeout=LONGEST_WAIT)

    async def __aenter__(self) -> Self:
        await self._asks.__aenter__()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._asks.__aexit__(None, None, None)

    # --- writing --------------------------------------------------------------------------------------------

    async def write(self, layers: Sequence[Layer]) -> None:
        """Write layers to every share, share by share.

        Returns as soon as all of them are under way.

        Raises:
            NotEnoughServers: so many servers have failed that the rest is not happy.
        """
        shares = sum(len(home.numbers) for home in self._homes.values())
        lengths = [max(map(len, layer.pieces)) for layer in layers]
        self._layer_bytes = max(self._layer_bytes, shares * max(lengths))
        self._round_bytes = max(self._round_bytes, shares * sum(lengths))
        for node, home in list(self._homes.items()):
            for number in home.numbers:
                for layer in layers:
                    await self._write_share(node, number, layer.offset, layer.pieces[number])

    async def _write_share(self, node: NodeId, number: int, offset: int, data: bytes) -> None:
        payload = self._order.limits.payload
        for start in range(0, len(data), payload):
            length = min(payload, len(data) - start)
            while self._under_way and self._under_way + length > self._window():
                await self._outcome()
            if node in self._homes:
                piece = data if length == len(data) else cut(data, start, length)
                self._send(Parcel(node, number, offset + start, length), cast("bytes", piece))

    def _send(self, parcel: Parcel, data: bytes) -> None:
        home = self._homes[parcel.node]
        if not self._under_way:
            self._heard = self._ctx.now()
        home.under_way[parcel] = None
        self._under_way += parcel.length
        secret = self._placing.upload_secret
        message = Write(self._placing.storage_index, secret, parcel.number, parcel.offset, data)
        self._asks.add(self._placing.errand(parcel, parcel.node, message))

    def _window(self) -> int:
        """Bytes that may be under way: at first two segments, later a few seconds' worth."""
        return min(self._order.limits.window, max(2 * self._layer_bytes, int(WINDOW_SECONDS * self._pace())))

    def _pace(self) -> float:
        """Bytes per second answered so far; the slowest line there is as long as nothing has been."""
        elapsed = self._ctx.now() - self._began
        return self.pushed / elapsed if self.pushed and elapsed else SLOWEST_PACE

    # --- outcomes -------------------------------------------------------------------------------------------

    async def flush(self) -> None:
        """Wait until every write is answered or its server let go."""
        while self._under_way:
            await self._outcome()

    async def _outcome(self) -> None:
        """Take in one outcome, waiting for it; now and then look for servers that are silent."""
        try:
            found = await self._asks.next(GLANCE_SECONDS)
        except TimedOut:
            found = None
        if found is not None:
            parcel, outcome = found
            if parcel.node in self._homes:
                self._arrived(self._homes[parcel.node], parcel, outcome)
        if self._ctx.now() - self._glanced >= GLANCE_SECONDS:
            self._glanced = self._ctx.now()
            self._let_silent_ones_go()

    def _arrived(self, home: _Home, parcel: Parcel, outcome: Written | Failure) -> None:
        if isinstance(outcome, (Refused, Unanswered)):
            self._let_go(parcel.node, str(outcome))
            return
        self._heard = self._ctx.now()
        self._front = max(self._front, parcel.offset)
        home.overtaken = None
        del home.under_way[parcel]
        self._under_way -= parcel.length
        self.pushed += parcel.length

    def _let_silent_ones_go(self) -> None:
        """Let go of servers that others have left behind, or of all of them when nobody answers any more."""
        now = self._ctx.now()
        pace = self._pace()
        line = LINE_PATIENCE * self._order.patience.silence + 2 * self._under_way / pace
        due = self._order.patience.silence + 2 * self._round_bytes / pace
        for node, home in list(self._homes.items()):
            oldest = next(iter(home.under_way), None)
            if oldest is None or oldest.offset > self._front:
                home.overtaken = None
            elif home.overtaken is None:
                home.overtaken = now
            left_behind = home.overtaken is not None and now - home.overtaken > due
            if oldest is not None and (left_behind or now - self._heard > line):
                self._let_go(node, "fell silent")

    def _let_go(self, node: NodeId, reason: str) -> None:
        home = self._homes.pop(node)
        for parcel in home.under_way:
            self._asks.cancel(parcel)
            self._under_way -= parcel.length
        self._placing.placement.learn(Failed(node, reason))
        self._placing.placement.check()

    # --- closing --------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Make all shares complete and durable.

        Raises:
            NotEnoughServers: too few servers could.
        """
        errands = [
            self._placing.errand(
                node, node, Close(self._placing.storage_index, self._placing.upload_secret, home.numbers)
            )
            for node, home in self._homes.items()
        ]
        async with AskEach(self._ctx, errands, timeout=self._order.patience.offer) as outcomes:
            async for node, outcome in outcomes:
                if not isinstance(outcome, Closed):
                    self._let_go(node, str(outcome))
                elif any(number not in outcome.closed for number in self._homes[node].numbers):
                    self._let_go(node, "did not complete every share")
