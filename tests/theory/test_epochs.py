"""Repair in sweeps: rows D1-D6, and what a threshold changes."""

from fractions import Fraction
from itertools import pairwise, repeat
from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoe.theory.availability import loss
from tahoe.theory.epochs import (
    epoch_mean_time_to_loss,
    failure_within,
    loss_over_windows,
    loss_with_sweeps,
    loss_without_repair,
    window_loss,
)
from tahoe.theory.markov import MEAN_TIME_WARNING
from tests.theory.printed import Printed

YEAR_SECONDS = 365 * 86_400


@pytest.mark.parametrize(
    ("row", "needed", "made", "months", "expected"),
    [  # Weatherspoon and Kubiatowicz, IPTPS 2002, sec. 5 and appendix
        ("D1", 1, 2, 4, "74.67"),  # published 74
        ("D2", 1, 4, 1, "1.0800e6"),  # published 1e6
        ("D3", 16, 64, 28, "2.243e6"),  # published 1e6, an order of magnitude
        ("D4", 32, 64, 4, "9.636e20"),  # published 1e20, an order of magnitude
    ],
)
def test_mean_years_under_repair_every_epoch(row, needed, made, months, expected):
    years = epoch_mean_time_to_loss(needed, made, Fraction(months, 12), 5)
    assert years.duration == Printed(expected), row
    assert years.warning == MEAN_TIME_WARNING


def test_d5_eleven_nines_in_windows_of_replacement():
    # Beach, Backblaze, 2018: published 7.354e-12, .999999999992646
    years = 6.5 / 365
    assert failure_within(0.00405, years) == Printed("7.212069e-5")
    assert window_loss(17, 20, 0.00405, years) == Printed("1.309581e-13")
    assert loss_over_windows(window_loss(17, 20, 0.00405, years), 365 / 6.5) == Printed("7.353799e-12")
    assert loss_over_windows(window_loss(4, 6, 0.10, 1 / 365), 365) == Printed("1.499678e-7")


def stepwise_loss_forgetting_the_empty(step):
    """The old reliability tool: it runs one step too long, and drops files that had no share left a step before."""
    steps = len(range(0, 5 * YEAR_SECONDS + step, step))
    life = 8 * YEAR_SECONDS
    lost = loss_without_repair(3, 10, life, steps * step)
    return lost - loss_without_repair(1, 10, life, (steps - 1) * step)


def test_d6_the_old_reliability_tool_without_repair():
    # Warner, reliability.py of Tahoe-LAFS: its test asserts .033591004555395272
    assert stepwise_loss_forgetting_the_empty(100_000) == Printed(".03359100455539")
    assert stepwise_loss_forgetting_the_empty(100_000) == pytest.approx(0.033591004555395272, rel=1e-13)
    assert stepwise_loss_forgetting_the_empty(31 * 86_400) == Printed(".0366539333")
    assert loss_without_repair(3, 10, 8, 5) == Printed(".0339383")


@given(st.integers(1, 6), st.integers(0, 6), st.floats(0, 1), st.integers(1, 20))
def test_sweeps_that_always_repair_are_independent_windows(needed, spare, survival, sweeps):
    made = needed + spare
    expected = loss_over_windows(loss(needed, made, survival), sweeps)
    assert loss_with_sweeps(needed, made, made, repeat(survival, sweeps)) == pytest.approx(expected, rel=1e-11)


@settings(max_examples=50)
@given(st.integers(1, 4), st.integers(1, 6), st.floats(0.5, 0.99), st.integers(1, 10))
def test_a_lower_threshold_loses_more_and_the_lowest_as_much_as_no_repair(needed, spare, survival, sweeps):
    made = needed + spare
    losses = [
        loss_with_sweeps(needed, made, threshold, repeat(survival, sweeps)) for threshold in range(needed, made + 1)
    ]
    slack = 1 + 1e-11
    assert all(lazier * slack >= keener for lazier, keener in pairwise(losses))
    assert losses[0] == pytest.approx(loss(needed, made, survival**sweeps), rel=1e-10)


def test_no_epochs_lose_nothing_and_hopeless_ones_everything():
    assert loss_with_sweeps(3, 10, 7, []) == 0
    assert loss_with_sweeps(3, 10, 7, [0.9, 0.0]) == 1
    assert loss_over_windows(1.0, 3) == 1


def test_extremes_of_life_and_time():
    assert epoch_mean_time_to_loss(1, 2, 5, 5).duration == 0
    assert failure_within(1e-12, 1e-6) == pytest.approx(1e-18, rel=1e-12)
    assert loss_without_repair(1, 1, 8, 5) == pytest.approx(1 - exp(-5 / 8))


@pytest.mark.parametrize("threshold", [2, 11])
def test_a_threshold_outside_the_code_is_refused(threshold):
    with pytest.raises(ValueError, match="threshold lies between"):
        loss_with_sweeps(3, 10, threshold, [0.9])


def test_epochs_longer_than_a_life_and_lives_of_no_length_are_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        epoch_mean_time_to_loss(1, 2, 6, 5)
    with pytest.raises(ValueError, match="life must be positive"):
        loss_without_repair(3, 10, 0, 5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        loss_over_windows(-0.1, 3)
