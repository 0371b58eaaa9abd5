"""What endpoints and pages of the gateway are given, in one hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from tahoe.actors.caretaker import Caretaker
from tahoe.actors.client import Client
from tahoe.web.guard import Guard
from tahoe.web.jobs import JobBoard
from tahoe.web.transfers import Transfers

Status: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
"""Gives what the node knows of itself and the grid: brokers, introducers, servers, space. JSON-able."""


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
    """

    client: Client
    keeping: Keeping
    guard: Guard
    status: Status
    jobs: JobBoard
    transfers: Transfers = field(default_factory=Transfers)
    caretaker: Caretaker | None = None
