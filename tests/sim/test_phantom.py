"""Phantoms can be cut and joined as the bytes they stand for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tahoe.sim.phantom import Phantom, identity_of

BYTES = bytes(range(100))
WHOLE = Phantom(100, b"whole")
spans = st.tuples(st.integers(0, 110), st.integers(0, 110))


@given(spans, spans)
def test_parts_of_a_phantom_are_equal_where_parts_of_distinct_bytes_would_be(first, second):
    (a, b), (c, d) = first, second
    assert len(WHOLE[a:b]) == len(BYTES[a:b])
    if BYTES[a:b] and BYTES[c:d]:
        assert (WHOLE[a:b] == WHOLE[c:d]) == (BYTES[a:b] == BYTES[c:d])


@given(st.lists(st.integers(0, 100), max_size=8))
def test_what_is_cut_and_joined_in_order_is_whole_again(cuts):
    edges = sorted({0, 100, *cuts})
    pieces = [WHOLE[start:end] for start, end in zip(edges, edges[1:], strict=False)]
    assert pieces[0].join(pieces) == WHOLE


def test_a_join_of_strangers_is_named_after_its_parts_in_order():
    first, second = Phantom(10, b"first"), Phantom(20, b"second")
    joined = first.join([b"header", first, second])
    assert len(joined) == 36
    assert joined == second.join([b"header", first, second])
    assert joined != second.join([b"header", second, first])
    assert joined != first.join([b"reader", first, second])


def test_one_spoiled_piece_spoils_the_whole():
    spoiled = WHOLE[50:].spoiled()
    assert not spoiled.intact
    assert spoiled != WHOLE[50:]
    assert not WHOLE.join([WHOLE[:50], spoiled]).intact
    assert not spoiled[10:20].intact


def test_a_join_belongs_to_the_share_that_its_last_part_names():
    tail = Phantom(10, b"tail", ueb_hash=b"hash")
    assert WHOLE.join([WHOLE, tail]).ueb_hash == b"hash"


def test_an_identity_tells_its_parts_apart():
    assert identity_of("ab", "c") != identity_of("a", "bc")
