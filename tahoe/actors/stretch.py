"""A stretch: the part of a file that a download fetches at one go, and the questions asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from tahoe.actors.coding import ShareStretch
from tahoe.policy.retrieval import Pick
from tahoe.protocol import BlockRead


@dataclass(slots=True, eq=False)
class Stretch:
    """A part of the file that is fetched at one go, and what has come of it.

    ``segments`` is empty until the UEB is known; ``hands`` tells for each share that came whom it is from, ``blocks``
    has what it came with.
    """

    first: int
    length: int
    weight: int
    segments: range = range(0)
    hands: dict[int, Pick] = field(default_factory=dict)
    blocks: dict[int, Sequence[BlockRead]] = field(default_factory=dict)
    asked: dict[Question, None] = field(default_factory=dict)
    begun: float = 0.0
    extra: int = 0
    plaintext: bytes | None = None

    def matching(self, blocks: Sequence[BlockRead]) -> Sequence[BlockRead]:
        """The blocks of a share for the segments of this stretch; none if some are missing."""
        first = blocks[: len(self.segments)]
        return first if [block.segment for block in first] == list(self.segments) else ()

    def lay_out(self, segment_size: int, blocks: Sequence[BlockRead]) -> None:
        """Say which segments an opening stretch is, given the blocks that a share came with.

        How many the first question brings is up to the servers. The stretch becomes as short as the shortest answer, so
        that nobody who gives more than the others can make these look bad.
        """
        asked = range(self.first // segment_size, -(-(self.first + self.length) // segment_size))
        count = 0
        while count < min(len(asked), len(blocks)) and blocks[count].segment == asked[count]:
            count += 1
        if count and (not self.segments or count < len(self.segments)):
            self.segments = asked[:count]

    def hold(self, pick: Pick, number: int, blocks: Sequence[BlockRead]) -> None:
        """Keep what a share came with until all can be proven together."""
        self.hands[number] = pick
        self.blocks[number] = blocks

    def drop(self, number: int) -> Pick:
        """Let go of a share; returns whom it was from."""
        del self.blocks[number]
        return self.hands.pop(number)

    def shares(self, needed: int) -> list[ShareStretch]:
        """As many shares as are needed, lowest numbers first, in the form that decoding takes."""
        count = len(self.segments)
        return [
            ShareStretch(
                number,
                [block.data for block in self.blocks[number][:count]],
                [block.block_path for block in self.blocks[number][:count]],
                [block.ciphertext_path for block in self.blocks[number][:count]],
            )
            for number in sorted(self.blocks)[:needed]
        ]


@dataclass(slots=True)
class Torn:
    """A block too long for a message, of which some pieces are still to come."""

    number: int
    block: BlockRead
    pieces: list[bytes | None]


@dataclass(slots=True, eq=False)
class Question:
    """Something asked of a server: a stretch of a share, or one piece of a torn block."""

    stretch: Stretch
    pick: Pick
    torn: Torn | None = None
    piece: int = 0
    since: float = 0.0
    due: float = inf
    ahead: int = 0
