"""On what terms a file is uploaded: encoding, key, leases, and how much patience and memory it may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tahoe.codec.parameters import DEFAULT_MAX_SEGMENT_SIZE
from tahoe.policy.placement import SPREAD, PlacementPolicy
from tahoe.protocol import DEFAULT_MESSAGE_BYTES, ROOM_FOR_FACTS, Encoding


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an upload waits, in seconds.

    Args:
        question: for an answer to the question what a server has.
        straggler: for further answers when those that came suffice to be happy.
        offer: for an offer of room or of small shares to be taken, and for closing.
        silence: for a server that owes answers to writes, before it counts as gone; a slow line gives it more.
    """

    question: float = 15.0
    straggler: float = 1.0
    offer: float = 30.0
    silence: float = 20.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an upload holds and sends at a time, in bytes.

    Args:
        segment: largest segment.
        message: largest packet that the network takes.
        window: of blocks sent and not yet answered, over all servers.
        small: a file whose shares are no more than this in all, and fit a message each, is encoded in memory and sent
            in one round.
    """

    segment: int = DEFAULT_MAX_SEGMENT_SIZE
    message: int = DEFAULT_MESSAGE_BYTES
    window: int = 16 * 2**20
    small: int = 8 * 2**20

    @property
    def payload(self) -> int:
        """Bytes of a share that fit a message."""
        return max(1024, self.message - ROOM_FOR_FACTS)


def ignore_progress(done: int, total: int) -> None:
    """Nobody watches the progress."""


@dataclass(frozen=True, slots=True)
class UploadOrder:
    """What an upload is to be like.

    Args:
        encoding: k, happy and N.
        convergence: the convergence secret: equal files become equal shares, for which the source is read twice.
            None: a random key, and the source is read once.
        lease_master: the client's lease master secret.
        limits: memory and messages.
        patience: time.
        policy: where shares go.
        progress: called with bytes of the file done and bytes in all.
    """

    encoding: Encoding
    convergence: bytes | None = field(repr=False)
    lease_master: bytes = field(repr=False)
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)
    policy: PlacementPolicy = SPREAD
    progress: Callable[[int, int], None] = ignore_progress
