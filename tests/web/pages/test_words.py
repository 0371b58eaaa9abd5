"""Numbers and times as people say them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.web.pages import words


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (1500, "1.50 kB"),
        (999_499, "999 kB"),
        (999_999, "1.00 MB"),
        (10_000_000, "10 MB"),
        (2.71e12, "2.71 TB"),
        (5e21, "5000 EB"),
    ],
)
def test_sizes_have_three_digits(count, told):
    assert words.size(count) == told


@given(st.integers(0, 10**19))
def test_a_size_never_shows_a_thousand_of_a_unit(count):
    number, unit = words.size(count).split(" ")
    assert float(number) < 1000 or unit == "EB"


@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_sizes_keep_their_order(one, other):
    units = ["byte", "bytes", "kB", "MB", "GB", "TB", "PB", "EB"]

    def told(count: int) -> float:
        number, unit = words.size(count).split(" ")
        return float(number) * 1000 ** max(0, units.index(unit) - 1)

    low, high = sorted((one, other))
    assert told(low) <= told(high) * 1.001


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.3, "a moment"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (7200, "2 hours"),
        (86400 * 800, "2 years"),
    ],
)
def test_spans_are_told_in_their_largest_unit(seconds, told):
    assert words.span(seconds) == told


def test_moments_are_told_by_how_long_ago_they_were():
    assert words.ago(None, 100.0) == "never"
    assert words.ago(99.5, 100.0) == "just now"
    assert words.ago(40.0, 100.0) == "1 minute ago"
    assert words.ago(200.0, 100.0) == "just now", "clocks may be apart"


def test_round_trips_are_milliseconds_until_they_are_seconds():
    assert [words.latency(each) for each in (None, 0.0012, 0.012, 1.23)] == ["–", "1.2 ms", "12 ms", "1.2 s"]


def test_small_probabilities_are_powers_of_ten():
    assert words.probability(0.05) == "5 %"
    assert words.probability(3.7e-7) == "3.7·10⁻⁷"
    assert words.probability(1e-9) == "10⁻⁹"
    assert words.probability(0.0) == "0 %"
    assert words.probability(1.0) == "100 %"


def test_odds_are_told_as_one_in_so_many():
    assert words.one_in(0.25) == "one in 4.0"
    assert words.one_in(1 / 2700) == "one in 2,700"
    assert words.one_in(0.0) == "never"


def test_lists_are_told_as_in_a_sentence():
    assert words.listed([]) == ""
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"


@given(st.floats(1e-300, 0.9))
def test_leading_zeros_are_those_behind_the_point(chance):
    zeros = words.leading_zeros(chance)
    assert 10.0 ** -(zeros + 1) <= chance * (1 + 1e-9)
    assert chance <= 10.0**-zeros * (1 + 1e-9)


def test_people_sort_numbers_in_names_by_their_value():
    names = ["photo 10", "Photo 9", "photo 9b", "album"]
    assert sorted(names, key=words.natural) == ["album", "Photo 9", "photo 9b", "photo 10"]


@given(st.lists(st.text(max_size=20)))
def test_any_names_can_be_sorted(names):
    assert len(sorted(names, key=words.natural)) == len(names)
