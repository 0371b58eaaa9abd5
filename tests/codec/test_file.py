"""Immutable files: the vectors' shares, any k of which give the file back, and none of which can lie."""

from dataclasses import replace
from hashlib import sha256
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoe.codec import base32
from tahoe.codec.capability import ImmutableRead, parse
from tahoe.codec.erasure import erasure
from tahoe.codec.file import (
    EncodingParameters,
    FileDecoder,
    FileEncoder,
    crypt,
    encode_whole,
    make_literal,
    verify_share,
)
from tahoe.codec.keys import ConvergenceHasher, storage_index_of_key
from tahoe.codec.merkle import MerkleTree, layout
from tahoe.codec.share import (
    IncompatibleShare,
    ShareLayout,
    UriExtension,
    hash_of_uri_extension,
    parse_header,
    parse_share_hashes,
)
from tahoe.errors import BadCapability, CorruptFile, CorruptShare
from tests.codec.samples import cases, make_file, read_file, stream

CHK = [case for case in cases("chk") if case["kind"] == "CHK"]
LIT = [case for case in cases("chk") if case["kind"] == "LIT"]
SMALL = EncodingParameters.of(1000, 3, 10, 100)
PLAINTEXT = stream(b"plain", 1000)


def plaintext_of(case) -> bytes:
    return stream(bytes.fromhex(case["seed"]), case["size"])


def key_of(case, encoding, plaintext) -> bytes:
    if case["convergence"] is None:
        return bytes.fromhex(case["key"])
    secret = bytes.fromhex(case["convergence"])
    hasher = ConvergenceHasher(encoding.needed, encoding.total, encoding.segment_size, secret)
    hasher.update(plaintext)
    return hasher.key()


@st.composite
def small_files(draw):
    """Draw a file's parameters and plaintext."""
    needed = draw(st.integers(1, 6))
    total = draw(st.integers(needed, 12))
    size = draw(st.integers(1, 300))
    encoding = EncodingParameters.of(size, needed, total, draw(st.sampled_from([1, 7, 32, 100, 1000])))
    return encoding, Random(draw(st.integers(0, 2**32))).randbytes(size)


@pytest.mark.parametrize("case", CHK, ids=lambda case: f"{case['id']}-{case['size']}-{case['k']}-of-{case['n']}")
def test_shares_and_capabilities_are_the_vectors(case):
    plaintext = plaintext_of(case)
    encoding = EncodingParameters.of(case["size"], case["k"], case["n"], case["max_segment_size"])
    key = key_of(case, encoding, plaintext)
    share_layout = ShareLayout.of(encoding, case["layout"])
    finished, shares = encode_whole(encoding, crypt(key, plaintext), share_layout)
    cap = ImmutableRead(key, finished.ueb_hash, case["k"], case["n"], case["size"])
    assert key.hex() == case["key"]
    assert finished.uri_extension.hex() == case["ueb"]
    assert (str(cap), str(cap.verifier())) == (case["cap"], case["verify_cap"])
    assert base32.encode(storage_index_of_key(key)) == case["storage_index"]
    assert {len(share) for share in shares} == {case["share_length"]} == {share_layout.size}
    assert [sha256(share).hexdigest() for share in shares] == case["share_sha256"]


@pytest.mark.parametrize("case", [case for case in CHK if case["size"] <= 5000], ids=lambda case: case["id"])
def test_the_last_k_shares_of_every_vector_give_its_plaintext(case):
    plaintext = plaintext_of(case)
    encoding = EncodingParameters.of(case["size"], case["k"], case["n"], case["max_segment_size"])
    _, shares = make_file(plaintext, encoding, bytes.fromhex(case["key"]), ShareLayout.of(encoding, case["layout"]))
    cap = parse(case["cap"])
    survivors = range(case["n"] - case["k"], case["n"])
    assert read_file(cap, {number: shares[number] for number in survivors}) == plaintext
    assert verify_share(case["n"] - 1, shares[-1], cap.verifier()).ueb_hash == cap.ueb_hash


