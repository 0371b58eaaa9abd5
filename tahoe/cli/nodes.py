"""What is in the grid at a location, as the gateway tells it, and the few requests that change it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import click

from tahoe.cli.gateway import Body, Gateway, GatewayError
from tahoe.cli.locations import ROOT, Location

DIRECTORY: Final = "dirnode"
FILE: Final = "filenode"

NOT_FOUND: Final = 404
SHARED_ROOT: Final = ROOT + "global"

MTIME: Final = "mtime"
"""In a link's metadata: when the contents last changed, in seconds since the epoch."""


class Node(NamedTuple):
    """A file, a directory, or something that is not known here.

    Args:
        kind: ``filenode``, ``dirnode`` or ``unknown``.
        facts: what the gateway says of it.
    """

    kind: str
    facts: Mapping[str, Any]

    @property
    def is_directory(self) -> bool:
        """Whether it has children."""
        return self.kind == DIRECTORY

    @property
    def is_mutable(self) -> bool:
        """Whether its contents can change."""
        return bool(self.facts.get("mutable"))

    @property
    def read_cap(self) -> str | None:
        """The capability that reads it."""
        return self.facts.get("ro_uri")

    @property
    def write_cap(self) -> str | None:
        """The capability that changes it."""
        return self.facts.get("rw_uri")

    @property
    def cap(self) -> str:
        """The capability with all the power that there is."""
        return str(self.write_cap or self.read_cap or self.verify_cap)

    @property
    def verify_cap(self) -> str | None:
        """The capability that checks it, and tells it from others."""
        return self.facts.get("verify_uri")

    @property
    def size(self) -> int | None:
        """Of a file, in bytes; None where nobody has asked."""
        return self.facts.get("size")

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Of its link."""
        return self.facts.get("metadata") or {}

    @property
    def changed(self) -> float | None:
        """When its contents last changed, in seconds since the epoch, or at least when it was linked."""
        own = self.metadata.get("tahoe")
        linked = own.get("linkmotime") if isinstance(own, dict) else None
        for time in (self.metadata.get(MTIME), linked):
            if isinstance(time, (int, float)) and not isinstance(time, bool):
                return float(time)
        return None

    @property
    def children(self) -> dict[str, Node]:
        """Of a directory that was looked at.

        Raises:
            ClickException: its capability does not tell.
        """
        if "children" not in self.facts:
            raise click.ClickException("this capability checks the directory; listing it takes one that reads")
        return {name: Node(*pair) for name, pair in self.facts["children"].items()}

    def link(self, metadata: Mapping[str, Any] | None = None, *, read_only: bool = False) -> list[Any]:
        """Return the child that links to it, as ``set_children`` takes it."""
        caps = {"ro_uri": self.read_cap}
        if self.write_cap is not None and not read_only:
            caps["rw_uri"] = self.write_cap
        return [self.kind, caps if metadata is None else {**caps, "metadata": dict(metadata)}]


def ask(
    gateway: Gateway, method: str, location: Location, body: Body | None = None, **query: str
) -> http.client.HTTPResponse:
    """Send a request about a location.

    Raises:
        GatewayError: it names the location.
    """
    try:
        return gateway.request(method, location.request(**query), body)
    except GatewayError as error:
        if error.kind == "NoSuchRoot":
            message = f"{location}: there is no alias or root of this name; {_remedy(location)}"
        else:
            message = f"{str(location).removesuffix(':')}: {error.message}"
        raise GatewayError(message, error.status, error.kind) from error


def _remedy(location: Location) -> str:
    if location.start == SHARED_ROOT:
        return "the grid's owner makes the one that all share: tahoe vdrive publish global"
    return "see tahoe list-aliases and tahoe vdrive list"


def ask_text(gateway: Gateway, method: str, location: Location, body: Body | None = None, **query: str) -> str:
    """Send a request about a location and return the line that answers it. Raises as ``ask`` does."""
    return ask(gateway, method, location, body, **query).read().decode().strip()


def look(gateway: Gateway, location: Location) -> Node:
    """Return what is at a location.

    Raises:
        GatewayError: nothing is, or it can't be found out.
    """
    node = Node(*json.loads(ask(gateway, "GET", location, t="json").read()))
    if location.slash and not node.is_directory:
        raise GatewayError(f"{location}: this is no directory", NOT_FOUND, "NotADirectory")
    return node


def look_if_there(gateway: Gateway, location: Location) -> Node | None:
    """Return what is at a location, or None if nothing is."""
    try:
        return look(gateway, location)
    except GatewayError as error:
        if error.kind != "NoSuchChild":
            raise
        return None


def make_directory(gateway: Gateway, location: Location) -> str:
    """Make a directory, and its parents; one that is there already is as good. Returns its capability."""
    return ask_text(gateway, "POST", location, t="mkdir")


def set_children(gateway: Gateway, location: Location, children: Mapping[str, Any], replace: str = "true") -> None:
    """Link children into a directory, all at once.

    Args:
        gateway: of the local node.
        location: of the directory.
        children: by name, as ``Node.link`` makes them.
        replace: ``true``, ``false`` or ``only-files``.
    """
    ask_text(gateway, "POST", location, json.dumps(children).encode(), t="set_children", replace=replace)


def is_taken(error: GatewayError) -> bool:
    """Whether a change was refused because there is something of this name, which may not be replaced."""
    return error.kind == "ChildExists"
