"""Adds the bytes of protocol structs that ``golden.json`` does not know yet: ``python -m tests.session.make_golden``.

Bytes that are there are never changed: they are what nodes out there speak. A struct that has grown since gets a
second entry, ``Name/fields``, for its fields of today. A struct is filled with values that
differ from field to field, so that two fields that change places are noticed.
"""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

import tahoe.protocol
from tahoe.protocol import message_types
from tahoe.session.envelope import Envelope
from tahoe.session.handshake import Hello, Welcome
from tahoe.session.statement import GridStatement

GOLDEN = Path(__file__).with_name("golden.json")

encode = msgspec.msgpack.encode


def structs() -> dict[str, type[msgspec.Struct]]:
    """Everything that travels, by name: the messages, what they are made of, and what carries them."""
    found: dict[str, type[msgspec.Struct]] = {}
    for kind in (
        *message_types(),
        Envelope,
        Hello,
        Welcome,
        GridStatement,
        tahoe.protocol.Announcement,
        tahoe.protocol.Encoding,
    ):
        if not kind.__module__.startswith("tests."):
            _collect(kind, found)
    return found


def _collect(kind: Any, found: dict[str, type[msgspec.Struct]]) -> None:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        found[kind.__name__] = kind
        for hint in get_type_hints(kind).values():
            _collect(hint, found)
    for argument in get_args(kind):
        _collect(argument, found)


def sample(kind: Any, numbers: count) -> Any:
    """A value of a type, unlike every other."""
    kind = getattr(kind, "__supertype__", kind)
    arguments = get_args(kind)
    number = next(numbers)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind)
        return kind(**{field.name: sample(hints[field.name], numbers) for field in msgspec.structs.fields(kind)})
    if get_origin(kind) is tuple:
        kinds = arguments[:1] * 2 if arguments[-1] is Ellipsis else arguments
        return tuple(sample(argument, numbers) for argument in kinds)
    if arguments:  # one of several: the first will do
        return sample(arguments[0], numbers)
    return {bool: True, int: number, str: f"text {number}", bytes: b"bytes %d" % number, Any: None}[kind]


def plain_fields(thing: msgspec.Struct) -> dict[str, Any]:
    """Fields by name, as JSON shows them."""
    return {name: json.loads(msgspec.json.encode(getattr(thing, name))) for name in thing.__struct_fields__}


def main() -> None:
    """Write what is new."""
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    for name, kind in structs().items():
        known = golden.get(name)
        entry = name if known is None else f"{name}/{len(kind.__struct_fields__)}"
        if known is None or (len(known["fields"]) < len(kind.__struct_fields__) and entry not in golden):
            thing = sample(kind, count(1))
            golden[entry] = {"bytes": encode(thing).hex(), "fields": plain_fields(thing)}
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
