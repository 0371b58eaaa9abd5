"""A progress bar for what may take a while, on terminals only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

WORTH_A_BAR: Final = 4_000_000
"""Bytes; less is done before anybody could read it."""


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how far a transfer of ``total`` bytes (None: unknown) has come; call what this gives with bytes done."""
    if not sys.stderr.isatty() or (total is not None and total < WORTH_A_BAR):
        yield lambda _count: None
        return
    from rich.console import Console  # noqa: PLC0415  # start-up time
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn  # noqa: PLC0415  # start-up time

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(label, total=total)
        yield lambda count: bars.advance(bar, count)


@contextmanager
def counting(what: str, *, watched: bool = True) -> Iterator[Callable[[int], None]]:
    """Show how many things have been seen, if anybody watches; call what this gives with the number of further ones."""
    if not (watched and sys.stderr.isatty()):
        yield lambda _count: None
        return
    from rich.console import Console  # noqa: PLC0415  # start-up time
    from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn  # noqa: PLC0415  # start-up time

    columns = (SpinnerColumn(), f"{{task.completed:.0f}} {what}", TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(what, total=None)
        yield lambda count: bars.advance(bar, count)


def counted(pieces: Iterable[bytes], advance: Callable[[int], None]) -> Iterator[bytes]:
    """Yield pieces and tell how long each was, when it has been dealt with."""
    for piece in pieces:
        yield piece
        advance(len(piece))
