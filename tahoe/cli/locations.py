"""Where things are in the grid, as people write it on a command line.

::

    CAP/name/name        from a capability
    ALIAS:name/name      from an alias of this node
    ROOT:name/name       from a root of the grid: global:, or the node's own, private:
    name/name            from the default root, private: unless tahoe.toml says otherwise
    :name/name           likewise, where a word without a colon would be a file of this machine
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import click

from tahoe.cli.aliases import Aliases
from tahoe.cli.names import shown, shown_path

ROOT: Final = "root:"
"""What the start of a location begins with that is a root."""

DEFAULT_ROOT: Final = "private"

_CAPABILITY: Final = re.compile(r"(ro\.|imm\.)?URI:")
_WITH_START: Final = re.compile(r"([^/:]*):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, repr=False)
class Location:
    """Where something is, or may be.

    Args:
        start: a capability, or ``root:`` and the name of a root.
        names: from there.
        label: how the user calls the start; it gives no capability away.
        slash: he wrote a slash at the end: it has to be a directory.
    """

    start: str
    names: tuple[str, ...] = ()
    label: str = ""
    slash: bool = False

    @property
    def url(self) -> str:
        """The path of its URL."""
        root = self.start.removeprefix(ROOT)
        first = f"/uri/{quote(self.start, safe=':')}" if root == self.start else f"/vdrive/{quote(root, safe='')}"
        return "/".join([first, *(quote(name, safe="") for name in self.names)])

    def request(self, **query: str) -> str:
        """Return the target of a request about it."""
        return f"{self.url}?{urlencode(query)}" if query else self.url

    @property
    def plain(self) -> str:
        """The form that stands in a query: names as they are."""
        return "/".join([self.start, *self.names])

    @property
    def name(self) -> str:
        """The last name; empty for a start."""
        return self.names[-1] if self.names else ""

    @property
    def parent(self) -> Location:
        """One name up."""
        assert self.names, "a start has no parent"
        return replace(self, names=self.names[:-1], slash=False)

    def child(self, *names: str) -> Location:
        """Further down."""
        return replace(self, names=(*self.names, *names), slash=False)

    def __str__(self) -> str:
        return self.label + shown_path(self.names)


class Locations:
    """Reads locations as one node's user writes them.

    Args:
        node_directory: the node's.
    """

    def __init__(self, node_directory: Path) -> None:
        self._directory = node_directory
        self._aliases: dict[str, str] | None = None

    def find(self, text: str) -> Location:
        """Return what a word names.

        Raises:
            BadConfiguration: the aliases or the default root can't be read.
        """
        if _CAPABILITY.match(text):
            start, _, path = text.partition("/")
            return _location(start.strip(), path, "URI:.../" if path else "URI:...")
        split = _WITH_START.fullmatch(text)
        name, path = split.groups() if split else ("", text)
        name = name or self._default_root()
        return _location(self.aliases.get(name, ROOT + name), path, f"{shown(name)}:")

    @property
    def aliases(self) -> dict[str, str]:
        """Capabilities by alias."""
        if self._aliases is None:
            self._aliases = Aliases(self._directory).load()
        return self._aliases

    def _default_root(self) -> str:
        import tomllib  # noqa: PLC0415  # start-up time

        try:
            options = tomllib.loads((self._directory / "tahoe.toml").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return DEFAULT_ROOT  # a node elsewhere, or a file that keeps the node from starting anyway
        return str(options.get("client", {}).get("default_root", DEFAULT_ROOT))


def is_in_grid(text: str) -> bool:
    """Whether a word that may name a file of this machine, too, names something in the grid: it has a start."""
    return bool(_CAPABILITY.match(text) or (_WITH_START.fullmatch(text) and not _is_drive(text)))


def names_a_file(start: str) -> bool:
    """Whether a start is the capability of a file: contents go into it, not below it."""
    return not start.startswith((ROOT, "URI:DIR"))


def named(location: Location, what: str) -> Location:
    """Return a location that has a name.

    Raises:
        UsageError: it is where paths start.
    """
    if not location.names:
        raise click.UsageError(f"{location} is where paths start; say what to {what} below it")
    return location


def _location(start: str, path: str, label: str) -> Location:
    names = _names(path.split("/"))
    return Location(start, names, label, slash=path.endswith("/"))


def _names(parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(part for part in parts if part)


def _is_drive(text: str) -> bool:
    """Whether it begins with a drive of Windows."""
    return os.name == "nt" and text[1:2] == ":" and text[0].isalpha()
