"""Byte ranges and entity tags: which part of a file a request wants, if any (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_SINGLE_RANGE: Final = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.ASCII | re.IGNORECASE)
_MOST_DIGITS: Final = 20
"""A file has less than 2**64 bytes; longer numbers are nobody's offsets."""


class Span(NamedTuple):
    """``length`` bytes from ``offset``."""

    offset: int
    length: int

    def content_range(self, size: int) -> str:
        """Return the ``Content-Range`` of this part of a file of ``size`` bytes."""
        return f"bytes {self.offset}-{self.offset + self.length - 1}/{size}"


class Unsatisfiable(ValueError):
    """The range lies behind the end of the file."""


def parse_range(header: str | None, size: int) -> Span | None:
    """Return the part of a file that a ``Range`` header asks for.

    Args:
        header: its value, if there is one.
        size: of the file in bytes.

    Returns:
        The part, cut off at the end of the file; None for the whole file, which is also what a header gets that is
        malformed or names several ranges: a server may ignore ``Range``, and every client copes.

    Raises:
        Unsatisfiable: not one byte of it exists.
    """
    match = _SINGLE_RANGE.fullmatch(header or "")
    if match is None or max(map(len, match.groups())) > _MOST_DIGITS:
        return None
    first, last = match.groups()
    if first:
        return _from_first(int(first), int(last) if last else size - 1, size)
    return _suffix(int(last), size) if last else None


def _from_first(first: int, last: int, size: int) -> Span | None:
    """Return ``first-last``, both inclusive."""
    if first >= size:
        raise Unsatisfiable
    if last < first:
        return None
    return Span(first, min(last, size - 1) + 1 - first)


def _suffix(length: int, size: int) -> Span | None:
    """Return the last ``length`` bytes. Of an empty file that is all of it, which no ``Content-Range`` can say."""
    if length == 0:
        raise Unsatisfiable
    length = min(length, size)
    return Span(size - length, length) if size else None


def tag_matches(header: str | None, etag: str) -> bool:
    """Whether an ``If-None-Match`` header names ``etag`` (weak comparison)."""
    if header is None:
        return False
    return any(candidate.strip().removeprefix("W/") in {"*", etag} for candidate in header.split(","))
