"""Reading slots: which version counts, and bytes of it, none before they are proven.

One round of questions serves both ends. All homes are asked which version they carry, and some of them for blocks as
well, so that a small slot comes in one round trip::

    homes 0 … k     versions and blocks         the first to be asked are the homes of the newest version seen;
    homes k+1 … N   versions                    of a slot never seen, the first N servers of its order

What is heard goes to the register rule (``policy/register.py``). A version names all its homes, so one good answer is
enough to know whom else to ask. Once the rule is certain of a version, what is missing of it is fetched from whoever has
a sound share (``slotfetching.py``). A server that lies is told so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tahoe.actors.servers import Server
from tahoe.actors.slotcoding import (
    ProvenShare,
    SaltedText,
    SegmentPieces,
    decode_segments,
    differing_segments,
    prove_shares,
)
from tahoe.actors.slotfetching import SlotFetch
from tahoe.actors.slotmemory import Hearing
from tahoe.actors.slotterms import SlotDesk
from tahoe.codec.slot import SlotReader, SlotVersion, SparseTree, VersionId
from tahoe.context import AskEach, Errand, Failure, TimedOut
from tahoe.errors import NotEnoughShares, Refused, TahoeError, Unanswered
from tahoe.policy.register import Choice
from tahoe.protocol import AdviseCorrupt, ReadSlot, SlotBlock, SlotRead, VersionName

FIRST_ROOM = 64 * 1024
"""Bytes of blocks that the first questions bring from a server, unless its slot is known to be larger."""

ALL = 2**62
"""A length that reaches to the end of everything."""


class Superseded(TahoeError):
    """The version that is being read has been replaced meanwhile. Read anew."""


class Torn(NotEnoughShares):
    """Writers race, and of no version enough shares are left just now. One of them will win: look again a little later."""


class Known(NamedTuple):
    """A version whose contents are known, and what is known of its block trees: enough to see what has changed since."""

    version: SlotVersion
    contents: bytes
    trees: Mapping[int, SparseTree]


class Wanted(NamedTuple):
    """What an inquiry is after.

    Args:
        offset: of the part of the contents that is wanted.
        length: of that part.
        known: a version whose contents are known: of a share that carries it no blocks are sent.
        edges: the edges of block trees as well.
        writing: whoever writes wants to hear all homes.
        everywhere: he even wants the blocks of all homes, to know what lies beside them in their trees.
    """

    offset: int = 0
    length: int = ALL
    known: VersionId | None = None
    edges: bool = False
    writing: bool = False
    everywhere: bool = False

    @classmethod
    def since(cls, known: Known | None, *, writing: bool = False) -> Wanted:
        """All contents; if only something was appended to those that are known, in one round."""
        if known is None:
            return cls(edges=True, writing=writing)
        shape = known.version.shape
        tail = max(0, shape.segment_count - 1) * shape.segment_size
        return cls(tail, known=known.version.identity, edges=True, writing=writing)


@dataclass(slots=True)
class _Version:
    """What is in hand of one version: trees by share number and home, blocks by segment and share number."""

    trees: dict[int, SparseTree] = field(default_factory=dict)
    blocks: dict[int, dict[int, SlotBlock]] = field(default_factory=dict)
    texts: dict[int, SaltedText] = field(default_factory=dict)


class Inquiry:
    """Finds out which version of a slot counts, and brings its contents.

    Args:
        desk: what all stories share.
        reader: of the slot.
        wanted: what is asked for.

    Attributes:
        hearing: what was heard.
        began: when, in monotonic seconds: what happened later may be missing in it.
    """

    def __init__(self, desk: SlotDesk, reader: SlotReader, wanted: Wanted) -> None:
        self._desk = desk
        self._ctx = desk.ctx
        self._patience = desk.terms().patience
        self._reader = reader
        self._index = reader.storage_index
        self._wanted = wanted
        self._seen: SlotVersion | None = None
        self._versions: dict[VersionId, _Version] = {}
        self._asked: dict[bytes, None] = {}
        self._due: dict[bytes, bool] = {}
        """Homes that have not answered, and whether they will bring blocks."""
        self._silent: dict[bytes, None] = {}
        self._reasons: dict[str, str] = {}
        self.hearing = Hearing()
        self.began = desk.ctx.now()

    # --- which version --------------------------------------------------------------------------------------

    async def run(self) -> Choice:
        """Ask until it is certain which version counts, or nobody is left to ask.

        Raises:
            NotEnoughShares: nothing can be recovered, or nothing as new as was seen before.
            RolledBack: servers in quorum show an older version than was seen before.
        """
        self._seen = await self._desk.memory.newest(self._index)
        timeout = self._patience.question_about(self._expected_bytes())
        async with AskEach[Server, SlotRead](self._ctx, timeout=timeout) as outcomes:
            self._ask_first(outcomes)
            await self._listen(outcomes)
        choice = self._judge()
        if self.hearing.has_won(choice.version):
            await self._desk.memory.note(self._index, choice.version)
        return choice

    async def _listen(self, outcomes: AskEach[Server, SlotRead]) -> None:
        """Take answers until they suffice; then a little longer for what else is expected."""
        began = self._ctx.now()
        deadline: float | None = None
        while len(outcomes) or self._ask_further(outcomes):
            if self._is_certain():
                if not self._expects_more():
                    return
                if deadline is None:
                    now = self._ctx.now()
                    deadline = now + max(self._patience.hedge, 2 * (now - began))
            try:
                found = await outcomes.next(None if deadline is None else max(0.0, deadline - self._ctx.now()))
            except TimedOut:
                return
            if found is not None:
                await self.take(*found)
                self._ask_missing(outcomes)

    def _is_certain(self) -> bool:
        """Whether it is known what counts. Something older than was seen is no answer as long as there are others to ask."""
        choice = self.hearing.choice()
        return choice is not None and (self._seen is None or choice.version.identity >= self._seen.identity)

    def _expects_more(self) -> bool:
        """Whether something is still due that spares another round."""
        choice = self.hearing.choice()
        assert choice is not None
        if self._wanted.writing or not self.hearing.has_won(choice.version):
            return bool(self._due)
        if choice.version.identity == self._wanted.known or not any(self._due.values()):
            return False
        shape = choice.version.shape
        return bool(self.lacking(choice.version, shape.segments(self._wanted.offset, self._wanted.length)))

    def _judge(self) -> Choice:
        seen = self._seen
        choice = self.hearing.best_effort() if self._wanted.writing else self.hearing.wary_effort()
        if choice is not None and (seen is None or choice.version.identity >= seen.identity):
            return choice
        if seen is not None and self.hearing.can_recover(seen):
            return Choice(seen, may_be_stale=True)
        if seen is not None and choice is not None and self.hearing.is_quorum_heard():
            older = [
                home for home, shares in self.hearing.heard.items() if any(v < seen.identity for v in shares.values())
            ]
            raise self._desk.rolled_back(seen.sequence, choice.version.sequence, older)
        raise self._not_enough(seen or max(self.hearing.versions.values(), key=_age, default=None))

    @property
    def explanation(self) -> str:
        """Why there are not more answers."""
        return "; ".join(self._reasons.values())

    def _not_enough(self, version: SlotVersion | None) -> NotEnoughShares:
        reasons = tuple(self._reasons.values())
        if version is None:
            return NotEnoughShares(0, 1, reasons)
        found = len(self.hearing.holders(version.identity))
        is_torn = len(self.hearing.versions) > 1 and self.hearing.is_quorum_heard()
        return (Torn if is_torn else NotEnoughShares)(found, version.shape.needed, reasons)

    # --- asking ---------------------------------------------------------------------------------------------

    def _ask_first(self, outcomes: AskEach[Server, SlotRead]) -> None:
        seen = self._seen
        if seen is None:
            total = self._desk.terms().total
            first = self._desk.order(self._index)[:total]
            needed = self._desk.terms().needed
        else:
            known = self._desk.by_home()
            homes = [known[home] for home in dict.fromkeys(seen.homes) if home in known]
            first = sorted(homes, key=self._desk.is_gone)
            needed = seen.shape.needed
        for place, server in enumerate(first):
            self._ask(outcomes, server, with_blocks=self._wanted.everywhere or place <= needed)

    def _expected_bytes(self) -> int:
        """How much the first questions bring, at most and roughly: on a slow line it takes its time."""
        terms = self._desk.terms()
        room = min(terms.payload, FIRST_ROOM)
        if self._seen is None:
            return room * (terms.needed + 1) if self._wanted.length else 0
        shape = self._seen.shape
        segments = len(shape.segments(self._wanted.offset, self._wanted.length))
        homes = shape.total if self._wanted.everywhere else shape.needed + 1
        return homes * min(room, segments * (shape.segment_size // shape.needed))

    def _ask_missing(self, outcomes: AskEach[Server, SlotRead]) -> None:
        """Homes that a version names and nobody has asked yet."""
        known = self._desk.by_home()
        for home in self.hearing.missing():
            if home in known and home not in self._asked:
                self._ask(outcomes, known[home], with_blocks=self._wanted.everywhere)

    def _ask_further(self, outcomes: AskEach[Server, SlotRead]) -> bool:
        """Where too little is known, the next servers of the slot's order; whether there were any."""
        newest = max(self.hearing.versions.values(), key=_age, default=None)
        if newest is not None and (self.hearing.can_recover(newest) or self._is_certain()):
            return False
        rest = [server for server in self._desk.order(self._index) if server.permutation_seed not in self._asked]
        for server in rest[: 2 * self._desk.terms().total]:
            self._ask(outcomes, server, with_blocks=True)
        return bool(len(outcomes))

    def _ask(self, outcomes: AskEach[Server, SlotRead], server: Server, *, with_blocks: bool) -> None:
        home = server.permutation_seed
        self._asked[home] = None
        if self._desk.is_gone(server):
            self._reasons[server.label] = f"{server.label}: not connected"
            return
        self._due[home] = with_blocks
        wanted = self._wanted
        room = min(self._desk.terms().payload, FIRST_ROOM) if with_blocks else 0
        known = None if wanted.known is None else VersionName(*wanted.known)
        length = wanted.length if with_blocks else 0
        request = ReadSlot(self._index, wanted.offset, length, room, known, wanted.edges)
        outcomes.add(Errand(server, server.address, request))

    # --- hearing --------------------------------------------------------------------------------------------

    async def take(self, server: Server, outcome: SlotRead | Failure) -> None:
        """An answer, or none, from a server."""
        home = server.permutation_seed
        self._due.pop(home, None)
        if isinstance(outcome, (Refused, Unanswered)):
            self._silent[home] = None
            self._reasons[server.label] = f"{server.label}: {outcome}"
            return
        shares = await self._ctx.compute(prove_shares, self._index, outcome)
        self.hearing.learn(home, {share.number: share.version for share in shares})
        if not shares:
            self._reasons[server.label] = f"{server.label}: has no share"
        for share in shares:
            self._keep(server, share)

    def _keep(self, server: Server, share: ProvenShare) -> None:
        if share.flaw:
            self._accuse(server, share)
            return
        kept = self._versions.setdefault(share.version.identity, _Version())
        tree = kept.trees.setdefault(share.number, share.tree)
        tree.nodes.update(share.tree.nodes)
        for segment, block in share.blocks.items():
            kept.blocks.setdefault(segment, {})[share.number] = block

    def _accuse(self, server: Server, share: ProvenShare) -> None:
        """Remember that a share gives nothing, and tell its server."""
        self.hearing.unsound[server.permutation_seed, share.number] = share.flaw
        self._reasons[f"{server.label} {share.number}"] = f"{server.label}: share {share.number}: {share.flaw}"
        self._ctx.spawn(self._advise(server, share.number, share.flaw))

    async def _advise(self, server: Server, number: int, reason: str) -> None:
        try:
            advice = AdviseCorrupt(self._index, number, reason)
            await self._ctx.ask(server.address, advice, timeout=self._patience.question)
        except (Refused, Unanswered):
            return

    # --- contents -------------------------------------------------------------------------------------------

    def trees(self, version: SlotVersion) -> dict[int, SparseTree]:
        """What is proven of the block trees of a version's shares, by share number."""
        return self._of(version).trees

    def texts_at_hand(self, version: SlotVersion) -> dict[int, SaltedText]:
        """Segments of a version that have been decoded."""
        return self._of(version).texts

    def lend(self, version: SlotVersion, texts: Mapping[int, SaltedText]) -> None:
        """These segments of a version are known already."""
        self._of(version).texts |= texts

    async def texts(self, version: SlotVersion, segments: Iterable[int]) -> dict[int, SaltedText]:
        """Plaintext and salt of some segments of a version.

        Raises:
            NotEnoughShares: too few sound shares of it are in reach.
            Superseded: it was replaced while it was read.
            CorruptFile: whoever wrote it wrote nonsense.
        """
        segments = list(segments)
        kept = self._of(version)
        lacking = self.lacking(version, segments)
        if lacking and not await SlotFetch(self._desk, self, self._index, version).run(lacking):
            if any(newer > version.identity for newer in self.hearing.versions):
                raise Superseded("a newer version came while this one was read")
            raise self._not_enough(version)
        ready = [segment for segment in segments if segment not in kept.texts]
        pieces = [SegmentPieces(segment, kept.blocks.pop(segment)) for segment in ready]
        plaintexts = await self._ctx.compute(decode_segments, self._reader, version.shape, pieces)
        for piece, plaintext in zip(pieces, plaintexts, strict=True):
            salt = next(iter(piece.blocks.values())).salt
            kept.texts[piece.segment] = SaltedText(salt, plaintext)
        return {segment: kept.texts[segment] for segment in segments}

    async def contents(self, version: SlotVersion, known: Known | None = None) -> bytes:
        """The whole contents of a version; of what is known already only what has changed is fetched.

        Raises:
            NotEnoughShares, Superseded, CorruptFile: as ``texts``.
        """
        if known is not None and known.version == version:
            return known.contents
        same = 0 if known is None else self._unchanged(version, known)
        texts = await self.texts(version, range(same, version.shape.segment_count))
        before = b"" if known is None else known.contents[: same * version.shape.segment_size]
        return b"".join((before, *(text.plaintext for text in texts.values())))

    def _unchanged(self, version: SlotVersion, known: Known) -> int:
        """How many segments at the beginning are certainly those of a version that is known."""
        if version.shape.grown(0) != known.version.shape.grown(0):
            return 0
        trees = self._of(version).trees
        for number in trees:
            if number in known.trees:
                changed = differing_segments(known.trees[number], trees[number])
                return changed[0] if changed else version.shape.segment_count
        return 0

    def forget(self, version: SlotVersion, segments: Iterable[int]) -> None:
        """These have been given away."""
        for segment in segments:
            self._of(version).texts.pop(segment, None)

    def lacking(self, version: SlotVersion, segments: Iterable[int]) -> list[int]:
        """Those of the segments that can't be decoded yet."""
        kept, needed = self._of(version), version.shape.needed
        return [each for each in segments if each not in kept.texts and len(kept.blocks.get(each, ())) < needed]

    def sound_shares(self, version: SlotVersion) -> dict[bytes, list[int]]:
        """Which sound shares of a version each home has or, if it has not been heard, should have."""
        found: dict[bytes, list[int]] = {}
        for number, homes in self.hearing.holders(version.identity).items():
            for home in homes:
                found.setdefault(home, []).append(number)
        for number, home in enumerate(version.homes):
            if home not in self.hearing.heard and home not in self._silent:
                found.setdefault(home, []).append(number)
        return found

    def _of(self, version: SlotVersion) -> _Version:
        return self._versions.setdefault(version.identity, _Version())


def _age(version: SlotVersion) -> VersionId:
    return version.identity
