"""TOML files that are checked as they are read, so that a mistake is told with its place and its remedy.

The shape of a file is a tree of ``msgspec`` structs that forbid unknown keys. What msgspec says of a
mistake is precise but speaks of types and paths (``$.client``); here it becomes a sentence about a
section and a key.
"""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from tahoe.codec import base32
from tahoe.errors import BadConfiguration
from tahoe.net.quantities import ByteSize, Seconds

T = TypeVar("T", bound=msgspec.Struct)

_WHERE: Final = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<key>.*)`")
_MISSING: Final = re.compile(r"Object missing required field `(?P<key>.*)`")
_DELETE: Final = "\x7f"


class Key32(bytes):
    """32 bytes, written in base32."""

    __slots__ = ()


def read(path: Path, kind: type[T]) -> T:
    """Read and check a file.

    Raises:
        BadConfiguration: names file, section, key and remedy.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadConfiguration(f"{path}: can't be read ({error.strerror})") from error
    return parse(content, kind, str(path))


def parse(content: bytes, kind: type[T], source: str) -> T:
    """Check the content of a file; ``source`` names it in errors."""
    try:
        return msgspec.toml.decode(content, type=kind, dec_hook=_from_toml)
    except msgspec.ValidationError as error:
        raise BadConfiguration(f"{source}: {_explain(str(error), kind)}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{source}: this is not TOML: {error}") from error


def write_value(value: Any) -> str:
    """A value as TOML writes it: strings, booleans, numbers, sizes, durations and lists of those."""
    match value:
        case bool():
            return "true" if value else "false"
        case ByteSize() | Seconds():
            return _quote(str(value))
        case Key32():
            return _quote(base32.encode(value))
        case str():
            return _quote(value)
        case int() | float():
            return str(value)
        case tuple() | list():
            return "[" + ", ".join(write_value(item) for item in value) + "]"
        case _:
            raise TypeError(f"no TOML for {type(value).__name__}")


def _quote(text: str) -> str:
    """A basic string; JSON's escapes are TOML's but for the delete character. Lines stay lines."""
    if "\n" in text and '"""' not in text and "\\" not in text:
        return '"""\n' + text + '"""'
    return json.dumps(text, ensure_ascii=False).replace(_DELETE, "\\u007f")


def _from_toml(kind: type[Any], value: Any) -> Any:
    if kind in (ByteSize, Seconds):
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError(f'{value!r} is not a quantity; write a number, or text such as "10G" or "30s"')
        return kind.parse(str(value))
    if kind is Key32:
        key = base32.decode(str(value).strip())
        if len(key) != 32:
            raise ValueError(f"this key has {len(key)} bytes instead of 32; copy it again, whole")
        return Key32(key)
    raise NotImplementedError(kind)


def _explain(said: str, kind: type[msgspec.Struct]) -> str:
    match = _WHERE.fullmatch(said)
    what, path = (match["what"], match["path"] or "") if match else (said, "")
    steps = re.findall(r"[^.\[\]]+", path)
    if unknown := _UNKNOWN.fullmatch(what):
        return _explain_unknown(steps, unknown["key"], _keys_at(kind, steps))
    if missing := _MISSING.fullmatch(what):
        return f"{_place([*steps, missing['key']])} is missing; add it"
    return f"{_place(steps)}: {what.replace('Expected', 'expected', 1)}"


def _explain_unknown(steps: list[str], key: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    return f"{_place([*steps, key])} is unknown; {hint}"


def _place(steps: list[str]) -> str:
    """``[section] key``; an index shows as ``#2`` for the second."""
    shown = [f"#{int(step) + 1}" if step.isdecimal() else step for step in steps]
    if len(shown) < 2:
        return " ".join(shown) or "the file"
    return f"[{' '.join(shown[:-1])}] {shown[-1]}"


def _keys_at(kind: type[msgspec.Struct], steps: list[str]) -> tuple[str, ...]:
    here = msgspec.inspect.type_info(kind)
    for step in steps:
        if step.isdecimal():
            here = getattr(here, "item_type", here)
        elif isinstance(here, msgspec.inspect.StructType):
            here = next((field.type for field in here.fields if field.encode_name == step), here)
    return tuple(field.encode_name for field in getattr(here, "fields", ()))
