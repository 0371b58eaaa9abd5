"""Who is online, by what nodes leave with the broker.

At its birth a node publishes a retained message that says "online", signed and with its boot number; its
will, which the broker publishes when the connection dies, says "offline" for the same boot number. The
broker can withhold both and lie by silence, as it could by dropping packets; it can't make a dead node
look alive to whoever has seen a later boot number.

Signatures are checked when somebody asks about a node, not when a message comes: a stranger who floods
the topic costs us memory up to a bound, and no arithmetic.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tahoe.errors import BadMessage
from tahoe.protocol import NodeId
from tahoe.session.statement import open_presence

MOST_NODES: Final = 10_000
LONGEST_PRESENCE: Final = 512


class Presence(NamedTuple):
    """What a node said of itself; greater is newer, and "offline" comes after "online" of one boot."""

    epoch: int
    online: bool


class Presences:
    """The newest presence of every node that the broker told of."""

    def __init__(self) -> None:
        self._unchecked: dict[NodeId, bytes] = {}
        self._known: dict[NodeId, Presence] = {}

    def hear(self, node: NodeId, signed: bytes) -> None:
        """Take what the broker delivered under a node's topic."""
        if len(signed) > LONGEST_PRESENCE or (node not in self._unchecked and len(self._unchecked) >= MOST_NODES):
            return
        self._unchecked[node] = signed

    def of(self, node: NodeId) -> bool | None:
        """Whether the node is online; None when nothing authentic was heard."""
        self._check(node)
        known = self._known.get(node)
        return None if known is None else known.online

    def epoch(self, node: NodeId) -> int:
        """The latest boot number heard of a node; 0 for none."""
        self._check(node)
        known = self._known.get(node)
        return 0 if known is None else known.epoch

    def _check(self, node: NodeId) -> None:
        signed = self._unchecked.pop(node, None)
        if signed is None:
            return
        try:
            said = Presence(*open_presence(node, signed))
        except BadMessage:
            return
        known = self._known.get(node)
        if known is None or said.epoch >= known.epoch:
            self._known[node] = said

    def forget_all(self) -> None:
        """The broker is gone: nothing is known of anybody now, only boot numbers are remembered."""
        self._unchecked.clear()
        self._known.clear()
