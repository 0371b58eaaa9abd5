"""Readers' reports of corrupt shares: a text file each, for the operator; the oldest go."""

from __future__ import annotations

import time
from itertools import count
from typing import Final

from tahoe.codec import base32
from tahoe.storage.filesystem import File, FileSystem
from tahoe.storage.layout import ADVISORIES
from tahoe.storage.store import MOST_ADVISORIES

IMMUTABLE: Final = "immutable"
SLOT: Final = "slot"


class Advisories:
    """The reports in a storage directory. Errors are ``OSError``.

    Args:
        filesystem: of the storage directory; ``corruption-advisories`` is there.
    """

    def __init__(self, filesystem: FileSystem) -> None:
        self._filesystem = filesystem
        self._serial = count()

    def add(self, kind: str, storage_index: bytes, number: int, reason: str, now: float) -> None:
        """Keep a report, durably.

        Args:
            kind: of the share.
            storage_index: its.
            number: its.
            reason: what was found; for people.
            now: seconds since the epoch.
        """
        index = base32.encode(storage_index)
        text = f"report: Share Corruption\ntype: {kind}\nstorage_index: {index}\nshare_number: {number}\n\n{reason}\n"
        stamp = time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime(now))
        file = self._create(f"{ADVISORIES}/{stamp}--{index}-{number}")
        try:
            file.write(0, text.encode())
            file.sync()
        finally:
            file.close()
        for oldest in sorted(self._filesystem.listdir(ADVISORIES))[:-MOST_ADVISORIES]:
            self._filesystem.unlink(f"{ADVISORIES}/{oldest}")
        self._filesystem.sync_directory(ADVISORIES)

    def _create(self, path: str) -> File:
        """Make a file of this name and a number that no report of the same second has, of this run or an earlier one."""
        while True:
            try:
                return self._filesystem.create(f"{path}--{next(self._serial)}")
            except FileExistsError:
                continue
