"""Bringing a tree back: directories are listed one after the other, files come several at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException, HTTPResponse
from typing import IO, Any, NamedTuple, TypeVar
from urllib.parse import quote

import click

from tahoe.cli.errands import Errands
from tahoe.cli.gateway import BLOCK, Gateway, GatewayError
from tahoe.cli.restoretarget import RefusedError, Steps, Target

T = TypeVar("T")

TROUBLES = (RefusedError, OSError, GatewayError)
"""What concerns one name; the others are brought back all the same."""


@dataclass(slots=True)
class Restored:
    """What came of it.

    Args:
        files: brought back.
        there: files that were there already.
        bytes_fetched: in those brought back.
        directories: in the snapshot.
        missing: what was not brought back: path and why.
    """

    files: int = 0
    there: int = 0
    bytes_fetched: int = 0
    directories: int = 0
    missing: list[tuple[str, str]] = field(default_factory=list)


class _Child(NamedTuple):
    """A child as the gateway lists it."""

    kind: str
    cap: str
    size: int | None
    metadata: Mapping[str, Any]

    @classmethod
    def of(cls, kind: str, facts: Mapping[str, Any]) -> _Child:
        size, metadata = facts.get("size"), facts.get("metadata")
        return cls(
            kind,
            str(facts.get("ro_uri") or facts.get("rw_uri") or ""),
            size if isinstance(size, int) else None,
            metadata if isinstance(metadata, dict) else {},
        )


class _Folder(NamedTuple):
    """A directory being gone through.

    Args:
        steps: where.
        children: those that are still to come.
        above: verify caps of it and of those that it is in.
        metadata: of the link that it was found by.
    """

    steps: Steps
    children: Iterator[tuple[str, _Child]]
    above: frozenset[str]
    metadata: Mapping[str, Any]


class Restoration:
    """One tree being brought back.

    Args:
        gateway: of the local node.
        target: where to.
        errands: that fetch.
        watch: called with bytes as they come.
    """

    def __init__(self, gateway: Gateway, target: Target, errands: Errands, watch: Callable[[int], None]) -> None:
        self.outcome = Restored()
        self._gateway = gateway
        self._target = target
        self._errands = errands
        self._watch = watch
        self._to_settle: list[tuple[Steps, Mapping[str, Any]]] = []

    def run(self, location: str) -> None:
        """Bring back what is at a location, which is the path of a URL.

        Raises:
            ClickException: it is no directory, or can't be read.
        """
        root = self._list(location, (), frozenset())
        if self._target.make_root():
            self._to_settle.append(((), root.metadata))
        stack = [root]
        while stack:
            folder = stack[-1]
            name, child = next(folder.children, ("", None))
            if child is None:
                stack.pop()
            elif (inner := self._child(folder, name, child)) is not None:
                stack.append(inner)
        self._errands.finish()
        for steps, each in reversed(self._to_settle):
            self._try(steps, partial(self._target.settle, steps, each))

    def _child(self, folder: _Folder, name: str, child: _Child) -> _Folder | None:
        """Deal with one child; a directory is to be gone through."""
        steps = (*folder.steps, name)
        if child.kind == "dirnode":
            return self._try(steps, partial(self._directory, folder, steps, child))
        if child.kind == "filenode":
            self._errands.breathe()
            self._errands.start(partial(self._fetch, steps, child), partial(self._fetched, steps))
        else:
            self._miss(steps, RefusedError("it is of a kind that is not known here"))
        return None

    # --- directories ------------------------------------------------------------------------------------------

    def _directory(self, folder: _Folder, steps: Steps, child: _Child) -> _Folder:
        inner = self._list(_location(child), steps, folder.above)
        if self._target.make_directory(steps):
            self._to_settle.append((steps, child.metadata))
        return inner

    def _list(self, location: str, steps: Steps, above: frozenset[str]) -> _Folder:
        kind, facts = self._gateway.json(f"{location}?t=json")
        if kind != "dirnode":
            raise click.ClickException("this is no directory; fetch a file with tahoe get")
        identity = facts.get("verify_uri")
        if identity in above:
            raise RefusedError("it is one of the directories that it is in")
        self.outcome.directories += 1
        children = ((name, _Child.of(*each)) for name, each in sorted(facts["children"].items()))
        metadata = _Child.of(kind, facts).metadata
        return _Folder(steps, children, above | {identity} if identity else above, metadata)

    # --- files ------------------------------------------------------------------------------------------------

    def _fetch(self, steps: Steps, child: _Child) -> int | None:
        """Fetch a file, in a worker; its bytes, or None if it was there."""
        received = 0

        def fill(file: IO[bytes]) -> None:
            nonlocal received
            with self._gateway.request("GET", _location(child)) as response:
                received = _copy(response, file)

        return received if self._target.write(steps, child.size, child.metadata, fill) else None

    def _fetched(self, steps: Steps, future: Future[int | None]) -> None:
        received = self._try(steps, future.result)
        if future.exception() is not None:
            return  # it has been noted
        if received is None:
            self.outcome.there += 1
            return
        self.outcome.files += 1
        self.outcome.bytes_fetched += received
        self._watch(received)

    # --- trouble ----------------------------------------------------------------------------------------------

    def _try(self, steps: Steps, work: Callable[[], T]) -> T | None:
        """Do something; None if it can't be done."""
        try:
            return work()
        except TROUBLES as error:
            self._miss(steps, error)
            return None

    def _miss(self, steps: Steps, error: Exception) -> None:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        self.outcome.missing.append(("/".join(steps), reason or type(error).__name__))


def _location(child: _Child) -> str:
    return f"/uri/{quote(child.cap, safe='')}"


def _copy(response: HTTPResponse, file: IO[bytes]) -> int:
    """Copy an answer's body; how many bytes it had.

    Raises:
        RefusedError: it ends too early.
    """
    size, received = response.length, 0
    try:
        while block := response.read(BLOCK):
            file.write(block)
            received += len(block)
    except HTTPException:
        pass  # it is too short
    if size is not None and received < size:
        raise RefusedError(f"it broke off after {received} of {size} bytes")
    return received
