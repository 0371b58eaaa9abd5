"""Made ``tests/vectors/slotformat.json`` once: ``python -m tests.storage.make_slot_vectors``. Frozen since.

The file pins the format of slots. If a test disagrees with it, the program is wrong and not the file.
"""

from __future__ import annotations

import json
from pathlib import Path

from tahoe.actors.slotkeeping import write_slot
from tahoe.codec.capability import Directory, SlotWrite
from tahoe.codec.slot import EncodedSlot, SlotShape
from tahoe.storage.disk import DiskStore
from tahoe.storage.diskslots import path_of
from tahoe.storage.filesystem import VolatileFileSystem
from tests.storage.samples import NOW, content, lease
from tests.storage.slotsamples import Writer, offer, request

VECTORS = Path(__file__).parents[1] / "vectors" / "slotformat.json"

CASES = {
    "empty": (SlotShape(2, 3, 64, 0), [b""]),
    "one share of one": (SlotShape(1, 1, 32, 0), [b"a file"]),
    "three of ten, a short last segment": (SlotShape(3, 10, 48, 0), [content(1, 200)]),
    "whole segments only": (SlotShape(2, 4, 20, 0), [content(2, 60)]),
    "changed, then grown, then cut": (
        SlotShape(2, 3, 32, 0),
        [content(3, 100), content(3, 40) + b"!" + content(3, 100)[41:], content(3, 170), content(3, 64)],
    ),
}


def version_case(writer: Writer, store: DiskStore, disk: VolatileFileSystem, encoded: EncodedSlot, data: bytes) -> dict:
    """Everything about one version, and what a server's files are once it has it."""
    shape = encoded.version.shape
    return {
        "sequence": encoded.version.sequence,
        "contents": data.hex(),
        "salts": [segment.salt.hex() for segment in encoded.segments],
        "segment_keys": [writer.keys.reader.segment_key(segment.salt).hex() for segment in encoded.segments],
        "block_roots": [tree.root.hex() for tree in encoded.block_trees],
        "root_hash": encoded.version.root_hash.hex(),
        "version": encoded.proof.version.hex(),
        "signature": encoded.proof.signature.hex(),
        "chains": [[node.hex() for node in encoded.chain(number).values()] for number in range(shape.total)],
        "containers": [
            disk.open(path_of(writer.index, number)).read(0, 10**6).hex()
            for number in store.slots.numbers(writer.index)
        ],
    }


def case(number: int, name: str, shape: SlotShape, contents: list[bytes]) -> dict:
    writer = Writer(100 + number, shape)
    disk = VolatileFileSystem()
    store = DiskStore(disk).open()
    cap = SlotWrite(writer.keys.seed)
    versions, base = [], None
    for turn, data in enumerate(contents):
        encoded = writer.write(data, base)
        shares = [offer(encoded, share, base) for share in range(shape.total)]
        write_slot(store.slots, request(writer, encoded, *shares, leased=lease(turn)), NOW + turn)
        versions.append(version_case(writer, store, disk, encoded, data))
        base = encoded
    caps = (cap, cap.read_only(), cap.verifier())
    return {
        "name": name,
        "seed": writer.keys.seed.hex(),
        "read_key": writer.keys.reader.read_key.hex(),
        "public_key": writer.keys.reader.public_key.hex(),
        "read_key_hash": writer.keys.reader.read_key_hash.hex(),
        "storage_index": writer.index.hex(),
        "caps": [str(each) for each in caps],
        "directory_caps": [str(Directory(each)) for each in caps],
        "shape": [shape.needed, shape.total, shape.segment_size],
        "homes": [home.hex() for home in writer.homes],
        "leases": [[lease(turn).renew_secret.hex(), lease(turn).cancel_secret.hex()] for turn in range(len(contents))],
        "first_write": int(NOW),
        "versions": versions,
    }


def vectors() -> list[dict]:
    return [case(number, name, *parts) for number, (name, parts) in enumerate(CASES.items())]


if __name__ == "__main__":
    with VECTORS.open("x") as file:
        json.dump({"cases": vectors()}, file, indent=1)
        file.write("\n")
