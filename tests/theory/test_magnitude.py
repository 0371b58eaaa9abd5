"""The normalised magnitude of data loss (Greenan, Plank and Wylie, HotStorage 2010)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.theory.magnitude import Stake, normalised_magnitude_of_loss


def test_it_is_the_expected_number_of_bytes_lost_over_the_capacity():
    stakes = [Stake(1_000_000, 1e-3), Stake(9_000_000, 1e-6)]
    assert normalised_magnitude_of_loss(stakes, 20_000_000) == pytest.approx((1000 + 9) / 20_000_000, rel=1e-15)


@given(st.integers(1, 50), st.floats(0, 1))
def test_it_does_not_grow_with_the_size_of_a_full_system(files, loss):
    assert normalised_magnitude_of_loss([Stake(10, loss)] * files, 10 * files) == pytest.approx(loss, rel=1e-12)


def test_nothing_stored_is_nothing_lost_and_no_capacity_is_refused():
    assert normalised_magnitude_of_loss([], 1) == 0
    with pytest.raises(ValueError, match="usable bytes must be positive"):
        normalised_magnitude_of_loss([], 0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        normalised_magnitude_of_loss([Stake(1, 1.5)], 1)
