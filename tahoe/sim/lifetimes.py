"""Lifetimes: laws of how long servers live, stay up and stay away.

A law knows its mean and its survival function, so that closed forms can be asked of it, and draws from a seeded
stream, so that a run can. Which law matters: disks wear out (Weibull shape above one) or die young (below one), outages
are mostly short and sometimes very long (lognormal, Pareto), and only the exponential law has no memory, on which most
formulas rest.

    law            parameters                survival beyond t
    Exponential    mean                      exp(-t/mean)                    (``tahoe.sim.laws``, without a floor)
    Weibull        scale, shape, floor       exp(-((t-floor)/scale)^shape)
    LogNormal      median, sigma             Phi(-ln(t/median)/sigma)        (``tahoe.sim.laws``)
    Gamma          scale, shape              Q(shape, t/scale)
    Pareto         least, tail               (least/t)^tail
    Empirical      observations              share of observations above t
    Beta           a, b                      (a part between 0 and 1, for severities)

All times are in seconds unless a trace says otherwise; any one unit will do.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from math import erfc, exp, gamma, inf, lgamma, log, sqrt
from random import Random
from typing import Protocol

from tahoe.sim.laws import Exponential, Fixed, LogNormal, Uniform


class Lifetime(Protocol):
    """A law that draws times. Any object with this method will do: a new law takes a few lines."""

    def sample(self, rng: Random) -> float:
        """One draw."""


@dataclass(frozen=True, slots=True)
class Weibull:
    """Ageing (shape above 1) or infant mortality (below 1); with a ``floor``, nothing fails before it."""

    scale: float
    shape: float = 1.0
    floor: float = 0.0

    def sample(self, rng: Random) -> float:
        """One draw."""
        return self.floor + rng.weibullvariate(self.scale, self.shape)

    def survival(self, time: float) -> float:
        """Probability of outliving a time."""
        return exp(-((max(0.0, time - self.floor) / self.scale) ** self.shape))

    def mean(self) -> float:
        """The expected time."""
        return self.floor + self.scale * gamma(1 + 1 / self.shape)


@dataclass(frozen=True, slots=True)
class Gamma:
    """A sum of waits: several things have to go wrong one after the other."""

    scale: float
    shape: float

    def sample(self, rng: Random) -> float:
        """One draw."""
        return rng.gammavariate(self.shape, self.scale)

    def survival(self, time: float) -> float:
        """Probability of outliving a time."""
        return 1.0 - lower_gamma(self.shape, time / self.scale)

    def mean(self) -> float:
        """The expected time."""
        return self.shape * self.scale


@dataclass(frozen=True, slots=True)
class Pareto:
    """At least ``least``, and a tail so heavy that the mean is infinite unless ``tail`` is above one."""

    least: float
    tail: float

    def sample(self, rng: Random) -> float:
        """One draw."""
        return self.least * rng.paretovariate(self.tail)

    def survival(self, time: float) -> float:
        """Probability of outliving a time."""
        return 1.0 if time <= self.least else (self.least / time) ** self.tail

    def mean(self) -> float:
        """The expected time."""
        return self.tail * self.least / (self.tail - 1) if self.tail > 1 else inf


@dataclass(frozen=True, slots=True)
class Empirical:
    """What was seen, drawn again: ``observations`` in ascending order."""

    observations: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.observations or list(self.observations) != sorted(self.observations):
            raise ValueError("observations must be there, in ascending order: sort them first")

    def sample(self, rng: Random) -> float:
        """One of the observations."""
        return rng.choice(self.observations)

    def survival(self, time: float) -> float:
        """Which part of the observations is longer."""
        return 1 - bisect_right(self.observations, time) / len(self.observations)

    def mean(self) -> float:
        """Their mean."""
        return sum(self.observations) / len(self.observations)


@dataclass(frozen=True, slots=True)
class Beta:
    """A part between nothing and everything: how much of a domain a common cause takes (beta-binomial failures)."""

    a: float
    b: float

    def sample(self, rng: Random) -> float:
        """One draw."""
        return rng.betavariate(self.a, self.b)

    def mean(self) -> float:
        """The expected part."""
        return self.a / (self.a + self.b)


class KnownLaw(Lifetime, Protocol):
    """A law whose survival function is known, too."""

    def survival(self, time: float) -> float:
        """Probability of outliving a time."""

    def mean(self) -> float:
        """The expected time."""


def survival(law: Lifetime, time: float) -> float:
    """Probability that a law draws more than a time.

    Raises:
        TypeError: the law tells no survival function.
    """
    match law:
        case Exponential(mean, floor):
            return exp(-max(0.0, time - floor) / mean)
        case LogNormal(median, sigma):
            return 1.0 if time <= 0 else 0.5 * erfc(log(time / median) / (sigma * sqrt(2)))
        case Fixed(length):
            return float(time < length)
        case Uniform(low, high):
            return min(1.0, max(0.0, (high - time) / (high - low)))
    return _told(law, "survival")(time)


def mean_of(law: Lifetime) -> float:
    """The expected value of a law.

    Raises:
        TypeError: the law does not tell it.
    """
    match law:
        case Exponential(mean, floor):
            return mean + floor
        case LogNormal(median, sigma):
            return median * exp(sigma**2 / 2)
        case Fixed(length):
            return length
        case Uniform(low, high):
            return (low + high) / 2
    return _told(law, "mean")()


def _told(law: Lifetime, what: str) -> Callable[..., float]:
    told: Callable[..., float] | None = getattr(law, what, None)
    if told is None:
        raise TypeError(f"{type(law).__name__} does not tell its {what}: give it a method {what}()")
    return told


def lower_gamma(shape: float, x: float) -> float:
    """The regularised lower incomplete gamma function P(shape, x), by its series or its continued fraction.

    Source: Abramowitz and Stegun 6.5.29 and 6.5.31; the fraction as by Lentz.
    """
    if x <= 0:
        return 0.0
    front = exp(shape * log(x) - x - lgamma(shape))
    return front * _series(shape, x) if x < shape + 1 else 1.0 - front * _fraction(shape, x)


def _series(shape: float, x: float) -> float:
    term = total = 1 / shape
    above = shape
    while term > total * 1e-16:
        above += 1
        term *= x / above
        total += term
    return total


def _fraction(shape: float, x: float) -> float:
    below = x + 1 - shape
    upper, lower = inf, 1 / below
    result, factor, step = lower, 0.0, 0
    while abs(factor - 1) > 1e-15:
        step += 1
        coefficient = -step * (step - shape)
        below += 2
        lower = 1 / (coefficient * lower + below)
        upper = below + coefficient / upper
        factor = upper * lower
        result *= factor
    return result
