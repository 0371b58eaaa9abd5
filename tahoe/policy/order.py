"""The order in which the servers are asked about one file.

Every file has its own order: a server's place is a hash of the file's storage index and the server's permutation
seed. Everybody computes the same one, so a downloader asks first where an uploader put the shares, and the shares of
many files spread evenly over all servers.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from heapq import nsmallest
from typing import Protocol, TypeVar

from tahoe.protocol import NodeId


class Site(Protocol):
    """What a policy looks at in a server."""

    @property
    def node(self) -> NodeId:
        """Who it is."""

    @property
    def nickname(self) -> str:
        """What people call it."""

    @property
    def permutation_seed(self) -> bytes:
        """What its place in every order derives from."""

    @property
    def location(self) -> str:
        """Its failure domain, ``site/rack/host``."""


S = TypeVar("S", bound=Site)


def permuted(servers: Sequence[S], storage_index: bytes, most: int | None = None) -> list[S]:
    """The servers in this file's order, best first.

    Args:
        servers: in any order.
        storage_index: of the file, 16 bytes.
        most: return only so many from the front.
    """
    begun = sha1(storage_index).copy  # noqa: S324  # fixed by the format, not for security; a copy is quicker than a new one
    places = []
    for server in servers:
        place = begun()
        place.update(server.permutation_seed)
        places.append(place.digest())
    numbers = range(len(places))
    if most is None:
        order = sorted(numbers, key=places.__getitem__)
    else:  # a few of a thousand: a heap is seven times as quick
        order = nsmallest(most, numbers, key=places.__getitem__)
    return [servers[number] for number in order]
