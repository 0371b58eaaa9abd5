"""Where backups go: a directory in the grid with ``Archives/<UTC time>`` and ``Latest``, and one encoding for ever.

The encoding (k of N) that a root was begun with is part of every capability below it. If each backup took what the grid
decrees on its day, then after a change of that decree every file whose times alone have changed, and after the loss of
the database every file there is, would be stored a second time under other capabilities. So the first backup writes its
encoding into the metadata of the link ``Archives``, where all machines that back up to this root find it, and all
others follow it. Happiness, on how many servers shares must lie for a file to count as stored, is in no
capability and speaks of the grid as it is: that is always today's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Final, Self
from urllib.parse import quote, urlencode

import click

from tahoe.cli.backupsnapshot import UnreadableError
from tahoe.cli.gateway import BLOCK, STATUS, Body, Gateway, GatewayError
from tahoe.codec.capability import parse
from tahoe.codec.file import LITERAL_LIMIT, make_literal
from tahoe.errors import BadConfiguration

ARCHIVES: Final = "Archives"
LATEST: Final = "Latest"
METADATA_KEY: Final = "backup"
EXISTS: Final = "ChildExists"

Children = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How files are stored: any ``needed`` of ``total`` shares, on ``happy`` servers at least."""

    needed: int
    happy: int
    total: int

    @property
    def frozen(self) -> str:
        """What never changes in a root."""
        return f"{self.needed}-of-{self.total}"

    def as_in(self, frozen: str) -> Encoding:
        """The encoding of a root that was begun with another one, on the same grid.

        Raises:
            BadConfiguration: what stands there makes no sense.
        """
        needed, _, total = frozen.partition("-of-")
        if not (needed.isdecimal() and total.isdecimal() and 1 <= int(needed) <= int(total) <= 256):
            raise BadConfiguration(f"this backup root says that its encoding is {frozen!r}; back up to another one")
        return Encoding(int(needed), min(self.happy, int(total)), int(total))

    def __str__(self) -> str:
        return f"{self.needed}/{self.happy}/{self.total}"


class BackupRoot:
    """A directory that backups go to.

    Args:
        gateway: of the local node.
        location: of the directory, as the path of a URL.
        encoding: of all that is stored there.
    """

    def __init__(self, gateway: Gateway, location: str, encoding: Encoding) -> None:
        self.encoding = encoding
        self._gateway = gateway
        self._location = location

    @classmethod
    def open(cls, gateway: Gateway, location: str) -> Self:
        """Open a root; it is made if need be.

        Raises:
            ClickException: it can't be made, read or written to.
        """
        report = gateway.json(STATUS)
        today = report["grid"]["encoding"]
        if today is None:
            raise click.ClickException(
                "the node has not heard yet how files are encoded in this grid; see tahoe status"
            )
        root = cls(gateway, location, Encoding(*today))
        gateway.text("POST", f"{location}?t=mkdir")
        try:
            root.encoding = root._settle()
        except GatewayError as error:
            if error.kind != EXISTS:
                raise
            root.encoding = root._settle()  # somebody else was quicker to begin it
        return root

    def _settle(self) -> Encoding:
        """Find out which encoding the root has; give it today's if it has none."""
        archives = self._children().get(ARCHIVES)
        if archives is None:
            made = self._gateway.text("POST", "/uri?t=mkdir")
            link = {"rw_uri": made, "ro_uri": str(parse(made).read_only()), "metadata": self._mark({})}
            self._set({ARCHIVES: ["dirnode", link]}, replace=False)
            return self.encoding
        kind, link = archives
        metadata = link.get("metadata") or {}
        frozen = (metadata.get(METADATA_KEY) or {}).get("encoding")
        if frozen is not None:
            return self.encoding.as_in(str(frozen))
        caps = {name: link[name] for name in ("rw_uri", "ro_uri") if name in link}
        self._set({ARCHIVES: [kind, {**caps, "metadata": self._mark(metadata)}]}, replace=True)
        return self.encoding

    def _mark(self, metadata: dict[str, Any]) -> dict[str, Any]:
        return {**metadata, METADATA_KEY: {"encoding": self.encoding.frozen}}

    # --- storing ----------------------------------------------------------------------------------------------

    def store(self, body: bytes | IO[bytes], size: int) -> str:
        """See ``Store``."""
        if isinstance(body, bytes) and size <= LITERAL_LIMIT:
            return str(make_literal(body))
        sent: Body = body if isinstance(body, bytes) else blocks(body, size)
        query = urlencode({"encoding": str(self.encoding)})
        return self._gateway.text("PUT", f"/uri?{query}", sent, {"Content-Length": str(size)})

    def link(self, capability: str, metadata: dict[str, Any]) -> str:
        """Give a snapshot its names; the one with the time is returned.

        The archive comes first: interrupted between the two, the snapshot is there, and the next one is ``Latest``.
        """
        link = ["dirnode", {"ro_uri": capability, "metadata": metadata}]
        now = datetime.now(UTC)
        name = f"{now:%Y-%m-%dT%H:%M:%SZ}"
        try:
            self._set({name: link}, f"/{ARCHIVES}", replace=False)
        except GatewayError as error:
            if error.kind != EXISTS:
                raise
            # two in one second
            name = f"{now:%Y-%m-%dT%H:%M:%S.%fZ}"
            self._set({name: link}, f"/{ARCHIVES}", replace=False)
        self._set({LATEST: link}, replace=True)
        return f"{ARCHIVES}/{name}"

    def _children(self) -> Children:
        """What is in the root.

        Raises:
            ClickException: it can't be changed, which is better told before a day of work than after it.
        """
        kind, facts = self._gateway.json(f"{self._location}?t=json")
        if kind != "dirnode" or "rw_uri" not in facts:
            raise click.ClickException("backups can't go there: it is no directory, or this capability only reads it")
        children = facts["children"]
        assert isinstance(children, dict)
        return children

    def _set(self, children: Children, below: str = "", *, replace: bool) -> None:
        query = urlencode({"t": "set_children", "replace": "true" if replace else "false"})
        self._gateway.text("POST", f"{self._location}{quote(below)}?{query}", json.dumps(children).encode())


def blocks(file: IO[bytes], size: int) -> Iterator[bytes]:
    """A file's bytes, as many as were announced.

    Raises:
        UnreadableError: there are fewer.
    """
    left = size
    while left:
        try:
            block = file.read(min(BLOCK, left))
        except OSError as error:
            raise UnreadableError(error.strerror or "it can't be read") from error
        if not block:
            raise UnreadableError("it became shorter while it was read")
        left -= len(block)
        yield block
