"""On what terms slots are kept, and what all stories of a client's slots share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tahoe.actors.servers import STANDING, Server
from tahoe.actors.slotmemory import SlotMemory
from tahoe.context import Context
from tahoe.errors import RolledBack
from tahoe.policy.order import permuted
from tahoe.protocol import DEFAULT_MESSAGE_BYTES, ROOM_FOR_FACTS

FILE_SEGMENT: int = 32 * 1024
"""Default segment of mutable files. Smaller ones make small changes cheap, larger ones large reads."""


def tearproof(needed: int, total: int) -> int:
    """The k for slots of so many shares, where files have this k: as large, but with shares for three versions.

    Two writers who race, and both lose sight of the other homes then, leave three versions behind, each in some of the
    shares. As long as N is at least 3k - 2, one of the three is whole.
    """
    return min(needed, (total + 2) // 3)


@dataclass(frozen=True, slots=True)
class SlotPatience:
    """How long stories of slots wait, in seconds.

    Args:
        question: for a server to say what it has.
        write: for a server to take a version.
        straggler: for servers that may still decide about a write that others have refused.
        hedge: at least so long, for a slow server, before another one is asked as well.
        backoff: the first pause of a writer who lost against another; it doubles with every further one.
        longest_backoff: and grows no longer than this.
        tries: how often a writer tries.
        mending: how long a writer goes on without looking after positions that have fallen behind.
        slowest_rate: bytes per second of the slowest line that is waited for: what is large may take longer.
    """

    question: float = 10.0
    write: float = 20.0
    straggler: float = 1.0
    hedge: float = 0.05
    backoff: float = 0.05
    longest_backoff: float = 2.0
    tries: int = 12
    mending: float = 60.0
    slowest_rate: float = 10_000.0

    def question_about(self, size: int) -> float:
        """How long to wait for an answer while so many bytes are asked for."""
        return self.question + size / self.slowest_rate

    def write_of(self, size: int) -> float:
        """How long to wait for a server to take a version while so many bytes are sent."""
        return self.write + size / self.slowest_rate


@dataclass(frozen=True, slots=True)
class SlotTerms:
    """What new slots are like, and how a client goes about them.

    Args:
        needed: k of new slots.
        total: N of new slots.
        segment_size: bytes of a segment of a new slot, rounded down to a multiple of k.
        message: largest packet that the network takes.
        patience: time.
    """

    needed: int = 3
    total: int = 10
    segment_size: int = FILE_SEGMENT
    message: int = DEFAULT_MESSAGE_BYTES
    patience: SlotPatience = field(default_factory=SlotPatience)

    def segment_of(self, needed: int) -> int:
        """The segment size for this k."""
        return max(needed, self.segment_size // needed * needed)

    @property
    def payload(self) -> int:
        """Bytes of blocks and their proofs that fit a message."""
        return max(1024, self.message - 3 * ROOM_FOR_FACTS)


@dataclass(frozen=True, slots=True)
class SlotDesk:
    """What all stories about a client's slots share.

    Args:
        ctx: of the client.
        servers: gives all that are known.
        lease_master: the client's lease master secret.
        terms: gives the terms as they are now.
        memory: what is remembered of slots.
    """

    ctx: Context
    servers: Callable[[], Sequence[Server]]
    lease_master: bytes = field(repr=False)
    terms: Callable[[], SlotTerms]
    memory: SlotMemory

    def by_home(self) -> dict[bytes, Server]:
        """All servers known, by public key."""
        return {server.permutation_seed: server for server in self.servers()}

    def order(self, storage_index: bytes) -> list[Server]:
        """The servers in this slot's order: those that are there, those of whom nobody knows, those said to be gone."""
        ranked = permuted(self.servers(), storage_index)
        return sorted(ranked, key=lambda server: STANDING[self.ctx.presence(server.node)])

    def is_gone(self, server: Server) -> bool:
        """Whether the network says that the server is not connected."""
        return self.ctx.presence(server.node) is False

    def rolled_back(self, seen: int, found: int, homes: Sequence[bytes]) -> RolledBack:
        """The error that names these homes."""
        known = self.by_home()
        return RolledBack(seen, found, tuple(known[home].label for home in homes if home in known))
