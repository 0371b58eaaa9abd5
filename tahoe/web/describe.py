"""Files and directories as JSON, in the shape that Tahoe-LAFS's users know: ``["filenode", {...}]`` and its kin."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from tahoe.actors.children import Entry, Listing, NewChild
from tahoe.actors.directories import Found
from tahoe.codec import base32
from tahoe.codec.capability import (
    Capability,
    Directory,
    ImmutableRead,
    ImmutableVerify,
    Literal,
    SlotRead,
    SlotVerify,
    SlotWrite,
    Unknown,
    parse,
)
from tahoe.errors import BadCapability
from tahoe.web.errors import WebError

MANY: Final = 500
"""Children from which on a listing is made in a thread, so that others are served meanwhile."""


class Described(NamedTuple):
    """One object, and how it is linked.

    Args:
        capability: with all the power that there is.
        size: in bytes, where the capability does not tell and somebody has asked.
        metadata: of the link; None where there is none.
    """

    capability: Capability
    size: int | None = None
    metadata: Mapping[str, Any] | None = None

    def pair(self) -> list[Any]:
        """Return ``[kind, facts]``."""
        return _pair(self.capability, caps_of(self.capability), self.size, self.metadata)


def _pair(cap: Capability, caps: Mapping[str, Any], size: int | None, metadata: Mapping[str, Any] | None) -> list[Any]:
    """Return ``[kind, facts]`` of an object whose capabilities are known."""
    facts = dict(caps)
    if isinstance(cap, Directory):
        facts["mutable"] = cap.mutable
    elif not isinstance(cap, Unknown):
        facts |= {"mutable": cap.mutable, "size": _known_size(cap, size), "format": format_of(cap)}
    if metadata is not None:
        facts["metadata"] = metadata
    return [kind_of(cap), facts]


def _known_size(cap: Capability, size: int | None) -> int | None:
    match cap:
        case Literal(data):
            return len(data)
        case ImmutableRead() | ImmutableVerify() as file:
            return file.size
        case _:
            return size


def kind_of(cap: Capability) -> str:
    """Return ``filenode``, ``dirnode`` or ``unknown``."""
    if isinstance(cap, Unknown):
        return "unknown"
    return "dirnode" if isinstance(cap, Directory) else "filenode"


def format_of(cap: Capability) -> str:
    """Return the format of a file: CHK, LIT, SLOT, or the name that another grid has for it."""
    match cap:
        case Literal():
            return "LIT"
        case ImmutableRead() | ImmutableVerify():
            return "CHK"
        case SlotWrite() | SlotRead() | SlotVerify():
            return "SLOT"
        case _:
            return str(getattr(cap, "family", ""))


def caps_of(cap: Capability) -> dict[str, Any]:
    """Return the capabilities that one gives: ``rw_uri``, ``ro_uri`` and ``verify_uri``, as far as there are such."""
    return dict(_caps_of(cap))


@lru_cache(maxsize=4096)  # hashes make most of the work, and who lists a directory lists it again
def _caps_of(cap: Capability) -> tuple[tuple[str, str | None], ...]:
    if isinstance(cap, Unknown):
        return (("ro_uri" if str(cap).startswith(("ro.", "imm.")) else "rw_uri", str(cap)),)
    read = cap.read_only()
    caps: list[tuple[str, str | None]] = [("verify_uri", verifier_of(read))]
    if read != read.verifier():
        caps.append(("ro_uri", str(read)))
    if cap.writeable:
        caps.append(("rw_uri", str(cap)))
    return tuple(caps)


async def listing_pair(cap: Directory, listing: Listing, metadata: Mapping[str, Any] | None) -> list[Any]:
    """Return a directory with its children; many are described in a thread."""
    children = await asyncio.to_thread(_children, listing) if len(listing) > MANY else _children(listing)
    kind, facts = Described(cap, None, metadata).pair()
    if listing.may_be_stale:
        facts["may_be_stale"] = True
    return [kind, facts | {"children": children}]


def _children(listing: Listing) -> dict[str, list[Any]]:
    return {entry.name: entry_pair(entry) for entry in listing.values()}


def entry_pair(entry: Entry) -> list[Any]:
    """Return one child of a directory: its caps as they are stored, since deriving them anew takes its time."""
    kind, facts = _child_pair(entry.read_text, entry.write_text, entry.deep_immutable)
    return [kind, {**facts, "metadata": entry.metadata}]


@lru_cache(maxsize=16384)  # as above
def _child_pair(read_text: str, write_text: str | None, deep_immutable: bool) -> tuple[str, Mapping[str, Any]]:  # noqa: FBT001  # a field of entries
    read = Entry("", read_text, write_text, {}, deep_immutable).read
    caps: dict[str, Any] = {"ro_uri": read_text}
    if write_text is not None:
        caps["rw_uri"] = write_text
    if not isinstance(read, Unknown):
        caps["verify_uri"] = verifier_of(read)
    kind, facts = _pair(read, caps, None, None)
    return kind, facts


def verifier_of(cap: Capability) -> str | None:
    """Return the verify cap as text; None if there is nothing on servers."""
    verifier = cap.verifier()
    return None if verifier is None else str(verifier)


async def information(found: Found, size: int | None) -> dict[str, Any]:
    """Return all that can be said of an object without asking servers for its shares."""
    cap = found.capability
    kind, facts = Described(cap, size, None if found.entry is None else found.entry.metadata).pair()
    index = cap.storage_index
    return {
        "kind": kind,
        **facts,
        "writeable": cap.writeable,
        "storage_index": None if index is None else base32.encode(index),
        "encoding": _encoding(cap),
    }


def _encoding(cap: Capability) -> dict[str, int] | None:
    file = cap.file if isinstance(cap, Directory) else cap
    if not isinstance(file, ImmutableRead | ImmutableVerify):
        return None
    return {"needed": file.needed, "total": file.total}


# --- the other way -----------------------------------------------------------------------------------------


def new_children(described: Any) -> dict[str, NewChild]:
    """Return what is to be linked, from ``{name: [kind, {"rw_uri", "ro_uri", "metadata"}]}``.

    Raises:
        WebError: 400, it has another shape.
        BadCapability: a child's capability is none, or more than it is said to be.
    """
    if not isinstance(described, dict):
        raise WebError(400, 'children are an object: {"name": ["filenode", {"ro_uri": "URI:..."}]}')
    return {name: _new_child(name, pair) for name, pair in described.items()}


def _new_child(name: str, pair: Any) -> NewChild:
    facts = pair[1] if isinstance(pair, list) and len(pair) == 2 else None
    if not isinstance(facts, dict):
        raise WebError(400, f'the child {name!r} is not of the form ["filenode", {{"ro_uri": "URI:..."}}]')
    write, read, metadata = facts.get("rw_uri"), facts.get("ro_uri"), facts.get("metadata")
    if not all(text is None or isinstance(text, str) for text in (write, read)):
        raise WebError(400, f"the capabilities of the child {name!r} are no strings")
    if not isinstance(metadata, dict | None):
        raise WebError(400, f"the metadata of the child {name!r} are no object")
    return new_child(write or None, read or None, metadata)


def new_child(write: str | None, read: str | None, metadata: Mapping[str, Any] | None = None) -> NewChild:
    """Return a child to be linked, by the strongest capability that is given.

    Raises:
        BadCapability: there is none, or it is mistyped.
    """
    if not (write or read):
        raise BadCapability("a child needs rw_uri or ro_uri")
    cap = parse(str(write or read).strip())
    if isinstance(cap, Unknown) and cap.flaw is not None:
        cap.check_served()
    alleged = parse(read.strip()) if read and isinstance(cap, Unknown) else None
    return NewChild(cap, alleged, metadata)
