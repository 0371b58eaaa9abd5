"""What commands take: capabilities that ``ps`` need not show, sizes, encodings, and the node they speak to."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

NODE_VARIABLE: Final = "TAHOE_NODE"


class CapabilityText(click.ParamType):  # type: ignore[type-arg]  # generic in click's newest releases only
    """A capability or path, or where it is written: ``-`` reads a line of standard input, ``@FILE`` the first of a file.

    Of such a line the name that ``tahoe ls`` puts behind a capability does not count.
    """

    name = "cap"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the capability itself."""
        text = str(value)
        if text == "-":
            text = _capability_of(sys.stdin.readline())
        elif text.startswith("@"):
            try:
                text = _capability_of(Path(text[1:]).read_text(encoding="utf-8").partition("\n")[0])
            except (OSError, UnicodeDecodeError) as error:
                self.fail(f"can't read a capability from that file: {error}", param, ctx)
        text = text.strip()
        if not text:
            self.fail("there is no capability in it", param, ctx)
        return text


def _capability_of(line: str) -> str:
    first = line.strip().partition(" ")[0]
    return first if first.startswith("URI:") and "/" not in first else line


class HexBytes(click.ParamType):  # type: ignore[type-arg]  # as above
    """Bytes in hexadecimal; ``length`` of them, if given."""

    name = "hex"

    def __init__(self, length: int | None = None) -> None:
        self._length = length

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """Return the bytes."""
        if isinstance(value, bytes):
            return value
        try:
            data = bytes.fromhex(value)
        except ValueError:
            self.fail("this is not hexadecimal", param, ctx)
        if self._length is not None and len(data) != self._length:
            self.fail(f"{self._length} bytes are needed, these are {len(data)}", param, ctx)
        return data


def default_node_directory() -> Path:
    """Where the node is that commands speak to if they are not told: ``$TAHOE_NODE``, or the user's data directory."""
    named = os.environ.get(NODE_VARIABLE)
    if named:
        return Path(named)
    from platformdirs import user_data_path  # noqa: PLC0415  # start-up time

    return user_data_path("tahoe")


def node_option(function: F) -> F:
    """Add ``-d/--node-directory``."""
    option = click.option(
        "-d",
        "--node-directory",
        type=click.Path(path_type=Path),
        help=f"The local node to speak to. Default: ${NODE_VARIABLE}, or tahoe in your data directory.",
    )
    return option(function)


def json_option(function: F) -> F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object.")(function)


def human_size(size: float) -> str:
    """Return a number of bytes as people say it: ``1.5 MB``."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if abs(size) < 1000 or unit == "TB":
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


def human_time(seconds: float) -> str:
    """Return a duration as people say it: ``12 s``, ``5 min``, ``30 days``."""
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "hours")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:.0f} days"
