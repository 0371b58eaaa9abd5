"""Leases from the client's side: the secrets of one file's, renewing many at once, and asking what one keeps where.

A client renews for everything that it still reaches, many storage indexes a message: on each server it asks for all of
them, since a server that has none of a file says so at no cost, and one that has may have put it into the trash, from
where the renewal brings it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tahoe.actors.servers import Server
from tahoe.codec.keys import (
    bucket_cancel_secret,
    bucket_renewal_secret,
    client_cancel_secret,
    client_renewal_secret,
    file_cancel_secret,
    file_renewal_secret,
)
from tahoe.context import AskEach, Context, Errand, Failure
from tahoe.errors import Refused, Unanswered
from tahoe.protocol import AddLeases, CancelLeases, Lease, LeaseWanted, NodeId, UsageOf, UsageTold

MOST_LEASES: Final = 256
"""Storage indexes in one message; a server makes each lease durable before it answers."""

PATIENCE: Final = 60.0
"""Seconds for one message."""

QUESTION_PATIENCE: Final = 8.0
"""Seconds to say how much is kept."""


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


@dataclass(slots=True)
class Renewed:
    """What came of renewing leases on one server.

    Args:
        found: storage indexes of which it has shares, which are leased now.
        refused: those of which it has shares, but will not lease them to an account over its quota.
        over_quota: by how many bytes.
        seconds: how long leases last there; 0 if it never answered.
        failures: of messages that came to nothing.
    """

    found: list[bytes] = field(default_factory=list)
    refused: list[bytes] = field(default_factory=list)
    over_quota: int = 0
    seconds: int = 0
    failures: list[Failure] = field(default_factory=list)


async def renew_leases(
    ctx: Context, server: Server, master: bytes, storage_indexes: Sequence[bytes], delegation: bytes = b""
) -> Renewed:
    """Add or renew leases on whatever one server has of these indexes.

    Args:
        ctx: of who asks.
        server: where.
        master: lease master secret of who asks.
        storage_indexes: of files and slots.
        delegation: to do so on behalf of another account.
    """
    renewed = Renewed()
    for wanted in _portions(server, master, storage_indexes):
        request = AddLeases(wanted, delegation, int(ctx.wall_time()))
        try:
            answer = await ctx.ask(server.address, request, timeout=PATIENCE)
        except (Refused, Unanswered) as failure:
            renewed.failures.append(failure)
            continue
        renewed.found += answer.storage_indexes
        renewed.refused += answer.refused
        renewed.over_quota += answer.over_quota
        renewed.seconds = answer.seconds
    return renewed


async def cancel_leases(ctx: Context, server: Server, master: bytes, storage_indexes: Sequence[bytes]) -> int:
    """Cancel the leases on one server that were made with this master secret; return how many.

    Raises:
        Refused: the server would not.
        Unanswered: it may have.
    """
    count = 0
    for wanted in _portions(server, master, storage_indexes):
        count += (await ctx.ask(server.address, CancelLeases(wanted), timeout=PATIENCE)).count
    return count


async def usage_by_server(
    ctx: Context, servers: Iterable[Server], delegation: bytes = b""
) -> dict[NodeId, UsageTold | Failure]:
    """What the account of who asks keeps on each server, or why that is not known."""
    errands = [Errand(server.node, server.address, UsageOf(delegation)) for server in servers]
    async with AskEach(ctx, errands, timeout=QUESTION_PATIENCE) as outcomes:
        return {node: outcome async for node, outcome in outcomes}


def _portions(server: Server, master: bytes, storage_indexes: Sequence[bytes]) -> Iterable[tuple[LeaseWanted, ...]]:
    """The leases to ask one server for, a message's worth at a time."""
    for start in range(0, len(storage_indexes), MOST_LEASES):
        part = storage_indexes[start : start + MOST_LEASES]
        yield tuple(LeaseWanted(each, FileLeases(master, each).on(server.lease_seed)) for each in part)
