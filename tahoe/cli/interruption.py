"""Being told to end: Ctrl-C, SIGTERM and, for children of other programs, the end of standard input, as one event."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def while_stdin_option(function: F) -> F:
    """Add ``--while-stdin``."""
    option = click.option(
        "--while-stdin",
        is_flag=True,
        help="End when standard input does: for a program that starts this and must not leave it behind.",
    )
    return option(function)


def interruption(*, while_stdin: bool = False) -> asyncio.Event:
    """Return an event that is set when this process is asked to end; a second Ctrl-C ends it at once.

    Args:
        while_stdin: the end of standard input asks, too. It ends with whoever holds the other end, even if killed.
    """
    event = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        loop.call_soon_threadsafe(event.set)

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    if while_stdin:
        watch = (lambda: loop.call_soon_threadsafe(event.set),)
        threading.Thread(target=_when_stdin_ends, args=watch, daemon=True).start()
    return event


def _when_stdin_ends(then: Callable[[], None]) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    then()
