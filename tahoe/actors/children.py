"""Children of directories, between what is stored and what a holder of a directory's cap may do with them.

Stored is a ``Link``: the read cap as text, the write cap sealed, metadata. Who holds the directory's write cap opens the
seal and has each child with all its power; who holds the read cap has what reads, and nothing that writes, however
far down he goes. That does not depend on writers being honest: a read cap in a link is parsed as a read cap, whatever
it is.

Caps of kinds that this release does not know are kept as they are. What can't be understood can't be weakened, so
whoever links one brings its read-only form (``codec/capability.py``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from tahoe.codec.capability import (
    IMMUTABLE_PREFIX,
    READ_ONLY_PREFIX,
    Capability,
    Directory,
    SlotWrite,
    Unknown,
    parse,
    unknown_child,
)
from tahoe.codec.directory import Child, Link, Metadata, Sealer, normal_name, updated_metadata
from tahoe.errors import BadCapability

T = TypeVar("T")


IMMUTABLE_PREFIXES: Final = ("URI:CHK:", "URI:LIT:", "URI:DIR2-CHK:", "URI:DIR2-LIT:")
READING_PREFIXES: Final = (*IMMUTABLE_PREFIXES, "URI:SLOT-RO:", "URI:DIR3-RO:")
"""What begins so gives no more power than to read, whatever follows."""


@dataclass(frozen=True, slots=True, repr=False)
class Entry:
    """One child. Caps are parsed when they are asked for, since most of a long list is only shown.

    Args:
        name: in this directory.
        read_text: its read-only cap.
        write_text: its write cap, if there is one and the directory's cap gives it.
        stored: metadata, as JSON text or parsed.
        deep_immutable: nothing mutable can be below it.
    """

    name: str
    read_text: str
    write_text: str | None
    stored: str | Metadata
    deep_immutable: bool = False

    def __repr__(self) -> str:
        return f"<Entry {self.name!r}>"

    @property
    def capability(self) -> Capability:
        """With all the power that the directory's cap gives over it."""
        return self.read if self.write_text is None else parse(self.write_text)

    @property
    def read(self) -> Capability:
        """Its read-only form."""
        if self.deep_immutable:
            return parse(self.read_text, deep_immutable=True)
        return parse(_as_read_only(self.read_text))

    @property
    def metadata(self) -> dict[str, Any]:
        """A JSON object."""
        return dict(msgspec.json.decode(self.stored) if isinstance(self.stored, str) else self.stored)

    @property
    def is_directory(self) -> bool:
        """Whether it has children of its own."""
        return self.read_text.startswith("URI:DIR") and self.read.is_directory


class NewChild(NamedTuple):
    """What is to be linked.

    Args:
        capability: of the child, with all the power that is to be handed on.
        read: its read-only form; only for kinds that are not known here.
        metadata: a JSON object; None: what the name had before.
    """

    capability: Capability
    read: Capability | None = None
    metadata: Metadata | None = None

    def texts(self) -> tuple[str | None, str]:
        """Write cap and read cap to be kept.

        Raises:
            BadCapability: it is of an unknown kind and there is no read-only form.
        """
        if not isinstance(self.capability, Unknown):
            return (str(self.capability) if self.capability.writeable else None), str(self.capability.read_only())
        if self.capability.flaw is not None:
            self.capability.check_served()
        write, read = unknown_child(str(self.capability), None if self.read is None else str(self.read))
        if read is None:
            raise BadCapability("a capability of an unknown kind needs its read-only form")
        return write, read


class Listing(Mapping[str, Entry]):
    """The children of a directory by name; each is made from what is stored when it is looked at.

    Args:
        stored: what is stored, by name.
        open_entry: makes an entry of it.
        size: bytes of the directory's contents.
        may_be_stale: too few servers were in reach to be sure that there is nothing newer.
    """

    def __init__(
        self, stored: Mapping[str, T], open_entry: Callable[[str, T], Entry], size: int, *, may_be_stale: bool = False
    ) -> None:
        self._stored: Mapping[str, Any] = stored
        self._open: Callable[[str, Any], Entry] = open_entry
        self.size = size
        self.may_be_stale = may_be_stale

    def __getitem__(self, name: str) -> Entry:
        name = name if name in self._stored else normal_name(name)
        return self._open(name, self._stored[name])

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._stored))

    def __len__(self) -> int:
        return len(self._stored)


class Keyring:
    """What the holder of a mutable directory's cap can do with links.

    Args:
        directory: its cap.
        nonce: gives 12 fresh random bytes per call.
    """

    def __init__(self, directory: Directory, nonce: Callable[[], bytes]) -> None:
        self._sealer = Sealer(directory.file.seed, nonce) if isinstance(directory.file, SlotWrite) else None

    def entry(self, name: str, link: Link) -> Entry:
        """The child, with as much power as there is."""
        read = link.read
        if not read.startswith(READING_PREFIXES):
            read = str(parse(_as_read_only(read)))
        write = None if self._sealer is None else self._sealer.open(link.sealed)
        return Entry(name, read, write, link.metadata)

    def seal(self, write: str | None) -> bytes:
        """What stands in a link for a write cap.

        Raises:
            BadCapability: the directory's cap is read-only.
        """
        if self._sealer is None:
            raise BadCapability("this capability reads the directory; changing it takes its write capability")
        return self._sealer.seal(write)


def immutable_entry(name: str, child: Child) -> Entry:
    """A child of an immutable directory."""
    read = child.read
    if not read.startswith(IMMUTABLE_PREFIXES):
        read = str(parse(read, deep_immutable=True))
    return Entry(name, read, None, child.metadata, deep_immutable=True)


def linked(texts: tuple[bytes, str], old: Link | None, new: Metadata | None, now: float) -> Link:
    """The link to a child.

    Args:
        texts: its sealed write cap and its read cap.
        old: what the name had before.
        new: metadata that are given.
        now: seconds since the epoch.
    """
    sealed, read = texts
    metadata = updated_metadata(None if old is None else old.metadata_object, new, now)
    return Link(read, sealed, json.dumps(metadata))


def is_directory_link(link: Link) -> bool:
    """Whether a link leads to a directory."""
    return parse(_as_read_only(link.read)).is_directory


def _as_read_only(read: str) -> str:
    return read if read.startswith((READ_ONLY_PREFIX, IMMUTABLE_PREFIX)) else READ_ONLY_PREFIX + read