@pytest.mark.parametrize("case", LIT, ids=lambda case: case["id"])
def test_small_files_are_literals_as_the_vectors_say(case):
    assert str(make_literal(plaintext_of(case))) == case["cap"]


def test_a_literal_holds_55_bytes_and_no_more():
    assert make_literal(bytes(55)).data == bytes(55)
    with pytest.raises(ValueError, match="at most 55 bytes"):
        make_literal(bytes(56))


@settings(max_examples=60, deadline=None)
@given(small_files(), st.sampled_from([1, 2]), st.data())
def test_any_k_shares_give_the_file_back(file, version, data):
    encoding, plaintext = file
    cap, shares = make_file(plaintext, encoding, layout=ShareLayout.of(encoding, version))
    survivors = data.draw(st.permutations(range(encoding.total)))[: encoding.needed]
    assert read_file(cap, {number: shares[number] for number in survivors}) == plaintext


@settings(max_examples=30, deadline=None)
@given(small_files(), st.data())
def test_fewer_than_k_shares_never_do(file, data):
    encoding, plaintext = file
    cap, shares = make_file(plaintext, encoding)
    survivors = data.draw(st.permutations(range(encoding.total)))[: encoding.needed - 1]
    if survivors:
        with pytest.raises(ValueError, match=f"{encoding.needed} blocks are needed, not {len(survivors)}"):
            read_file(cap, {number: shares[number] for number in survivors})


@settings(max_examples=40, deadline=None)
@given(small_files())
def test_fewer_than_k_shares_do_not_determine_the_file(file):
    """For every other content there is a set of k shares that agrees with the k-1 in hand: so they tell nothing."""
    encoding, plaintext = file
    if encoding.needed == 1:
        return
    coder = erasure(encoding.needed, encoding.total)
    pieces = [plaintext[:1] or b"\0"] * encoding.needed
    in_hand = coder.encode(pieces)[1 : encoding.needed]
    decoded = {coder.decode(range(encoding.needed), [bytes([other]), *in_hand])[0] for other in range(256)}
    assert len(decoded) == 256


def complaint(action) -> CorruptShare | IncompatibleShare | None:
    """Return what is said against a share in an action that otherwise turns out true."""
    try:
        assert action()
    except (CorruptShare, IncompatibleShare) as error:
        return error
    return None


@settings(max_examples=150, deadline=None)
@given(small_files(), st.sampled_from([1, 2]), st.data())
def test_any_flipped_bit_in_any_share_is_detected_or_harmless(file, version, data):
    encoding, plaintext = file
    cap, shares = make_file(plaintext, encoding, layout=ShareLayout.of(encoding, version))
    numbers = data.draw(st.permutations(range(encoding.total)))[: encoding.needed]
    victim, place = numbers[0], data.draw(st.integers(0, len(shares[0]) - 1))
    damaged = bytearray(shares[victim])
    damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    damaged = bytes(damaged)
    used = {number: shares[number] for number in numbers} | {victim: damaged}
    refused = complaint(lambda: verify_share(victim, damaged, cap.verifier()))
    unreadable = complaint(lambda: read_file(cap, used) == plaintext)
    assert refused or not unreadable, "verification passed a share that can't be read"
    assert getattr(unreadable, "share", victim) == victim


def unwatched_places(share: bytes, number: int, cap) -> set[int]:
    """Return the places where damage passes verification."""
    places = set()
    for place in range(len(share)):
        damaged = bytearray(share)
        damaged[place] ^= 0x10
        try:
            verify_share(number, bytes(damaged), cap)
        except (CorruptShare, IncompatibleShare):
            continue
        places.add(place)
    return places


def test_every_byte_that_verification_does_not_watch_is_one_that_nobody_reads():
    cap, shares = make_file(PLAINTEXT, SMALL)
    offsets = parse_header(shares[4])
    header = set(range(0x04, 0x0C)) | set(range(0x10, 0x14))  # block size, data length, offset of the unused section
    unused = header | set(range(offsets.plaintext_hashes, offsets.crypttext_hashes))
    assert unwatched_places(shares[4], 4, cap.verifier()) == unused
    start = shares[4].index(b"crypttext_hash:32:") + 18  # over the whole ciphertext, which no single share has
    assert unwatched_places(shares[4], 4, None) == unused | set(range(start, start + 32))


