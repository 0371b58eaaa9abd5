"""Shares and capabilities taken apart and put together without a grid."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from pathlib import Path

import pytest

from tahoe.cli.shares import EncodingChoice, decode, encode
from tahoe.codec import base32, capability
from tahoe.codec.container import Container, Lease
from tahoe.codec.keys import LeaseSecrets
from tahoe.errors import NotEnoughShares

CASES = json.loads((Path(__file__).parents[1] / "vectors" / "chk.json").read_text())["cases"]
LEASE_EXPIRES = 4_000_000_000


def stream(seed: str, size: int) -> bytes:
    """The plaintext of a vector."""
    start = bytes.fromhex(seed)
    blocks = (hashlib.sha256(start + number.to_bytes(8, "big")).digest() for number in itertools.count())
    return b"".join(itertools.islice(blocks, -(-size // 32)))[:size]


@pytest.fixture
def shares(tmp_path: Path) -> tuple[str, Path, bytes]:
    """A file of five segments, 3-of-10: its cap, the directory of its shares, its content."""
    content = random.Random(5).randbytes(4321)
    (tmp_path / "file").write_bytes(content)
    cap = encode(tmp_path / "file", tmp_path / "shares", EncodingChoice(3, 10, 1000, None, b"secret"))
    return str(cap), tmp_path / "shares", content


def decoded(cap: str, directory: Path) -> bytes:
    return b"".join(decode(capability.parse(cap), directory))


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_shares_are_those_of_the_forerunner_and_decode_again(tmp_path, case):
    content = stream(case["seed"], case["size"])
    (tmp_path / "file").write_bytes(content)
    key = None if case["convergence"] is not None else bytes.fromhex(case["key"])
    secret = bytes.fromhex(case["convergence"] or "")
    choice = EncodingChoice(case["k"], case["n"], case["max_segment_size"], key, secret)
    cap = encode(tmp_path / "file", tmp_path / "shares", choice)
    assert str(cap) == case["cap"]
    if case["kind"] == "LIT":
        assert not (tmp_path / "shares").exists()
        return
    if case["layout"] == 1:
        digests = [hashlib.sha256((tmp_path / "shares" / str(n)).read_bytes()).hexdigest() for n in range(case["n"])]
        assert digests == case["share_sha256"]
    for number in random.Random(case["id"]).sample(range(case["n"]), case["n"] - case["k"]):
        (tmp_path / "shares" / str(number)).unlink()
    assert decoded(case["cap"], tmp_path / "shares") == content


def test_one_share_too_few_is_said_with_reasons(shares):
    cap, directory, _ = shares
    for number in range(3, 10):
        (directory / str(number)).unlink()
    flip(directory / "0", -10)
    with pytest.raises(NotEnoughShares, match=r"found 2 good shares, 3 are needed(?s:.*)share 0"):
        decoded(cap, directory)


def test_a_block_that_is_corrupt_in_the_middle_is_replaced_by_another(shares):
    cap, directory, content = shares
    header, block = 0x24, 334
    flip(directory / "1", header + 2 * block)
    flip(directory / "2", header + 3 * block)
    assert decoded(cap, directory) == content


def test_files_that_are_no_shares_don_t_matter(shares):
    cap, directory, content = shares
    (directory / "README").write_text("not a share")
    (directory / "0").write_bytes(b"")
    (directory / "1").write_bytes(b"\0\0\0\x09 from a later release, whose layout nobody here knows")
    assert decoded(cap, directory) == content


def test_encode_names_the_file_as_json(tahoe, tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 1000)
    options = ["--needed", 2, "--total", 3, "--segment-size", 500, "--key", "00" * 16]
    names = json.loads(tahoe("debug", "encode", "file", "out", *options).out)
    assert sorted(names) == ["read_cap", "storage_index", "ueb_hash", "verify_cap"]
    cap = capability.parse(names["read_cap"])
    assert names["verify_cap"] == str(cap.verifier())
    assert names["storage_index"] == base32.encode(cap.storage_index)
    assert names["ueb_hash"] == base32.encode(cap.ueb_hash)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0", "1", "2"]
    (tmp_path / "out" / "0").unlink()
    assert tahoe("debug", "decode", "-", "out", "back", given=names["read_cap"].encode()).status == 0
    assert (tmp_path / "back").read_bytes() == b"x" * 1000


def test_a_tiny_file_is_all_in_its_capability(tahoe, tmp_path):
    (tmp_path / "file").write_bytes(b"tiny")
    names = json.loads(tahoe("debug", "encode", "file", "out", "--convergence", "").out)
    literal = f"URI:LIT:{base32.encode(b'tiny')}"
    assert names == {"read_cap": literal, "verify_cap": None, "storage_index": None, "ueb_hash": None}
    (tmp_path / "out").mkdir()
    assert tahoe("debug", "decode", names["read_cap"], "out", "-").out == b"tiny"


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--key", "00" * 16, "--convergence", "00"],
        ["--key", "00"],
        ["--key", "zz"],
        ["--key", "00" * 16, "--needed", 4, "--total", 3],
        ["--key", "00" * 16, "--total", 257],
    ],
)
def test_wrong_options_are_a_usage_error(tahoe, tmp_path, options):
    (tmp_path / "file").write_bytes(b"x" * 1000)
    assert tahoe("debug", "encode", "file", "out", *options).status == 2
    assert not (tmp_path / "out").exists()


def test_a_file_that_can_not_be_rebuilt_is_not_left_in_part(tahoe, shares, tmp_path):
    cap, directory, _ = shares
    for path in directory.iterdir():
        flip(path, 0x24 + 3 * 334)
    before = sorted(tmp_path.iterdir())
    outcome = tahoe("debug", "decode", cap, directory, "back")
    assert outcome.status == 1
    assert "found 2 good shares, 3 are needed" in outcome.err
    assert sorted(tmp_path.iterdir()) == before


def test_dump_share_reads_raw_shares_and_containers(tahoe, shares, tmp_path):
    _, directory, _ = shares
    raw = json.loads(tahoe("debug", "dump-share", "--json", directory / "4").out)
    assert raw["container_version"] is None
    assert raw["sound"] is True
    assert raw["uri_extension"]["needed_shares"] == 3
    data = (directory / "4").read_bytes()
    lease = Lease.of(LeaseSecrets(b"r" * 32, b"c" * 32), LEASE_EXPIRES, owner=0)
    contained = bytearray()
    for write in Container(2, len(data), (lease,)).create():
        contained.extend(bytes(max(0, write.offset + len(write.data) - len(contained))))
        contained[write.offset : write.offset + len(write.data)] = write.data
    contained[12 : 12 + len(data)] = data
    (tmp_path / "4").write_bytes(contained)
    kept = json.loads(tahoe("debug", "dump-share", "--json", "4").out)
    assert (kept["container_version"], kept["share_size"], kept["sound"]) == (2, len(data), True)
    assert kept["ueb_hash"] == raw["ueb_hash"]
    assert [lease["expires"] for lease in kept["leases"]] == [LEASE_EXPIRES]
    assert "days" in tahoe("debug", "dump-share", "4").text


def test_dump_share_says_what_is_wrong(tahoe, shares):
    _, directory, _ = shares
    flip(directory / "4", 0x24)
    assert "hash tree" in str(json.loads(tahoe("debug", "dump-share", "--json", directory / "4").out)["sound"])
    (directory / "5").write_bytes(b"\0\0\0\1 rubbish rubbish rubbish")
    outcome = tahoe("debug", "dump-share", directory / "5")
    assert outcome.status == 1
    assert "no share" in outcome.err


def test_dump_cap_shows_weaker_caps_and_not_the_key(tahoe, shares):
    cap, _, content = shares
    facts = json.loads(tahoe("debug", "dump-cap", "-", "--json", given=cap.encode()).out)
    assert facts["kind"] == "URI:CHK"
    assert (facts["needed"], facts["total"], facts["size"]) == (3, 10, len(content))
    assert facts["verify_cap"] == str(capability.parse(cap).verifier())
    assert cap.split(":")[2] not in str(facts)


@pytest.mark.parametrize("cap", ["URI:CHK:abc", "nonsense", "URI:NEW:x"])
def test_dump_cap_refuses_what_is_none(tahoe, cap):
    outcome = tahoe("debug", "dump-cap", cap)
    assert outcome.status == 1
    assert outcome.err.startswith("tahoe: ")
    assert len(outcome.err.splitlines()) == 1
