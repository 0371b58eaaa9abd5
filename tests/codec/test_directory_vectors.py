"""The format of directories is the frozen one, and a reader written from docs/formats.md alone understands it."""

from __future__ import annotations

import json
import unicodedata
from hashlib import sha256

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.codec.make_directory_vectors import VECTORS, vectors

FROZEN = json.loads(VECTORS.read_text())
TABLES = pytest.mark.parametrize("name", FROZEN["tables"])


def test_what_is_made_today_is_what_was_made_when_the_format_was_frozen():
    assert json.loads(json.dumps(vectors())) == FROZEN


# --- another program, from docs/formats.md, sections 1 and 10 ----------------------------------------------------


def ns(x: bytes) -> bytes:
    return b"%d:%b," % (len(x), x)


def th(tag: str, x: bytes) -> bytes:
    return sha256(sha256(ns(tag.encode()) + x).digest()).digest()


def frames(contents: bytes):
    while contents:
        length = int.from_bytes(contents[:4])
        yield msgspec.msgpack.decode(contents[4 : 4 + length])
        contents = contents[4 + length :]


def read(contents: bytes) -> tuple[dict, list]:
    """All links and all recent ids."""
    everything = list(frames(contents))
    if not everything:
        return {}, []
    (form, named, recent), *edits = everything
    assert form == 1
    links = dict(named)
    for identity, changes in edits:
        for name, link in changes:
            links.pop(name, None) if link is None else links.update({name: link})
        recent.append(identity)
    return links, recent


@TABLES
def test_a_reader_made_from_the_specification_reads_every_table(name):
    table = FROZEN["tables"][name]
    links, recent = read(bytes.fromhex(table["contents"]))
    assert {key: [link[0], link[1].hex(), link[2]] for key, link in links.items()} == table["links"]
    assert [identity.hex() for identity in recent] == table["recent"]


def test_a_snapshot_has_its_links_in_the_order_of_their_names():
    snapshot = next(frames(bytes.fromhex(FROZEN["tables"]["snapshot"]["contents"])))
    names = [name for name, _ in snapshot[1]]
    assert names == sorted(names)
    assert all(unicodedata.is_normalized("NFC", name) for name in names)


def test_write_caps_are_sealed_as_specified():
    key = th("tahoe_directory_seed_to_child_key_v1", bytes.fromhex(FROZEN["seed"]))
    for case in FROZEN["sealed"]:
        nonce = bytes.fromhex(case["nonce"])
        assert nonce + AESGCM(key).encrypt(nonce, case["write"].encode(), None) == bytes.fromhex(case["sealed"])


def test_an_immutable_table_is_made_as_specified():
    made = b"".join(
        ns(ns(name.encode()) + ns(cap.encode()) + ns(b"") + ns(metadata.encode()))
        for name, (cap, metadata) in sorted(FROZEN["immutable"]["children"].items())
    )
    assert made.hex() == FROZEN["immutable"]["contents"]


def test_metadata_are_made_as_specified():
    for case in FROZEN["metadata"]:
        old, new = case["old"] or {}, case["new"]
        made = dict(old)
        if new is not None:
            made = {key: value for key, value in new.items() if key != "tahoe"}
            made |= {"tahoe": old["tahoe"]} if "tahoe" in old else {}
        system = dict(made.get("tahoe", {}))
        system.setdefault("linkcrtime", old.get("ctime", case["now"]))
        system["linkmotime"] = case["now"]
        assert {**made, "tahoe": system} == case["result"]
