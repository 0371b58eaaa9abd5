"""Confidence intervals, against scipy and against their own definition."""

from math import comb, fsum
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from tahoe.theory.beta import beta_quantile, incomplete_beta
from tahoe.theory.confidence import (
    Interval,
    bound_without_losses,
    mean_interval,
    probability_interval,
    report_probability,
    runs_needed,
    student_quantile,
)
from tests.theory.printed import Printed

shapes = st.floats(0.1, 500)


@given(st.floats(0, 1), shapes, shapes)
def test_the_incomplete_beta_function_agrees_with_scipy(x, a, b):
    assert incomplete_beta(x, a, b) == pytest.approx(special.betainc(a, b, x), rel=1e-9, abs=1e-13)


@given(st.floats(1e-6, 1 - 1e-6), st.floats(0.5, 500), st.floats(0.5, 500))
def test_the_beta_quantile_is_the_inverse(probability, a, b):
    assert incomplete_beta(beta_quantile(probability, a, b), a, b) == pytest.approx(probability, rel=1e-8)


@settings(max_examples=50)
@given(st.integers(1, 5000), st.data(), st.sampled_from([0.95, 0.99, 0.999]))
def test_bounds_of_a_probability_agree_with_scipy(runs, data, confidence):
    losses = data.draw(st.integers(0, runs))
    ours = probability_interval(losses, runs, confidence)
    theirs = stats.binomtest(losses, runs).proportion_ci(confidence, method="exact")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-8)
    assert losses / runs in ours


@pytest.mark.parametrize(("losses", "runs"), [(1, 10**8), (37, 10**8), (5000, 10**6)])
def test_bounds_of_a_rare_probability_keep_their_digits(losses, runs):
    ours = probability_interval(losses, runs)
    assert ours.low == pytest.approx(stats.beta.ppf(0.0005, losses, runs - losses + 1), rel=1e-6)
    assert ours.high == pytest.approx(stats.beta.ppf(0.9995, losses + 1, runs - losses), rel=1e-6)


@pytest.mark.parametrize("truth", [0.01, 0.2, 0.5, 0.97])
def test_bounds_hold_with_at_least_the_confidence_asked_for(truth):
    runs = 60
    covered = fsum(
        comb(runs, losses) * truth**losses * (1 - truth) ** (runs - losses)
        for losses in range(runs + 1)
        if truth in probability_interval(losses, runs, 0.95)
    )
    assert 0.95 <= covered < 0.999


@given(st.integers(1, 10**9))
def test_no_losses_prove_three_over_n_at_most(runs):
    bound = bound_without_losses(runs)
    assert bound < 3 / runs
    assert bound == pytest.approx(2.9957 / runs, rel=1e-4) or runs < 20_000
    assert (1 - bound) ** runs == pytest.approx(0.05, rel=1e-5)


def test_no_losses_are_never_reported_as_zero():
    assert report_probability(0, 1000) == "< 3/1000 at 95 %"
    assert report_probability(55, 1000) == "5.500e-02 [3.416e-02, 8.272e-02] at 99.9 %"
    assert probability_interval(0, 1000).high > 0


@settings(max_examples=50)
@given(st.floats(1, 1e5), st.sampled_from([0.5, 0.95, 0.99, 0.999]))
def test_student_quantiles_agree_with_scipy(degrees, confidence):
    assert student_quantile(degrees, confidence) == pytest.approx(stats.t.ppf((1 + confidence) / 2, degrees), rel=1e-8)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30))
def test_bounds_of_a_mean_agree_with_scipy(values):
    interval = mean_interval(values, 0.99)
    low, high = stats.t.interval(0.99, len(values) - 1, fmean(values), max(stats.sem(values), 1e-300))
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-7, abs=1e-7)
    assert interval.half_width() == pytest.approx((high - low) / 2, rel=1e-6, abs=1e-7)


def test_runs_for_five_per_cent_of_the_value():
    # (1-P)/(P e^2): rows A3, A2 and A1 by plain Monte Carlo
    assert runs_needed(5.5e-2, 0.05) == Printed("6.9e3")
    assert runs_needed(1.27e-3, 0.05) == Printed("3.15e5")
    assert runs_needed(3.7e-7, 0.05) == Printed("1.1e9")


def test_impossible_observations_are_refused():
    with pytest.raises(ValueError, match="cannot be 3 losses"):
        probability_interval(3, 2)
    with pytest.raises(ValueError, match="cannot be 0 losses in 0"):
        probability_interval(0, 0)
    with pytest.raises(ValueError, match="strictly between"):
        probability_interval(1, 2, 1.0)
    with pytest.raises(ValueError, match="at least two"):
        mean_interval([1.0])
    with pytest.raises(ValueError, match="runs must be positive"):
        report_probability(0, 0)


def test_an_interval_contains_its_bounds_and_nothing_beyond():
    interval = Interval(0.5, 0.4, 0.6, 0.95)
    assert 0.4 in interval
    assert 0.6 in interval
    assert 0.61 not in interval
