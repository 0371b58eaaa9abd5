"""The host: what a runtime does for its endpoint."""

from __future__ import annotations

from typing import Any, Protocol

from tahoe.protocol import Message, NodeId, Role
from tahoe.session.envelope import Packet


class Host(Protocol):
    """What an endpoint wants of the world. None of these may call the endpoint back, except from ``deliver``.

    A host may have a method ``unsent(node) -> int``, too: bytes for a node that ``transmit`` took and that
    still wait in this process. While there are any, nothing is repeated to that node.
    """

    def transmit(self, to: NodeId, channel: str, packet: Packet, size: int) -> None:
        """Send a packet of ``size`` bytes through channel ``in`` or ``bulk``, best effort."""

    def wake_at(self, when: float) -> None:
        """Call ``poll`` at this monotonic time, or at once if it is over. An earlier wish replaces a later one."""

    def exchange_key(self, node: NodeId) -> bytes | None:
        """X25519 key of a node, None if not known."""

    def introduced(self, announcement: bytes) -> None:
        """A node that knows the join secret has shown this signed announcement of its own."""

    def deliver(self, sender: NodeId, role: Role, message: Message, reply: Any) -> None:
        """Hand a message to the actor of this role; ``reply`` is an ``answers.Reply``, or None for a tell."""
