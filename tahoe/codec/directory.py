"""Directories: tables of names, each with what reads the child, what writes it, and metadata.

Two forms. An *immutable* directory is one table in an immutable file, byte for byte that of Tahoe-LAFS::

    ns(name) ns(read cap) ns("") ns(metadata), each entry in a netstring of its own, sorted by name

A *mutable* one lives in a slot and is changed often, mostly a little. Its contents are frames: a snapshot, and
behind it the edits made since, so that adding a name to ten thousand rewrites the slot's last segments and no more::

    | snapshot: all links, ids of recent edits | edit | edit | edit | ...        frame = u32 length, msgpack

Whoever reads applies the edits to the snapshot. When the edits outweigh the snapshot, the next writer makes a new
snapshot (``compacted``). Every edit has a random id which stays in the directory for a while: a writer who lost
the answer looks for his own.

Write caps are sealed under a key that follows from the directory's write cap only, so whoever holds the read cap
sees names, read caps and metadata: read-only is transitive.
"""

from __future__ import annotations

import json
import struct
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tahoe.codec.hashing import Tag, netstring, tagged_hash
from tahoe.errors import TahoeError

MAX_NAME_BYTES: Final = 4096
EDIT_ID_SIZE: Final = 8
NONCE_SIZE: Final = 12
EDITS_REMEMBERED: Final = 256
"""Ids of edits that a snapshot keeps, newest last."""
SMALLEST_LOG: Final = 16 * 1024
"""Bytes of edits that are never worth a compaction."""

_LENGTH: Final = struct.Struct(">L")
_FORMAT: Final = 1


class BadName(TahoeError):
    """The name can't be given to a child. The message says why; choose another."""


class CorruptDirectory(TahoeError):
    """The directory's contents make no sense, though they are what its writer signed. An older version may do."""


# --- names and metadata --------------------------------------------------------------------------------------


def normal_name(name: str) -> str:
    """The form in which names are compared and stored: NFC."""
    return unicodedata.normalize("NFC", name)


def check_name(name: str) -> str:
    """Return a new child's name in normal form.

    Raises:
        BadName: empty, too long, not UTF-8, or with a slash or NUL in it.
    """
    normal = normal_name(name)
    try:
        size = len(normal.encode())
    except UnicodeEncodeError as error:
        raise BadName("a name must be valid Unicode") from error
    if not 1 <= size <= MAX_NAME_BYTES:
        raise BadName(f"a name has 1 to {MAX_NAME_BYTES} bytes of UTF-8, not {size}")
    if "/" in normal or "\0" in normal:
        raise BadName("a name can't have a slash or a NUL in it")
    return normal


Metadata = Mapping[str, Any]
"""A JSON object. What is under ``tahoe`` belongs to the system."""


def updated_metadata(old: Metadata | None, new: Metadata | None, now: float) -> dict[str, Any]:
    """Return the metadata of a link that is set at ``now``.

    Args:
        old: of the link that had the name before; None if there was none.
        new: as given by whoever sets it; None if nothing was given.
        now: seconds since the epoch.
    """
    before = dict(old or {})
    result = dict(before)
    if new is not None:
        result = {key: value for key, value in new.items() if key != "tahoe"}
        if "tahoe" in before:
            result["tahoe"] = before["tahoe"]
    system = dict(result.get("tahoe") or {})
    if "linkcrtime" not in system:
        system["linkcrtime"] = before.get("ctime", now)
    system["linkmotime"] = now
    return {**{key: value for key, value in result.items() if key != "tahoe"}, "tahoe": system}


# --- immutable directories -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Child:
    """One entry of an immutable directory: its cap as text, and metadata."""

    read: str = field(repr=False)
    metadata: Metadata


def pack_immutable(children: Mapping[str, Child]) -> bytes:
    """Return the contents of an immutable directory.

    Raises:
        BadName: two names are one after normalisation.
    """
    normal = {normal_name(name): child for name, child in children.items()}
    if len(normal) != len(children):
        raise BadName("two names of this directory are the same after normalisation")
    return b"".join(netstring(_immutable_entry(name, normal[name])) for name in sorted(normal))


