"""Chains of failures and repairs: rows C1-C8 and C11, and the laws of mean times and missions."""

from decimal import Decimal, localcontext
from fractions import Fraction
from math import exp, expm1, factorial, fsum

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from tahoe.theory.markov import MEAN_TIME_WARNING, Chain, MeanTime, loss_within, mean_time_to_loss
from tahoe.theory.stripes import (
    jump,
    lazy,
    never,
    parallel,
    partly_fatal_chain,
    serial,
    share_chain,
    stepwise,
)
from tests.theory.printed import Printed

rates = st.floats(1e-3, 1e3)


def mean(needed, made, failure_rate, repair):
    return mean_time_to_loss(share_chain(needed, made, failure_rate, repair)).duration


@pytest.mark.parametrize(
    ("row", "code", "rates", "expected"),
    [  # exact: the recursion h_f = (1 + r_f h_(f-1)) / ((N-f)l); C2-C5 also by Gillespie simulation
        ("C1", (1, 2), (1, 100), ("1.5", "51.5", "51.5", "51.5")),
        ("C2", (2, 3), (1, 100), (".8333333", "17.5", "17.5", "17.5")),
        ("C3", (1, 3), (1, 100), ("1.8333333", "1735.1667", "3451.8333", None)),
        ("C4", (3, 10), (1, 12), ("1.4289683", "90.846111", "230005.6", "592.08333")),
        ("C5", (7, 10), (1, 12), (".47896825", "1.8218254", "5.7599206", None)),
        ("C6", (3, 10), (0.25, 12), ("5.715873", "1735244.1", "8.0892736e9", "3549624.6")),
        ("C7", (6, 9), (0.25, 12), ("2.1825397", "204.84921", "1104.2778", None)),
    ],
)
def test_mean_time_to_loss_without_and_with_repair(row, code, rates, expected):
    none, one_by_one, all_at_once, whole = expected
    failure_rate, repair_rate = rates
    assert mean(*code, failure_rate, never()) == Printed(none), row
    assert mean(*code, failure_rate, serial(repair_rate)) == Printed(one_by_one), row
    assert mean(*code, failure_rate, parallel(repair_rate)) == Printed(all_at_once), row
    if whole is not None:
        assert mean(*code, failure_rate, jump(repair_rate)) == Printed(whole), row


@pytest.mark.parametrize(("code", "expected"), [((1, 3), "99.99969"), ((9, 13), "9999.863")])
def test_c8_tenfold_repair_helps_ten_to_the_spare_shares(code, expected):
    # Ford et al., OSDI 2010, sec. 8.2: published as the square and the fourth power of the repair rate
    assert mean(*code, 1e-6, parallel(10)) / mean(*code, 1e-6, parallel(1)) == Printed(expected)


FAILURES_PER_SECOND = 1 / (5 * 365 * 86_400)
FIRST_REPAIR, NEXT_REPAIRS = 0.1 * 399 * 1e9 / (8 * 16 * 1024e9), 1 / 1800


def years_in_azure(made, fatal, *repair_rates):
    chain = partly_fatal_chain(made, fatal, FAILURES_PER_SECOND, stepwise(repair_rates))
    return mean_time_to_loss(chain).in_units_of(365 * 86_400).duration


def test_c11_years_of_one_stripe_in_azure():
    # Huang et al., USENIX ATC 2012, Table 1: published 3.5e9, 6.1e11, 2.6e12 years
    assert years_in_azure(3, [0, 0, 1], FIRST_REPAIR, NEXT_REPAIRS) == Printed("3.504e9")
    assert years_in_azure(9, [0, 0, 0, 1], FIRST_REPAIR, NEXT_REPAIRS) == Printed("6.092e11")
    assert years_in_azure(10, [0, 0, 0, 0.14, 1], FIRST_REPAIR, NEXT_REPAIRS) == Printed("2.610e12")


def test_c11_in_its_fourth_digit_a_fifth_failure_matters():
    # If what survives four failures is repaired at once, no fifth failure comes: 2.611e12
    at_once = 1.0
    years = years_in_azure(10, [0, 0, 0, 0.14, 1], FIRST_REPAIR, NEXT_REPAIRS, NEXT_REPAIRS, at_once)
    assert years == Printed("2.611e12")


