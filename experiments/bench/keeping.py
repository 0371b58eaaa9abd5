"""Work of keeping: files checked, trees checked, shares verified byte by byte, and made anew where disks have lost them."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable
from typing import Any, Final

from experiments.bench.load import MEGABYTE, Work, timed, times

ROUNDS: Final = 20
"""Of what takes milliseconds; the median counts."""
DEEP_ROUNDS: Final = 5
LOST_SHARES: Final = (0, 3, 6, 9)
"""Numbers of the shares that are taken off the servers' disks before a repair: of two of them readers want the blocks first."""


class KeepingWork(Work):
    """A file and a tree checked, a large file verified, and repaired when four of its ten shares are gone."""

    def _steps(self) -> tuple[Callable[[], None], ...]:
        return (self._check, self._deep_check, self._verify, self._repair)

    # --- steps ------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        """Ask all servers what they have of one file, again and again."""
        cap = self._store(os.urandom(MEGABYTE))
        seconds = times()
        with self._processor_time("check a file", ROUNDS):
            for _ in range(ROUNDS):
                with timed(seconds):
                    found = self._grid.keep(self._call, "check", cap)
                assert found["results"]["healthy"]
        self.figures["check a file, ms"] = 1000 * statistics.median(seconds)

    def _deep_check(self) -> None:
        """Ask all servers what they have of every object of a tree."""
        per_directory = self._size.tree_objects // 7 - 1
        folders = {}
        for number in range(7):
            files = {f"file-{place}": self._link(self._store(os.urandom(1000))) for place in range(per_directory)}
            folders[f"folder-{number}"] = self._make_directory(files)
        root = self._make_directory({name: ["dirnode", {"rw_uri": cap}] for name, cap in folders.items()})
        objects = 7 * (per_directory + 1) + 1
        seconds = times()
        with self._processor_time("deep-check, an object", DEEP_ROUNDS * objects):
            for _ in range(DEEP_ROUNDS):
                with timed(seconds):
                    checked = self._grid.check_tree(self._call, root)
                assert checked == objects, f"{checked} objects were checked, not {objects}"
        self.figures["deep-check of 127 objects, ms"] = 1000 * statistics.median(seconds)

    def _verify(self) -> None:
        """Look at every byte of every share of a large file."""
        seconds = times()
        for _ in range(self._size.repeats):
            cap = self._store(os.urandom(self._size.kept_megabytes * MEGABYTE))
            with timed(seconds), self._processor_time("verify, a MB", self._size.kept_megabytes):
                found = self._grid.keep(self._call, "verify", cap)
            assert found["results"]["healthy"]
        self.figures["verify 100 MB, s"] = statistics.median(seconds)

    def _repair(self) -> None:
        """Make four of ten shares of a large file anew."""
        seconds = times()
        for _ in range(self._size.repeats):
            cap = self._store(os.urandom(self._size.kept_megabytes * MEGABYTE))
            index = self._grid.keep(self._call, "check", cap)["storage-index"]
            lost = [path for path in self._grid.share_files(index) if int(path.name) in LOST_SHARES]
            assert len(lost) == len(LOST_SHARES), "each share is on one server"
            for path in lost:
                path.unlink()
            with timed(seconds), self._processor_time("repair 4 of 10 shares, a MB", self._size.kept_megabytes):
                found = self._grid.keep(self._call, "repair", cap)
            assert found["repair-successful"], found
        self.figures["repair 4 of 10 shares of 100 MB, s"] = statistics.median(seconds)

    # --- helpers ----------------------------------------------------------------------------------------------

    def _make_directory(self, children: dict[str, Any]) -> str:
        return self._call("POST", "/uri?t=mkdir-with-children", json.dumps(children).encode()).decode().strip()

    @staticmethod
    def _link(cap: str) -> list[Any]:
        return ["filenode", {"ro_uri": cap}]
