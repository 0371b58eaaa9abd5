"""Names from the grid, which anybody may have chosen: how they are shown, and which of them become files here.

A terminal obeys control characters, and characters that turn the direction of writing make ``gpj.exe`` look like
``exe.jpg``. So whatever does not simply print is shown as an escape, in quotes that tell it apart from a name that
looks like one. A name that would lead out of the directory it belongs to (``..``, a path) never becomes a file.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import Final

import click

LONGEST_SHOWN: Final = 255
"""Characters; of a longer name the middle is left out."""

_SEPARATORS: Final = frozenset({"/", "\0", os.sep, os.altsep or "/"})
_WINDOWS: Final = frozenset('<>:"|?*')
_FOLDING: Final = sys.platform in {"darwin", "win32"}
"""Whether the usual file systems here take names for equal that differ in case only."""


def shown(name: str) -> str:
    """Return a name as a terminal may get it.

    Names that print as they are stay as they are; others come in double quotes, with escapes as in JSON.
    """
    if len(name) > LONGEST_SHOWN:
        half = LONGEST_SHOWN // 2
        return f"{shown(name[:half])}[... {len(name) - 2 * half} more ...]{shown(name[-half:])}"
    if name and name.isprintable() and name[0] not in ' "' and name[-1] != " ":
        return name
    return f'"{"".join(map(_escaped, name))}"'


def shown_path(path: tuple[str, ...] | list[str]) -> str:
    """Return a path as a terminal may get it."""
    return "/".join(map(shown, path))


def local_name(name: str) -> str:
    """Return the file name for something from the grid.

    Raises:
        ClickException: it would not be a file of that name in that directory.
    """
    if name in {"", ".", ".."} or _SEPARATORS & set(name) or (os.name == "nt" and _unfit_for_windows(name)):
        raise click.ClickException(f"{shown(name)} can't be the name of a file here")
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        raise click.ClickException(f"{shown(name)} can't be the name of a file here") from None
    return name


def grid_name(name: str) -> str:
    """Return the name that a file of this machine has in the grid.

    Raises:
        ClickException: it is not UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise click.ClickException(f"{shown(name)}: its name is not UTF-8; give it another one") from None
    return unicodedata.normalize("NFC", name)


def same_file_key(name: str) -> str:
    """Return what two names have in common that would be one file, here or in the grid."""
    normal = unicodedata.normalize("NFC", name)
    return normal.casefold() if _FOLDING else normal


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    code = ord(character)
    return short or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def _unfit_for_windows(name: str) -> bool:
    return bool(_WINDOWS & set(name)) or name[-1] in " ." or any(ord(character) < 32 for character in name)
