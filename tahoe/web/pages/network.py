"""The pages of introducers and vdrives: who makes nodes known to one another, and where the grid's drives begin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tahoe.web.pages.spots import drive


@dataclass(frozen=True, slots=True)
class Introduced:
    """What introducers have brought about.

    Args:
        is_here: whether this node is one.
        introducers: those of the grid card, and how it stands with each.
        versions: how many servers run which software, the most common first.
        sites: how many servers stand where.
    """

    is_here: bool
    introducers: Sequence[Mapping[str, Any]]
    versions: Sequence[tuple[str, int]]
    sites: Sequence[tuple[str, int]]


class Root(NamedTuple):
    """One named root: its page, whether everybody may write to it, and which statement of the grid key made it."""

    title: str
    name: str
    url: str
    writeable: bool
    sequence: int


def introducer(status: Mapping[str, Any]) -> Introduced:
    """Return what the introducer page tells of a node's state."""
    servers = status["servers"]
    versions = Counter(server["software"] or "unknown" for server in servers)
    sites = Counter(server["location"].partition("/")[0] or "not told" for server in servers)
    is_here = "introducer" in status["node"]["roles"]
    return Introduced(is_here, status["introducers"], versions.most_common(), sites.most_common())


def vdrive(roots: Mapping[str, tuple[bool, int]]) -> list[Root]:
    """Return the rows of the vdrive page from roots by name: whether they are writeable, and their sequence number."""
    return [Root(drive(name).title, name, drive(name).url, *facts) for name, facts in sorted(roots.items())]
