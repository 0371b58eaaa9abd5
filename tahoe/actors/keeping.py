"""What all stories of keeping files share: checking, verifying, repairing, and the caretaker that does it unasked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tahoe.actors.readingroom import ReadingRoom
from tahoe.actors.servers import Server
from tahoe.actors.terms import Limits
from tahoe.context import Context
from tahoe.protocol import NodeId


@dataclass(frozen=True, slots=True)
class KeepingTerms:
    """How a node goes about keeping files.

    Args:
        lease_master: the node's lease master secret: shares that it makes anew bear its lease.
        limits: memory and messages.
        room: what all its downloads share.
        question: seconds in which a server must say what it has.
        straggler: seconds to wait for the last ones once all the others have answered.
    """

    lease_master: bytes = field(repr=False)
    limits: Limits = field(default_factory=Limits)
    room: ReadingRoom = field(default_factory=ReadingRoom)
    question: float = 15.0
    straggler: float = 5.0


@dataclass(frozen=True, slots=True)
class KeepingDesk:
    """What the stories work with.

    Args:
        ctx: of the actor whose stories they are.
        servers: gives all that are known.
        terms: gives the terms as they are now.
    """

    ctx: Context
    servers: Callable[[], Sequence[Server]]
    terms: Callable[[], KeepingTerms]

    def sites(self) -> dict[NodeId, Server]:
        """All servers known, by node."""
        return {server.node: server for server in self.servers()}

    def in_reach(self, servers: Iterable[Server]) -> list[Server]:
        """Those of the servers that are not known to be gone."""
        return [server for server in servers if self.ctx.presence(server.node) is not False]
