"""Beta: the regularised incomplete beta function and its inverse, on which confidence intervals rest.

The function is a continued fraction; its inverse is found by halving, down to the last bit, since the function only
grows. Neither needs more than the standard library.
"""

from collections.abc import Iterator
from itertools import count
from math import exp, lgamma, log, log1p

_TINY = 1e-300
_PRECISION = 1e-15


def incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b): the probability that a Beta(a, b) variable is at most x.

    Args:
        x: from 0 to 1.
        a: first shape, positive.
        b: second shape, positive.

    Source: Abramowitz and Stegun 26.5.8 (continued fraction), evaluated as by Lentz, Applied Optics 15, 1976.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly, its mirror image is fast
        return 1.0 - _front(1 - x, b, a) * _fraction(1 - x, b, a)
    return _front(x, a, b) * _fraction(x, a, b)


def beta_quantile(probability: float, a: float, b: float) -> float:
    """The x at which I_x(a, b) is a given probability, to the last bit that the function can tell apart."""
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        if incomplete_beta(middle, a, b) < probability:
            low = middle
        else:
            high = middle
    return high


def _front(x: float, a: float, b: float) -> float:
    return exp(a * log(x) + b * log1p(-x) + lgamma(a + b) - lgamma(a) - lgamma(b)) / a


def _coefficients(x: float, a: float, b: float) -> Iterator[float]:
    for step in count(1):
        half = step // 2
        if step % 2:
            yield -(a + half) * (a + b + half) * x / ((a + step - 1) * (a + step))
        else:
            yield half * (b - half) * x / ((a + step - 1) * (a + step))


def _fraction(x: float, a: float, b: float) -> float:
    """1 / (1 + d1 / (1 + d2 / (1 + ...))), from the front, until a factor no longer changes it."""
    upper, lower, result = 1.0, 0.0, 1.0
    for coefficient in _coefficients(x, a, b):
        lower = 1 / (1 + coefficient * lower or _TINY)
        upper = 1 + coefficient / upper or _TINY
        result *= upper * lower
        if abs(upper * lower - 1) < _PRECISION:
            break
    return 1 / result
