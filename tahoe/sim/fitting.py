"""Fitting: which law do observed times follow, and is it a good fit?

Laws are fitted by maximum likelihood. What is only known to last longer than it was watched (a drive that has not
failed yet) counts, too, as *censored*: it adds the probability of lasting so long. The laws are ranked by Akaike's
criterion, which charges for parameters, and each tells how far its distribution is from the observed one at worst
(Kolmogorov and Smirnov's distance).

That distance is no test by itself, because the law was fitted to the very data. ``goodness`` therefore draws samples
from the fitted law, fits each anew, and says how often those come out as far away.

Sources: Akaike, IEEE Trans. Automatic Control 19, 1974; Clauset, Shalizi and Newman, SIAM Review 51, 2009 (the bootstrap).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, inf, lgamma, log, sqrt
from random import Random
from statistics import fmean, median
from typing import Any

from tahoe.sim.laws import Exponential, LogNormal
from tahoe.sim.lifetimes import Gamma, Lifetime, Pareto, Weibull, survival

Times = Sequence[float]


@dataclass(frozen=True, slots=True)
class Fit:
    """A law that was fitted.

    Args:
        law: with its parameters.
        log_likelihood: of the observations, in nats.
        parameters: how many were fitted.
        distance: between the two distributions at worst, of the times that are not censored.
    """

    law: Lifetime
    log_likelihood: float
    parameters: int
    distance: float

    @property
    def criterion(self) -> float:
        """Akaike's: smaller is better."""
        return 2 * self.parameters - 2 * self.log_likelihood


def fit_exponential(times: Times, censored: Times = ()) -> Exponential:
    """Events over the time watched."""
    return Exponential((sum(times) + sum(censored)) / len(times))


def fit_weibull(times: Times, censored: Times = ()) -> Weibull:
    """The root of the profile likelihood in the shape, by halving; the scale follows from it."""
    unit = median(times)
    ended = [time / unit for time in times]
    watched = ended + [time / unit for time in censored if time > 0]
    mean_log = fmean(map(log, ended))

    def excess(shape: float) -> float:
        powers: list[float] = [time**shape for time in watched]
        weighed = sum(power * log(time) for power, time in zip(powers, watched, strict=True))
        return weighed / sum(powers) - 1 / shape - mean_log

    shape = _root(excess, 0.02, 50.0)
    scale = (sum(time**shape for time in watched) / len(ended)) ** (1 / shape)
    return Weibull(scale * unit, shape)


def fit_lognormal(times: Times) -> LogNormal:
    """Mean and deviation of the logarithms."""
    logs = [log(time) for time in times]
    middle = fmean(logs)
    return LogNormal(exp(middle), sqrt(fmean((one - middle) ** 2 for one in logs)))


def fit_gamma(times: Times) -> Gamma:
    """The root of log(shape) - digamma(shape) = log(mean) - mean(log), by halving."""
    mean = fmean(times)
    spread = log(mean) - fmean(map(log, times))
    shape = _root(lambda shape: spread - (log(shape) - _digamma(shape)), 1e-3, 1e4)
    return Gamma(mean / shape, shape)


def fit_pareto(times: Times) -> Pareto:
    """The least is the least observed; the tail is the inverse of the mean logarithm above it."""
    least = min(times)
    above = fmean(log(time / least) for time in times)
    return Pareto(least, 1 / above if above > 0 else inf)


CENSORABLE: tuple[tuple[Callable[..., Any], int], ...] = ((fit_exponential, 1), (fit_weibull, 2))
UNCENSORED: tuple[tuple[Callable[..., Any], int], ...] = ((fit_lognormal, 2), (fit_gamma, 2), (fit_pareto, 2))


def fit(times: Times, censored: Times = ()) -> list[Fit]:
    """Laws fitted to times, the best first. Where some are censored only the exponential and Weibull laws compete.

    Args:
        times: positive, at least three different ones.
        censored: times that something has lasted at least.

    Raises:
        ValueError: the times are too few, too equal, or not positive.
    """
    if len(set(times)) < 3 or min(times) <= 0:
        raise ValueError("a fit takes at least three different times above zero: leave the zeros out")
    fits = [_judged(fitter(times, censored), count, times, censored) for fitter, count in CENSORABLE]
    if not censored:
        fits += [_judged(fitter(times), count, times, ()) for fitter, count in UNCENSORED]
    return sorted(fits, key=lambda one: one.criterion)


def goodness(found: Fit, times: Times, samples: int = 200, seed: int = 1) -> float:
    """How often a sample of the fitted law, fitted anew, lies as far from its fit as the observations from theirs.

    Below 0.05 or so the law is not what these times follow, however well it ranks among others.
    """
    fitters = {type(fitter(times)): fitter for fitter, _ in (*CENSORABLE, *UNCENSORED)}
    rng = Random(seed)
    as_far = 0
    for _ in range(samples):
        sample = [found.law.sample(rng) for _ in times]
        as_far += distance(fitters[type(found.law)](sample), sample) >= found.distance
    return as_far / samples


def distance(law: Lifetime, times: Times) -> float:
    """Kolmogorov and Smirnov's: the largest difference between a law's distribution and the observed one."""
    count = len(times)
    worst = 0.0
    for number, time in enumerate(sorted(times)):
        below = 1 - survival(law, time)
        worst = max(worst, below - number / count, (number + 1) / count - below)
    return worst


def _judged(law: Lifetime, parameters: int, times: Times, censored: Times) -> Fit:
    likelihood = sum(log_density(law, time) for time in times)
    likelihood += sum(log(max(survival(law, time), 1e-300)) for time in censored)
    return Fit(law, likelihood, parameters, distance(law, times))


def log_density(law: Lifetime, time: float) -> float:
    """The logarithm of a law's density at a time.

    Raises:
        TypeError: it is none of those that can be fitted.
    """
    match law:
        case Exponential(mean, _):
            return -log(mean) - time / mean
        case Weibull(scale, shape, _):
            return log(shape / scale) + (shape - 1) * log(time / scale) - float((time / scale) ** shape)
        case LogNormal(middle, sigma):
            return -log(time * sigma * sqrt(6.283185307179586)) - (log(time / middle) / sigma) ** 2 / 2
        case Gamma(scale, shape):
            return (shape - 1) * log(time / scale) - time / scale - lgamma(shape) - log(scale)
        case Pareto(least, tail):
            return log(tail) + tail * log(least) - (tail + 1) * log(time) if tail < inf else -inf
    raise TypeError(f"{type(law).__name__} is none of the laws that can be fitted")


def _digamma(x: float) -> float:
    """By recurrence up to 6, then the asymptotic series (Abramowitz and Stegun 6.3.5 and 6.3.18)."""
    below = 0.0
    while x < 6:
        below += 1 / x
        x += 1
    square = 1 / (x * x)
    return log(x) - 0.5 / x - square * (1 / 12 - square * (1 / 120 - square / 252)) - below


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function of a positive number crosses zero, to ten digits."""
    while high / low > 1 + 1e-10:
        middle = sqrt(low * high)
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return sqrt(low * high)
