"""Replicas: how many copies or shares a target takes, and what becomes of copies that are made and lost for ever."""

from math import exp, lgamma, log, log1p

from tahoe.theory.availability import loss
from tahoe.theory.numbers import Number, check_positive, exact, exact_probability

MOST_SHARES = 256
"""No code of this family makes more shares than its field GF(256) has elements."""


def replicas_for(unavailability: Number, host_availability: Number) -> float:
    """How many whole copies bring a file's unavailability down to a target?

    Formula: ln(e) / ln(1 - a); take the next integer for a number of copies.

    Args:
        unavailability: the target (e), above 0 and below 1.
        host_availability: probability that one host is up (a), above 0 and below 1.

    Returns:
        The number of copies, as the real number of the formula.

    Raises:
        ValueError: if an argument is not strictly between 0 and 1.

    Source: Rodrigues and Liskov, High Availability in DHTs, IPTPS 2005, eq. (1).
    """
    target, host = exact_probability(unavailability), exact_probability(host_availability)
    if not (0 < target < 1 and 0 < host < 1):
        raise ValueError("target and availability lie strictly between 0 and 1")
    return log(target) / log1p(-host)


def shares_for(needed: int, unavailability: Number, host_availability: Number) -> int:
    """How many shares (friends) does a file need, at k needed and equal servers, to meet a target?

    Formula: the smallest N with `loss(k, N, a)` at most the target.

    Args:
        needed: shares needed (k); 1 asks for whole copies.
        unavailability: the target.
        host_availability: probability that one server is up (a).

    Returns:
        The number of shares, one a server.

    Raises:
        ValueError: if not even 256 shares, the most a code can make, are enough.
    """
    target = exact_probability(unavailability)
    for made in range(needed, MOST_SHARES + 1):
        if loss(needed, made, host_availability) <= target:
            return made
    raise ValueError(f"{needed} of {MOST_SHARES} shares do not reach an unavailability of {unavailability}")


def replica_count_probability(count: int, creation_rate: Number, loss_rate: Number) -> float:
    """How likely are there just so many copies, when copies are made at rate c and each is lost at rate l?

    Formula: the birth-death chain's stationary law, Poisson(t) with t = c/l: e^-t t^n / n!. With n = 0 it is the part
    of the time in which nothing is left. What counts is the capacity to create, not the number of copies aimed at.

    Args:
        count: number of copies (n).
        creation_rate: copies made per unit of time (c).
        loss_rate: losses per copy and unit of time (l), same unit.

    Returns:
        The long-run probability of exactly n copies.

    Source: Chun et al., Efficient Replica Maintenance for Distributed Storage Systems, NSDI 2006.
    """
    check_positive(creation_rate=creation_rate, loss_rate=loss_rate)
    if count < 0:
        raise ValueError(f"there cannot be {count} copies")
    mean = float(exact(creation_rate) / exact(loss_rate))
    return exp(count * log(mean) - mean - lgamma(count + 1))
