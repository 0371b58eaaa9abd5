"""Verifying files: every byte of every share is fetched and hashed, by the verify cap alone.

Of one share first the frame comes (header, trees, chain, UEB), which the capability proves; then the blocks, a few under
way at a time, each compared with its hash and let go::

    header ──► trees, chain, UEB ──► blocks 0 1 2 | 3 4 5 | 6 …          several shares at once,
                     proven             hashed  under way                each with two reads under way

What a server does not give is not known to be corrupt: it counts as a server that did not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

from tahoe.actors.checking import Holdings, ask_holdings, file_health
from tahoe.actors.keeping import KeepingDesk
from tahoe.actors.servers import Server
from tahoe.actors.shareproof import FrameFound, find_tail, prove_blocks, prove_frame
from tahoe.actors.terms import ignore_progress
from tahoe.codec.capability import ImmutableVerify
from tahoe.codec.share import MAX_HEADER_SIZE
from tahoe.codec.verification import ShareFrame
from tahoe.context import AskEach, Errand, Queue
from tahoe.errors import Refused, Unanswered
from tahoe.policy.health import Health, Locator
from tahoe.protocol import NodeId, ReadShare, ShareBytes, ShareFacts
from tahoe.storage.content import Content, cut, joined

READS_AHEAD = 2
"""Reads under way for one share, so that the line and the processor never wait for one another."""


class ShareVerdict(NamedTuple):
    """What was found of one share; ``reason`` is empty if it is sound."""

    node: NodeId
    number: int
    reason: str
    kind: str = "corrupt"

    @property
    def sound(self) -> bool:
        """Whether every byte of it is as it should be."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found of a file.

    Args:
        health: of it.
        holdings: what servers said they have.
        flaws: shares that fail, and why.
        checked: bytes of shares that were looked at.
    """

    health: Health
    holdings: Holdings
    flaws: Mapping[tuple[NodeId, int], str]
    checked: int


async def verify_file(
    desk: KeepingDesk,
    capability: ImmutableVerify,
    servers: Sequence[Server],
    progress: Callable[[int, int], None] = ignore_progress,
) -> Verification:
    """Look at every byte of every share of a file.

    Args:
        desk: of the node.
        capability: of the file.
        servers: to be asked.
        progress: called with shares done and shares in all.
    """
    holdings = await ask_holdings(desk, [capability.storage_index], servers)
    claims = holdings.claims(capability.storage_index)
    waiting = [
        (node, facts) for node, shares in claims.items() for facts in shares if facts.ueb_hash == capability.ueb_hash
    ]
    sizes = sum(facts.size for _, facts in waiting)
    verdicts = await _verify_all(desk, capability, waiting, progress)
    flaws = {(each.node, each.number): each.reason for each in verdicts if each.kind == "corrupt" and not each.sound}
    flaws |= _of_other_files(capability, claims)
    unknown = tuple(Locator(*each[:3]) for each in verdicts if each.kind == "incompatible")
    for each in verdicts:
        if each.kind == "silent":
            holdings.held.pop(each.node, None)
            holdings.silent[each.node] = each.reason
    found = file_health(capability, holdings, flaws | {(each.node, each.number): each.reason for each in unknown})
    corrupt = tuple(each for each in found.corrupt if each not in unknown)
    health = Health(found.versions, found.answers, corrupt, unknown)
    return Verification(health, holdings, flaws, sizes)


def _of_other_files(
    capability: ImmutableVerify, claims: Mapping[NodeId, Sequence[ShareFacts]]
) -> dict[tuple[NodeId, int], str]:
    """Shares that stand where the file's should, and are not the file's or can't be told to be."""
    return {
        (node, facts.number): "the URI extension block is not the capability's"
        for node, shares in claims.items()
        for facts in shares
        if facts.ueb_hash != capability.ueb_hash
    }


