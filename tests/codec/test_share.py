"""Share layout: sections, their order, and the URI extension block."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.codec.merkle import MerkleTree, layout, siblings
from tahoe.codec.parameters import EncodingParameters
from tahoe.codec.share import (
    MAX_HEADER_SIZE,
    IncompatibleShare,
    ShareLayout,
    UriExtension,
    field_number,
    parse_header,
    parse_share_hashes,
    parse_uri_extension,
    serialise_share_hashes,
    share_hash_order,
)
from tests.codec.samples import cases, make_file, stream

SMALL = EncodingParameters.of(1000, 3, 10, 100)


@pytest.mark.parametrize("case", cases("merkle"), ids=lambda case: case["n"])
def test_share_hashes_stand_in_the_vectors_order(case):
    for leaf, chain in case["chains"].items():
        assert list(share_hash_order(case["n"], int(leaf))) == chain["with_leaf_storage_order"]


@given(st.integers(1, 256), st.data())
def test_the_order_of_share_hashes_is_that_of_a_set_in_the_interpreter_that_made_the_format(total, data):
    number = data.draw(st.integers(0, total - 1))
    nodes = set(siblings(total, number))
    nodes.add(layout(total)[0] + number)
    assert list(share_hash_order(total, number)) == list(nodes)


@given(st.integers(1, 40), st.data())
def test_share_hashes_survive_their_section(total, data):
    tree = MerkleTree([stream(b"%d" % leaf, 32) for leaf in range(total)])
    number = data.draw(st.integers(0, total - 1))
    entries = parse_share_hashes(serialise_share_hashes(tree, number))
    assert entries == {**dict(tree.path(number)), layout(total)[0] + number: tree.nodes[layout(total)[0] + number]}


@pytest.mark.parametrize("section", [bytes(33), bytes(35), bytes(68)])
def test_a_damaged_share_hash_section_is_refused(section):
    with pytest.raises(ValueError, match="share hash section"):
        parse_share_hashes(section)


@pytest.mark.parametrize("version", [1, 2])
def test_the_layout_is_known_before_anything_is_encoded(version):
    share_layout = ShareLayout.of(SMALL, version)
    _, shares = make_file(stream(b"x", 1000), SMALL, layout=share_layout)
    assert {len(share) for share in shares} == {share_layout.size}
    for share in shares:
        assert parse_header(share[:MAX_HEADER_SIZE]) == share_layout.offsets
        assert share.startswith(share_layout.header)
        assert not any(share[share_layout.trailer_offset : share_layout.offsets.crypttext_hashes])
    assert share_layout.block_span(0) == (len(share_layout.header), 34)
    last = SMALL.segment_count - 1
    assert sum(share_layout.block_span(last)) == share_layout.trailer_offset


@pytest.mark.parametrize(
    ("size", "segment_size", "needed", "version"),
    [
        (10**9, 2**20, 1, 1),
        (2**32 - 10**6, 2**20, 1, 1),
        (2**32, 2**20, 1, 2),
        (2**32 - 1, 2**20, 1, 2),  # the data fits, the UEB's offset does not
        (2**34, 2**34, 2, 2),
        (3 * (2**32 - 4 * 10**6), 2**20, 3, 1),
    ],
)
def test_version_2_is_used_only_where_version_1_can_not_be(size, segment_size, needed, version):
    assert ShareLayout.of(EncodingParameters.of(size, needed, 10, segment_size)).offsets.version == version


def test_a_header_of_an_unknown_version_is_incompatible_and_not_corrupt():
    with pytest.raises(IncompatibleShare, match="version 3"):
        parse_header(b"\0\0\0\3" + bytes(64))


@pytest.mark.parametrize("header", [b"", b"\0\0\0", b"\0\0\0\1", b"\0\0\0\2" + bytes(63)])
def test_a_header_cut_short_is_refused(header):
    with pytest.raises(ValueError, match="within its header"):
        parse_header(header)


@pytest.mark.parametrize("place", [0x14, 0x24, 0x2C, 0x34, 0x3C])
def test_an_offset_beyond_what_a_file_system_can_read_is_refused(place):
    header = bytearray(ShareLayout.of(SMALL, 2).header)
    header[place : place + 8] = (2**63).to_bytes(8, "big")
    with pytest.raises(ValueError, match="no share has"):
        parse_header(bytes(header))


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_uri_extension_block_survives_its_bytes(first, second):
    block = UriExtension(SMALL, first, second, first)
    fields = parse_uri_extension(block.serialise())
    assert list(fields) == sorted(fields)
    assert UriExtension.from_fields(fields) == block
    assert block.contradictions(fields) == []
    assert block.contradictions({**fields, "size": b"999", "plaintext_hash": bytes(32)}) == ["size"]


def test_fields_of_other_writers_are_parsed_and_do_not_matter():
    block = UriExtension(SMALL, bytes(32), bytes(32), bytes(32))
    fields = parse_uri_extension(block.serialise() + b"zoo:3:a:b,")
    assert fields["zoo"] == b"a:b"
    assert UriExtension.from_fields(fields) == block


@pytest.mark.parametrize(
    "data",
    [b"x", b"size", b"size:", b"size:3:12,", b"size:2:123", b"si ze:1:1,", b"size:-1:,", b":1:1,", b"a:1:1,a:1:1,"],
)
def test_bytes_that_are_no_uri_extension_block_are_refused(data):
    with pytest.raises(ValueError, match="does not parse"):
        parse_uri_extension(data)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_parse_or_are_refused(data):
    try:
        fields = parse_uri_extension(data)
    except ValueError:
        return
    assert isinstance(fields, dict)


@pytest.mark.parametrize("value", [b"", b"-1", b"1 ", b"0x1", b"1" * 21, "\u0661".encode()])
def test_numbers_are_plain_decimal(value):
    with pytest.raises(ValueError, match="no number size"):
        field_number({"size": value}, "size")


@pytest.mark.parametrize("missing", ["size", "segment_size", "needed_shares", "share_root_hash", "crypttext_root_hash"])
def test_a_block_without_a_needed_field_is_refused(missing):
    fields = UriExtension(SMALL, bytes(32), bytes(32), bytes(32)).fields
    del fields[missing]
    with pytest.raises(ValueError, match="URI extension block"):
        UriExtension.from_fields(fields)


def test_the_uri_extension_block_is_found_in_its_section():
    for version, field in ((1, b"\0\0\0\3"), (2, b"\0\0\0\0\0\0\0\3")):
        offsets = ShareLayout.of(SMALL, version).offsets
        assert offsets.uri_extension_in(field + b"abcdef") == b"abc"
        with pytest.raises(ValueError, match="within its URI"):
            offsets.uri_extension_in(field + b"ab")
        with pytest.raises(ValueError, match="before its URI"):
            offsets.uri_extension_in(field[:-1])
        with pytest.raises(ValueError, match="of 2000 bytes"):
            offsets.uri_extension_in(field[:-2] + b"\x07\xd0" + bytes(3000))
