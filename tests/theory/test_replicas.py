"""Copies for a target (row A13) and copies made and lost at constant rates (row F3)."""

from math import ceil, fsum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoe.theory.availability import loss
from tahoe.theory.replicas import replica_count_probability, replicas_for, shares_for
from tests.theory.printed import Printed


@pytest.mark.parametrize(
    ("unavailability", "host", "expected"),
    [
        (1e-4, 0.25, "32.0157"),
        (1e-4, 0.5, "13.2877"),
        (1e-4, 0.7, "7.6500"),
        (1e-4, 0.9, "4"),
        (1e-6, 0.25, "48.0235"),
        (1e-6, 0.5, "19.9316"),
        (1e-6, 0.9, "6"),
    ],
)
def test_a13_copies_for_a_target(unavailability, host, expected):
    # Rodrigues and Liskov, High Availability in DHTs, IPTPS 2005, eq. (1)
    assert replicas_for(unavailability, host) == Printed(expected)


@pytest.mark.parametrize(("mean", "expected"), [(1, ".367879"), (5, ".00673795")])
def test_f3_the_part_of_the_time_in_which_no_copy_is_left(mean, expected):
    # Chun et al., NSDI 2006: stationary Poisson; e^-1 and e^-5
    assert replica_count_probability(0, mean, 1) == Printed(expected)
    assert replica_count_probability(0, 0.1 * mean, 0.1) == Printed(expected)


def test_f3_counts_of_copies_sum_to_one_and_have_the_mean_of_the_ratio():
    chances = [replica_count_probability(count, 5, 2) for count in range(60)]
    assert fsum(chances) == pytest.approx(1, rel=1e-12)
    assert fsum(count * chance for count, chance in enumerate(chances)) == pytest.approx(2.5, rel=1e-12)


@settings(max_examples=50)
@given(st.integers(1, 6), st.floats(1e-9, 0.5), st.floats(0.5, 0.99))
def test_the_shares_for_a_target_are_the_fewest_that_meet_it(needed, target, host):
    made = shares_for(needed, target, host)
    assert loss(needed, made, host) <= target
    assert made == needed or loss(needed, made - 1, host) > target


def test_whole_copies_are_shares_of_which_one_is_needed():
    assert shares_for(1, 1e-4, 0.7) == ceil(replicas_for(1e-4, 0.7)) == 8
    assert shares_for(1, 1e-6, 0.9) == 6


def test_what_no_code_reaches_is_refused():
    with pytest.raises(ValueError, match="do not reach"):
        shares_for(3, 1e-9, 0.01)


@pytest.mark.parametrize(("unavailability", "host"), [(0, 0.5), (1, 0.5), (0.1, 0), (0.1, 1)])
def test_targets_and_hosts_without_chance_are_refused(unavailability, host):
    with pytest.raises(ValueError, match="strictly between"):
        replicas_for(unavailability, host)


def test_impossible_copies_are_refused():
    with pytest.raises(ValueError, match="cannot be -1"):
        replica_count_probability(-1, 1, 1)
    with pytest.raises(ValueError, match="loss rate must be positive"):
        replica_count_probability(1, 1, 0)
