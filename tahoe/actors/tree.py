"""Walking a tree of directories, each object once, however often it is linked and whatever loops there are.

A walk goes down before it goes on (so that what it holds is a way from the root, not a tree) and knows what it has
seen by what remains of a cap when everything secret is taken away: its verify cap. What has none (the bytes in
a literal cap, caps of kinds not known here) is met each time it is linked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple, Self

from tahoe.actors.children import Entry
from tahoe.actors.directories import Directories
from tahoe.codec.capability import Capability, Directory, ImmutableRead, Literal, Unknown
from tahoe.errors import TahoeError

DIGEST_BYTES = 12
"""Enough to tell billions of objects apart."""


class Visit(NamedTuple):
    """One object of a tree.

    Args:
        path: names from the root down; the root's is empty.
        capability: with all the power that the root's cap gives over it.
        entry: in the directory that it was found in; None for the root.
        children: how many, of a directory that could be read.
        size: of a directory's table in bytes.
        trouble: why a directory could not be read; None if it could, or is none.
        entries: what a directory that could be read links, objects that were met before included.
    """

    path: tuple[str, ...]
    capability: Capability
    entry: Entry | None
    children: int = 0
    size: int = 0
    trouble: TahoeError | None = None
    entries: Collection[Entry] = ()


class Walk:
    """All objects below a directory and itself, as an async iterator of visits, parents first, in order of names.

    Args:
        directories: of the client.
        root: where to begin.
    """

    def __init__(self, directories: Directories, root: Capability) -> None:
        self._directories = directories
        self._stack: list[tuple[tuple[str, ...], Iterator[Entry]]] = []
        self._root: Capability | None = root
        self._seen: set[bytes] = set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Visit:
        if self._root is not None:
            root, self._root = self._root, None
            self._is_new(root)
            return await self._visit((), root, None)
        while self._stack:
            path, entries = self._stack[-1]
            entry = next(entries, None)
            if entry is None:
                self._stack.pop()
            elif self._is_new(capability := entry.capability):
                return await self._visit((*path, entry.name), capability, entry)
        raise StopAsyncIteration

    async def _visit(self, path: tuple[str, ...], capability: Capability, entry: Entry | None) -> Visit:
        if not isinstance(capability, Directory):
            return Visit(path, capability, entry)
        try:
            listing = await self._directories.list(capability)
        except TahoeError as trouble:
            return Visit(path, capability, entry, trouble=trouble)
        self._stack.append((path, iter(listing.values())))
        return Visit(path, capability, entry, len(listing), listing.size, entries=listing.values())

    def _is_new(self, capability: Capability) -> bool:
        """Whether it is met for the first time."""
        verifier = capability.verifier()
        if verifier is None:
            return True
        digest = sha256(str(verifier).encode()).digest()[:DIGEST_BYTES]
        if digest in self._seen:
            return False
        self._seen.add(digest)
        return True


@dataclass(slots=True)
class DeepStatistics:
    """What there is in a tree.

    Args:
        counts: objects by kind: ``directories``, ``immutable-files``, ``literal-files``, ``mutable-files``, ``unknown``,
            and ``unreadable`` (directories that could not be read).
        sizes: bytes of ``directories`` (their tables), ``immutable-files`` and ``literal-files``.
        largest: the most bytes of one of each, and the ``children`` of the directory that has most.
        histogram: immutable and literal files by size: the power of two above it.
    """

    counts: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    largest: dict[str, int] = field(default_factory=dict)
    histogram: Counter[int] = field(default_factory=Counter)

    def add(self, visit: Visit) -> None:
        """Count an object."""
        match visit.capability:
            case Directory():
                self._count("directories", visit.size)
                self._grow("children", visit.children)
                self.counts["unreadable"] += visit.trouble is not None
            case Literal(data):
                self._count("literal-files", len(data))
                self.histogram[len(data).bit_length()] += 1
            case ImmutableRead() as file:
                self._count("immutable-files", file.size)
                self.histogram[file.size.bit_length()] += 1
            case Unknown():
                self.counts["unknown"] += 1
            case _:
                self.counts["mutable-files"] += 1

    def _count(self, kind: str, size: int) -> None:
        self.counts[kind] += 1
        self.sizes[kind] += size
        self._grow(kind, size)

    def _grow(self, kind: str, size: int) -> None:
        self.largest[kind] = max(self.largest.get(kind, 0), size)


async def deep_statistics(directories: Directories, root: Capability) -> DeepStatistics:
    """Count all objects of a tree."""
    statistics = DeepStatistics()
    async for visit in Walk(directories, root):
        statistics.add(visit)
    return statistics