def test_a_mean_time_is_never_shown_without_its_warning():
    years = MeanTime(8760.0).in_units_of(8760)
    assert str(years) == f"1 ({MEAN_TIME_WARNING})"
    assert "no lifetime" in mean_time_to_loss(share_chain(1, 2, 1, never())).warning


@given(st.integers(1, 10), st.integers(0, 10), rates)
def test_without_repair_the_mean_is_a_piece_of_the_harmonic_series(needed, spare, failure_rate):
    expected = sum(Fraction(1, count) for count in range(needed, needed + spare + 1)) / Fraction(failure_rate)
    assert mean(needed, needed + spare, failure_rate, never()) == pytest.approx(float(expected), rel=1e-13)


@given(st.integers(1, 8), st.integers(1, 8), rates, rates)
def test_ways_of_repair_have_their_order(needed, spare, failure_rate, repair_rate):
    none, slow, fast = (
        mean(needed, needed + spare, failure_rate, repair)
        for repair in (never(), serial(repair_rate), parallel(repair_rate))
    )
    slack = 1 + 1e-12
    assert none <= slow * slack
    assert slow <= fast * slack
    assert slow <= mean(needed, needed + spare, failure_rate, jump(repair_rate)) * slack


@given(st.integers(1, 8), st.integers(1, 8), rates, rates, rates)
def test_time_has_no_unit_of_its_own(needed, spare, failure_rate, repair_rate, unit):
    made = needed + spare
    slow = mean(needed, made, failure_rate, jump(repair_rate))
    fast = mean(needed, made, failure_rate * unit, jump(repair_rate * unit))
    assert fast * unit == pytest.approx(slow, rel=1e-12)


@given(st.integers(1, 5), st.integers(1, 6), rates, rates)
def test_parallel_repair_agrees_with_the_recursion_in_fractions(needed, spare, failure_rate, repair_rate):
    made, total, step = needed + spare, Fraction(0), Fraction(0)
    for failed in range(spare + 1):
        step = (1 + failed * Fraction(repair_rate) * step) / ((made - failed) * Fraction(failure_rate))
        total += step
    assert mean(needed, made, failure_rate, parallel(repair_rate)) == pytest.approx(float(total), rel=1e-12)


def test_all_digits_hold_when_loss_is_so_rare_that_plain_elimination_fails():
    total, step = Fraction(0), Fraction(0)
    for failed in range(11):
        step = (1 + failed * 1000 * step) / ((16 - failed) * Fraction(1, 10**6))
        total += step
    assert mean(6, 16, 1e-6, parallel(1000.0)) == pytest.approx(float(total), rel=1e-13)
    assert total > 10**80


def test_lazy_repair_from_the_first_failure_is_a_jump_and_beyond_the_last_is_none():
    assert mean(3, 10, 1, lazy(12, 1)) == mean(3, 10, 1, jump(12))
    assert mean(3, 10, 1, lazy(12, 8)) == mean(3, 10, 1, never())
    assert mean(3, 10, 1, never()) < mean(3, 10, 1, lazy(12, 4)) < mean(3, 10, 1, jump(12))


@pytest.mark.parametrize("repair", [never(), serial(12), parallel(12), jump(12), lazy(12, 4)])
@pytest.mark.parametrize("mission", [1e-3, 0.1, 1.0, 30.0, 1000.0])
def test_loss_within_a_mission_agrees_with_a_matrix_exponential(repair, mission):
    chain = share_chain(3, 10, 1, repair)
    generator = np.array([*chain.rates, [0.0] * 9])
    generator -= np.diag(generator.sum(axis=1))
    assert loss_within(chain, mission) == pytest.approx(expm(generator * mission)[0, -1], rel=1e-9, abs=1e-14)


@given(st.integers(1, 6), st.integers(0, 6), st.floats(1e-6, 10))
def test_without_repair_the_mission_is_the_binomial_of_what_is_left(needed, spare, mission):
    made = needed + spare
    fails, stays = -expm1(-mission), exp(-mission)
    expected = fsum(
        factorial(made) // factorial(alive) // factorial(made - alive) * stays**alive * fails ** (made - alive)
        for alive in range(needed)
    )
    assert loss_within(share_chain(needed, made, 1, never()), mission) == pytest.approx(expected, rel=1e-11)


