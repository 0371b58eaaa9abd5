"""What a client knows of a storage server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tahoe.policy.order import permuted
from tahoe.protocol import STORAGE, Address, NodeId

__all__ = ["STANDING", "Server", "permuted"]

STANDING: Final = {True: 0, None: 1, False: 2}
"""Where servers stand in an order, by what the network tells of them: there, nobody knows, gone."""


@dataclass(frozen=True, slots=True)
class Server:
    """One storage server as its announcement describes it.

    Args:
        node: who it is.
        nickname: for people.
        permutation_seed: its place in every file's order derives from this (a node's public key).
        lease_seed: 20 bytes; lease secrets are made for it.
        location: ``site/rack/host``, its failure domain; may be empty.
        leaving: it announces that it is going to leave: what it has is read, and nothing is put there.
    """

    node: NodeId
    nickname: str
    permutation_seed: bytes
    lease_seed: bytes
    location: str = ""
    leaving: bool = False

    @property
    def address(self) -> Address:
        """Where its storage actor listens."""
        return Address(self.node, STORAGE)

    @property
    def label(self) -> str:
        """A name for messages to people: the nickname and enough of the identity to tell namesakes apart."""
        return f"{self.nickname}@{self.node[3:11]}" if self.nickname else self.node[3:11]
