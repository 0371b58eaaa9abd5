"""What all downloads of a node share, and how they go about it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tahoe.policy.budget import Budget
from tahoe.policy.retrieval import ResponseTimes
from tahoe.protocol import DEFAULT_MESSAGE_BYTES, ROOM_FOR_FACTS


@dataclass(frozen=True, slots=True)
class Habits:
    """How downloads go about it.

    Args:
        message: largest packet that the network takes, in bytes.
        window: most bytes of one download under way or waiting for its reader.
        questions: most questions under way for one stretch, hedges included (but always as many as are needed).
        patience: seconds after which a server that has not answered counts as silent.
        last_chance: the same for a server that is said to be gone, which may be wrong.
        slowest_rate: bytes per second of the slowest line that is waited for: what is large may take longer.
    """

    message: int = DEFAULT_MESSAGE_BYTES
    window: int = 16 * 2**20
    questions: int = 10
    patience: float = 30.0
    last_chance: float = 2.0
    slowest_rate: float = 10_000.0

    def patience_for(self, size: int) -> float:
        """How long to wait where so many bytes are under way."""
        return self.patience + size / self.slowest_rate

    @property
    def room(self) -> int:
        """Bytes of blocks that fit a message beside their proofs."""
        return max(1024, self.message - 4 * ROOM_FOR_FACTS)


@dataclass(frozen=True, slots=True)
class ReadingRoom:
    """What all downloads of a node share: memory, and what is known of servers."""

    budget: Budget = field(default_factory=Budget)
    times: ResponseTimes = field(default_factory=ResponseTimes)
    habits: Habits = field(default_factory=Habits)