def test_a_rare_loss_keeps_its_digits_over_a_long_mission():
    # In the rare limit losses come at the constant rate 1/MTTDL once the first repairs have passed
    chain = share_chain(3, 10, 1e-4, parallel(1000))
    mean_time = mean_time_to_loss(chain).duration
    assert mean_time > 1e40
    assert loss_within(chain, 1000) == pytest.approx(1000 / mean_time, rel=1e-4)
    assert loss_within(chain, 100_000) == pytest.approx(100_000 / mean_time, rel=1e-6)


def times(left, right):
    return [
        [sum(a * b for a, b in zip(row, column, strict=True)) for column in zip(*right, strict=True)] for row in left
    ]


def loss_in_ninety_digits(chain, mission):
    """The same matrix exponential by a plain Taylor series, with digits enough to waste."""
    size, halvings = len(chain.rates) + 1, 50
    with localcontext(prec=90):
        step = Decimal(mission) / 2**halvings
        scaled = [[Decimal(rate) * step for rate in row] for row in (*chain.rates, [0] * size)]
        for state, row in enumerate(scaled):
            row[state] = -sum(row)
        total = term = [[Decimal(row == column) for column in range(size)] for row in range(size)]
        for order in range(1, 12):
            term = [[entry / order for entry in row] for row in times(term, scaled)]
            total = [[old + new for old, new in zip(*rows, strict=True)] for rows in zip(total, term, strict=True)]
        for _ in range(halvings):
            total = times(total, total)
        return float(total[0][-1])


@pytest.mark.parametrize(
    ("chain", "mission"),
    [
        (share_chain(1, 4, 1e-6, serial(1e3)), 1e6),
        (share_chain(3, 6, 0.25, jump(12)), 5),
        (share_chain(3, 7, 1e-4, parallel(1000)), 1e5),
        (share_chain(3, 6, 0.25, lazy(1e5, 2)), 100),
    ],
)
def test_every_digit_of_a_rare_loss_holds_however_fast_the_repair(chain, mission):
    assert loss_within(chain, mission) == pytest.approx(loss_in_ninety_digits(chain, mission), rel=1e-13)


@settings(max_examples=30)
@given(st.integers(1, 5), st.integers(1, 5), rates, rates, st.floats(1e-3, 100))
def test_a_longer_mission_loses_more_and_a_repair_less(needed, spare, failure_rate, repair_rate, mission):
    repaired = share_chain(needed, needed + spare, failure_rate, serial(repair_rate))
    left_alone = share_chain(needed, needed + spare, failure_rate, never())
    slack = 1 + 1e-10
    assert loss_within(repaired, mission) <= loss_within(repaired, 2 * mission) * slack
    assert loss_within(repaired, mission) <= loss_within(left_alone, mission) * slack
    assert loss_within(left_alone, 2 * mission) <= 1


def test_a_chain_that_cannot_lose_has_no_mean_and_no_loss():
    coming_and_going = Chain(((0.0, 1.0, 0.0), (1.0, 0.0, 0.0)))
    with pytest.raises(ValueError, match="never reached"):
        mean_time_to_loss(coming_and_going)
    assert loss_within(coming_and_going, 10) == 0
    assert loss_within(Chain(((0.0, 0.0),)), 10) == 0


@pytest.mark.parametrize("shape", [(), ((0.0,),), ((0.0, 1.0), (1.0, 0.0))])
def test_a_chain_of_the_wrong_shape_is_refused(shape):
    with pytest.raises(ValueError, match="row per living state"):
        Chain(shape)


@pytest.mark.parametrize("row", [(1.0, 1.0), (0.0, -1.0)])
def test_negative_rates_and_rates_to_oneself_are_refused(row):
    with pytest.raises(ValueError, match="not negative"):
        Chain((row,))


def test_a_stripe_whose_last_failure_may_be_survived_is_refused():
    with pytest.raises(ValueError, match="fatal for certain"):
        partly_fatal_chain(3, [0, 0.5], 1, never())
    with pytest.raises(ValueError, match="fatal for certain"):
        partly_fatal_chain(1, [0, 1], 1, never())
    with pytest.raises(ValueError, match="failure rate must be positive"):
        share_chain(3, 10, 0, never())
    with pytest.raises(ValueError, match="mission must be positive"):
        loss_within(share_chain(3, 10, 1, never()), 0)
