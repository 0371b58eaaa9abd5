"""Base32 as capabilities and configuration files write it: lowercase, without padding.

The alphabet is ``abcdefghijklmnopqrstuvwxyz234567``; 16 bytes become 26 characters, 32 bytes 52. The last
character may carry bits that belong to no byte. Two readers differ in what they think of those: a capability
must have one spelling only, so there they are all zero; the general reader, for configuration files and
announcements, ignores the highest of them, because the texts it must accept were written that way.

The standard library's ``base64`` does this in Python, a few bytes at a time; listing a directory of 1,000 names spent half of its time there.
"""

from __future__ import annotations

import re
from typing import Final

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS: Final = [first + second for first in _ALPHABET for second in _ALPHABET]
_DIGITS: Final = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")  # as int() reads base 32
_TEXT: Final = re.compile(r"[a-z2-7]*")
_LEFTOVER_BITS: Final = {0: 0, 2: 2, 4: 4, 5: 1, 7: 3}  # by length of the text modulo 8; other lengths can't occur


def encode(data: bytes) -> str:
    """Return the base32 text of ``data``: ``ceil(8 * len(data) / 5)`` characters. Meant for names and keys, not for files."""
    characters = -(-8 * len(data) // 5)
    pairs = (characters + 1) // 2
    number = int.from_bytes(data) << (10 * pairs - 8 * len(data))
    text = "".join([_PAIRS[number >> shift & 1023] for shift in range(10 * (pairs - 1), -1, -10)])
    return text[:characters]


def decode(text: str) -> bytes:
    """Decode a configuration file's or announcement's text, which may set the highest leftover bit.

    Raises:
        ValueError: a character outside the alphabet, an impossible length, or other leftover bits set.
    """
    data, leftover, width = _decode(text)
    if leftover & ((1 << max(width - 1, 0)) - 1):
        raise ValueError("base32 text ends in bits that belong to no byte")
    return data


def decode_strict(text: str) -> bytes:
    """Decode a capability's field, where every byte string has exactly one spelling.

    Raises:
        ValueError: as :func:`decode`, and for any leftover bit set.
    """
    data, leftover, _ = _decode(text)
    if leftover:
        raise ValueError("base32 text ends in bits that belong to no byte")
    return data


def _decode(text: str) -> tuple[bytes, int, int]:
    """Return the bytes, the leftover bits of the last character as a number, and how many bits those are."""
    if not _TEXT.fullmatch(text):
        raise ValueError("base32 text holds a character other than a-z and 2-7")
    width = _LEFTOVER_BITS.get(len(text) % 8)
    if width is None:
        raise ValueError(f"no byte string has a base32 text of {len(text)} characters")
    number = int(text.translate(_DIGITS), 32) if text else 0
    return (number >> width).to_bytes(5 * len(text) // 8), number & ((1 << width) - 1), width
