"""What a node is made of when it starts: its papers, and the crew that works in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tahoe.context import Actor, Context
from tahoe.net.card import GridCard
from tahoe.net.config import NodeConfig
from tahoe.net.directory import NodeDirectory
from tahoe.protocol import Role, Space
from tahoe.session.identity import Identity


@dataclass(frozen=True, slots=True)
class Papers:
    """What a node reads from its directory when it starts.

    Args:
        directory: its own.
        identity: who it is.
        card: of its grid.
        config: what its operator wants.
        epoch: number of this incarnation.
    """

    directory: NodeDirectory
    identity: Identity
    card: GridCard
    config: NodeConfig
    epoch: int


class Crew(NamedTuple):
    """Who works in a node.

    Args:
        actors: in the order in which they start.
        space: tells the room on the node's storage; may block. None where there is no storage.
        leave: called last of all, when no actor works any more; may block.
        refit: called with the largest packet, in bytes, when the broker turns out to refuse larger ones.
    """

    actors: tuple[Actor, ...]
    space: Callable[[], Space] | None = None
    leave: Callable[[], None] | None = None
    refit: Callable[[int], None] | None = None


class Quarters(Protocol):
    """What a recipe has to build actors from."""

    papers: Papers

    def context(self, role: Role) -> Context:
        """A context for the actor of one role."""


Recipe = Callable[[Quarters], Crew]
"""Makes a node's actors. May block: it opens stores."""
