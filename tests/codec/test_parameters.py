"""Encoding parameters: all sizes of a file follow from four numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.codec.parameters import EncodingParameters


@st.composite
def parameters(draw):
    needed = draw(st.integers(1, 256))
    total = draw(st.integers(needed, 256))
    return EncodingParameters.of(draw(st.integers(1, 10**7)), needed, total, draw(st.integers(1, 10**6)))


@given(parameters())
def test_segments_and_blocks_make_up_the_file_exactly(encoding):
    count = encoding.segment_count
    assert (count - 1) * encoding.segment_size + encoding.tail_size == encoding.size
    assert encoding.segment_length(count - 1) == encoding.tail_size
    assert encoding.block_length(count - 1) == encoding.tail_block_size
    assert encoding.block_size * encoding.needed == encoding.segment_size
    assert encoding.tail_block_size * encoding.needed == encoding.padded_tail_size
    assert 0 <= encoding.padded_tail_size - encoding.tail_size < encoding.needed
    assert encoding.data_length == -(-encoding.size // encoding.needed)


@pytest.mark.parametrize(
    ("size", "needed", "maximum", "segment_size"),
    [(1000, 3, 2**20, 1002), (10**6, 3, 131072, 131073), (56, 101, 2**20, 101), (999, 3, 333, 333), (56, 1, 2**20, 56)],
)
def test_the_segment_size_is_the_smaller_one_rounded_up(size, needed, maximum, segment_size):
    assert EncodingParameters.of(size, needed, 101, maximum).segment_size == segment_size


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((0, 1, 10, 10), "0-of-1"),
        ((4, 3, 12, 10), "4-of-3"),
        ((3, 257, 12, 10), "3-of-257"),
        ((3, 10, 10, 10), "can't be cut into 3"),
        ((3, 10, 0, 10), "can't be cut into 3"),
        ((3, 10, -3, 10), "can't be cut into 3"),
        ((3, 10, 12, 0), "0 bytes has no shares"),
    ],
)
def test_numbers_of_no_encoding_are_refused_with_the_reason(arguments, reason):
    with pytest.raises(ValueError, match=reason):
        EncodingParameters(*arguments)


@pytest.mark.parametrize(("size", "needed", "total"), [(100, 0, 10), (100, 3, 300), (0, 3, 10)])
def test_new_files_are_refused_such_numbers_as_well(size, needed, total):
    with pytest.raises(ValueError, match=r"1 <= k <= N <= 256|no shares"):
        EncodingParameters.of(size, needed, total)
