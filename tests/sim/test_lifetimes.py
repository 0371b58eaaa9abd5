"""Laws of lifetimes draw what their survival functions and means say."""

from math import inf, isclose, sqrt
from random import Random

import pytest

from tahoe.sim.laws import Exponential, Fixed, LogNormal, Uniform
from tahoe.sim.lifetimes import Beta, Empirical, Gamma, Pareto, Weibull, lower_gamma, mean_of, survival

LAWS = [
    Exponential(10.0),
    Exponential(10.0, floor=3.0),
    Weibull(10.0, 0.7),
    Weibull(10.0, 3.0, floor=5.0),
    LogNormal(10.0, 1.0),
    Gamma(4.0, 0.5),
    Gamma(2.0, 7.0),
    Pareto(2.0, 3.5),
    Empirical((1.0, 4.0, 4.0, 20.0)),
    Uniform(2.0, 12.0),
]


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_draws_follow_the_survival_function(law):
    rng = Random(5)
    draws = [law.sample(rng) for _ in range(20_000)]
    for time in (0.5, 2.5, 6.0, 10.0, 25.0):
        expected = survival(law, time)
        seen = sum(draw > time for draw in draws) / len(draws)
        assert abs(seen - expected) <= 4 * sqrt(expected * (1 - expected) / len(draws)) + 1e-12


@pytest.mark.parametrize("law", [*LAWS, Beta(2.0, 5.0), Fixed(7.0)], ids=repr)
def test_draws_have_the_mean_that_is_told(law):
    rng = Random(6)
    draws = [law.sample(rng) for _ in range(20_000)]
    mean = sum(draws) / len(draws)
    spread = sqrt(sum((draw - mean) ** 2 for draw in draws) / len(draws) ** 2)
    assert abs(mean - mean_of(law)) <= 4.5 * spread + 1e-12


def test_a_heavy_tail_has_no_mean():
    assert mean_of(Pareto(1.0, 0.9)) == inf


def test_the_incomplete_gamma_function_is_that_of_the_tables():
    # Abramowitz and Stegun, table 26.7: P(chi2 | v) = P(v/2, chi2/2)
    assert isclose(lower_gamma(0.5, 0.5 * 3.841459), 0.95, abs_tol=1e-7)
    assert isclose(lower_gamma(5.0, 0.5 * 18.307038), 0.95, abs_tol=1e-7)
    assert lower_gamma(3.0, 0.0) == 0.0


def test_a_law_without_survival_function_says_what_is_missing():
    class Odd:
        def sample(self, rng):
            return rng.random()

    with pytest.raises(TypeError, match="give it a method survival"):
        survival(Odd(), 1.0)


def test_unsorted_observations_are_refused():
    with pytest.raises(ValueError, match="sort them first"):
        Empirical((2.0, 1.0))
