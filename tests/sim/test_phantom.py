"""Phantoms can be cut and joined as the bytes they stand for."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tahoe.codec.file import EncodingParameters, encode_whole
from tahoe.codec.share import parse_header
from tahoe.sim.phantom import Patchwork, Phantom, as_phantom, joined

BYTES = bytes(range(100))
WHOLE = Phantom(100, "whole")
spans = st.tuples(st.integers(0, 110), st.integers(0, 110))


@given(spans, spans)
def test_parts_of_a_phantom_are_equal_where_parts_of_distinct_bytes_would_be(first, second):
    (a, b), (c, d) = first, second
    assert len(WHOLE[a:b]) == len(BYTES[a:b])
    if BYTES[a:b] and BYTES[c:d]:
        assert (WHOLE[a:b] == WHOLE[c:d]) == (BYTES[a:b] == BYTES[c:d])
        assert (WHOLE[a:b].fingerprint == WHOLE[c:d].fingerprint) == (BYTES[a:b] == BYTES[c:d])


@given(st.lists(st.integers(0, 100), max_size=8))
def test_what_is_cut_and_joined_in_order_is_whole_again(cuts):
    edges = sorted({0, 100, *cuts})
    assert joined([WHOLE[start:end] for start, end in pairwise(edges)]) == WHOLE


@given(spans, st.integers(0, 100))
def test_a_patchwork_is_cut_where_bytes_would_be(span, border):
    patchwork = joined([BYTES[:border], Phantom(100 - border, "rest"), BYTES])
    start, end = span
    assert len(patchwork[start:end]) == len((BYTES + BYTES)[start:end])
    assert joined([patchwork[:start], patchwork[start:]]) == patchwork or 0 < start <= 68


def test_a_join_of_strangers_keeps_its_parts_in_order():
    first, second = Phantom(10, "first"), Phantom(20, "second")
    patchwork = first.join([b"header", first, second])
    assert isinstance(patchwork, Patchwork)
    assert (patchwork[:6], patchwork[6:16], patchwork[20:30]) == (b"header", first, second[4:14])
    assert patchwork == second.join([b"header", first, second])
    assert patchwork != second.join([b"header", second, first])
    assert as_phantom(patchwork) != as_phantom(second.join([b"Header", first, second]))


def test_one_spoiled_piece_spoils_the_whole():
    spoiled = WHOLE[50:].spoiled()
    assert not spoiled.intact
    assert spoiled != WHOLE[50:]
    assert spoiled.fingerprint != WHOLE[50:].fingerprint
    assert not WHOLE.join([WHOLE[:50], spoiled]).intact
    assert not spoiled[10:20].intact
    assert not joined([b"header", WHOLE]).spoiled().intact


def test_a_patchwork_of_a_real_header_and_trailer_reads_like_the_share_it_stands_for():
    finished, shares = encode_whole(EncodingParameters(3, 10, 3000, 10_000), bytes(10_000))
    share = shares[4]
    offsets = parse_header(share)
    blocks = Phantom(offsets.plaintext_hashes - offsets.data, "blocks")
    patchwork = joined([share[: offsets.data], blocks, share[offsets.plaintext_hashes :]])
    assert len(patchwork) == len(share)
    assert parse_header(patchwork[:68]) == offsets
    assert patchwork.ueb_hash == finished.ueb_hash
