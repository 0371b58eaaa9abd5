"""What a client knows of a storage server, and the order in which a file's servers are asked.

Every file has its own order: a server's place is a hash of the file's storage index and the server's permutation
seed. Everybody computes the same one, so a downloader asks first where an uploader put the shares, and shares of
many files spread evenly over all servers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from operator import itemgetter

from tahoe.protocol import STORAGE, Address, NodeId


@dataclass(frozen=True, slots=True)
class Server:
    """One storage server as its announcement describes it.

    Args:
        node: who it is.
        nickname: for people.
        permutation_seed: its place in every file's order derives from this (a node's public key).
        lease_seed: 20 bytes; lease secrets are made for it.
        location: ``site/rack/host``, its failure domain; may be empty.
    """

    node: NodeId
    nickname: str
    permutation_seed: bytes
    lease_seed: bytes
    location: str = ""

    @property
    def address(self) -> Address:
        """Where its storage actor listens."""
        return Address(self.node, STORAGE)


def permuted(servers: Sequence[Server], storage_index: bytes, most: int | None = None) -> list[Server]:
    """The servers in this file's order, best first.

    Args:
        servers: in any order.
        storage_index: of the file, 16 bytes.
        most: return only so many from the front.
    """
    ranked = sorted(
        [(sha1(storage_index + server.permutation_seed).digest(), server) for server in servers],  # noqa: S324  # fixed by the format; not for security
        key=itemgetter(0),
    )
    return [server for _, server in (ranked if most is None else ranked[:most])]
