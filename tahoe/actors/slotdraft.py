"""What the next version of a slot builds on, and how it is made from that.

A draft comes from a holding (``slotmemory.py``), which costs no message, or fresh from an inquiry::

    base version ─┬─ heads: what else may still win and must be merged
                  ├─ plaintext of the segments that are changed in part
                  ├─ block trees of all N shares, beside what is changed
                  └─ what every position carries

A fresh draft can get all of it: where the tree of some share is not to be had because its home is silent, the whole
contents are read, which give every tree. A held one fetches segments of which something stays, from as few homes as
give them: that the version still counts need not be asked, since whoever writes names what he replaces. If a held one
lacks something else, or its version is gone, it is ``Stale``, and a fresh one is made.

What a position is sent names the version that it carried when the heads were chosen, even if a newer one is seen while the
contents are fetched: that one is not merged, and must not be replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from tahoe.actors.slotcoding import CodedVersion, SaltedText, VersionOrder, edge_of, encode_version
from tahoe.actors.slotmemory import SMALL_CONTENTS, SMALL_TREE, Hearing, Holding
from tahoe.actors.slotreading import Inquiry, Known, Wanted
from tahoe.actors.slotterms import SlotDesk
from tahoe.codec.merkle import BadHash
from tahoe.codec.slot import SALT_SIZE, SlotShape, SlotVersion, SlotWriter, SparseTree
from tahoe.context import Queue, TimedOut
from tahoe.errors import Indefinite, TahoeError


class Stale(TahoeError):
    """What is in hand does not suffice. Look at the servers."""


class Revision(NamedTuple):
    """New contents in terms of the old: ``data`` stands at ``offset``, and there are ``length`` bytes in all.

    What lies between the old end and ``offset`` becomes zeros. ``homes`` are those of the next version; None: the old ones.
    """

    offset: int
    data: bytes
    length: int
    homes: tuple[bytes, ...] | None = None

    @classmethod
    def whole(cls, contents: bytes) -> Revision:
        """Nothing is kept."""
        return cls(0, contents, len(contents))

    @classmethod
    def nothing(cls, shape: SlotShape) -> Revision:
        """All is kept."""
        return cls(shape.length, b"", shape.length)

    @property
    def end(self) -> int:
        """Offset behind the data."""
        return self.offset + len(self.data)

    def is_whole(self) -> bool:
        """Whether nothing of the old contents is kept."""
        return len(self.data) == self.length

    def applied(self, old: bytes) -> bytes:
        """The new contents."""
        return (old[: self.offset].ljust(self.offset, b"\0") + self.data + old[self.end :])[: self.length]

    def touched(self, old: SlotShape) -> list[int]:
        """The segments of the new contents whose plaintext is not that of the old ones."""
        new = old.grown(self.length)
        if self.is_whole():
            return list(range(new.segment_count))
        begin = min(self.offset, old.length)
        end = max(self.end, self.length if self.length > old.length else 0)
        touched = dict.fromkeys(new.segments(begin, end - begin))
        last = new.segment_count - 1
        if last >= 0 and (last >= old.segment_count or new.segment_length(last) != old.segment_length(last)):
            touched[last] = None
        return sorted(touched)

    def needs_old(self, old: SlotShape, segment: int) -> bool:
        """Whether something of an old segment stays in a touched one."""
        if segment >= old.segment_count:
            return False
        begin = segment * old.segment_size
        end = min(begin + old.segment_length(segment), self.length)
        return begin < self.offset or self.end < end

    def text(self, old: SlotShape, segment: int, before: bytes) -> bytes:
        """The new plaintext of a touched segment, given the old one (empty where nothing of it stays)."""
        begin = segment * old.segment_size
        size = min(old.segment_size, self.length - begin)
        text = bytearray(before[:size].ljust(size, b"\0"))
        first, last = max(self.offset, begin), min(self.end, begin + size)
        if first < last:
            text[first - begin : last - begin] = self.data[first - self.offset : last - self.offset]
        return bytes(text)


class Prepared(NamedTuple):
    """The next version, and the plaintext of the segments that were coded for it."""

    coded: CodedVersion
    texts: Mapping[int, SaltedText]


class Draft:
    """A version in hand to be built on.

    Args:
        desk: what all stories share.
        holding: what is known of it; of a fresh draft only ``version`` and ``hearing``.
        inquiry: that brings more; None: nothing does.

    Attributes:
        version: the base.
        heads: versions whose changes belong into the next one, the base first.
        hearing: what every position carries.
        doubt: what is to be said of a change that was in an attempt before and is not made now; None: it is certain.
    """

    def __init__(self, desk: SlotDesk, holding: Holding, inquiry: Inquiry | None) -> None:
        self._desk = desk
        self._holding = holding
        self._inquiry = inquiry
        self.version = holding.version
        self.hearing: Hearing = holding.hearing
        self.heads = (self.version,) if inquiry is None else tuple(self.hearing.heads(self.version))
        self.doubt: Indefinite | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether the servers have just been asked."""
        return self._inquiry is not None

    @property
    def looked(self) -> float:
        """When the servers were first asked for a fresh draft, in monotonic seconds; it may lack what was written since."""
        assert self._inquiry is not None, "a draft in hand is of no certain time"
        return self._inquiry.began

    def is_overtaken(self) -> bool:
        """Whether a version newer than the base has been heard of, of which this draft knows nothing."""
        return not self.is_fresh and self.hearing.highest_sequence() > self.version.sequence

    async def settle(self) -> None:
        """Give the last homes of the base a moment to take it, or they fall behind for no reason."""
        settling, self._holding.settling = self._holding.settling, None
        if settling is not None:
            with suppress(TimedOut):
                await settling.get(self._desk.terms().patience.hedge)

    async def contents(self, head: SlotVersion | None = None, known: Known | None = None) -> bytes:
        """The whole contents of the base, or of another head.

        Args:
            head: one of ``heads``; None: the base.
            known: contents that need not be fetched.

        Raises:
            Stale: nothing in hand has them.
            NotEnoughShares: nor have the servers.
        """
        head = self.version if head is None else head
        if head == self.version and self._holding.contents is not None:
            return self._holding.contents
        if known is not None and head == known.version:
            return known.contents
        if self._inquiry is None:
            raise Stale("the contents are not in hand")
        return await self._inquiry.contents(head, known)

    def tree(self, version: SlotVersion, number: int) -> SparseTree | None:
        """What is known of the block tree of a share of any version."""
        asked = None if self._inquiry is None else self._inquiry.trees(version).get(number)
        if version != self.version or not self._holding.trees:
            return asked
        held = self._holding.trees[number]
        if asked is None or asked.nodes.keys() <= held.nodes.keys():
            return held
        return SparseTree(held.leaf_count, {**held.nodes, **asked.nodes})

    def texts_at_hand(self) -> Mapping[int, SaltedText]:
        """Segments of the base with their salts."""
        return {} if self._inquiry is None else self._inquiry.texts_at_hand(self.version)

    async def load(self) -> None:
        """Bring all segments of the base with their salts.

        Raises:
            Stale: nothing in hand has them.
        """
        if self._inquiry is None:
            raise Stale("the contents are not in hand")
        await self._inquiry.texts(self.version, range(self.version.shape.segment_count))

    # --- the next version -----------------------------------------------------------------------------------

    async def code(self, writer: SlotWriter, revision: Revision) -> Prepared:
        """Make the next version.

        Raises:
            Stale: what is in hand does not suffice.
            NotEnoughShares: what is on the servers does not.
        """
        shape = self.version.shape
        touched = revision.touched(shape)
        old = await self._old_texts(writer, touched, [each for each in touched if revision.needs_old(shape, each)])
        texts = {each: self._salted(revision.text(shape, each, old.get(each, b""))) for each in touched}
        homes = self.version.homes if revision.homes is None else revision.homes
        order = VersionOrder(self.hearing.highest_sequence() + 1, shape.grown(revision.length), homes)
        compute = self._desk.ctx.compute
        if revision.is_whole():
            return Prepared(await compute(encode_version, writer, order, texts, ()), texts)
        trees = [self.tree(self.version, number) for number in range(shape.total)]
        known = [tree for tree in trees if tree is not None]
        if len(known) == shape.total:
            try:
                return Prepared(await compute(encode_version, writer, order, texts, known), texts)
            except BadHash:
                pass  # what lies beside the change is not known; below, all of it is
        await self.load()
        kept = {each: text for each, text in self.texts_at_hand().items() if each < order.shape.segment_count}
        texts = kept | texts
        return Prepared(await compute(encode_version, writer, order, texts, ()), texts)

    async def _old_texts(self, writer: SlotWriter, touched: Sequence[int], segments: list[int]) -> dict[int, bytes]:
        """The plaintext of segments of which something stays."""
        size, last = self.version.shape.segment_size, self.version.shape.segment_count - 1
        holding = self._holding
        if holding.contents is not None:
            return {each: holding.contents[each * size : (each + 1) * size] for each in segments}
        if holding.tail and segments == [last]:
            return {last: holding.tail}
        if not segments:
            return {}
        inquiry = self._inquiry or self._informed(writer, touched)
        try:
            texts = await inquiry.texts(self.version, segments)
        except TahoeError as error:
            if self.is_fresh:
                raise
            raise Stale("a segment is no longer where it was") from error
        return {each: text.plaintext for each, text in texts.items()}

    def _informed(self, writer: SlotWriter, touched: Sequence[int]) -> Inquiry:
        """What brings segments of a version in hand from its homes, which are not asked what they carry.

        Should they have moved on, they say so, and would refuse what is made of it in any case.
        """
        kept = [each for each in touched if each < self.version.shape.segment_count]
        trees = self._holding.trees
        if not trees or not all(tree.knows_beside(each) for tree in trees for each in kept):
            raise Stale("what lies beside the change is not in hand")
        inquiry = Inquiry(self._desk, writer.reader, Wanted(length=0))
        inquiry.hearing = self.hearing.snapshot()
        return inquiry

    def _salted(self, plaintext: bytes) -> SaltedText:
        return SaltedText(self._desk.ctx.rng.randbytes(SALT_SIZE), plaintext)

    def successor(self, prepared: Prepared, revision: Revision, settling: Queue[None]) -> Holding:
        """What is in hand once the next version has won."""
        version, texts = prepared.coded.version, prepared.texts
        shape = version.shape
        last = shape.segment_count - 1
        tail = texts[last].plaintext if last in texts else self._holding.tail
        trees = prepared.coded.trees
        if shape.segment_count > SMALL_TREE:
            trees = tuple(edge_of(tree) for tree in trees)
        contents = self._contents_after(shape, texts, revision) if shape.length <= SMALL_CONTENTS else None
        mend_at = self._desk.ctx.now() + self._desk.terms().patience.mending
        return Holding(version, self.hearing, trees, tail, contents, mend_at, settling)

    def _contents_after(self, shape: SlotShape, texts: Mapping[int, SaltedText], revision: Revision) -> bytes | None:
        if self._holding.contents is not None:
            return revision.applied(self._holding.contents)
        known = {**self.texts_at_hand(), **texts}
        if any(segment not in known for segment in range(shape.segment_count)):
            return None
        return b"".join(known[segment].plaintext for segment in range(shape.segment_count))
