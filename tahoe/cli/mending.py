"""The demo's second act: shares rot, servers are gone for good, new ones join, and the caretaker mends.

Nothing in it tells the caretaker what is wrong. It is only asked to look now, rather than when it is due.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import click

from tahoe.cli.checkjobs import run_job
from tahoe.cli.gateway import Gateway
from tahoe.cli.local_grid import LocalGrid
from tahoe.cli.narrator import Narrator

RETURNING: Final = 2
"""Servers that come back after all. With one whose shares are sound, that is just enough at the default encoding."""

CONTAINER_BYTES: Final = 100
"""What is left intact of a file on a server's disk, so that it looks like a share still."""

LOOKS_AT_HARM: Final = 3
LOOKS_AT_MOST: Final = 20
COLOURS: Final = {"green": "green", "yellow": "yellow", "red": "red"}

Health = Mapping[str, Any]


class Mending:
    """Does harm to a grid of which few servers are left, and has it mended.

    Args:
        narrator: tells it.
        grid: the grid.
        dead: servers that were killed.
    """

    def __init__(self, narrator: Narrator, grid: LocalGrid, dead: Sequence[str]) -> None:
        self._narrator = narrator
        self._grid = grid
        self._dead = sorted(dead)
        self._alive = [name for name in grid.server_names if name not in dead]
        self._gateway = Gateway(grid.client)

    def tell(self) -> None:
        """Tell it to its end.

        Raises:
            ClickException: not everything is safe at the end.
        """
        self._harm()
        self._show(self._look_until("red", LOOKS_AT_HARM))
        self._help()
        health = self._look_until("green", LOOKS_AT_MOST)
        self._show(health)
        if health["state"] != "green":
            raise click.ClickException("the caretaker did not mend everything: please report this")

    def _harm(self) -> None:
        rotten = self._alive[1:]
        for name in rotten:
            rot(self._grid.plan.root / name / "storage")
        for name in self._dead:
            self._declare(name, gone=True)
        self._narrator.said(
            f"[bold red]On {len(rotten)} of the {len(self._alive)} servers that are left, every share rots on the disk[/bold red],"
            f" and all {len(self._dead)} that were killed are said to be gone for good."
        )

    def _help(self) -> None:
        back = self._dead[:RETURNING]
        for name in back:
            self._declare(name, gone=False)
        count = max(len(self._dead) - len(back), 1)
        with self._narrator.doing(f"{count} new servers join, {len(back)} of the killed ones come back"):
            self._grid.add_servers(count)
            self._grid.start_nodes(back)
        self._narrator.said(f"Of the killed ones {len(back)} came back after all, and {count} new servers joined.")

    def _look_until(self, state: str, most: int) -> Health:
        """Have the caretaker look, and look again: it finds out little by little, and mends as much as it can each time."""
        for _ in range(most):
            health = self._look()
            if health["state"] == state:
                break
        return health

    def _look(self) -> Health:
        """Have the caretaker look at everything now."""
        return run_job(self._gateway, "/care?t=start-round", "objects", lambda progress: progress.get("objects", 0))

    def _show(self, health: Health) -> None:
        state = health["state"]
        why = health["reasons"][0] if state != "green" else "everything is safe again"
        colour = COLOURS[state]
        self._narrator.said(f"[bold]tahoe health[/bold] says: [bold {colour}]{state.upper()}[/bold {colour}], {why}.")

    def _declare(self, name: str, *, gone: bool) -> None:
        query = {"t": "server-gone", "node": self._grid.node_id(name)} | ({} if gone else {"back": "true"})
        self._gateway.text("POST", f"/care?{urlencode(query)}", b"")


def rot(store: Path) -> None:
    """Change every byte of all shares and slots on a disk, but for the beginnings of their containers."""
    for folder in ("shares", "slots"):
        for path in (store / folder).rglob("*"):
            if path.is_file() and path.name.isdigit():
                content = bytearray(path.read_bytes())
                content[CONTAINER_BYTES:] = bytes(byte ^ 0xFF for byte in content[CONTAINER_BYTES:])
                path.write_bytes(content)
