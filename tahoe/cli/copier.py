"""Copies trees: folders are opened, read and written by workers, and one thread decides what comes next.

A folder that has been opened waits until its turn to be gone through, the latest first, so that a large tree is copied
branch by branch. Every file that is written counts down what its folder waits for; at nothing, the folder is flushed. A copy
that is interrupted leaves what it has done, and doing it again completes it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import click

from tahoe.cli.errands import Errands
from tahoe.cli.gateway import UnreachableError
from tahoe.cli.names import shown
from tahoe.cli.progress import counted
from tahoe.cli.trees import Contents, SourceFile, SourceFolder, TargetFolder

T = TypeVar("T")

FAILURES_IN_A_ROW: Final = 20
"""Then more is wrong than single files, and going on would only make noise."""


@dataclass(slots=True)
class Tally:
    """What came of a copy."""

    copied: int = 0
    unchanged: int = 0
    left_out: int = 0
    failed: int = 0

    def __str__(self) -> str:
        return f"{self.copied} files copied, {self.unchanged} unchanged, {self.left_out} left out, {self.failed} failed"


@dataclass(slots=True)
class _Visit:
    """A target folder, what goes into it, and how much of that is still to be done; going through it is one thing."""

    target: TargetFolder
    contents: Contents
    waiting: int = 1


class _Watched:
    """A file whose reader is watched.

    Args:
        file: that is read.
        advance: called with the bytes that have been dealt with.
    """

    def __init__(self, file: SourceFile, advance: Callable[[int], None]) -> None:
        self.name, self.size, self.changed, self.node = file.name, file.size, file.changed, file.node
        self._file = file
        self._advance = advance

    @contextmanager
    def open(self) -> Iterator[tuple[Iterator[bytes], int | None]]:
        """See ``SourceFile``."""
        with self._file.open() as (contents, size):
            yield counted(contents, self._advance), size


class Copier:
    """Copies what it is told to; ``finish`` waits for it.

    Args:
        errands: workers.
        advance: called with every number of bytes that have been copied; in workers, too.
        skip_unchanged: leave files alone that are there with the same size and time.
        within: both sides are in the grid, or both here, so a tree could be copied into itself.
    """

    def __init__(
        self, errands: Errands, advance: Callable[[int], None], *, skip_unchanged: bool = False, within: bool = False
    ) -> None:
        self.tally = Tally()
        self._errands = errands
        self._advance = advance
        self._skip = skip_unchanged
        self._within = within
        self._targets: set[Hashable] = set()
        self._ready: list[_Visit] = []
        self._failures_in_a_row = 0
        self._told: set[str] = set()

    def copy(self, contents: Contents, target: TargetFolder) -> None:
        """Copy things into a folder."""
        self._start(target, lambda: contents)

    def copy_tree(self, source: SourceFolder, target: TargetFolder) -> None:
        """Copy all that is in one folder to another one."""
        self._start(target, source.read, source)

    def finish(self) -> None:
        """Wait until everything has been copied.

        Raises:
            ClickException: it makes no sense to go on.
        """
        while self._ready or self._errands.conclude_one():
            if self._ready:
                self._go_through(self._ready.pop())

    # --- folders ----------------------------------------------------------------------------------------------

    def _start(self, target: TargetFolder, read: Callable[[], Contents], source: SourceFolder | None = None) -> None:
        def work() -> Contents:
            if source is not None:
                self._check_end(source)
            target.open()
            if self._within:
                self._targets.add(target.identity)
            return read()

        self._errands.start(work, partial(self._opened, target))

    def _check_end(self, source: SourceFolder) -> None:
        """Refuse a folder that would never end.

        Raises:
            ClickException: it is in itself, or the copy goes into it.
        """
        if source.identity in source.above:
            raise click.ClickException("it contains itself; not copied")
        if source.identity in self._targets:
            raise click.ClickException("that is where this copy goes to; not copied")

    def _opened(self, target: TargetFolder, opening: Future[Contents]) -> None:
        contents = self._result(opening, target.label)
        if contents is not None:
            self._ready.append(_Visit(target, contents))

    def _go_through(self, visit: _Visit) -> None:
        """Start to copy everything that is in a folder."""
        target = visit.target
        for unfit in visit.contents.unfit:
            self.tally.left_out += 1
            click.echo(f"{target.label}: {shown(unfit.name)} is {unfit.what}: left out", err=True)
        for file in visit.contents.files:
            self._errands.breathe()
            visit.waiting += 1
            self._errands.start(partial(self._write, target, file), partial(self._written, visit, file))
        for folder in visit.contents.folders:
            self._errands.breathe()
            self._descend(folder, target)
        self._one_less(visit)

    def _descend(self, source: SourceFolder, target: TargetFolder) -> None:
        try:
            below = target.folder(source.name)
        except click.ClickException as error:
            self._failed(error, target.label, source.name)
        else:
            self.copy_tree(source, below)

    # --- files ------------------------------------------------------------------------------------------------

    def _write(self, target: TargetFolder, file: SourceFile) -> bool:
        """Copy a file unless it is there already; returns whether it was not."""
        if self._skip and target.is_unchanged(file.name, file):
            return False
        target.write(file.name, _Watched(file, self._advance))
        return True

    def _written(self, visit: _Visit, file: SourceFile, writing: Future[bool]) -> None:
        copied = self._result(writing, visit.target.label, file.name)
        if copied is not None:
            self._failures_in_a_row = 0
            self.tally.copied += copied
            self.tally.unchanged += not copied
        self._one_less(visit)

    def _one_less(self, visit: _Visit) -> None:
        visit.waiting -= 1
        work = visit.target.flush(last=not visit.waiting)
        if work is not None:
            self._errands.start(work, lambda flushing: self._result(flushing, visit.target.label))

    # --- failures ---------------------------------------------------------------------------------------------

    def _result(self, future: Future[T], label: str, name: str = "") -> T | None:
        """Return what a worker brought home; None after a failure, which is told.

        Raises:
            ClickException: it makes no sense to go on.
        """
        try:
            return future.result()
        except UnreachableError:
            raise
        except (click.ClickException, OSError) as error:
            self._failed(error, label, name)
        return None

    def _failed(self, error: click.ClickException | OSError, label: str, name: str) -> None:
        self.tally.failed += 1
        self._failures_in_a_row += 1
        text = error.message if isinstance(error, click.ClickException) else error.strerror or str(error)
        where = f"{label}: {shown(name)}" if name else label
        click.echo(f"tahoe: {where}: {self._without_repetition(text)}", err=True)
        if self._failures_in_a_row >= FAILURES_IN_A_ROW:
            raise click.ClickException(f"given up after {FAILURES_IN_A_ROW} failures in a row")

    def _without_repetition(self, text: str) -> str:
        """Return a failure, with what is wrong behind it (which failures have in common) only if that was not told yet."""
        failure, newline, reasons = text.partition("\n")
        is_new = reasons not in self._told
        self._told.add(reasons)
        return failure + (newline + reasons) * is_new
