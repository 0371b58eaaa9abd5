"""What endpoints and pages of the gateway are given, in one hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from tahoe.actors.caretaker import Caretaker
from tahoe.actors.client import Client
from tahoe.web.guard import Guard
from tahoe.web.jobs import JobBoard
from tahoe.web.transfers import Transfers

Status: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
"""Gives what the node knows of itself and the grid: brokers, introducers, servers, space. JSON-able."""


class Bookkeeper(Protocol):
    """Tells who keeps how much where (``usage.py``)."""

    async def mine(self) -> Sequence[Mapping[str, Any]] | None:
        """What the node's account keeps on each server."""

    async def here(self) -> Mapping[str, Any] | None:
        """What everybody keeps on this node; None for a node that is no server."""


class NobodyKeeps:
    """The books of a node that neither keeps anything for others nor has anything kept."""

    async def mine(self) -> None:
        """See ``Bookkeeper``."""

    async def here(self) -> None:
        """See ``Bookkeeper``."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How uploads are kept.

    Args:
        convergence: the node's convergence secret.
        spool: the directory where large ones wait until their key is known.
    """

    convergence: bytes = field(repr=False)
    spool: Path


@dataclass(frozen=True, slots=True)
class Services:
    """All that endpoints work with.

    Args:
        client: the actor: files, slots, directories, roots.
        keeping: how uploads are kept.
        guard: who may do what.
        status: gives the node's state.
        jobs: long work.
        transfers: files on their way.
        caretaker: looks after what is stored; None: the node has none.
        books: tell who keeps how much where.
    """

    client: Client
    keeping: Keeping
    guard: Guard
    status: Status
    jobs: JobBoard
    transfers: Transfers = field(default_factory=Transfers)
    caretaker: Caretaker | None = None
    books: Bookkeeper = field(default_factory=NobodyKeeps)