@given(st.integers(1, 20), st.data())
@settings(max_examples=40, deadline=None)
def test_a_share_cut_short_anywhere_is_corrupt_and_a_longer_one_is_not(segment_size, data):
    encoding = EncodingParameters.of(60, 2, 3, segment_size)
    _, shares = make_file(stream(b"s", 60), encoding)
    length = data.draw(st.integers(0, len(shares[1]) - 1))
    with pytest.raises(CorruptShare):
        verify_share(1, shares[1][:length])
    assert verify_share(1, shares[1] + b"more").number == 1


class TestVerification:
    def test_reads_never_ask_for_much_at_once(self):
        encoding = EncodingParameters.of(9 * 2**20, 3, 4, 2**30)
        _, shares = make_file(bytes(encoding.size), encoding)
        asked = []

        def read(offset, length):
            asked.append(length)
            return shares[3][offset : offset + length]

        verified = verify_share(3, read)
        assert max(asked) <= 2**20
        assert verified.uri_extension.parameters == encoding
        assert verified.offsets == ShareLayout.of(encoding).offsets

    def test_a_share_under_another_number_is_corrupt(self):
        _, shares = make_file(PLAINTEXT, SMALL)
        for number in (3, 10, -1, 1000):
            with pytest.raises(CorruptShare) as caught:
                verify_share(number, shares[2])
            assert caught.value.share == number

    def test_a_share_of_another_file_is_not_the_capabilitys(self):
        cap, _ = make_file(PLAINTEXT, SMALL)
        _, others = make_file(PLAINTEXT[::-1], SMALL)
        verify_share(0, others[0])
        with pytest.raises(CorruptShare, match="not the capability's"):
            verify_share(0, others[0], cap.verifier())

    def test_a_capability_whose_numbers_differ_is_contradicted(self):
        cap, shares = make_file(PLAINTEXT, SMALL)
        other = ImmutableRead(cap.key, cap.ueb_hash, cap.needed, cap.total, cap.size + 1)
        with pytest.raises(CorruptShare, match="contradicts the capability"):
            verify_share(0, shares[0], other.verifier())

    def test_a_self_consistent_share_whose_redundant_fields_lie_is_corrupt(self):
        _, shares = make_file(PLAINTEXT, SMALL)
        with pytest.raises(CorruptShare, match="contradicts itself in num_segments"):
            verify_share(
                0,
                shares[0]
                .replace(b"num_segments:1:1", b"num_segments:1:9")
                .replace(b"num_segments:2:10", b"num_segments:2:11"),
            )

    @pytest.mark.parametrize(
        ("section", "moved"),
        [
            ("crypttext hash", ["block_hashes", "share_hashes", "uri_extension"]),
            ("block hash", ["share_hashes", "uri_extension"]),
            ("share hash", ["uri_extension"]),
        ],
    )
    def test_a_section_with_room_to_spare_is_corrupt(self, section, moved):
        """The share holds all the right bytes, and junk between them that somebody may have hidden there."""
        _, shares = make_file(PLAINTEXT, SMALL)
        offsets = parse_header(shares[0])
        gap = getattr(offsets, moved[0])
        header = replace(offsets, **{name: getattr(offsets, name) + 32 for name in moved}).header
        stretched = header + shares[0][len(header) : gap] + bytes(32) + shares[0][gap:]
        with pytest.raises(CorruptShare, match=f"the {section} section has"):
            verify_share(0, stretched)

    def test_an_unknown_version_is_incompatible(self):
        _, shares = make_file(PLAINTEXT, SMALL)
        with pytest.raises(IncompatibleShare):
            verify_share(0, b"\0\0\0\7" + shares[0][4:])


