"""Leases from the client's side: the secrets of one file's, and what one keeps where."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from tahoe.actors.servers import Server
from tahoe.codec.hashing import Tag, tagged_pair_hash
from tahoe.codec.keys import (
    bucket_cancel_secret,
    bucket_renewal_secret,
    client_cancel_secret,
    client_renewal_secret,
    file_cancel_secret,
    file_renewal_secret,
)
from tahoe.context import AskEach, Context, Errand, Failure
from tahoe.protocol import Lease, NodeId, UsageOf, UsageTold

QUESTION_PATIENCE: Final = 8.0
"""Seconds to say how much is kept."""


class Mandate(NamedTuple):
    """A delegation that this node was given.

    Args:
        account: on whose behalf.
        delegation: as it is shown to servers.
    """

    account: str
    delegation: bytes


def delegated_master(master: bytes, account: str) -> bytes:
    """The lease master secret for leases on behalf of another account.

    They are leases of their own beside this node's: what is charged to whom never changes with a renewal, and each can be
    cancelled by itself.
    """
    return tagged_pair_hash(Tag.DELEGATED_LEASES, master, account.encode())


class FileLeases:
    """Derives a lease per server; what all servers have in common is derived once.

    Args:
        master: the client's lease master secret.
        storage_index: of the file, 16 bytes.
    """

    __slots__ = ("_cancel", "_renew")

    def __init__(self, master: bytes, storage_index: bytes) -> None:
        self._renew = file_renewal_secret(client_renewal_secret(master), storage_index)
        self._cancel = file_cancel_secret(client_cancel_secret(master), storage_index)

    def on(self, lease_seed: bytes) -> Lease:
        """The lease on the server with this 20-byte seed."""
        return Lease(bucket_renewal_secret(self._renew, lease_seed), bucket_cancel_secret(self._cancel, lease_seed))


async def usage_by_server(
    ctx: Context, servers: Iterable[Server], delegation: bytes = b""
) -> dict[NodeId, UsageTold | Failure]:
    """What the account of who asks keeps on each server, or why that is not known."""
    errands = [Errand(server.node, server.address, UsageOf(delegation)) for server in servers]
    async with AskEach(ctx, errands, timeout=QUESTION_PATIENCE) as outcomes:
        return {node: outcome async for node, outcome in outcomes}
