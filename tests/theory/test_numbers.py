"""What is meant by a number, and what is refused."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.theory.numbers import check_positive, exact, exact_probability, odds


def test_a_float_means_its_shortest_decimal():
    assert exact(0.9) == Fraction(9, 10)
    assert 1 - exact(0.1) == Fraction(9, 10)
    assert exact(7.2e-5) == Fraction(72, 10**6)
    assert exact(np.float64(0.9)) == Fraction(9, 10)
    assert exact(Fraction(1, 3)) == Fraction(1, 3)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_fraction_of_a_float_rounds_back_to_it(number):
    assert float(exact(number)) == number


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(number):
    with pytest.raises(ValueError, match="Invalid literal"):
        exact(number)


@pytest.mark.parametrize("probability", [-1e-9, 1.000001, 2])
def test_what_is_no_probability_is_refused(probability):
    with pytest.raises(ValueError, match="between 0 and 1"):
        exact_probability(probability)


def test_a_quantity_that_is_not_positive_is_refused_by_name():
    with pytest.raises(ValueError, match="failure rate must be positive, not 0"):
        check_positive(mission=1, failure_rate=0)


def test_odds_are_whole_numbers_against_and_for():
    assert odds([0.9, Fraction(1, 3)]) == [(1, 9), (2, 1)]