class TestEncoder:
    def test_segments_may_come_as_they_are_read(self):
        encoder = FileEncoder(SMALL)
        ciphertext = crypt(bytes(16), PLAINTEXT)
        columns = [encoder.encode_segment(ciphertext[start : start + 102]) for start in range(0, 1000, 102)]
        finished, shares = encode_whole(SMALL, ciphertext)
        assert encoder.finish() == finished
        assert [b"".join(column) for column in zip(*columns, strict=True)] == [
            share[0x24 : 0x24 + SMALL.data_length] for share in shares
        ]

    def test_a_segment_of_another_length_is_refused(self):
        encoder = FileEncoder(SMALL)
        for wrong in (b"", bytes(101), bytes(103)):
            with pytest.raises(ValueError, match="segment 0 has 102 bytes"):
                encoder.encode_segment(wrong)
        for start in range(0, 1000, 102):
            encoder.encode_segment(PLAINTEXT[start : start + 102])
        with pytest.raises(ValueError, match="segment 10 has 0 bytes"):
            encoder.encode_segment(b"")

    def test_a_file_cut_short_is_not_finished(self):
        encoder = FileEncoder(SMALL)
        encoder.encode_segment(bytes(102))
        with pytest.raises(AssertionError, match="missing"):
            encoder.finish()


