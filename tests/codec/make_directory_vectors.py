"""Made ``tests/vectors/directoryformat.json`` once: ``python -m tests.codec.make_directory_vectors``. Frozen since.

The file pins the format of directories. If a test disagrees with it, the program is wrong and not the file.
"""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

from tahoe.codec.capability import Directory, ImmutableRead, Literal, SlotWrite
from tahoe.codec.directory import (
    Change,
    Child,
    DirectoryTable,
    Edit,
    Link,
    Sealer,
    pack_immutable,
    updated_metadata,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "directoryformat.json"

SEED = bytes(range(32))
CHILD = SlotWrite(bytes(range(32, 64)))
FILE = ImmutableRead(bytes(range(16)), bytes(range(32)), 3, 10, 12345)
NOW = 1_800_000_000.25

METADATA = [
    (None, None),
    ({"ctime": 5.5, "colour": "blue"}, None),
    ({"tahoe": {"linkcrtime": 1.0, "linkmotime": 2.0}, "a": 1}, {"b": 2, "tahoe": {"linkcrtime": 9.0}}),
    (None, {"mtime": 7.0}),
]


def sealer() -> Sealer:
    numbers = count(1)
    return Sealer(SEED, lambda: next(numbers).to_bytes(12))


def link(seal: Sealer, capability, metadata: str = "{}") -> Link:
    write = str(capability) if capability.writeable else None
    return Link(str(capability.read_only()), seal.seal(write), metadata)


def links() -> dict[str, Link]:
    seal = sealer()
    return {
        "caf\u00e9": link(seal, FILE, '{"tahoe": {"linkcrtime": 1.5, "linkmotime": 2.5}}'),
        "a directory": link(seal, Directory(CHILD)),
        "\U0001f980": link(seal, Literal(b"a few bytes")),
        "a slot": link(seal, CHILD, '{"\u00fc": ["any", "thing"]}'),
    }


def edits() -> list[Edit]:
    some = links()
    return [
        Edit(b"edit-001", (Change("new", some["a slot"]), Change("caf\u00e9", None))),
        Edit(b"edit-002", (Change("a directory", Link("URI:LIT:", b"")), Change("never there", None))),
    ]


def told(table: DirectoryTable) -> dict:
    return {
        "contents": table.contents.hex(),
        "links": {name: [each.read, each.sealed.hex(), each.metadata] for name, each in table.links.items()},
        "recent": [identity.hex() for identity in table.recent],
    }


def tables() -> dict:
    edited = DirectoryTable(links(), [b"edit-000"])
    fresh = told(edited)
    for edit in edits():
        edited.append(edit)
    return {
        "empty": told(DirectoryTable()),
        "snapshot": fresh,
        "snapshot and edits": told(edited),
        "compacted": told(edited.compacted()),
    }


def immutable() -> dict:
    children = {
        "b": Child(str(FILE), {"tahoe": {"linkcrtime": 1.5, "linkmotime": 2.5}}),
        "caf\u00e9": Child(str(Literal(b"a few bytes")), {}),
        "\U0001f980": Child(str(Directory(FILE)), {"colour": "blue"}),
    }
    contents = pack_immutable(children)
    return {
        "contents": contents.hex(),
        "children": {name: [child.read, json.dumps(child.metadata)] for name, child in children.items()},
    }


def vectors() -> dict:
    return {
        "seed": SEED.hex(),
        "sealed": [
            {"write": write, "nonce": number.to_bytes(12).hex(), "sealed": sealed.hex()}
            for number, (write, sealed) in enumerate(_sealed(), 1)
        ],
        "tables": tables(),
        "immutable": immutable(),
        "metadata": [
            {"old": old, "new": new, "now": NOW, "result": updated_metadata(old, new, NOW)} for old, new in METADATA
        ],
    }


def _sealed() -> list[tuple[str, bytes]]:
    seal = sealer()
    return [(text, seal.seal(text)) for text in (str(CHILD), str(Directory(CHILD)))]


if __name__ == "__main__":
    with VECTORS.open("x") as file:
        json.dump(vectors(), file, indent=1)
        file.write("\n")
