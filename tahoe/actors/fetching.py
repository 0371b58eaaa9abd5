"""Fetching: the story that brings proven bytes of a file, in order, no further ahead than there is room.

The file is fetched in *stretches* of consecutive segments, each as long as one message can carry of one share. For
every stretch k shares are asked for, more where somebody is slow, and whatever comes is proven against the capability::

    stretch 0       |######|   the first question, to k servers: which shares have you, and blocks for this part
    stretch 1       |######|   decoded, waits for the reader            -.
    stretch 2       |####  |   one block is missing: hedged              }  held within the node's budget
    stretch 3       |##    |   under way                                -'
    stretch 4       not begun: nothing is asked for that there is no room for

How the file is cut up is known only from its UEB, which comes with the first answer. So the first stretch is asked for
in bytes of the file and laid out when that answer is proven; all others follow from there.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from math import inf
from typing import Any, NamedTuple, cast

from msgspec import structs

from tahoe.actors import coding
from tahoe.actors.readingroom import ReadingRoom
from tahoe.actors.servers import STANDING, Server, permuted
from tahoe.actors.stretch import Question, Stretch, Torn
from tahoe.codec.capability import ImmutableRead, ImmutableVerify
from tahoe.codec.parameters import DEFAULT_MAX_SEGMENT_SIZE, EncodingParameters
from tahoe.context import AskEach, Context, Errand, TimedOut
from tahoe.errors import NotEnoughShares, Refused, Unanswered
from tahoe.policy.placement import ASKED_PER_SHARE
from tahoe.policy.retrieval import Corrupt, Holds, Pick, Retrieval, Silent
from tahoe.policy.window import Window
from tahoe.protocol import (
    AdviseCorrupt,
    BlockRead,
    NodeId,
    ReadShare,
    ReadShares,
    Request,
    ShareBytes,
    ShareRead,
    SharesRead,
)
from tahoe.storage.content import Content, cut, joined

NODE_BYTES = 40
"""A hash with its number, in a message."""

BLIND_PATIENCE = 4.0
"""How many times longer to wait where nobody answers: then it is rather our own line that is slow."""


class Chunk(NamedTuple):
    """Bytes for the reader, and what they weigh in the budget until he comes back for more."""

    data: bytes
    weight: int


class Fetch:
    """One download under way.

    Args:
        ctx: of the client.
        servers: all that are known.
        capability: of the file; who only has the verify cap gets ciphertext.
        part: which bytes of it, at least one.
        room: what this node's downloads share.

    Attributes:
        ready: what the reader takes: chunks in order, or the error that ended it.
    """

    def __init__(
        self,
        ctx: Context,
        servers: Sequence[Server],
        capability: ImmutableRead | ImmutableVerify,
        part: range,
        room: ReadingRoom,
    ) -> None:
        self.ready = ctx.queue()
        self._ctx = ctx
        self._capability = capability
        self._storage_index = capability.storage_index
        self._key = capability.key if isinstance(capability, ImmutableRead) else None
        self._part = part
        self._habits = room.habits
        self._times = room.times
        self._allowance = room.budget.open()
        self._sites = {site.node: site for site in permuted(servers, self._storage_index)}
        self._retrieval = Retrieval(capability.needed, self._reachable_first(), room.times)
        self._asks: AskEach[Question, Any] = AskEach(ctx, timeout=room.habits.patience_for(room.habits.room))
        self._taken = ctx.queue()
        self._stretches: deque[Stretch] = deque()
        self._next_segment = 0
        self._window = Window(room.habits.window)
        self._pace = inf
        self._wake = inf
        self._busy: Counter[NodeId] = Counter()
        self._overtaken = -inf  # when the latest question that has been answered was asked

    def _reachable_first(self) -> list[NodeId]:
        """The file's order; if not all of its front are there, then who is, who may be, and last who is said to be gone.

        None is left out, for that may be wrong. Whoever nobody knows comes behind, or made-up servers would be asked first.
        """
        order = list(self._sites)
        front = order[: ASKED_PER_SHARE * self._capability.total]
        if all(self._ctx.presence(node) for node in front):
            return order
        return sorted(order, key=lambda node: STANDING[self._ctx.presence(node)])

    # --- the reader's side ----------------------------------------------------------------------------------

    def give_back(self, weight: int) -> None:
        """The reader is done with a chunk."""
        self._allowance.give(weight)
        if not len(self._taken):
            self._taken.put_nowait(None)

    def close(self) -> None:
        """Give all memory back; nothing new is begun."""
        self._allowance.close()

    # --- the story ------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Fetch everything; whatever goes wrong is told to the reader."""
        try:
            async with self._asks:
                await self._fetch()
        except Exception as error:  # noqa: BLE001  # it is the reader's, who raises it
            self.ready.put_nowait(error)

    async def _fetch(self) -> None:
        self._decoder = await self._ctx.compute(coding.begin_reading, self._capability)
        self._begin(self._opening())
        while self._stretches or self._is_more():
            await self._step()
            self._deliver()
            self._look_ahead()

    async def _step(self) -> None:
        """Take in one outcome, or what comes of waiting for it in vain."""
        if not self._asks:
            await self._taken.get()
            return
        patience = None if self._wake == inf else max(0.0, self._wake - self._ctx.now())
        try:
            found = await self._asks.next(patience)
        except TimedOut:
            self._hedge()
            return
        assert found is not None, "something was under way"
        question, outcome = found
        await self._heard(question, outcome)

    # --- beginning stretches --------------------------------------------------------------------------------

    def _opening(self) -> Stretch:
        """The first stretch, while the segment size can only be guessed."""
        guess = EncodingParameters.of(
            self._capability.size, self._capability.needed, self._capability.total, DEFAULT_MAX_SEGMENT_SIZE
        ).segment_size
        length = min(len(self._part), guess - self._part.start % guess)
        return Stretch(self._part.start, length, weight=guess)

    def _is_more(self) -> bool:
        """Whether the reader wants bytes that nobody has been asked for yet."""
        return self._next_segment * self._decoder.parameters.segment_size < self._part.stop

    def _look_ahead(self) -> None:
        """Begin what there is room for, once the file's layout is known."""
        while self._next_segment and self._is_more():
            stretch = self._following()
            if not self._has_room(stretch.weight):
                return
            self._next_segment = stretch.segments.stop
            self._begin(stretch)

    def _following(self) -> Stretch:
        """The next stretch."""
        parameters = self._decoder.parameters
        end = min(self._next_segment + self._segments_at_once(), -(-self._part.stop // parameters.segment_size))
        first = self._next_segment * parameters.segment_size
        length = min(end * parameters.segment_size, parameters.size) - first
        return Stretch(first, length, length, range(self._next_segment, end))

    def _segments_at_once(self) -> int:
        """How many segments one message carries of one share, if not so many share the line that it should be fewer."""
        parameters = self._decoder.parameters
        proof = NODE_BYTES * 2 * (parameters.segment_count.bit_length() + 2)
        carried = self._habits.room // (parameters.block_size + proof)
        return max(1, min(carried, self._allowance.piece // parameters.segment_size))

    def _has_room(self, weight: int) -> bool:
        held = self._allowance.held
        if held and not (self._window.admits(held, weight) and self._allowance.may_take(weight)):
            return False
        return self._allowance.may_ask(weight)

    def _begin(self, stretch: Stretch) -> None:
        stretch.begun = self._ctx.now()
        self._allowance.take(stretch.weight)
        self._allowance.ask(stretch.weight)
        self._stretches.append(stretch)
        self._ask_more(stretch)

    def _deliver(self) -> None:
        """Hand over what is ready, in order."""
        while self._stretches and self._stretches[0].plaintext is not None:
            stretch = self._stretches.popleft()
            self.ready.put_nowait(Chunk(cast("bytes", stretch.plaintext), stretch.weight))

    # --- asking ---------------------------------------------------------------------------------------------

    def _ask_more(self, stretch: Stretch) -> None:
        """Ask for what is missing of a stretch.

        Raises:
            NotEnoughShares: there is nobody left to ask.
        """
        missing = self._capability.needed + stretch.extra - len(stretch.hands)
        if missing <= len(stretch.asked) and not any(question.torn for question in stretch.asked):
            return
        hands = {number: pick.node for number, pick in stretch.hands.items()}
        under_way = list(dict.fromkeys(question.pick for question in stretch.asked))
        for pick in self._retrieval.proposals(hands, under_way, stretch.extra, self._busy):
            self._ask(stretch, pick)
        if not stretch.asked and len(stretch.hands) < self._capability.needed:
            raise NotEnoughShares(self._retrieval.found(), self._capability.needed, self._reasons())

    def _reasons(self) -> tuple[str, ...]:
        return tuple(f"{self._sites[node].label}: {reason}" for node, reason in self._retrieval.reasons())

    def _ask(self, stretch: Stretch, pick: Pick) -> None:
        proven = pick.number is not None and self._decoder.has_ueb and self._decoder.has_share(pick.number)
        request = ReadShares(
            self._storage_index,
            stretch.first,
            stretch.length,
            self._habits.room,
            self._shares_per_server() if pick.number is None else 1,
            () if pick.number is None else (pick.number,),
            proven,
        )
        self._send(Question(stretch, pick), request)

    def _shares_per_server(self) -> int:
        """One, but where servers are few and the file is small, what they must give anyway."""
        fewest = -(-self._capability.needed // max(1, len(self._sites)))
        block = -(-min(self._capability.size, DEFAULT_MAX_SEGMENT_SIZE) // self._capability.needed)
        return max(1, min(fewest, self._habits.room // block))

    def _send(self, question: Question, request: Request[Any]) -> None:
        node = question.pick.node
        question.since = self._ctx.now()
        question.due = question.since + self._times.patience(node)
        question.ahead = self._busy[node]
        question.stretch.asked[question] = None
        self._busy[node] += 1
        self._wake = min(self._wake, question.due)
        gone = self._ctx.presence(node) is False
        timeout = min(self._habits.last_chance, self._habits.patience) if gone else self._patience()
        self._asks.add(Errand(question, self._sites[node].address, request), timeout=timeout)

    def _patience(self) -> float:
        """How long to wait for an answer: whatever is under way may have to pass a slow line first, ours or the server's."""
        least = self._habits.patience_for(self._habits.room)
        return max(least, self._habits.patience + 2 * self._allowance.held / self._pace)

    def _hedge(self) -> None:
        """Ask somebody else, too, where an answer is overdue."""
        now = self._ctx.now()
        self._wake = inf
        for stretch in list(self._stretches):
            overdue = [question for question in stretch.asked if question.due <= now and self._is_late(question, now)]
            for question in overdue:
                question.due = inf
                self._times.learn_at_least(question.pick.node, now - question.since, question.ahead)
            most = max(self._habits.questions, self._capability.needed)
            if overdue and len(stretch.asked) < most:
                stretch.extra += min(len(overdue), most - len(stretch.asked))
                self._ask_more(stretch)
            self._wake = min(self._wake, *(question.due for question in stretch.asked), inf)

    def _is_late(self, question: Question, now: float) -> bool:
        """Whether it is the server that is slow; if not, the question gets more time.

        If nothing that was asked at the same time or later has been answered, it is rather our own line, where another
        question would only be one more to wait for.
        """
        patience = self._times.patience(question.pick.node)
        if question.since > self._overtaken:
            patience *= BLIND_PATIENCE * (1 + question.stretch.extra)
        question.due = question.since + patience
        return question.due <= now

    def _forget(self, question: Question) -> None:
        """A question is not under way any more."""
        del question.stretch.asked[question]
        self._busy[question.pick.node] -= 1

    # --- answers --------------------------------------------------------------------------------------------

    async def _heard(self, question: Question, outcome: Any) -> None:
        stretch = question.stretch
        self._forget(question)
        if isinstance(outcome, (Refused, Unanswered)):
            self._retrieval.learn(Silent(question.pick.node, str(outcome)))
            self._drop_rest(question)
        else:
            seconds = self._ctx.now() - question.since
            self._times.learn(question.pick.node, seconds, question.ahead)
            self._window.learn_answer(seconds)
            self._overtaken = max(self._overtaken, question.since)
            if isinstance(outcome, ShareBytes):
                self._mend(question, outcome)
            else:
                await self._take_in(question, outcome)
        if len(stretch.blocks) >= self._capability.needed:
            await self._decode(stretch)
        else:
            self._ask_more(stretch)

    async def _take_in(self, question: Question, answer: SharesRead) -> None:
        """Learn what a server has, and accept what it gave."""
        node, wanted = question.pick
        ours = [facts.number for facts in answer.held if facts.ueb_hash == self._capability.ueb_hash]
        if wanted is None or wanted not in ours:
            self._retrieval.learn(Holds(node, ours))
        given = [share for share in answer.shares if share.number in ours and wanted in (None, share.number)]
        for share in given:
            if share.number not in question.stretch.hands:
                await self._accept(question, share)
        if wanted in ours and not given:
            self._reject(Pick(node, wanted), "claimed, but not given")

    async def _accept(self, question: Question, share: ShareRead) -> None:
        """Prove that a share is the file's, and keep the blocks it came with until they can be proven together."""
        stretch = question.stretch
        pick = Pick(question.pick.node, share.number)
        if not (self._decoder.has_ueb and self._decoder.has_share(share.number)):
            reason = await self._ctx.compute(
                coding.prove_share, self._decoder, share.number, share.uri_extension, share.share_hashes
            )
            if reason:
                self._reject(pick, reason)
                return
        if not self._next_segment:
            stretch.lay_out(self._decoder.parameters.segment_size, share.blocks)
        blocks = stretch.matching(share.blocks)
        if not blocks:
            self._reject(pick, "gave other blocks than it was asked for")
        elif len(blocks[0].data) < self._decoder.parameters.block_length(blocks[0].segment):
            self._fetch_rest(question, share, blocks[0])
        else:
            stretch.hold(pick, share.number, blocks)

    def _reject(self, pick: Pick, reason: str) -> None:
        """A share is not what it should be: never ask for it again, and let its server know."""
        assert pick.number is not None, "a share was named"
        self._retrieval.learn(Corrupt(pick.node, pick.number, reason))
        self._ctx.tell(self._sites[pick.node].address, AdviseCorrupt(self._storage_index, pick.number, reason))

    # --- blocks that no message can carry whole ---------------------------------------------------------------

    def _fetch_rest(self, question: Question, share: ShareRead, block: BlockRead) -> None:
        """Ask for what is missing of a block, piece by piece, all at once."""
        stretch = question.stretch
        stretch.segments = stretch.segments[:1]
        pick = Pick(question.pick.node, share.number)
        offset = share.data_offset + block.segment * self._decoder.parameters.block_size
        length = self._decoder.parameters.block_length(block.segment)
        starts = range(len(block.data), length, self._habits.room)
        torn = Torn(share.number, block, [block.data, *(None for _ in starts)])
        for piece, start in enumerate(starts, start=1):
            size = min(self._habits.room, length - start)
            request = ReadShare(self._storage_index, share.number, offset + start, size)
            self._send(Question(stretch, pick, torn, piece), request)

    def _mend(self, question: Question, answer: ShareBytes) -> None:
        """Put a piece of a block in its place."""
        torn = question.torn
        assert torn is not None, "only pieces are asked for in this way"
        torn.pieces[question.piece] = answer.data
        if all(piece is not None for piece in torn.pieces):
            data = cast("bytes", joined(cast("list[Content]", torn.pieces)))
            question.stretch.hold(question.pick, torn.number, (structs.replace(torn.block, data=data),))

    def _drop_rest(self, question: Question) -> None:
        """One piece of a block did not come, so the others are of no use."""
        for other in [other for other in question.stretch.asked if other.torn is question.torn is not None]:
            self._asks.cancel(other)
            self._forget(other)

    # --- decoding -------------------------------------------------------------------------------------------

    async def _decode(self, stretch: Stretch) -> None:
        """Prove, decode, decrypt; where a share turns out to be corrupt, ask for another."""
        decoded = await self._ctx.compute(
            coding.decode_stretch,
            self._decoder,
            self._key,
            stretch.segments.start,
            stretch.shares(self._capability.needed),
        )
        if decoded.bad:
            for number, reason in decoded.bad:
                self._reject(stretch.drop(number), reason)
            self._ask_more(stretch)
        else:
            self._finish(stretch, decoded.plaintext)

    def _finish(self, stretch: Stretch, plaintext: bytes) -> None:
        """A stretch is done: stop what is still under way for it, and make the window wider."""
        for question in list(stretch.asked):
            self._asks.cancel(question)
            self._forget(question)
        stretch.blocks.clear()
        self._allowance.arrive(stretch.weight)
        begin = stretch.segments.start * self._decoder.parameters.segment_size
        lead, length = max(0, self._part.start - begin), min(len(plaintext), self._part.stop - begin)
        whole = lead == 0 and length == len(plaintext)
        stretch.plaintext = plaintext if whole else cast("bytes", cut(plaintext, lead, length - lead))
        if not self._next_segment:
            self._open_up(stretch, len(plaintext))
        seconds = self._ctx.now() - stretch.begun
        self._window.learn_stretch(seconds, stretch.weight)
        self._pace = stretch.weight / seconds if seconds else inf

    def _open_up(self, stretch: Stretch, size: int) -> None:
        """The opening stretch is done: all that follows can be laid out, and what it weighs is known."""
        self._next_segment = stretch.segments.stop
        self._allowance.give(stretch.weight)
        self._allowance.take(size)
        stretch.weight = size