def _immutable_entry(name: str, child: Child) -> bytes:
    metadata = json.dumps(child.metadata).encode()
    return netstring(name.encode()) + netstring(child.read.encode()) + netstring(b"") + netstring(metadata)


def unpack_immutable(data: bytes) -> dict[str, Child]:
    """Return the entries of an immutable directory; what their caps are worth is for the reader to judge.

    Raises:
        CorruptDirectory: it does not parse, or has write caps.
    """
    children: dict[str, Child] = {}
    for entry in _netstrings(data):
        parts = list(_netstrings(entry))
        if len(parts) != 4 or parts[2]:
            raise CorruptDirectory("an entry of an immutable directory has a name, a read cap and metadata")
        name, read, _, metadata = parts
        try:
            child = Child(read.decode().rstrip(" "), _json_object(metadata))
            children[normal_name(name.decode())] = child
        except ValueError as error:
            raise CorruptDirectory(f"an entry does not parse: {error}") from error
    return children


def _json_object(data: bytes) -> dict[str, Any]:
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError("metadata is no JSON object")  # noqa: TRY004  # one kind of error for bytes that make no sense
    return found


def _netstrings(data: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(data):
        colon = data.find(b":", position, position + 20)
        digits = data[position:colon] if colon > 0 else b""
        if not digits.isdigit():
            raise CorruptDirectory("the directory's contents do not parse")
        end = colon + 1 + int(digits)
        if data[end : end + 1] != b",":
            raise CorruptDirectory("the directory's contents do not parse")
        yield data[colon + 1 : end]
        position = end + 1


# --- mutable directories: what is in them ----------------------------------------------------------------------


class Link(msgspec.Struct, frozen=True, array_like=True):
    """One child: what reads it, what writes it (sealed; empty: nothing does), and metadata as JSON text."""

    read: str
    sealed: bytes
    metadata: str = "{}"

    def __repr__(self) -> str:
        return "<Link>"

    @property
    def metadata_object(self) -> dict[str, Any]:
        """The metadata, parsed."""
        return _json_object(self.metadata.encode())


class Change(msgspec.Struct, frozen=True, array_like=True):
    """One name set to a link, or, without one, taken out."""

    name: str
    link: Link | None


class Edit(msgspec.Struct, frozen=True, array_like=True):
    """Changes that are made together. ``identity`` is 8 random bytes."""

    identity: bytes
    changes: tuple[Change, ...]


class _Named(msgspec.Struct, frozen=True, array_like=True):
    name: str
    link: Link


class _Snapshot(msgspec.Struct, frozen=True, array_like=True):
    format: int
    links: list[_Named]
    recent: list[bytes]


class DirectoryTable:
    """The contents of a mutable directory, as read or as to be written.

    Attributes:
        links: by name, in the order of their names in the snapshot, later ones behind.
        recent: ids of edits that are known to have been made, oldest first.
        snapshot_bytes: length of the snapshot's frame.
        log: the frames of the edits behind it.
    """

    __slots__ = ("links", "log", "recent", "snapshot")

    def __init__(self, links: Mapping[str, Link] | None = None, recent: Sequence[bytes] = ()) -> None:
        self.links: dict[str, Link] = dict(links or {})
        self.recent: list[bytes] = list(recent)[-EDITS_REMEMBERED:]
        named = [_Named(name, link) for name, link in sorted(self.links.items())]
        self.snapshot = _frame(_Snapshot(_FORMAT, named, self.recent))
        self.log = b""

    @classmethod
    def parse(cls, data: bytes) -> DirectoryTable:
        """Read contents. Empty contents are an empty directory.

        Raises:
            CorruptDirectory: they make no sense, or are of a later format.
        """
        table = cls()
        if not data:
            return table
        frames = _frames(data)
        body, end = next(frames)
        snapshot = _decode(_snapshot_decoder, body)
        if snapshot.format != _FORMAT:
            raise CorruptDirectory(f"a directory of format {snapshot.format}: upgrade to read it")
        table.links = {named.name: named.link for named in snapshot.links}
        table.recent = list(snapshot.recent)
        table.snapshot = data[:end]
        table.log = data[end:]
        for body, _ in frames:
            table._apply(_decode(_edit_decoder, body))
        return table

    @property
    def contents(self) -> bytes:
        """The bytes to be kept in the slot."""
        return self.snapshot + self.log

    def edits(self) -> Iterator[Edit]:
        """The edits in the log, oldest first."""
        return (_decode(_edit_decoder, body) for body, _ in _frames(self.log))

    def copy(self) -> DirectoryTable:
        """The same, to be edited while this stays as it is."""
        other = copy(self)
        other.links, other.recent = dict(self.links), list(self.recent)
        return other

    def has_made(self, identity: bytes) -> bool:
        """Whether an edit with this id is in the directory, or was until lately."""
        return identity in self.recent

    def append(self, edit: Edit) -> None:
        """Make an edit: the contents grow at their end only."""
        self.log += _frame(edit)
        self._apply(edit)

    def wants_compaction(self) -> bool:
        """Whether the log has grown so long that a new snapshot pays."""
        return len(self.log) > max(SMALLEST_LOG, len(self.snapshot))

    def compacted(self) -> DirectoryTable:
        """The same directory as a snapshot without a log."""
        return DirectoryTable(self.links, self.recent)

    def _apply(self, edit: Edit) -> None:
        for change in edit.changes:
            if change.link is None:
                self.links.pop(change.name, None)
            else:
                self.links[change.name] = change.link
        self.recent.append(edit.identity)


_snapshot_decoder: Final = msgspec.msgpack.Decoder(_Snapshot)
_edit_decoder: Final = msgspec.msgpack.Decoder(Edit)


def _decode(decoder: msgspec.msgpack.Decoder[Any], body: bytes | memoryview) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise CorruptDirectory("the directory's contents do not parse") from error


def _frame(thing: msgspec.Struct) -> bytes:
    body = msgspec.msgpack.encode(thing)
    return _LENGTH.pack(len(body)) + body


def _frames(data: bytes) -> Iterator[tuple[memoryview, int]]:
    """The frames' bodies, each with the offset behind it."""
    view = memoryview(data)
    position = 0
    while position < len(data):
        if position + _LENGTH.size > len(data):
            raise CorruptDirectory("the directory's contents end within a frame")
        end = position + _LENGTH.size + _LENGTH.unpack_from(data, position)[0]
        if end > len(data):
            raise CorruptDirectory("the directory's contents end within a frame")
        yield view[position + _LENGTH.size : end], end
        position = end


# --- sealed write caps -------------------------------------------------------------------------------------------


class Sealer:
    """Seals and opens the write caps of one directory's children.

    Args:
        seed: of the directory's write cap.
        nonce: gives 12 fresh random bytes per call.
    """

    def __init__(self, seed: bytes, nonce: Callable[[], bytes]) -> None:
        self._cipher = AESGCM(tagged_hash(Tag.DIRECTORY_CHILD_KEY, seed))
        self._nonce = nonce

    def seal(self, write: str | None) -> bytes:
        """Return what stands in a link for a write cap; empty where there is none."""
        if write is None:
            return b""
        nonce = self._nonce()
        return nonce + self._cipher.encrypt(nonce, write.encode(), None)

    def open(self, sealed: bytes) -> str | None:
        """Return the write cap.

        Raises:
            CorruptDirectory: it was not sealed by this directory's write cap.
        """
        if not sealed:
            return None
        try:
            return self._cipher.decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], None).decode()
        except (InvalidTag, ValueError) as error:
            raise CorruptDirectory("a sealed write cap is not this directory's") from error


def conflicts(before: Mapping[str, Link], now: Mapping[str, Link], names: Iterable[str]) -> list[str]:
    """Return the names that somebody else changed between two states of a directory."""
    return [name for name in names if before.get(name) != now.get(name)]
