"""Where things lie in a storage directory; the names are those of Tahoe-LAFS 1.20 (docs/formats.md).

::

    shares/XX/SI/n              a complete share in its container; SI is base32, XX its first two letters
    shares/XX/SI/n.trash.t      one that went to the trash at the server's time t
    shares/incoming/SI.n.key    an upload; the key is of its secret, so uploads of one share don't meet
    shares-log                  what is decided and may not be in the files yet: small shares, leases (redo.py)
    corruption-advisories/      a text file per report
    format-version              "1"
    serving                     there while a process serves, and after it was killed
    index-mark                  there after a clean end: what the lease index must say of itself to be trusted
    accounts, allowances, server-time       see accounts.py, allowances.py, timekeeper.py
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from tahoe.codec import base32
from tahoe.codec.keys import STORAGE_INDEX_SIZE

SHARES: Final = "shares"
INCOMING: Final = "shares/incoming"
LOG: Final = "shares-log"
ADVISORIES: Final = "corruption-advisories"
FORMAT: Final = "format-version"
SERVING: Final = "serving"
INDEX_MARK: Final = "index-mark"

_PREFIX_LENGTH: Final = 2
_RANKS: Final = str.maketrans(string.ascii_lowercase + "234567", "234567" + string.ascii_lowercase)


@lru_cache(maxsize=1024)  # one small file asks several times
def folder_of(storage_index: bytes) -> str:
    """The directory of an index's shares."""
    name = base32.encode(storage_index)
    return f"{SHARES}/{name[:_PREFIX_LENGTH]}/{name}"


def path_of(storage_index: bytes, number: int) -> str:
    """The file of a complete share."""
    return f"{folder_of(storage_index)}/{number}"


def incoming_path(storage_index: bytes, number: int, key: str) -> str:
    """The file of a share on its way; ``key`` tells several of the same share apart."""
    return f"{INCOMING}/{base32.encode(storage_index)}.{number}.{key}"


def numbers_in(names: Iterable[str]) -> list[int]:
    """The share numbers among the names in an index's directory, ascending; other names are not ours."""
    return sorted(int(name) for name in names if _is_number(name))


def discarded_name(number: int, stamp: int) -> str:
    """The file name of a share that went to the trash at a time. Tahoe-LAFS passes over it, as we do over its own."""
    return f"{number}.trash.{stamp}"


def discarded_in(names: Iterable[str]) -> list[tuple[int, int]]:
    """Shares in the trash among the names in an index's directory, and since when, ascending."""
    found = (name.split(".trash.") for name in names if ".trash." in name)
    return sorted((int(each[0]), int(each[1])) for each in found if len(each) == 2 and all(map(_is_number, each)))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")


def prefixes_in(names: Iterable[str], after: bytes) -> list[str]:
    """Directories whose shares' indexes may be greater than ``after``, in the order of the indexes."""
    first = _rank(base32.encode(after)[:_PREFIX_LENGTH])
    return sorted((name for name in names if len(name) == _PREFIX_LENGTH and _rank(name) >= first), key=_rank)


def indexes_in(names: Iterable[str], after: bytes) -> list[bytes]:
    """The storage indexes greater than ``after`` among names of directories, ascending."""
    return sorted(index for index in map(_storage_index, names) if index > after)


def _storage_index(name: str) -> bytes:
    """The storage index with this name; empty if it is none's."""
    try:
        index = base32.decode_strict(name)
    except ValueError:
        return b""
    return index if len(index) == STORAGE_INDEX_SIZE else b""


def _rank(text: str) -> str:
    """Text that sorts as the bytes do of which this is the base32 (letters before digits)."""
    return text.translate(_RANKS)
