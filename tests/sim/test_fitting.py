"""Fits find the law that times were drawn from, and say when none is good."""

from math import log
from random import Random

import pytest

from tahoe.sim.fitting import distance, fit, fit_exponential, fit_pareto, fit_weibull, goodness, log_density
from tahoe.sim.laws import Exponential, Fixed, LogNormal
from tahoe.sim.lifetimes import Gamma, Pareto, Weibull, survival

LAWS = [
    Exponential(50.0),
    Weibull(30.0, 0.6),
    Weibull(8.0, 3.0),
    LogNormal(59.0, 1.4),
    Gamma(5.0, 4.0),
    Pareto(2.0, 1.5),
]


def drawn(law, count=1500, seed=1):
    rng = Random(seed)
    return [law.sample(rng) for _ in range(count)]


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_the_law_that_times_were_drawn_from_is_found_with_its_parameters(law):
    best = fit(drawn(law))[0]
    same = next(found for found in fit(drawn(law)) if type(found.law) is type(law))
    assert same.criterion <= best.criterion + 4
    for time in (1.0, 5.0, 20.0, 80.0):
        assert survival(same.law, time) == pytest.approx(survival(law, time), abs=0.04)


def test_a_good_fit_passes_the_bootstrap_and_a_bad_one_does_not():
    times = drawn(LogNormal(59.0, 1.4), 400)
    fits = {type(found.law): found for found in fit(times)}
    assert goodness(fits[LogNormal], times, samples=60) > 0.05
    assert goodness(fits[Exponential], times, samples=60) < 0.05


def test_drives_that_have_not_failed_count_for_the_time_they_were_watched():
    law, watched = Weibull(10.0, 1.5), 6.0
    times = drawn(law, 4000)
    failed, alive = [time for time in times if time < watched], [watched for time in times if time >= watched]
    honest = fit_weibull(failed, alive)
    assert (honest.scale, honest.shape) == (pytest.approx(10.0, rel=0.06), pytest.approx(1.5, rel=0.06))
    assert fit_weibull(failed).scale < 5
    assert fit_exponential(failed, alive).mean > 2 * fit_exponential(failed).mean
    assert {type(found.law) for found in fit(failed, alive)} == {Exponential, Weibull}


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_densities_are_the_slopes_of_the_survival_functions(law):
    for time in (3.0, 7.0, 31.0):
        step = time * 1e-5
        slope = (survival(law, time - step) - survival(law, time + step)) / (2 * step)
        assert log_density(law, time) == pytest.approx(log(slope), abs=1e-4)


def test_the_distance_of_a_sample_of_one_is_the_larger_side():
    assert distance(Exponential(1.0), [0.6931471805599453]) == pytest.approx(0.5)


def test_times_that_tell_nothing_are_refused():
    with pytest.raises(ValueError, match="leave the zeros out"):
        fit([0.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="three different times"):
        fit([5.0, 5.0, 5.0])
    with pytest.raises(TypeError, match="none of the laws"):
        log_density(Fixed(1.0), 1.0)


def test_equal_times_have_no_tail():
    assert fit_pareto([2.0, 2.0]).least == 2.0
