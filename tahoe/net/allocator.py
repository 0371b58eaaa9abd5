"""Tells glibc's allocator to keep blocks of a message's size instead of giving them back at once, and where.

A node takes and frees some 350 kB with every packet. By default glibc returns such a block to the kernel
as soon as it is free at the top of the heap, and takes it anew for the next packet: hundreds of page
faults each time. Measured on a receiver of 350 kB packets: 2.4 ms of CPU per MB, and 0.4 with the two
thresholds below. What this costs is up to ``TRIM_BYTES`` of free memory that stays with the process.

By default glibc also gives each thread a store of memory of its own, and what one thread has freed no
other can have. A block is made in one thread, sent and freed in another, so all stores fill up: a client that
carries large files peaks at 98 MB, and at 75 MB with one store for all. Threads don't wait for each
other on account of that, since Python lets only one of them run at a time.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

TRIM_BYTES: Final = 16 * 1024 * 1024
"""Free memory at the top of the heap beyond this goes back to the kernel."""

MAP_BYTES: Final = 4 * 1024 * 1024
"""Blocks from this size on are mapped and unmapped one by one."""

CHILD_ENVIRONMENT: Final = {"MALLOC_TRIM_THRESHOLD_": str(TRIM_BYTES), "MALLOC_MMAP_THRESHOLD_": str(MAP_BYTES)}
"""The same thresholds for a program that we start."""

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8


def keep_message_blocks() -> bool:
    """Set the thresholds for this process. To be called before it has threads.

    Returns:
        Whether this system's allocator took them; others (macOS, Windows, musl) know better or nothing.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wishes = ((_M_TRIM_THRESHOLD, TRIM_BYTES), (_M_MMAP_THRESHOLD, MAP_BYTES), (_M_ARENA_MAX, 1))
    return all(mallopt(parameter, value) for parameter, value in wishes)
