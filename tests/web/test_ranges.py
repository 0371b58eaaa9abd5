"""Byte ranges against slices, and entity tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.web.ranges import Span, Unsatisfiable, parse_range, tag_matches

offsets = st.integers(0, 60)


def satisfied(header: str, content: bytes) -> bytes | None:
    span = parse_range(header, len(content))
    return None if span is None else content[span.offset : span.offset + span.length]


@given(st.binary(min_size=1, max_size=50), offsets, offsets)
def test_first_and_last_are_a_slice_with_both_ends(content, first, last):
    header = f"bytes={first}-{last}"
    if first >= len(content):
        with pytest.raises(Unsatisfiable):
            parse_range(header, len(content))
    elif last < first:
        assert parse_range(header, len(content)) is None
    else:
        assert satisfied(header, content) == content[first : last + 1]


@given(st.binary(min_size=1, max_size=50), offsets)
def test_an_open_end_reaches_to_the_end(content, first):
    if first < len(content):
        assert satisfied(f"bytes={first}-", content) == content[first:]


@given(st.binary(min_size=1, max_size=50), st.integers(1, 60))
def test_a_suffix_is_the_last_bytes(content, length):
    assert satisfied(f"bytes=-{length}", content) == content[-length:]


def test_nothing_of_an_empty_file_can_be_named():
    with pytest.raises(Unsatisfiable):
        parse_range("bytes=0-", 0)
    assert parse_range("bytes=-5", 0) is None
    with pytest.raises(Unsatisfiable):
        parse_range("bytes=-0", 10)


@pytest.mark.parametrize(
    "header",
    [None, "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1-2,4-5", "lines=1-2", "bytes=1--2", "bytes=٣-٤"],
)
def test_what_is_not_one_range_of_bytes_is_ignored(header):
    assert parse_range(header, 10) is None


def test_a_number_of_thousands_of_digits_costs_nothing():
    assert parse_range(f"bytes=0-{'9' * 100_000}", 10) is None


def test_content_range_counts_from_zero_and_includes_the_last_byte():
    assert Span(2, 3).content_range(10) == "bytes 2-4/10"


def test_tags_match_in_lists_and_weakly():
    assert tag_matches('"a", W/"b"', '"b"')
    assert tag_matches("*", '"b"')
    assert not tag_matches('"a"', '"b"')
    assert not tag_matches(None, '"b"')
