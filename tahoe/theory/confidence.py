"""Confidence: what a number of simulated runs proves.

An estimate without an interval is a rumour, and zero losses in n runs do not prove a probability of zero: they prove,
at 95 %, one below 3/n.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1, log, sqrt
from statistics import fmean, stdev

from tahoe.theory.beta import beta_quantile
from tahoe.theory.numbers import Number, check_positive, exact_probability


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate, and the bounds between which the truth lies with a confidence such as 0.999."""

    estimate: float
    low: float
    high: float
    confidence: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def half_width(self) -> float:
        """Half the distance between the bounds."""
        return (self.high - self.low) / 2


def probability_interval(losses: int, runs: int, confidence: float = 0.999) -> Interval:
    """Between which bounds does a probability lie, given so many losses in so many independent runs?

    Formula: quantiles of Beta(x, n-x+1) and Beta(x+1, n-x) at (1-c)/2 from either end. The bounds hold with *at least*
    the confidence asked for, whatever the probability.

    Args:
        losses: runs in which it happened (x).
        runs: runs in all (n), at least 1.
        confidence: such as 0.999 (c).

    Source: Clopper and Pearson, Biometrika 26, 1934.
    """
    if not 0 <= losses <= runs or runs < 1:
        raise ValueError(f"there cannot be {losses} losses in {runs} runs")
    tail = _outside(confidence) / 2
    low = _lower_bound(losses, runs, tail)
    high = 1.0 if losses == runs else beta_quantile(1 - tail, losses + 1, runs - losses)
    if losses == 0:
        high = -expm1(log(tail) / runs)
    return Interval(losses / runs, low, high, confidence)


def bound_without_losses(runs: int, confidence: float = 0.95) -> float:
    """Below which bound does a probability lie when it never happened in so many runs?

    Formula: 1 - (1-c)^(1/n), which at 95 % is just under 3/n.

    Args:
        runs: runs in all (n), without a single loss.
        confidence: one-sided (c).

    Source: Hanley and Lippman-Hand, If Nothing Goes Wrong, Is Everything All Right?, JAMA 249, 1983.
    """
    check_positive(runs=runs)
    return -expm1(log(_outside(confidence)) / runs)


def report_probability(losses: int, runs: int, confidence: float = 0.999) -> str:
    """How is a probability of loss written down? With its bounds, and never as zero: "< 3/n at 95 %" if nothing was lost.

    Args:
        losses: runs in which it happened.
        runs: runs in all (n), at least 1.
        confidence: of the bounds shown if there were losses, such as 0.999.

    Source: `probability_interval` and `bound_without_losses`.
    """
    if losses == 0:
        check_positive(runs=runs)
        return f"< 3/{runs} at 95 %"
    interval = probability_interval(losses, runs, confidence)
    return f"{interval.estimate:.3e} [{interval.low:.3e}, {interval.high:.3e}] at {100 * confidence:g} %"


def mean_interval(values: Sequence[float], confidence: float = 0.999) -> Interval:
    """Between which bounds does a mean lie, given independent observations?

    Formula: mean ± t · s / sqrt(n), with t the two-sided quantile of Student's law with n - 1 degrees of freedom.

    Args:
        values: at least two observations, roughly normal or many.
        confidence: such as 0.999.

    Source: Student, The Probable Error of a Mean, Biometrika 6, 1908.
    """
    if len(values) < 2:
        raise ValueError("a spread takes at least two observations")
    mean = fmean(values)
    reach = student_quantile(len(values) - 1, confidence) * stdev(values) / sqrt(len(values))
    return Interval(mean, mean - reach, mean + reach, confidence)


def student_quantile(degrees: float, confidence: float) -> float:
    """How many standard errors reach to either side for a confidence, at so many degrees of freedom?

    Formula: t = sqrt(v y / (1-y)) with y the quantile of Beta(1/2, v/2) at the confidence.

    Args:
        degrees: degrees of freedom (v), observations less one.
        confidence: two-sided, above 0 and below 1.

    Source: Abramowitz and Stegun 26.7.1.
    """
    check_positive(degrees=degrees)
    _outside(confidence)
    y = beta_quantile(confidence, 0.5, degrees / 2)
    return sqrt(degrees * y / (1 - y))


def runs_needed(probability: Number, relative_error: float) -> float:
    """How many plain Monte-Carlo runs estimate a probability to a relative standard error?

    Formula: (1-P) / (P e²).

    Args:
        probability: expected (P), above 0.
        relative_error: standard error over the value (e).
    """
    chance = exact_probability(probability)
    check_positive(probability=chance, relative_error=relative_error)
    return float((1 - chance) / chance) / relative_error**2


def _lower_bound(losses: int, runs: int, tail: float) -> float:
    if losses == 0:
        return 0.0
    return beta_quantile(tail, losses, runs - losses + 1)


def _outside(confidence: float) -> float:
    chance = exact_probability(confidence)
    if not 0 < chance < 1:
        raise ValueError(f"a confidence lies strictly between 0 and 1, not at {confidence}")
    return float(1 - chance)
