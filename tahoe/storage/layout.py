"""Where things lie in a storage directory; the names are those of Tahoe-LAFS 1.20 (docs/formats.md).

::

    shares/XX/SI/n              a complete share in its container; SI is base32, XX its first two letters
    shares/incoming/SI.n.key    an upload; the key is of its secret, so uploads of one share don't meet
    corruption-advisories/      a text file per report
    format-version              "1"
    serving                     there while a process serves, and after it was killed
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from typing import Final

from tahoe.codec import base32
from tahoe.codec.keys import STORAGE_INDEX_SIZE

SHARES: Final = "shares"
INCOMING: Final = "shares/incoming"
ADVISORIES: Final = "corruption-advisories"
FORMAT: Final = "format-version"
SERVING: Final = "serving"

_PREFIX_LENGTH: Final = 2
_RANKS: Final = str.maketrans(string.ascii_lowercase + "234567", "234567" + string.ascii_lowercase)


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
    return sorted(int(name) for name in names if name.isascii() and name.isdigit() and (name == "0" or name[0] != "0"))


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
