"""A user at a shell: commands in this process, a node whose gateway serves a grid of real actors, and a directory to be in."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from tahoe.actors.roots import publish_root
from tahoe.cli.main import main
from tests.web.conftest import TOKEN, RunningGrid
from tests.web.grid import KEY


class Outcome(NamedTuple):
    status: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode().strip()

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n") if self.text else []


class Shell:
    """Calls commands.

    Args:
        drive: the gateway and its grid.
        here: the working directory.
        monkeypatch: pytest's.
    """

    def __init__(self, drive: RunningGrid, here: Path, monkeypatch) -> None:
        self.drive = drive
        self.here = here
        self.node = drive.directory
        self.monkeypatch = monkeypatch
        here.mkdir()
        (self.node / "private").mkdir()
        (self.node / "private" / "api_token").write_text(TOKEN + "\n")
        (self.node / "tahoe.toml").touch()
        monkeypatch.chdir(here)
        monkeypatch.setenv("TAHOE_NODE", str(self.node))

    def __call__(self, *arguments: object, given: bytes = b"") -> Outcome:
        """Run ``tahoe ARGUMENTS``."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8"))
        status = 0
        with redirect_stdout(out), redirect_stderr(err):
            try:
                main([*map(str, arguments)])
            except SystemExit as end:
                status = int(end.code or 0)
        return Outcome(status, out.buffer.getvalue(), err.buffer.getvalue().decode())

    def ok(self, *arguments: object, given: bytes = b"") -> str:
        """The same, of what has to succeed; what it prints."""
        outcome = self(*arguments, given=given)
        assert outcome.status == 0, outcome
        return outcome.text

    def fails(self, *arguments: object, given: bytes = b"", status: int = 1) -> str:
        """The same, of what has to fail; what it says."""
        outcome = self(*arguments, given=given)
        assert outcome.status == status, outcome
        assert outcome.err
        return outcome.err

    def file(self, path: str, contents: bytes = b"contents") -> Path:
        """Make a file here, and the directories that it is in."""
        made = self.here / path
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_bytes(contents)
        return made

    def publish(self, name: str = "global") -> str:
        """Publish a new directory; its capability."""
        roots = self.drive.grid.client.roots
        root = self.drive.run(self.drive.grid.client.directories.create())
        self.drive.run(roots.publish(publish_root(KEY, name, 1, root)))
        return str(root)

    def tree(self, path: str) -> dict[str, bytes]:
        """All files below a directory in the grid, by path."""
        units = self.ok("manifest", "--json", path).split("\n")
        found = {}
        for line in units:
            unit = json.loads(line)
            if unit["type"] == "file":
                found["/".join(unit["path"])] = self("get", unit["cap"]).out
        return found


def local_tree(root: Path) -> dict[str, bytes]:
    """All files below a directory here, by path."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
