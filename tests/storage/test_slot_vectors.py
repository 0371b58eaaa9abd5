"""The format of slots is the frozen one, and a reader written from docs/formats.md alone understands it."""

from __future__ import annotations

import json
from hashlib import blake2b, sha256

import pytest
import zfec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tahoe.codec.capability import parse
from tests.storage.make_slot_vectors import VECTORS, vectors

FROZEN = json.loads(VECTORS.read_text())["cases"]
CASES = pytest.mark.parametrize("case", FROZEN, ids=lambda case: case["name"])


def test_what_is_made_today_is_what_was_made_when_the_format_was_frozen():
    assert vectors() == FROZEN


@CASES
def test_capabilities_are_read_and_weakened_as_frozen(case):
    for texts in (case["caps"], case["directory_caps"]):
        cap = parse(texts[0])
        assert [str(cap), str(cap.read_only()), str(cap.verifier())] == texts
        assert all(str(parse(text)) == text for text in texts)
        assert cap.storage_index.hex() == case["storage_index"]


# --- another program, from docs/formats.md, sections 1, 5.2 and 7 ---------------------------------------------


def ns(x: bytes) -> bytes:
    return b"%d:%b," % (len(x), x)


def th(tag: str, x: bytes) -> bytes:
    return sha256(sha256(ns(tag.encode()) + x).digest()).digest()


def tph(tag: str, a: bytes, b: bytes) -> bytes:
    return th(tag, ns(a) + ns(b))


def root_of(leaves: list[bytes]) -> bytes:
    width = 1
    while width < len(leaves):
        width *= 2
    level = leaves + [th("Merkle tree empty leaf", b"%d" % i) for i in range(len(leaves), width)]
    while len(level) > 1:
        level = [tph("Merkle tree internal node", *level[i : i + 2]) for i in range(0, len(level), 2)]
    return level[0]


def up_the_chain(number: int, node: bytes, chain: list[bytes]) -> bytes:
    for height, sibling in enumerate(chain):
        pair = (sibling, node) if number >> height & 1 else (node, sibling)
        node = tph("Merkle tree internal node", *pair)
    return node


def decrypt(key: bytes, data: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CTR(bytes(16))).decryptor().update(data)


class Container:
    """One file of 7.7, checked on the way as 7.5 says."""

    def __init__(self, number: int, data: bytes, storage_index: bytes) -> None:
        assert data[:16] == b"tahoe slot 1\n\0\0\0"
        size, room, count = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20, 24))
        self.version = data[28 : 28 + size]
        signature, public_key, key_hash = data[28 + size :][:64], data[92 + size :][:32], data[124 + size :][:32]
        tag = "tahoe_slot_read_key_hash_and_public_key_to_storage_index_v1"
        assert tph(tag, key_hash, public_key)[:16] == storage_index
        Ed25519PublicKey.from_public_bytes(public_key).verify(
            signature, th("tahoe_slot_signed_version_v1", self.version)
        )
        assert self.version[0] == 1
        self.root_hash = self.version[9:41]
        self.needed, self.total = self.version[41], self.version[42]
        self.segment_size, self.length = (int.from_bytes(self.version[a:b], "big") for a, b in ((43, 47), (47, 55)))
        width = (self.total - 1).bit_length()
        chain = [data[156 + size + 32 * level :][:32] for level in range(width)]
        leases = data[156 + size + 32 * width :][: 72 * room]
        self.leases = [leases[72 * at :][:72] for at in range(count)]
        assert leases[72 * count :] == bytes(72 * (room - count))
        start = 156 + size + 32 * width + 72 * room
        self.records, leaves = [], []
        for segment in range(-(-self.length // self.segment_size)):
            at = start + segment * (48 + self.segment_size // self.needed)
            length = -(-self.plaintext_length(segment) // self.needed)
            leaf, salt, block = data[at:][:32], data[at + 32 :][:16], data[at + 48 :][:length]
            assert th("tahoe_slot_salt_and_block_v1", salt + block) == leaf
            self.records.append((salt, block))
            leaves.append(leaf)
        self.block_root = root_of(leaves)
        assert up_the_chain(number, self.block_root, chain) == self.root_hash

    def plaintext_length(self, segment: int) -> int:
        return min(self.segment_size, self.length - segment * self.segment_size)


@CASES
def test_keys_follow_from_the_seed_as_the_documentation_says(case):
    seed = bytes.fromhex(case["seed"])
    signing_key = Ed25519PrivateKey.from_private_bytes(th("tahoe_slot_seed_to_signing_key_v1", seed))
    assert signing_key.public_key().public_bytes_raw().hex() == case["public_key"]
    read_key = th("tahoe_slot_seed_to_read_key_v1", seed)[:16]
    assert read_key.hex() == case["read_key"]
    assert th("tahoe_slot_read_key_to_read_key_hash_v1", read_key).hex() == case["read_key_hash"]


@CASES
def test_a_reader_written_from_the_documentation_reads_every_version(case):
    read_key, index = bytes.fromhex(case["read_key"]), bytes.fromhex(case["storage_index"])
    for version in case["versions"]:
        shares = [Container(number, bytes.fromhex(data), index) for number, data in enumerate(version["containers"])]
        needed, total = shares[0].needed, shares[0].total
        assert [needed, total, shares[0].segment_size] == case["shape"]
        assert [share.block_root.hex() for share in shares] == version["block_roots"]
        numbers = list(range(total - needed, total))
        found = b""
        for segment in range(len(shares[0].records)):
            (salt,) = {shares[number].records[segment][0] for number in numbers}
            blocks = [shares[number].records[segment][1] for number in numbers]
            ciphertext = b"".join(zfec.Decoder(needed, total).decode(blocks, numbers))
            key = tph("tahoe_slot_salt_and_read_key_to_segment_key_v1", salt, read_key)[:16]
            assert key.hex() == version["segment_keys"][segment]
            found += decrypt(key, ciphertext[: shares[0].plaintext_length(segment)])
        assert found.hex() == version["contents"]


@CASES
def test_leases_are_where_the_documentation_says(case):
    for turn, version in enumerate(case["versions"]):
        for data in version["containers"]:
            share = Container(
                version["containers"].index(data), bytes.fromhex(data), bytes.fromhex(case["storage_index"])
            )
            assert len(share.leases) == turn + 1
            for at, record in enumerate(share.leases):
                hashed = [blake2b(bytes.fromhex(secret), digest_size=32).digest() for secret in case["leases"][at]]
                expires = case["first_write"] + at + 31 * 24 * 3600
                assert record == bytes(4) + b"".join(hashed) + expires.to_bytes(4, "big")


@CASES
def test_a_container_is_no_longer_than_it_must_be(case):
    for version in case["versions"]:
        for number, data in enumerate(version["containers"]):
            share = Container(number, bytes.fromhex(data), bytes.fromhex(case["storage_index"]))
            records = sum(48 + len(block) for _, block in share.records)
            chain = 32 * (share.total - 1).bit_length()
            assert len(data) // 2 == 156 + len(share.version) + chain + 72 * 4 + records