async def _verify_all(
    desk: KeepingDesk,
    capability: ImmutableVerify,
    waiting: list[tuple[NodeId, ShareFacts]],
    progress: Callable[[int, int], None],
) -> list[ShareVerdict]:
    """Verify shares, as many at once as the window has room for."""
    limits, total = desk.terms().limits, len(waiting)
    at_once = max(1, limits.window // (READS_AHEAD * limits.payload))
    ended: Queue[ShareVerdict] = desk.ctx.queue()
    sites, verdicts, running = desk.sites(), list[ShareVerdict](), 0
    tasks = []
    try:
        while waiting or running:
            while waiting and running < at_once:
                node, facts = waiting.pop(0)
                story = _ShareStory(desk, capability, sites[node], facts)
                tasks.append(desk.ctx.spawn(story.run(ended)))
                running += 1
            verdicts.append(await ended.get())
            running -= 1
            progress(len(verdicts), total)
    finally:
        for task in tasks:
            task.cancel()
    return sorted(verdicts)


class _ShareStory:
    """One share being verified."""

    def __init__(self, desk: KeepingDesk, capability: ImmutableVerify, site: Server, facts: ShareFacts) -> None:
        self._desk = desk
        self._capability = capability
        self._site = site
        self._facts = facts
        self._payload = desk.terms().limits.payload

    async def run(self, ended: Queue[ShareVerdict]) -> None:
        """Put the verdict into the queue."""
        try:
            verdict = await self._verdict()
        except (Refused, Unanswered) as failure:
            verdict = self._says(str(failure), "silent")
        ended.put_nowait(verdict)

    def _says(self, reason: str, kind: str = "corrupt") -> ShareVerdict:
        return ShareVerdict(self._site.node, self._facts.number, reason, kind)

    async def _verdict(self) -> ShareVerdict:
        header = cast("bytes", await self._read(0, MAX_HEADER_SIZE))
        offset = await self._desk.ctx.compute(find_tail, header)
        if isinstance(offset, FrameFound):
            return self._says(offset.reason, "incompatible" if offset.unknown else "corrupt")
        tail = cast("bytes", await self._read(offset, max(0, self._facts.size - offset)))
        found = await self._desk.ctx.compute(prove_frame, self._capability, self._facts.number, header, offset, tail)
        if found.frame is None:
            return self._says(found.reason, "incompatible" if found.unknown else "corrupt")
        return self._says(await self._verify_blocks(found.frame))

    async def _verify_blocks(self, frame: ShareFrame) -> str:
        """Read all blocks in order, some ahead of those that are being hashed."""
        parameters = frame.share.uri_extension.parameters
        stride = max(1, self._payload // parameters.block_size)
        starts = list(range(0, parameters.segment_count, stride))
        spans = [(start, range(start, min(start + stride, parameters.segment_count))) for start in starts]
        async with AskEach[tuple[int, int], ShareBytes](self._desk.ctx, timeout=self._patience) as outcomes:
            pending: dict[int, list[Content | None]] = {}
            asked = done = 0
            while done < len(spans):
                while asked < len(spans) and asked < done + READS_AHEAD:
                    pending[spans[asked][0]] = self._ask(outcomes, frame, spans[asked][1])
                    asked += 1
                first, segments = spans[done]
                while any(piece is None for piece in pending[first]):
                    await self._take(outcomes, pending)
                data = joined([piece for piece in pending.pop(first) if piece is not None])
                if len(data) != sum(map(parameters.block_length, segments)):
                    return f"the share ends within block {segments[-1]}"
                reason = await self._desk.ctx.compute(prove_blocks, frame, first, data)
                if reason:
                    return reason
                done += 1
        return ""

    @property
    def _patience(self) -> float:
        return self._desk.terms().room.habits.patience_for(READS_AHEAD * self._payload)

    def _ask(
        self, outcomes: AskEach[tuple[int, int], ShareBytes], frame: ShareFrame, segments: range
    ) -> list[Content | None]:
        """Ask for the blocks of some segments, in as many pieces as messages take."""
        parameters = frame.share.uri_extension.parameters
        offset = frame.share.offsets.block_span(parameters, segments[0])[0]
        length = sum(map(parameters.block_length, segments))
        starts = range(0, length, self._payload)
        for place, start in enumerate(starts):
            request = ReadShare(
                self._capability.storage_index,
                self._facts.number,
                offset + start,
                min(self._payload, length - start),
            )
            outcomes.add(Errand((segments[0], place), self._site.address, request))
        return [None] * len(starts)

    async def _take(
        self, outcomes: AskEach[tuple[int, int], ShareBytes], pending: Mapping[int, list[Content | None]]
    ) -> None:
        found = await outcomes.next()
        assert found is not None, "something is under way"
        (first, place), outcome = found
        if isinstance(outcome, (Refused, Unanswered)):
            raise outcome
        pending[first][place] = outcome.data

    async def _read(self, offset: int, length: int) -> Content:
        """Bytes of the share, piece by piece."""
        pieces: list[Content] = []
        for start in range(offset, offset + length, self._payload):
            size = min(self._payload, offset + length - start)
            request = ReadShare(self._capability.storage_index, self._facts.number, start, size)
            answer = await self._desk.ctx.ask(self._site.address, request, timeout=self._patience)
            pieces.append(cut(answer.data, 0, size))
        return joined(pieces)
