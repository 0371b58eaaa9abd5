"""Tells a story on a terminal: what is happening, what has happened, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Clock:
    """Counts seconds until it is stopped."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._seconds = 0.0

    def stop(self) -> None:
        """Stop counting."""
        self._seconds = time.monotonic() - self._began

    def __call__(self) -> str:
        """Seconds, for people."""
        return f"{self._seconds:.2f} s"


class Narrator:
    """Speaks to whoever sits at the terminal."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)

    @contextmanager
    def doing(self, what: str) -> Iterator[Clock]:
        """Show what takes a moment, and count it."""
        with self._console.status(f"{what} ..."):
            clock = Clock()
            yield clock
            clock.stop()

    def said(self, text: str) -> None:
        """Tell what has happened."""
        self._console.print(f"[green]*[/green] {text}", soft_wrap=True)

    def ended(self, text: str) -> None:
        """Say the last word."""
        self._console.print(f"\n{text}")
