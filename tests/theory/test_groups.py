"""Shares that fall together: rows A12, B and E3, and the laws of convolution."""

from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoe.theory.availability import loss, survivors
from tahoe.theory.counts import NOTHING, Distribution, independent
from tahoe.theory.groups import (
    Home,
    evenly,
    group_survivors,
    guaranteed_losses,
    loss_of_placement,
    surviving_shares,
    together,
)
from tests.theory.printed import Printed

probabilities = st.integers(0, 100).map(lambda hundredths: Fraction(hundredths, 100))
ways_to_be_up = st.lists(probabilities, min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([1] * 10, "3.736e-7"),
        ([2] * 5, "4.6e-4"),
        ([3, 3, 2, 2], "1.9e-3"),
        ([4, 3, 3], "1.0e-3"),
        ([10], "1.0e-1"),
    ],
)
def test_a12_shares_on_one_server_stand_or_fall_together(counts, expected):
    # Not published: the sum over all sets of servers, 3-of-10, each up with .9
    assert loss_of_placement(3, evenly(counts, 0.9)) == Printed(expected)


def test_a12_three_servers_with_enough_shares_each_beat_four_with_too_few():
    assert loss_of_placement(3, evenly([4, 3, 3], 0.9)) < loss_of_placement(3, evenly([3, 3, 2, 2], 0.9))


# Willden, Tahoe-LAFS loss-model draft, 2009, its table recomputed: K, Pr[K=k] and Pr[K<k] at an eruption probability
# of .02 (which the published numbers use), Pr[K<k] at .04 (which the published text says).
THREE_SITES = [
    (1, "1.592e-9", "2.518e-11", "5.022e-11"),
    (2, "3.777e-8", "1.617e-9", "3.226e-9"),
    (3, "4.021e-7", "3.939e-8", "7.858e-8"),
    (4, "2.049e-6", "4.415e-7", "8.808e-7"),
    (5, "2.085e-5", "2.490e-6", "4.966e-6"),
    (6, "4.261e-4", "2.334e-5", "4.645e-5"),
    (7, "4.148e-3", "4.495e-4", "8.945e-4"),
    (8, "1.564e-2", "4.597e-3", "9.148e-3"),
    (9, "1.273e-3", "2.023e-2", "4.023e-2"),
    (10, "2.301e-2", "2.151e-2", "4.148e-2"),
    (11, "2.083e-1", "4.452e-2", "6.402e-2"),
    (12, "7.472e-1", "2.528e-1", "2.680e-1"),
]


def three_sites(eruption):
    machine = Fraction("0.9998") * Fraction("0.997")
    at_home = Fraction("0.991") * Fraction("0.999") * Fraction("0.95")
    nebraska = group_survivors([machine] * 4, common_failure=0.0001)
    hawaii = nebraska.unless_all_fall(eruption)
    return together([nebraska, hawaii, group_survivors([at_home] * 4)])


@pytest.mark.parametrize(("count", "exactly", "fewer", "fewer_at_4_per_cent"), THREE_SITES)
def test_b_three_sites_with_common_causes(count, exactly, fewer, fewer_at_4_per_cent):
    assert three_sites(0.02).exactly(count) == Printed(exactly)
    assert three_sites(0.02).fewer_than(count) == Printed(fewer)
    assert three_sites(0.04).fewer_than(count) == Printed(fewer_at_4_per_cent)


def test_b_just_nine_survivors_are_rarer_than_eight_or_ten():
    sites = three_sites(0.02)
    assert sites.exactly(9) < sites.exactly(8)
    assert sites.exactly(9) < sites.exactly(10)


def test_e3_ten_servers_with_the_same_three_shares_need_only_one_of_them():
    # Tahoe-LAFS servers-of-happiness specification: matching 3, unhappy at 7, though any server suffices
    homes = [Home((0, 1, 2), 0.9)] * 10
    assert loss_of_placement(3, homes) == Printed("1.0e-10")
    assert guaranteed_losses(3, 3) == 0


def test_e3_a_matching_of_seven_survives_any_four_losses():
    # Tahoe-LAFS servers-of-happiness specification; the worst placement doubles the remaining shares on one server
    assert guaranteed_losses(3, 7) == 4
    placement = [{0, 7, 8, 9}, {1}, {2}, {3}, {4}, {5}, {6}]
    left = [set().union(*servers) for servers in combinations(placement, 7 - 4)]
    assert min(len(shares) for shares in left) == 3


def test_a_matching_smaller_than_what_is_needed_promises_nothing():
    with pytest.raises(ValueError, match="promises nothing"):
        guaranteed_losses(3, 2)


def every_case(homes):
    """Probability of each number of different shares, by summing over all sets of servers."""
    chances = [Fraction(0)] * (len({share for home in homes for share in home.shares}) + 1)
    for case in range(2 ** len(homes)):
        chance, shares = Fraction(1), set()
        for position, home in enumerate(homes):
            there = case >> position & 1
            chance *= home.up if there else 1 - home.up
            shares |= set(home.shares) if there else set()
        chances[len(shares)] += chance
    return chances


@settings(max_examples=60)
@given(st.lists(st.builds(Home, st.frozensets(st.integers(0, 7), max_size=4), probabilities), max_size=6))
def test_any_placement_agrees_with_a_sum_over_all_sets_of_servers(homes):
    expected = every_case(homes)
    counted = surviving_shares(homes)
    assert [counted.exactly(count) for count in range(len(expected))] == expected


@given(st.integers(1, 10), st.integers(0, 5), probabilities)
def test_one_share_a_server_is_the_binomial(needed, spare, up):
    made = needed + spare
    assert loss_of_placement(needed, evenly([1] * made, up)) == loss(needed, made, up)


def test_a_hundred_servers_with_a_share_each_are_counted_at_once():
    assert surviving_shares(evenly([1] * 100, 0.9)).fewer_than(60) == survivors(100, 0.9).fewer_than(60)


@given(ways_to_be_up, ways_to_be_up, probabilities)
def test_convolution_sums_to_one_in_any_order(some, others, cause):
    one, other = group_survivors(some, cause), group_survivors(others)
    both = together([one, other])
    assert sum(both.exactly(count) for count in range(len(both.weights))) == 1
    assert both.mean() == one.mean() + other.mean()
    assert [both.exactly(count) for count in range(11)] == [
        together([other, one]).exactly(count) for count in range(11)
    ]


@given(ways_to_be_up, ways_to_be_up)
def test_groups_without_a_common_cause_are_just_more_machines(some, others):
    assert together([independent(some), independent(others)]) == independent([*some, *others])


@given(ways_to_be_up, probabilities)
def test_a_common_cause_scales_the_mean(up, cause):
    assert group_survivors(up, cause).mean() == sum(up) * (1 - cause)


def test_no_groups_leave_nothing():
    assert together([]) == NOTHING
    assert NOTHING.fewer_than(1) == 1


def test_tails_are_complements_and_counts_outside_are_impossible():
    counts = survivors(3, 0.9)
    assert counts.fewer_than(2) + counts.at_least(2) == 1
    assert counts.fewer_than(-1) == counts.exactly(-1) == counts.exactly(4) == counts.at_least(4) == 0
    assert counts.fewer_than(9) == counts.at_least(-2) == 1


@pytest.mark.parametrize("weights", [(), (0, 0), (1, -1)])
def test_weights_that_are_no_distribution_are_refused(weights):
    with pytest.raises(ValueError, match="natural numbers"):
        Distribution(weights)