class TestDecoder:
    @pytest.fixture
    def file(self):
        return make_file(PLAINTEXT, SMALL)

    @pytest.fixture
    def decoder(self, file):
        cap, shares = file
        decoder = FileDecoder(cap.verifier())
        decoder.accept_ueb(self.ueb(shares[0]))
        return decoder

    @staticmethod
    def ueb(share):
        offsets = parse_header(share)
        return offsets.uri_extension_in(share[offsets.uri_extension :])

    @staticmethod
    def chain(share):
        offsets = parse_header(share)
        return parse_share_hashes(share[offsets.share_hashes : offsets.uri_extension])

    def test_a_verify_cap_decodes_to_ciphertext(self, file, decoder):
        _, shares = file
        for number in (1, 5, 9):
            decoder.accept_share(number, self.chain(shares[number]))
            assert decoder.has_share(number)
        offsets = parse_header(shares[0])
        tree = shares[0][offsets.crypttext_hashes :]
        nodes = {node: tree[32 * node : 32 * node + 32] for node in range(31)}
        decoder.accept_segment_path(7, nodes)
        blocks = {number: shares[number][0x24 + 7 * 34 : 0x24 + 8 * 34] for number in (1, 5, 9)}
        assert decoder.decode_segment(7, blocks) == crypt(file[0].key, PLAINTEXT)[714:816]
        assert decoder.needed_segment_nodes(3) == []

    def test_the_wrong_uri_extension_block_is_the_shares_fault(self, file):
        decoder = FileDecoder(file[0])
        with pytest.raises(CorruptShare, match="share 6") as caught:
            decoder.accept_ueb(self.ueb(file[1][6]) + b"x:1:y,", 6)
        assert caught.value.args[:2] == ("", 6)
        assert not decoder.has_ueb

    @pytest.mark.parametrize(
        "nonsense",
        [b"", b"nonsense", UriExtension(SMALL, bytes(32), bytes(32), b"short").serialise(), b"segment_size:1:4,"],
    )
    def test_nonsense_that_the_capability_vouches_for_makes_the_file_corrupt(self, nonsense):
        decoder = FileDecoder(ImmutableRead(bytes(16), hash_of_uri_extension(nonsense), 3, 10, 1000))
        with pytest.raises(CorruptFile):
            decoder.accept_ueb(nonsense)

    def test_redundant_fields_do_not_matter_to_a_reader(self, file):
        extension = self.ueb(file[1][0]).replace(b"num_segments:2:10", b"num_segments:2:77")
        cap = ImmutableRead(file[0].key, hash_of_uri_extension(extension), 3, 10, 1000)
        assert FileDecoder(cap).accept_ueb(extension).parameters == SMALL

    def test_blocks_of_a_wrong_length_or_content_are_refused(self, file, decoder):
        _, shares = file
        decoder.accept_share(2, self.chain(shares[2]))
        block = shares[2][0x24 : 0x24 + 34]
        wanted = decoder.needed_block_nodes(2, 0)
        section = shares[2][parse_header(shares[2]).block_hashes :]
        nodes = {node: section[32 * node : 32 * node + 32] for node in wanted}
        for wrong, reason in ((block[:-1], "33 bytes instead of 34"), (block[::-1], "block 0")):
            with pytest.raises(CorruptShare, match=reason):
                decoder.accept_block(2, 0, wrong, nodes)
        with pytest.raises(CorruptShare, match="nodes are missing"):
            decoder.accept_block(2, 0, block, {})
        assert decoder.needed_block_nodes(2, 0) == wanted
        decoder.accept_block(2, 0, memoryview(block), nodes)
        assert decoder.needed_block_nodes(2, 0) == []

    @pytest.mark.parametrize("number", [-1, 10, 300])
    def test_a_share_that_does_not_exist_is_refused(self, file, decoder, number):
        with pytest.raises(CorruptShare, match="the file has 10 shares"):
            decoder.accept_share(number, self.chain(file[1][0]))

    def test_share_hashes_of_another_share_are_refused_and_leave_no_trace(self, file, decoder):
        with pytest.raises(CorruptShare, match="share hashes"):
            decoder.accept_share(3, self.chain(file[1][9]))
        with pytest.raises(CorruptShare, match="share hashes"):
            decoder.accept_share(3, {})
        assert not decoder.has_share(3)
        decoder.accept_share(3, self.chain(file[1][3]))
        assert decoder.has_share(3)

    def test_a_path_of_lies_is_the_shares_fault(self, decoder):
        wanted = decoder.needed_segment_nodes(0)
        assert wanted[0] == layout(10)[0]
        for lies in ({}, dict.fromkeys(wanted, bytes(32))):
            with pytest.raises(CorruptShare, match="share 4"):
                decoder.accept_segment_path(0, lies, 4)
        assert decoder.needed_segment_nodes(0) == wanted

    def test_proven_blocks_that_decode_to_nonsense_make_the_file_corrupt(self, file):
        """An encoder that hashed another ciphertext than it coded: every share is fine, the file is not."""
        honest = FileEncoder(EncodingParameters.of(60, 2, 3))
        honest.encode_segment(bytes(60))
        finished = honest.finish()
        blocks = [bytes(30)] * 3
        leaf = stream(b"a lie", 32)
        extension = UriExtension(honest.parameters, bytes(32), leaf, b"")
        share_hashes = parse_share_hashes(self.trailer_chain(honest, finished.trailers[0]))
        root = MerkleTree([share_hashes[3]] * 3).root
        extension = UriExtension(honest.parameters, bytes(32), leaf, root).serialise()
        decoder = FileDecoder(ImmutableRead(bytes(16), hash_of_uri_extension(extension), 2, 3, 60))
        decoder.accept_ueb(extension)
        for number in (0, 1):
            chain = parse_share_hashes(self.trailer_chain(honest, finished.trailers[number]))
            decoder.accept_share(number, chain)
            decoder.accept_block(number, 0, blocks[number], {})
        decoder.accept_segment_path(0, {0: leaf})
        with pytest.raises(CorruptFile, match="segment 0 of 1"):
            decoder.decode_segment(0, {0: blocks[0], 1: blocks[1]})

    @staticmethod
    def trailer_chain(encoder, trailer):
        offsets = encoder.layout.offsets
        return trailer[
            offsets.share_hashes - offsets.plaintext_hashes : offsets.uri_extension - offsets.plaintext_hashes
        ]

    @pytest.mark.parametrize(("needed", "total", "size"), [(0, 10, 100), (11, 10, 100), (3, 300, 100), (3, 10, 0)])
    def test_senseless_capabilities_are_refused_at_once(self, needed, total, size):
        with pytest.raises(BadCapability):
            FileDecoder(ImmutableRead(bytes(16), bytes(32), needed, total, size))


def test_encryption_of_a_part_is_a_part_of_the_encryption():
    whole = crypt(bytes(16), PLAINTEXT)
    assert crypt(bytes(16), PLAINTEXT[333:], 333) == whole[333:]
    assert crypt(bytes(16), whole) == PLAINTEXT
