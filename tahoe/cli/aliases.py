"""The aliases of a node: names that a person gives to capabilities, in ``private/aliases``.

One a line, ``name: capability``, as Tahoe-LAFS has it. A new one is appended in one write, so that two commands at the same
moment lose nothing; for a directory that was just made, this file is the only place where its capability is.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from tahoe.errors import BadConfiguration

ALIASES_FILE: Final = Path("private") / "aliases"

_HEAD: Final = "# Aliases of this node, as tahoe create-alias and add-alias keep them. A secret.\n"


class Aliases:
    """What stands in the file of one node.

    Args:
        node_directory: the node's.
    """

    def __init__(self, node_directory: Path) -> None:
        self.path = node_directory / ALIASES_FILE

    def load(self) -> dict[str, str]:
        """Return capabilities by alias.

        Raises:
            BadConfiguration: other users can read the file, or a line makes no sense.
        """
        try:
            mode = self.path.stat().st_mode
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise BadConfiguration(f"{self.path} is open to other users: chmod 600 {self.path}")
        numbered = enumerate(text.split("\n"), 1)
        return dict(self._entry(number, line) for number, line in numbered if line.strip() and line[0] != "#")

    def add(self, name: str, capability: str) -> None:
        """Append an alias; durable on return.

        Raises:
            BadConfiguration: there is one of this name.
        """
        if name in self.load():
            raise BadConfiguration(f"there is an alias {name} already; tahoe remove-alias {name} takes it away")
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(handle).st_size
            before = _HEAD if not size else "" if os.pread(handle, 1, size - 1) == b"\n" else "\n"
            os.write(handle, f"{before}{name}: {capability}\n".encode())
            os.fsync(handle)
        finally:
            os.close(handle)

    def remove(self, name: str) -> str:
        """Take an alias away; its capability is returned.

        Raises:
            BadConfiguration: there is none of this name.
        """
        from tahoe.net.keys import replace_file  # noqa: PLC0415  # start-up time

        known = self.load()
        if name not in known:
            raise BadConfiguration(f"there is no alias {name}; see tahoe list-aliases")
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line[0] == "#" or line.partition(":")[0].strip() != name]
        replace_file(self.path, "".join(kept).encode())
        return known[name]

    def _entry(self, number: int, line: str) -> tuple[str, str]:
        name, colon, capability = line.partition(":")
        if not (name.strip() and colon and capability.strip()):
            raise BadConfiguration(f"{self.path}, line {number}: this is not 'name: capability'; mend or remove it")
        return name.strip(), capability.strip()
