"""What can be done to the table of a directory: each operation says which changes it comes to, given the links there are.

An operation may be planned several times, on one state after the other, until its changes stand. It never says yes to
a state that it should refuse: what it checks is checked on the very table that its changes are appended to.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple, Protocol

from tahoe.actors.children import is_directory_link, linked
from tahoe.codec.directory import Change, Link, Metadata
from tahoe.errors import ChildExists, NoSuchChild, NotADirectory


class Replace(Enum):
    """What may be replaced by a child of the same name."""

    ALWAYS = "always"
    NEVER = "never"
    ONLY_FILES = "only-files"

    def check(self, name: str, there: Link | None) -> None:
        """Raise ``ChildExists`` if what is there has to stay."""
        if there is None or self is Replace.ALWAYS:
            return
        if self is Replace.NEVER:
            raise ChildExists(f"there is a child named {name!r} already")
        if is_directory_link(there):
            raise ChildExists(f"there is a directory named {name!r} already")


class Kind(Enum):
    """What a child has to be."""

    ANY = "any"
    FILE = "file"
    DIRECTORY = "directory"

    def check(self, name: str, there: Link) -> None:
        """Raise where it is something else."""
        if self is Kind.ANY or is_directory_link(there) == (self is Kind.DIRECTORY):
            return
        if self is Kind.DIRECTORY:
            raise NotADirectory(f"{name!r} is no directory")
        raise ChildExists(f"{name!r} is a directory")


class Operation(Protocol):
    """Something to be done to a table."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names that it is about."""

    def changes(self, links: Mapping[str, Link]) -> tuple[Change, ...]:
        """What it comes to; nothing, if all is as it should be.

        Raises:
            ChildExists, NoSuchChild, NotADirectory: the table is not one that it can be done to.
        """


class Sealed(NamedTuple):
    """A child to be linked: its sealed write cap, its read cap, and metadata that are given."""

    sealed: bytes
    read: str
    metadata: Metadata | None


class SetLinks(NamedTuple):
    """Link children.

    Args:
        children: by name.
        replace: what they may replace.
        now: seconds since the epoch.
        resumed: a name that leads to the same child already is no offence: it was set by an attempt before.
    """

    children: Mapping[str, Sealed]
    replace: Replace
    now: float
    resumed: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """See ``Operation``."""
        return tuple(self.children)

    def changes(self, links: Mapping[str, Link]) -> tuple[Change, ...]:
        """See ``Operation``."""
        return tuple(
            Change(name, linked((child.sealed, child.read), links.get(name), child.metadata, self.now))
            for name, child in self.children.items()
            if self._is_due(name, child, links.get(name))
        )

    def _is_due(self, name: str, child: Sealed, there: Link | None) -> bool:
        if self.resumed and there is not None and there.read == child.read:
            return False
        self.replace.check(name, there)
        return True


class Unlink(NamedTuple):
    """Take a child out.

    Args:
        name: its.
        kind: what it has to be.
        read: its read cap, if it has to be a certain one; None: any.
        missing_ok: it need not be there.
    """

    name: str
    kind: Kind = Kind.ANY
    read: str | None = None
    missing_ok: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """See ``Operation``."""
        return (self.name,)

    def changes(self, links: Mapping[str, Link]) -> tuple[Change, ...]:
        """See ``Operation``."""
        there = links.get(self.name)
        if there is not None and (self.read is None or there.read == self.read):
            self.kind.check(self.name, there)
            return (Change(self.name, None),)
        if self.missing_ok:
            return ()
        raise NoSuchChild(f"there is no child named {self.name!r}")


class Rename(NamedTuple):
    """Give a child another name in the same directory.

    Args:
        old: its name.
        new: the other.
        replace: what may be replaced.
        now: seconds since the epoch.
    """

    old: str
    new: str
    replace: Replace
    now: float

    @property
    def names(self) -> tuple[str, ...]:
        """See ``Operation``."""
        return (self.old, self.new)

    def changes(self, links: Mapping[str, Link]) -> tuple[Change, ...]:
        """See ``Operation``."""
        there = links.get(self.old)
        if there is None:
            raise NoSuchChild(f"there is no child named {self.old!r}")
        if self.old == self.new:
            return ()
        before = links.get(self.new)
        self.replace.check(self.new, before)
        link = linked((there.sealed, there.read), before, there.metadata_object, self.now)
        return (Change(self.new, link), Change(self.old, None))
