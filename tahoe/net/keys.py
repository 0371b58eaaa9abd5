"""Secrets on disk: files of one line that only their owner may read.

A node's key, the grid key, tokens and lease secrets are all kept in this form. A file that others could
read is refused rather than repaired: whoever could read it may have done so already, and only its owner
can judge what that means.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from pathlib import Path
from typing import Final

from tahoe.codec import base32
from tahoe.errors import BadConfiguration

SECRET_BYTES: Final = 32
"""Seeds and secrets are this long."""

_MODE: Final = 0o600
_draft_numbers = itertools.count()


def save_secret(path: Path, secret: bytes) -> None:
    """Write a new secret file, 0600 and durable; an existing one is never overwritten.

    Raises:
        BadConfiguration: there is such a file already.
    """
    save_private_text(path, base32.encode(secret) + "\n")


def load_secret(path: Path) -> bytes:
    """Read a secret of 32 bytes.

    Raises:
        BadConfiguration: the file is missing, readable by others, or damaged.
    """
    text = load_private_text(path).strip()
    try:
        secret = base32.decode(text)
    except ValueError as error:
        raise BadConfiguration(f"{path}: this is not a secret ({error}); restore the file from a backup") from error
    if len(secret) != SECRET_BYTES:
        raise BadConfiguration(
            f"{path}: holds {len(secret)} bytes instead of {SECRET_BYTES}; restore the file from a backup"
        )
    return secret


def save_private_text(path: Path, text: str) -> None:
    """Write a new file, 0600 and durable, its name included.

    Raises:
        BadConfiguration: there is such a file already.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    except FileExistsError as error:
        raise BadConfiguration(f"{path}: exists already and is not overwritten; move it away first") from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)


def load_private_text(path: Path) -> str:
    """Read a file that only its owner may read.

    Raises:
        BadConfiguration: the file is missing, unreadable or open to others.
    """
    check_private(path)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{path}: can't be read ({error})") from error


def check_private(path: Path) -> None:
    """Refuse a secret file that is missing or open to other users.

    Raises:
        BadConfiguration: with the command that mends it.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise BadConfiguration(f"{path}: can't be read ({error.strerror})") from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadConfiguration(
            f"{path}: other users of this machine can read or change it; if that did no harm: chmod 600 {path}"
        )


def replace_file(path: Path, content: bytes, mode: int = _MODE) -> None:
    """Replace a file whole or not at all, durable on return. Blocks for about a millisecond."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{next(_draft_numbers)}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable, where the system can."""
    with contextlib.suppress(PermissionError, IsADirectoryError):  # Windows can't open directories
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
