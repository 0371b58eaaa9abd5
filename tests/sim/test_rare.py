"""Loaded dice find what theory knows, from common losses to one in ten milliard years."""

import pytest

from tahoe.sim.montecarlo import Below
from tahoe.sim.rare import Stripe, by_rule, mission_losses, rare_loss
from tahoe.theory.confidence import probability_interval
from tahoe.theory.markov import Chain, loss_within, mean_time_to_loss
from tahoe.theory.stripes import jump, lazy, parallel, serial, share_chain

WAYS = {"serial": serial(12), "parallel": parallel(12), "jump": jump(12), "lazy": lazy(12, 3)}


@pytest.mark.parametrize(("needed", "total"), [(1, 2), (2, 3), (1, 3), (3, 10), (6, 9)])
@pytest.mark.parametrize("way", WAYS)
def test_the_mean_time_to_loss_is_that_of_the_chain(needed, total, way):
    if way == "lazy" and total - needed < 3:
        needed, total = 2, 6
    found = rare_loss(Stripe(needed, (0.25,) * total, WAYS[way]), cycles=60_000)
    exact = mean_time_to_loss(share_chain(needed, total, 0.25, WAYS[way])).duration
    assert exact in found.mean_time
    assert found.relative_error < 0.08


def test_losses_of_one_in_many_milliard_years_are_found_with_a_small_error():
    found = rare_loss(Stripe(3, (0.25,) * 10, parallel(12)), cycles=200_000)
    assert 8.0892736e9 in found.mean_time
    assert found.relative_error < 0.035
    assert "no lifetime" in found.warning


def test_a_mission_loses_what_theory_says_where_losses_are_rare():
    found = rare_loss(Stripe(3, (0.25,) * 10, jump(12)), cycles=200_000, bias=0.8)
    exact = loss_within(share_chain(3, 10, 0.25, jump(12)), mission=500)
    assert exact in found.within(500)
    assert found.within(500).half_width() < 0.05 * exact


@pytest.mark.parametrize("way", WAYS)
def test_fair_dice_agree_where_losses_are_common(way):
    lost = mission_losses(Stripe(2, (0.25,) * 6, WAYS[way]), mission=20, runs=4000, seed=2)
    rates = mission_losses(Stripe(3, (1.5,) * 6, WAYS[way]), mission=1.0, runs=4000, seed=2)
    assert loss_within(share_chain(2, 6, 0.25, WAYS[way]), 20) in probability_interval(lost, 4000)
    assert loss_within(share_chain(3, 6, 1.5, WAYS[way]), 1) in probability_interval(rates, 4000)
    assert rates > 0


def test_unequal_servers_are_weighed_as_they_fail():
    found = rare_loss(Stripe(1, (0.01, 1.0), jump(50)), cycles=100_000)
    # states: both up, the first down, the second down; then loss
    chain = Chain(((0.0, 0.01, 1.0, 0.0), (50.0, 0.0, 0.0, 1.0), (50.0, 0.0, 0.0, 0.01)))
    assert mean_time_to_loss(chain).duration in found.mean_time
    assert found.relative_error < 0.02


def test_the_actors_rule_decides_by_the_number_of_shares_found():
    stripe = Stripe(3, (0.25,) * 10, by_rule(Below(7), 10, 12))
    same = share_chain(3, 10, 0.25, lazy(12, threshold=4))
    assert mean_time_to_loss(same).duration in rare_loss(stripe, cycles=60_000).mean_time


def test_the_seed_names_the_run_and_no_loss_is_an_error_with_a_remedy():
    stripe = Stripe(1, (0.001, 0.001), jump(100))
    assert rare_loss(stripe, 1000, seed=3) == rare_loss(stripe, 1000, seed=3)
    with pytest.raises(ValueError, match="simulate more"):
        rare_loss(Stripe(1, (1e-6,) * 40, jump(1.0)), cycles=20)
