"""Availability at one instant: published and exact values (rows A1-A11, F1, F2), and the laws between the forms."""

from fractions import Fraction
from itertools import product
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoe.theory.availability import (
    availability,
    loss,
    loss_of_draw,
    loss_unequal,
    survivors,
    survivors_of_draw,
    unavailability_in_series,
)
from tests.theory.printed import Printed

probabilities = st.integers(0, 1000).map(lambda thousandths: Fraction(thousandths, 1000))


@pytest.mark.parametrize(
    ("row", "needed", "made", "up", "expected"),
    [
        ("A1", 3, 10, 0.9, "3.736e-7"),  # published 3.74e-7: Willden, Tahoe-LAFS loss-model draft, 2009
        ("A2", 3, 6, 0.9, "1.270e-3"),  # published .00127: same
        ("A3", 3, 10, 0.5, "5.46875e-2"),  # exact: 56/1024
        ("A4", 3, 10, 0.99, "4.420360e-15"),  # exact: binomial in integers
        ("A5", 1, 3, 0.9, "1.0e-3"),  # exact: .1 cubed
        ("A6", 7, 10, 0.9, "1.279520e-2"),  # exact: binomial in integers
        ("A7", 17, 20, 0.99, "4.262093e-5"),  # exact: binomial in integers
        ("A8", 10, 14, 0.99, "1.856894e-7"),  # exact: binomial in integers
        ("A9", 6, 9, 0.99, "1.210433e-6"),  # exact: binomial in integers
    ],
)
def test_a_file_in_k_of_n_shares_is_unavailable_with_the_binomial_probability(row, needed, made, up, expected):
    assert loss(needed, made, up) == Printed(expected), row


def test_a10_fragments_drawn_without_replacement_from_a_million_machines():
    # Weatherspoon and Kubiatowicz, IPTPS 2002, section 4: two copies 0.99, any 16 of 32 0.999999998, cut off after nine digits
    assert loss_of_draw(1, 2, 1_000_000, 100_000) == Printed("9.999910e-3")
    assert f"{1 - loss_of_draw(16, 32, 1_000_000, 100_000):.12f}"[:11] == "0.999999998"
    assert loss_of_draw(8, 16, 1_000_000, 100_000) == Printed("5.922723e-6")  # exact: hypergeometric in integers


def test_a11_six_nines_when_sixty_per_cent_of_all_machines_are_lost_at_once():
    # Haeberlen et al., Glacier, NSDI 2005: 48 fragments, any 5, storage factor 9.6
    assert loss(5, 48, 0.4) == Printed("9.900240e-7")
    assert Printed("9.6") == 48 / 5


def test_f1_a_server_is_up_for_its_mean_span_up_over_both_spans():
    # Renewal theorem; then k-of-N as in rows A
    assert availability(9, 1) == Fraction(9, 10)
    assert availability(0.9, 0.1) == Fraction(9, 10)
    assert loss(3, 10, availability(99, 1)) == Printed("4.420360e-15")
    assert availability(5, 0) == 1


def test_f2_a_chunk_is_out_of_reach_while_its_rack_or_its_node_is_down():
    # SimEDC's default site (Zhang, Han, Lee, SRDS 2017): rack 87,600 h and 10 + 24 h, node 2890.8 h and .25 h
    unavailable = unavailability_in_series([availability(87_600, 10 + 24), availability(2890.8, 0.25)])
    assert unavailable == Printed("4.744e-4")
    assert unavailable == pytest.approx(4.43e-4, rel=0.15)  # its README: blocked ratio, flat placement
    assert unavailable == pytest.approx(4.175e-4, rel=0.15)  # and hierarchical


def test_an_availability_closer_to_one_than_a_float_can_be_keeps_its_digits():
    assert loss(1, 2, 1 - Fraction(1, 10**20)) == 1e-40


@given(st.integers(1, 12), st.integers(0, 8), probabilities)
def test_equal_servers_are_a_special_case_of_unequal_ones(needed, spare, up):
    made = needed + spare
    assert loss_unequal(needed, [up] * made) == loss(needed, made, up)


@given(st.lists(probabilities, min_size=1, max_size=6), st.data())
def test_unequal_servers_agree_with_a_sum_over_all_cases(up, data):
    needed = data.draw(st.integers(1, len(up)))
    cases = product((0, 1), repeat=len(up))
    expected = sum(
        prod(p if there else 1 - p for p, there in zip(up, case, strict=True)) for case in cases if sum(case) < needed
    )
    assert loss_unequal(needed, up) == float(expected)


@given(st.integers(1, 30), probabilities)
def test_probabilities_of_all_counts_sum_to_exactly_one(made, up):
    distribution = survivors(made, up)
    assert sum(distribution.exactly(count) for count in range(made + 1)) == 1
    assert distribution.mean() == made * up


@given(st.integers(1, 10), st.integers(0, 10), st.floats(0, 1))
def test_a_further_share_never_hurts_and_a_further_needed_one_never_helps(needed, spare, up):
    made = needed + spare
    assert loss(needed, made + 1, up) <= loss(needed, made, up) <= loss(needed + 1, made + 1, up)


@settings(max_examples=50)
@given(st.integers(1, 6), st.integers(0, 6), st.integers(0, 100))
def test_a_draw_from_a_large_population_is_nearly_binomial(needed, spare, down):
    made = needed + spare
    drawn = loss_of_draw(needed, made, 100_000_000, down * 1_000_000)
    assert drawn == pytest.approx(loss(needed, made, Fraction(100 - down, 100)), rel=1e-3, abs=1e-25)


def test_a_draw_of_everything_is_certain():
    assert survivors_of_draw(10, 10, 4).exactly(6) == 1
    assert loss_of_draw(6, 10, 10, 4) == 0
    assert loss_of_draw(7, 10, 10, 4) == 1


@pytest.mark.parametrize(("needed", "made", "up"), [(0, 3, 0.5), (4, 3, 0.5), (1, 3, 1.1), (1, 3, -0.1)])
def test_what_is_no_code_or_no_probability_is_refused(needed, made, up):
    with pytest.raises(ValueError, match=r"between"):
        loss(needed, made, up)


def test_servers_that_are_never_up_and_impossible_draws_are_refused():
    with pytest.raises(ValueError, match="mean up must be positive"):
        availability(0, 1)
    with pytest.raises(ValueError, match="mean down must be positive"):
        availability(1, -1)
    with pytest.raises(ValueError, match="cannot draw"):
        survivors_of_draw(3, 2, 0)
