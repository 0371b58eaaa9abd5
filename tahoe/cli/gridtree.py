"""Folders and files in the grid, as sources and targets of a copy.

Files become links in batches: a hundred small ones cost a hundred uploads and one change of their directory.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote

import click

from tahoe.cli.gateway import BLOCK, Gateway, GatewayError
from tahoe.cli.locations import Location
from tahoe.cli.names import grid_name, shown
from tahoe.cli.nodes import FILE, MTIME, Node, ask, look, set_children
from tahoe.cli.trees import Contents, SourceFile, Unfit, has_same_contents, is_same_file

LINKS_AT_ONCE: Final = 100
BYTES_AT_ONCE: Final = 64_000_000
"""Of files that nothing links to yet: what an interruption makes futile is no more than this."""

SMALL: Final = 1 << 20
"""Bytes of a file that is read whole, so that its upload can use a connection that is open already."""

CREATED: Final = 201
TRIES: Final = 3


class GridFile:
    """A file.

    Args:
        gateway: of the local node.
        name: in its directory.
        node: what the gateway says of it.
    """

    def __init__(self, gateway: Gateway, name: str, node: Node) -> None:
        self._gateway = gateway
        self.name = name
        self.node: Node | None = node
        self.size = node.size
        self.changed = node.changed
        self._cap = str(node.read_cap)

    @contextmanager
    def open(self) -> Iterator[tuple[Iterator[bytes], int | None]]:
        """See ``SourceFile``."""
        with ask(self._gateway, "GET", Location(self._cap, (), shown(self.name))) as response:
            yield received(response), response.length


class GridFolder:
    """A directory.

    Args:
        gateway: of the local node.
        name: in its own directory.
        node: what the gateway says of it.
        above: identities of the folders that it was found through.
    """

    def __init__(self, gateway: Gateway, name: str, node: Node, above: tuple[Hashable, ...] = ()) -> None:
        self._gateway = gateway
        self.name = name
        self.node = node
        self.identity: Hashable = node.verify_cap or node.cap
        self.above = above

    def read(self) -> Contents:
        """See ``SourceFolder``."""
        node = self.node
        if "children" not in node.facts:
            node = look(self._gateway, Location(node.cap, (), shown(self.name)))
        found = Contents([], [], [])
        for name, child in sorted(node.children.items()):
            self._sort_in(found, name, child)
        return found

    def _sort_in(self, found: Contents, name: str, node: Node) -> None:
        if node.is_directory:
            found.folders.append(GridFolder(self._gateway, name, node, (*self.above, self.identity)))
        elif node.kind == FILE and node.read_cap is not None:
            found.files.append(GridFile(self._gateway, name, node))
        else:
            found.unfit.append(Unfit(name, "a capability of a kind that is not known here"))


class GridTarget:
    """A directory that things are copied into.

    Args:
        gateway: of the local node.
        location: of it; it may not be there yet.
    """

    def __init__(self, gateway: Gateway, location: Location) -> None:
        self._gateway = gateway
        self._location = location
        self.label = str(location)
        self._there: dict[str, Node] = {}
        self._taken: dict[str, str] = {}
        self._lock = threading.Lock()
        self._links: dict[str, Any] = {}
        self._bytes = 0

    @property
    def identity(self) -> Hashable:
        """See ``TargetFolder``."""
        from tahoe.codec.capability import parse  # noqa: PLC0415  # start-up time

        return str(parse(self._location.start).verifier())

    def open(self) -> None:
        """See ``TargetFolder``. From now on it is known by its capability, whatever becomes of its name."""
        answer = ask(self._gateway, "POST", self._location, t="mkdir")
        cap = answer.read().decode().strip()
        self._location = Location(cap, (), self.label + "/" * bool(self._location.names))
        if answer.status != CREATED:
            self._there = look(self._gateway, self._location).children

    def folder(self, name: str) -> GridTarget:
        """See ``TargetFolder``."""
        name = self._name(name)
        there = self._there.get(name)
        if there is not None and not there.is_directory:
            raise click.ClickException(f"{self._location.child(name)}: there is a file of this name")
        return GridTarget(self._gateway, self._location.child(name))

    def is_unchanged(self, name: str, file: SourceFile) -> bool:
        """See ``TargetFolder``."""
        there = self._there.get(grid_name(name))
        if there is None or there.kind != FILE:
            return False
        if file.node is not None and not file.node.is_mutable and file.node.read_cap == there.read_cap:
            return True
        if there.is_mutable or (file.node is not None and file.node.is_mutable):
            return has_same_contents(file, GridFile(self._gateway, name, there))
        return is_same_file(file, there.size, there.changed)

    def write(self, name: str, file: SourceFile) -> None:
        """See ``TargetFolder``. What can't change is linked as it is; a slot that is there gets new contents."""
        name = self._name(name)
        there = self._there.get(name)
        if there is not None and there.is_directory:
            raise click.ClickException(f"{self._location.child(name)}: there is a directory of this name")
        if there is not None and there.is_mutable and there.write_cap is not None:
            self._store(file, f"/uri/{quote(there.write_cap, safe=':')}")
        elif file.node is not None and not file.node.is_mutable:
            own = {key: value for key, value in file.node.metadata.items() if key != "tahoe"}
            self._add(name, file.node.link(own), 0)
        else:
            metadata = {} if file.changed is None else {MTIME: file.changed}
            self._add(name, [FILE, {"ro_uri": self._store(file, "/uri"), "metadata": metadata}], file.size or 0)

    def flush(self, *, last: bool) -> Callable[[], None] | None:
        """See ``TargetFolder``."""
        with self._lock:
            if not self._links or not (last or len(self._links) >= LINKS_AT_ONCE or self._bytes >= BYTES_AT_ONCE):
                return None
            links, self._links, self._bytes = self._links, {}, 0
        return lambda: self._link(links)

    def _link(self, links: dict[str, Any]) -> None:
        """Link files; of two copies that change one name at the same moment the later one has the last word."""
        try:
            for last in (False,) * (TRIES - 1) + (True,):
                try:
                    set_children(self._gateway, self._location, links, "only-files")
                    break
                except GatewayError as error:
                    if last or error.kind != "Conflict":
                        raise
        except click.ClickException as error:
            names = ", ".join(map(shown, list(links)[:3])) + (", ..." if len(links) > 3 else "")
            raise click.ClickException(f"{error.message} ({len(links)} not linked: {names})") from error

    def _name(self, name: str) -> str:
        """Return the name of a child.

        Raises:
            ClickException: there can be none, or another one has the name in this copy.
        """
        normal = grid_name(name)
        with self._lock:
            other = self._taken.setdefault(normal, name)
        if other != name:
            raise click.ClickException(f"{shown(name)} and {shown(other)} are one name in the grid")
        return normal

    def _add(self, name: str, link: list[Any], size: int) -> None:
        with self._lock:
            self._links[name] = link
            self._bytes += size

    def _store(self, file: SourceFile, path: str) -> str:
        """Store a file's contents; returns the capability."""
        with file.open() as (contents, size):
            if size is not None and size <= SMALL:
                return self._gateway.text("PUT", path, b"".join(contents))
            headers = {} if size is None else {"Content-Length": str(size)}
            return self._gateway.text("PUT", path, contents, headers)


def received(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the contents of an answer.

    Raises:
        ClickException: it broke off.
    """
    left = response.length
    while True:
        try:
            block = response.read(BLOCK)
        except (OSError, http.client.HTTPException) as error:
            raise click.ClickException("the file broke off; the node's logs/node.log says why") from error
        if not block:
            break
        if left is not None:
            left -= len(block)
        yield block
    if left:
        raise click.ClickException(f"the file broke off {left} bytes before its end; the node's logs/node.log says why")
