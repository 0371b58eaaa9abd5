"""The accounts file: which account the owner number of a lease means.

A lease record has four bytes for its owner, and an account's name (a node id, a member's name) has fifty. So names get
numbers, by a file to which lines are only ever added::

    tahoe accounts 1
    2 v0-x4cn… 5d41402a          number, name, the first half of the check
    3 alice 7d793037

A number is used once its line is durable, so that none ever means two accounts. A line that a crash cut off has a wrong
check, and the next one overwrites it. Should the file be lost, new numbers begin above those that leases bear,
which are nobody's then. Numbers 0 and 1 are Tahoe-LAFS's, for "nobody".
"""

from __future__ import annotations

from hashlib import sha256
from threading import Lock
from typing import Final

from tahoe.codec.container import LATER_OWNER
from tahoe.errors import BadConfiguration
from tahoe.policy.quota import NOBODY
from tahoe.storage.filesystem import FileSystem

ACCOUNTS: Final = "accounts"
FIRST_NUMBER: Final = LATER_OWNER + 1

MOST_ACCOUNTS: Final = 100_000
"""Accounts that get a number; identities are free, and the file must not grow without end. Others are nobody."""

LONGEST_NAME: Final = 200

_HEADER: Final = b"tahoe accounts 1\n"


class AccountBook:
    """Accounts by number and by name. May be used from several threads at once. Errors are ``OSError``.

    Args:
        filesystem: of the storage directory.
    """

    def __init__(self, filesystem: FileSystem) -> None:
        self._filesystem = filesystem
        self._lock = Lock()
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._next = FIRST_NUMBER
        self._end = 0

    def load(self) -> None:
        """Read the file, if there is one.

        Raises:
            BadConfiguration: it is none of ours, and numbers in leases would be misread.
        """
        try:
            file = self._filesystem.open(ACCOUNTS)
        except FileNotFoundError:
            return
        try:
            content = file.read(0, file.size())
        finally:
            file.close()
        if not content.startswith(_HEADER[: len(content)]) and content.strip(b"\0"):
            raise BadConfiguration(f"the file {ACCOUNTS} in the storage directory is not of this release: restore it")
        if content.startswith(_HEADER):
            self._end = len(_HEADER)
            self._parse(content[self._end :])

    def known(self, name: str) -> int | None:
        """The owner number of an account if it has one. Looks at no disk."""
        return self._numbers.get(name)

    def number_of(self, name: str, highest: int = 0) -> int:
        """The owner number of an account, which is given one durably if it has none.

        Args:
            name: of the account.
            highest: number that is known to be in use, whatever the file says.
        """
        found = self._numbers.get(name)
        if found is not None:
            return found
        if not 0 < len(name.encode()) <= LONGEST_NAME or name.split() != [name]:
            return LATER_OWNER
        with self._lock:
            if name not in self._numbers and len(self._names) < MOST_ACCOUNTS:
                self._append(max(self._next, highest + 1), name)
        return self._numbers.get(name, LATER_OWNER)

    def name_of(self, number: int) -> str:
        """The account with a number; empty if it is nobody's."""
        return self._names.get(number, NOBODY)

    def _parse(self, content: bytes) -> None:
        for line in content.splitlines(keepends=True):
            number, name = _read(line)
            if number < self._next:
                return
            self._know(number, name)
            self._end += len(line)

    def _append(self, number: int, name: str) -> None:
        """Write a line behind the last one, durably. The lock is held."""
        is_new = self._end == 0
        text = _HEADER if is_new else b""
        text += _line(number, name)
        try:
            file = self._filesystem.edit(ACCOUNTS)
        except FileNotFoundError:
            file = self._filesystem.create(ACCOUNTS)
        try:
            file.truncate(self._end)
            file.write(self._end, text)
            file.sync()
        finally:
            file.close()
        if is_new:
            self._filesystem.sync_directory("")
        self._end += len(text)
        self._know(number, name)

    def _know(self, number: int, name: str) -> None:
        self._numbers[name], self._names[number] = number, name
        self._next = number + 1


def _line(number: int, name: str) -> bytes:
    text = f"{number} {name}"
    return f"{text} {sha256(text.encode()).hexdigest()[:8]}\n".encode()


def _read(line: bytes) -> tuple[int, str]:
    """Number and name in a line; number 0 if it is not whole."""
    parts = line.split(b" ")
    if len(parts) != 3 or not parts[0].isdigit():
        return 0, NOBODY
    number, name = int(parts[0]), parts[1].decode(errors="replace")
    return (number, name) if line == _line(number, name) else (0, NOBODY)
