"""What an actor remembers across restarts: one small file a value, replaced whole and durably.

A value that its owner may want to find, copy or carry elsewhere (the private root of a client) has a place of its own in
the node directory; all others are in one directory an actor.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tahoe.net.hands import Hands
from tahoe.net.keys import replace_file

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")


class DirectoryState:
    """A ``Durable`` in a directory, which is made when something is first put.

    Args:
        directory: of one actor.
        hands: do the disk work.
        apart: files of values that have a place of their own, by name.
    """

    def __init__(self, directory: Path, hands: Hands, apart: Mapping[str, Path] = MappingProxyType({})) -> None:
        self._directory = directory
        self._hands = hands
        self._apart = apart
        self._writing = asyncio.Lock()

    async def get(self, name: str) -> bytes | None:
        """The value last put, or None."""
        path = self._path(name)
        return await self._hands.run(_read, path)

    async def put(self, name: str, value: bytes) -> None:
        """Replace the value; durable on return."""
        path = self._path(name)
        async with self._writing:  # what is put later stays, whichever thread is quicker
            await self._hands.run(_write, path, bytes(value))

    def _path(self, name: str) -> Path:
        assert _NAME.fullmatch(name), f"{name!r} is no name of a durable value"
        return self._apart.get(name, self._directory / name)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write(path: Path, value: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, value)
