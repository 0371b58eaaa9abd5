"""Plan: what both twins do, step by step, as data.

::

    store the files that will be read
    throughput    large files up and down; small ones, many at once
    for 0, 1, ... servers killed:    harm, wait, read every file once, store some        mend, wait
    for 1, 2, ... servers frozen:    the same

Nothing in it depends on a clock, so the two go through it in step however long an operation takes here or there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Protocol

from tahoe.protocol import Encoding

PATIENCE = 120.0
"""Seconds that nobody waits for anything but under faults, on the busiest machine."""

KILLED, FROZEN = "killed", "frozen"
GET, PUT = "get", "put"


@dataclass(frozen=True, slots=True)
class Scope:
    """How much there is to do.

    Args:
        servers: in the grid.
        needed: k of the small files.
        total: N of the small files.
        ill: how many servers are killed or frozen at the same time, one condition after the other.
        reads: small files that are read in each condition.
        writes: small files that are stored in each condition.
        kilobytes: of a small file.
        megabytes: sizes of large files.
        repeats: of each large transfer.
        at_once: how many small files are under way together, where throughput of small ones is measured.
        deadline: seconds after which a reader or writer of a small file gives up while servers are ill.
    """

    servers: int
    needed: int
    total: int
    ill: tuple[int, ...]
    reads: int
    writes: int
    kilobytes: int
    megabytes: tuple[float, ...]
    repeats: int
    at_once: int
    deadline: float


@dataclass(frozen=True, slots=True)
class Operation:
    """A file is stored, or one that was stored is read.

    Args:
        act: of the plan that it belongs to.
        kind: get or put.
        ill: servers killed or frozen.
        size: bytes of the file.
        name: of the file; its contents follow from it.
        at_once: operations of this act that are under way together.
        deadline: seconds after which whoever asks gives up.
    """

    act: str
    kind: str
    ill: int
    size: int
    name: str
    at_once: int = 1
    deadline: float = PATIENCE


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an operation: seconds until it ended, and whether it succeeded within the deadline."""

    operation: Operation
    seconds: float
    succeeded: bool


class Twin(Protocol):
    """A grid, alive or simulated, that a plan can be carried out with."""

    def perform(self, operation: Operation, encoding: Encoding) -> Outcome:
        """One operation."""

    def perform_at_once(self, operations: list[Operation], encoding: Encoding) -> list[Outcome]:
        """Several, so many at a time as they say."""

    def harm(self, kind: str, servers: list[str]) -> None:
        """Kill servers, or let them stand still."""

    def mend(self, kind: str, servers: list[str]) -> None:
        """Start them anew, or let them go on; returns when the client knows them to be there."""

    def wait(self, seconds: float) -> None:
        """Do nothing."""


SETTLE = 1.0
"""Seconds between a fault and the first operation under it: farewells have come by then."""

LARGE = Encoding(3, 3, 10)
THROUGHPUT, CROWD = "throughput", "crowd"


def contents(operation: Operation, seed: int) -> bytes:
    """Of its file."""
    return Random(f"{seed}/{operation.name}").randbytes(operation.size)


def order_of(scope: Scope, seed: int, kind: str) -> list[str]:
    """In which order servers fall ill."""
    names = [f"server-{number}" for number in range(scope.servers)]
    Random(f"{seed}/{kind}").shuffle(names)
    return names


def secret_of(seed: int) -> bytes:
    """The convergence secret of both clients, so that both put each file on the same servers."""
    return sha256(f"twin/{seed}".encode()).digest()


def carry_out(scope: Scope, seed: int, twin: Twin) -> Iterator[Outcome]:
    """Go through the plan."""
    small = Encoding(scope.needed, scope.needed, scope.total)
    large = Encoding(
        min(LARGE.needed, scope.servers), min(LARGE.needed, scope.servers), min(LARGE.total, scope.servers)
    )
    yield from _throughput(scope, twin, large)
    size = scope.kilobytes * 1000
    stored = [Operation("preparation", PUT, 0, size, f"file {number}") for number in range(scope.reads)]
    for operation in stored:
        yield twin.perform(operation, small)
    for kind in (KILLED, FROZEN):
        names = order_of(scope, seed, kind)
        for count in scope.ill:
            if count == 0 and kind == FROZEN:
                continue  # nobody ill is nobody ill
            twin.harm(kind, names[:count])
            twin.wait(SETTLE)
            for operation in stored:
                yield twin.perform(Operation(kind, GET, count, size, operation.name, 1, scope.deadline), small)
            for number in range(scope.writes):
                yield twin.perform(
                    Operation(kind, PUT, count, size, f"{kind} {count} {number}", 1, scope.deadline), small
                )
            twin.mend(kind, names[:count])
            twin.wait(SETTLE)


def _throughput(scope: Scope, twin: Twin, encoding: Encoding) -> Iterator[Outcome]:
    for number in range(scope.repeats):
        for megabytes in scope.megabytes:
            for kind in (PUT, GET):
                name = f"large {megabytes} {number}"
                yield twin.perform(Operation(THROUGHPUT, kind, 0, int(megabytes * 1e6), name), encoding)
    for kind in (PUT, GET):
        names = [f"crowd {number}" for number in range(4 * scope.at_once)]
        size = scope.kilobytes * 1000
        crowd = [Operation(CROWD, kind, 0, size, name, scope.at_once) for name in names]
        yield from twin.perform_at_once(crowd, encoding)
