"""Shares and capabilities that were made once and are never made again: every release has to read them."""

import json
from pathlib import Path

import pytest

from tahoe.codec.capability import Directory, Literal, parse
from tahoe.codec.container import HEADER_SIZE, Container, Lease, parse_container_header
from tahoe.codec.file import verify_share
from tahoe.codec.keys import LeaseSecrets
from tahoe.codec.share import parse_header
from tests.codec.samples import read_file, stream

FROZEN = Path(__file__).parent / "frozen"
INDEX = json.loads((FROZEN / "index.json").read_text())
FILES = pytest.mark.parametrize("file", INDEX["files"], ids=lambda file: file["name"])


def share_of(file, number: int) -> bytes:
    return (FROZEN / f"{file['name']}.{number}.bin").read_bytes()


def plaintext_of(file) -> bytes:
    return stream(file["name"].encode(), file["size"])


@FILES
def test_frozen_shares_are_still_read(file):
    shares = {number: share_of(file, number) for number in file["shares"]}
    assert read_file(parse(file["cap"]), shares) == plaintext_of(file)


@FILES
def test_frozen_shares_still_pass_verification(file):
    cap = parse(file["verify_cap"])
    assert parse(file["cap"]).verifier() == cap
    for number in file["shares"]:
        verified = verify_share(number, share_of(file, number), cap)
        assert verified.ueb_hash == cap.ueb_hash
        assert verified.offsets.version == file["layout"]


@FILES
def test_frozen_capabilities_still_print_as_they_were(file):
    for text in (file["cap"], file["verify_cap"]):
        assert str(parse(text)) == text
        directory = text.replace("URI:CHK", "URI:DIR2-CHK", 1)
        assert parse(directory) == Directory(parse(text))


def test_a_frozen_literal_still_holds_its_data():
    assert parse(INDEX["literal"]) == Literal(stream(b"literal", 20))


@pytest.mark.parametrize("version", [1, 2])
def test_frozen_containers_still_give_their_share_and_leases(version):
    file = (FROZEN / f"container-v{version}.bin").read_bytes()
    header = parse_container_header(file)
    offset, length = header.leases_span(len(file))
    share = file[HEADER_SIZE:offset]
    assert share == (FROZEN / "one-of-one.0.bin").read_bytes()
    assert parse_header(share).version == 1
    leases = tuple(
        Lease.of(
            LeaseSecrets(bytes([owner]) * 32, bytes([owner + 1]) * 32), 1700000000 + owner, owner=owner, version=version
        )
        for owner in (0, 1)
    )
    assert Container.parse(header, len(file), file[offset : offset + length]) == Container(version, len(share), leases)
