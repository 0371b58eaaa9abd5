"""Where a computation runs: at once for little pure work, in a thread for the rest.

A hop to a thread and back costs 40 microseconds, as much as hashing 70 kB, and a thread only helps while
the work lets go of the interpreter (hashes beyond 2 KiB, erasure coding, disks). So pure functions with
little to work on run where they are called. Which are pure is a matter of where they live: the codec, and
the module that bundles its calls. Everything else may touch a disk and never runs in the event loop.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from tahoe.net.hands import Hands

T = TypeVar("T")

PURE: Final = ("tahoe.codec.", "tahoe.policy.", "tahoe.actors.coding", "tahoe.actors.slotcoding")
"""Modules (by the beginning of their names) whose functions compute and do nothing else."""

LITTLE: Final = 24 * 1024
"""Bytes that pure work may have among its arguments to run at once: about 60 microseconds of it."""

DISK_THREADS: Final = 4
"""Threads beyond one a core: disks work on several things at once, and waiting costs no core."""


class Workshop:
    """The threads of one node."""

    def __init__(self) -> None:
        self.hands = Hands((os.cpu_count() or 1) + DISK_THREADS, "tahoe-work")

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """The function's result or error."""
        if is_little(function, args):
            return function(*args)
        return await self.hands.run(function, *args)

    def close(self) -> None:
        """Wait for what runs, take nothing more."""
        self.hands.close()


def is_little(function: Callable[..., Any], args: Iterable[Any]) -> bool:
    """Whether a call is pure and short."""
    module = getattr(function, "__module__", None) or ""
    return module.startswith(PURE) and bulk(args) <= LITTLE


def bulk(argument: object) -> int:
    """Bytes in an argument: its own, those of its ``data``, or the sum over whatever holds such: sequence, table, answer."""
    if isinstance(argument, (bytes, bytearray, memoryview)):
        return len(argument)
    if isinstance(argument, (tuple, list)):
        return sum(map(bulk, argument))
    if isinstance(argument, dict):
        return sum(map(bulk, argument.values()))
    data = getattr(argument, "data", None)
    if isinstance(data, bytes):
        return len(data)
    return sum(map(bulk, getattr(argument, "blocks", ()) or getattr(argument, "shares", ())))
