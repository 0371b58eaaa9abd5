"""What a disk's errors mean to whoever asked a store."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tahoe.errors import NoSpace, StorageFailed, TahoeError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def told(error: OSError) -> TahoeError:
    """A disk's error as a store's."""
    if error.errno in _FULL:
        return NoSpace("the disk is full")
    if error.errno == errno.EROFS:
        return StorageFailed("the disk is read-only")
    return StorageFailed(f"the disk failed: {error.strerror or error}")


@contextmanager
def as_store_errors() -> Iterator[None]:
    """Let errors of the disk out as errors of a store; also a decorator."""
    try:
        yield
    except OSError as error:
        raise told(error) from error
