"""Work with names: directories, trees by the command line, and mutable files."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.bench.load import MEGABYTE, Work, timed, times

ROUNDS = 10
"""Of what takes milliseconds; the median counts."""
TREE_ROUNDS = 3
TREE_FILE = 5_000
ALIAS = "bench"


class NameWork(Work):
    """Directories made, linked into and listed; trees copied and backed up; mutable files changed."""

    def _steps(self) -> tuple[Callable[[], None], ...]:
        return (self._directories, self._large_directory, self._trees, self._mutable_files)

    # --- steps ------------------------------------------------------------------------------------------------

    def _directories(self) -> None:
        """Make directories; link files into a small one."""
        with self._median("make a directory, ms"):
            caps = [self._timed("POST", "/uri?t=mkdir") for _ in range(ROUNDS)]
        self._link("link into a small directory, ms", caps[0])

    def _large_directory(self) -> None:
        """Link files into a directory of many; list it."""
        cap = self._store(os.urandom(1000))
        children = {f"file-{number:05}": ["filenode", {"ro_uri": cap}] for number in range(self._size.entries)}
        large = self._call("POST", "/uri?t=mkdir-with-children", json.dumps(children).encode()).decode().strip()
        self._link("link into a directory of 1,000, ms", large)
        with self._median("list 1,000 entries, ms"):
            for _ in range(ROUNDS):
                listing = json.loads(self._timed("GET", f"/uri/{large}?t=json"))
                assert len(listing[1]["children"]) == self._size.entries + ROUNDS

    def _trees(self) -> None:
        """Copy a tree of small files into the grid; back one up, and again."""
        self._run("create-alias", ALIAS)
        copies, first, again = times(), times(), times()
        for number in range(min(TREE_ROUNDS, self._size.repeats)):
            with _tree(self._size.tree_files) as source, timed(copies):
                self._run("cp", "-r", source, f"{ALIAS}:copy-{number}")
            with _tree(self._size.tree_files) as source:
                with timed(first):
                    self._run("backup", source, f"{ALIAS}:backup-{number}")
                with timed(again):
                    self._run("backup", source, f"{ALIAS}:backup-{number}")
        self.figures["cp -r of 100 files of 5 kB, s"] = statistics.median(copies)
        self.figures["backup of 100 files of 5 kB, s"] = statistics.median(first)
        self.figures["backup again, nothing changed, s"] = statistics.median(again)

    def _mutable_files(self) -> None:
        """Overwrite a mutable file; change a little of a large one."""
        cap = self._store(os.urandom(MEGABYTE), f"?format={self._grid.mutable}")
        with self._median("overwrite a mutable file of 1 MB, ms"):
            for _ in range(ROUNDS):
                self._timed("PUT", f"/uri/{cap}", os.urandom(MEGABYTE))
        size = self._size.mutable_megabytes * MEGABYTE
        large = self._store(os.urandom(size), f"?format={self._grid.mutable}")
        with self._median("change 100 bytes of a mutable file of 100 MB, ms"):
            for number in range(ROUNDS):
                offset = size * (2 * number + 1) // (2 * ROUNDS)
                self._timed("PUT", f"/uri/{large}?offset={offset}", os.urandom(100))

    # --- helpers ----------------------------------------------------------------------------------------------

    def _link(self, figure: str, directory: str) -> None:
        """Link files into a directory, one after the other."""
        caps = [self._store(os.urandom(1000)) for _ in range(ROUNDS)]
        with self._median(figure):
            for number, cap in enumerate(caps):
                self._timed("PUT", f"/uri/{directory}/linked-{number}?t=uri", cap.encode())

    def _timed(self, method: str, path: str, body: bytes | None = None) -> str:
        """A request whose time is one of those that the median is taken of."""
        with timed(self._seconds):
            return self._call(method, path, body).decode().strip()

    @contextmanager
    def _median(self, figure: str) -> Iterator[None]:
        """Note the median of the requests that are timed meanwhile, in milliseconds, and their processor time."""
        self._seconds = times()
        with self._processor_time(figure.rpartition(",")[0], ROUNDS):
            yield
        self.figures[figure] = 1000 * statistics.median(self._seconds)

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(self._grid.tool(*arguments), capture_output=True, text=True, check=False)  # noqa: S603  # the grid's own program
        if done.returncode:
            raise RuntimeError(f"{self._grid.name}: tahoe {arguments[0]} failed: {done.stderr[-500:]}")


@contextmanager
def _tree(files: int) -> Iterator[str]:
    """A directory of small files with fresh contents."""
    with tempfile.TemporaryDirectory(prefix="tahoe-bench-tree-") as folder:
        for number in range(files):
            (Path(folder) / f"file-{number}").write_bytes(os.urandom(TREE_FILE))
        yield folder
