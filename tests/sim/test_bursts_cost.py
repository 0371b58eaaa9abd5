"""Bursts cost the more the more redundancy there is, as Ford et al. saw (OSDI 2010): the order, not the numbers."""

from math import comb

import pytest

from tahoe.theory.markov import Chain, mean_time_to_loss
from tahoe.theory.stripes import parallel, share_chain

FAILURE = 1 / 100
"""Of a share, each day."""
IN_BURSTS = 0.37
"""Part of all failures that come in bursts (Ford et al. 2010)."""
HIT = 0.04
"""Probability that a burst takes a given share."""
REPAIR = 24.0
"""Of a share, each day."""


def days(needed, made, in_bursts):
    """Mean time to loss of a stripe; every share fails at the same rate, whatever part of it comes in bursts."""
    alone, bursts = FAILURE * (1 - in_bursts), FAILURE * in_bursts / HIT
    living = made - needed + 1
    rates = [[0.0] * (living + 1) for _ in range(living)]
    for failed in range(living):
        up = made - failed
        rates[failed][failed + 1] += up * alone
        for more in range(1, up + 1):
            hit = comb(up, more) * HIT**more * (1 - HIT) ** (up - more)
            rates[failed][min(living, failed + more)] += bursts * hit
        if failed:
            rates[failed][failed - 1] += failed * REPAIR
    return mean_time_to_loss(Chain(tuple(map(tuple, rates)))).duration


def cost(needed, made):
    return days(needed, made, 0.0) / days(needed, made, IN_BURSTS)


def test_correlation_costs_little_for_two_copies_and_orders_of_magnitude_beyond():
    assert 2 < cost(1, 2) < 100
    assert all(cost(needed, made) > 100 for needed, made in ((1, 3), (1, 5), (6, 9), (8, 12)))


def test_correlation_costs_the_more_the_more_failures_a_stripe_survives():
    assert cost(1, 2) < cost(1, 3) < cost(1, 4) < cost(1, 5)
    assert cost(6, 9) < cost(8, 12)
    assert cost(1, 3) < cost(6, 9)


def test_without_bursts_it_is_the_usual_chain():
    usual = mean_time_to_loss(share_chain(6, 9, FAILURE, parallel(REPAIR))).duration
    assert days(6, 9, 0.0) == pytest.approx(usual)
