"""Places in the grid as a URL names them: a capability or a named root, and a path from there.

::

    /uri/CAP/name/name           a capability, and names below it
    /vdrive/ROOT/name/name       a root of the grid; ``private`` is the node's own

Every name is percent-encoded UTF-8 by itself. So the *raw* path is cut at its slashes before anything is decoded: what
stands for a slash inside a name (``%2F``) never becomes one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote, unquote_to_bytes

from tahoe.actors.directories import Directories, Found
from tahoe.codec.capability import Capability, Directory, Unknown, parse
from tahoe.codec.directory import MAX_NAME_BYTES
from tahoe.errors import BadCapability
from tahoe.web.errors import WebError

if TYPE_CHECKING:
    from starlette.types import Scope

PRIVATE_ROOT: Final = "private"
MOST_NAMES: Final = 256
"""How deep a path may be."""


class RootFinder(Protocol):
    """What is needed of the client's roots (``actors/roots.py``)."""

    async def find(self, name: str) -> Directory:
        """The directory of a root of the grid."""

    async def private(self) -> Directory:
        """The node's own, made on first use."""


class PlaceClient(Protocol):
    """What is needed of the client actor to find places."""

    directories: Directories

    @property
    def roots(self) -> RootFinder:
        """Named roots."""


@dataclass(frozen=True, slots=True, repr=False)
class Place:
    """Where something is, or may be.

    Args:
        start: a capability, or the name of a root.
        path: names from there.
    """

    start: Capability | str
    path: tuple[str, ...] = ()

    @property
    def parent(self) -> Place:
        """One name up."""
        assert self.path, "a start has no parent"
        return Place(self.start, self.path[:-1])

    @property
    def name(self) -> str:
        """The last name; empty for a start."""
        return self.path[-1] if self.path else ""

    def child(self, *names: str) -> Place:
        """Further down."""
        return Place(self.start, (*self.path, *names))

    @property
    def url(self) -> str:
        """The path of a URL that names it."""
        first = f"/vdrive/{quote(self.start, safe='')}" if isinstance(self.start, str) else f"/uri/{self.start}"
        return "/".join([first, *(quote(name, safe="") for name in self.path)])

    def __repr__(self) -> str:
        return f"<Place {self.start!r} and {len(self.path)} names>"


def place_of(scope: Scope) -> Place:
    """Return the place that a request's path names.

    Raises:
        WebError: 400, a name is not UTF-8, too long, or too deep down; 404, there is none.
    """
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    kind, *parts = raw.split(b"?", 1)[0].decode("latin-1").strip("/").split("/")
    names = [_decoded(part) for part in parts]
    if not names or not names[0]:
        raise WebError(404, "there is nothing here; a path begins with /uri/CAP or /vdrive/ROOT")
    start = capability_of(names[0]) if kind in {"uri", "named"} else names[0]
    return Place(start, checked_path(names[1:]))


def parse_place(text: str) -> Place:
    """Return the place that ``CAP/path`` or ``root:NAME/path`` names; here names are plain, not percent-encoded.

    Raises:
        WebError: 400, it names none.
    """
    first, *path = text.strip("/").split("/")
    if first.startswith("root:"):
        return Place(first.removeprefix("root:"), checked_path(path))
    return Place(capability_of(first), checked_path(path))


def checked_path(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of a path.

    Raises:
        WebError: 400, one is impossible, or they are too many.
    """
    path = tuple(names)
    if len(path) > MOST_NAMES:
        raise WebError(400, f"a path may have {MOST_NAMES} names, not {len(path)}")
    if not all(path):
        raise WebError(400, "a name in the path is empty")
    if any(len(name.encode("utf-8", "surrogatepass")) > 2 * MAX_NAME_BYTES for name in path):
        raise WebError(414, f"a name has at most {MAX_NAME_BYTES} bytes of UTF-8")
    return path


def capability_of(text: str) -> Capability:
    """Return a capability that a request names.

    Raises:
        BadCapability: it is none.
    """
    cap = parse(text.strip())
    if isinstance(cap, Unknown) and (cap.flaw is not None or not text.startswith(("URI:", "ro.", "imm."))):
        cap.check_served()
    return cap


async def start_of(client: PlaceClient, place: Place) -> Capability:
    """Return the capability that a place starts from.

    Raises:
        NoSuchRoot: there is no root of this name.
    """
    if not isinstance(place.start, str):
        return place.start
    return await (client.roots.private() if place.start == PRIVATE_ROOT else client.roots.find(place.start))


async def find(client: PlaceClient, place: Place) -> Found:
    """Return what is at a place.

    Raises:
        NoSuchChild, NotADirectory, NoSuchRoot: nothing is.
    """
    return await client.directories.lookup(await start_of(client, place), place.path)


async def directory_at(client: PlaceClient, place: Place) -> Directory:
    """Return the directory at a place.

    Raises:
        NoSuchChild, NotADirectory, NoSuchRoot: there is none.
    """
    return as_directory((await find(client, place)).capability)


def as_directory(cap: Capability) -> Directory:
    """Return the capability of a directory.

    Raises:
        BadCapability: it is of something else.
    """
    if not isinstance(cap, Directory):
        cap.check_served()
        raise BadCapability("this is the capability of a file; a directory is needed here")
    return cap


def _decoded(part: str) -> str:
    try:
        return unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        raise WebError(400, "a name in the path is not UTF-8; percent-encode its UTF-8 bytes") from None
