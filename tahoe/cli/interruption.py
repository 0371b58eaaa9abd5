"""Being told to end: Ctrl-C and SIGTERM as one event."""

from __future__ import annotations

import asyncio
import signal
from types import FrameType


def interruption() -> asyncio.Event:
    """Return an event that is set when this process is asked to end; a second Ctrl-C ends it at once."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        loop.call_soon_threadsafe(event.set)

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    return event
