"""Availability: is a file there at one instant, when servers are up or down independently?

The same functions answer "is it lost?" when `up` is the probability that a server's share survives some span without
repair. Each answer is the probability of the *bad* event, because that is the small number whose digits matter.
"""

from collections.abc import Iterable
from fractions import Fraction
from math import comb

from tahoe.theory.counts import Distribution, independent
from tahoe.theory.numbers import Number, check_code, check_positive, exact, exact_probability


def survivors(made: int, up: Number) -> Distribution:
    """How many of N shares are there, one on each of N equal servers?

    Formula: Pr[i] = C(N,i) p^i (1-p)^(N-i).

    Args:
        made: shares made (N), one a server.
        up: probability that a server is up (p).

    Returns:
        The exact binomial distribution over 0..N.
    """
    there = exact_probability(up)
    against, favour = there.denominator - there.numerator, there.numerator
    return Distribution(
        tuple(comb(made, count) * favour**count * against ** (made - count) for count in range(made + 1))
    )


def loss(needed: int, made: int, up: Number) -> float:
    """With which probability are fewer than k of N shares there, one on each of N equal servers?

    Formula: sum over i < k of C(N,i) p^i (1-p)^(N-i), in integers, rounded once at the end.

    Args:
        needed: shares needed (k).
        made: shares made (N).
        up: probability that a server is up, or that its share survives (p).

    Returns:
        The probability that the file is unavailable (lost).

    Raises:
        ValueError: unless 1 <= needed <= made and 0 <= up <= 1.

    Source: Willden, loss-model draft of Tahoe-LAFS, 2009; Weatherspoon and Kubiatowicz, IPTPS 2002.
    """
    check_code(needed, made)
    return float(survivors(made, up).fewer_than(needed))


def loss_unequal(needed: int, up: Iterable[Number]) -> float:
    """With which probability are fewer than k shares there, one on each of several *unequal* servers?

    Formula: the lower tail of the Poisson-binomial distribution, whose polynomial is the product of (1-p_i) + p_i x.

    Args:
        needed: shares needed (k).
        up: each server's probability of being up.

    Returns:
        The probability that the file is unavailable.

    Source: Hong, Computational Statistics and Data Analysis 59, 2013.
    """
    there = independent(up)
    check_code(needed, len(there.weights) - 1)
    return float(there.fewer_than(needed))


def survivors_of_draw(drawn: int, population: int, down: int) -> Distribution:
    """How many of the servers drawn for a file are up, when exactly `down` of the whole population are not?

    Formula: Pr[i] = C(M-D, i) C(D, n-i) / C(M, n), the hypergeometric distribution.

    Args:
        drawn: different servers drawn (n), one share on each.
        population: servers in all (M).
        down: servers that are down (D).

    Raises:
        ValueError: if more are drawn, or down, than there are.
    """
    if not (0 <= down <= population and 0 <= drawn <= population):
        raise ValueError(f"cannot draw {drawn} of {population} servers of which {down} are down")
    return Distribution(tuple(comb(population - down, up) * comb(down, drawn - up) for up in range(drawn + 1)))


def loss_of_draw(needed: int, made: int, population: int, down: int) -> float:
    """With which probability is a file unavailable when exactly `down` servers of a known population are down?

    Differs from `loss` in that the N servers are drawn without replacement. Formula: see `survivors_of_draw`.

    Args:
        needed: shares needed (k).
        made: shares made (N), on different servers.
        population: servers in all.
        down: servers that are down.

    Returns:
        The probability that fewer than k of the N servers drawn are up.

    Source: Weatherspoon and Kubiatowicz, IPTPS 2002, eq. (1).
    """
    check_code(needed, made)
    return float(survivors_of_draw(made, population, down).fewer_than(needed))


def availability(mean_up: Number, mean_down: Number) -> Fraction:
    """Which part of the time is something up that is up and down in turns?

    Formula: U / (U + D), for any distributions of the two spans with these means (renewal theorem).

    Args:
        mean_up: mean length of a span up (U), any unit of time.
        mean_down: mean length of a span down (D), same unit.

    Returns:
        The long-run availability as an exact fraction: feed it to `loss`, or take it from one without losing digits.

    Source: Barlow and Proschan, Statistical Theory of Reliability and Life Testing, 1975.
    """
    check_positive(mean_up=mean_up)
    if mean_down != 0:
        check_positive(mean_down=mean_down)
    return exact(mean_up) / (exact(mean_up) + exact(mean_down))


def unavailability_in_series(availabilities: Iterable[Number]) -> float:
    """Which part of the time is a share out of reach when all of several components must be up (rack, node, disk)?

    Formula: 1 - product of the availabilities, in fractions; components fail independently.

    Args:
        availabilities: of each component in the row, exact where they come from `availability`.

    Returns:
        The fraction of time in which at least one component is down.

    Source: the site model of SimEDC (Zhang, Han, Lee, SRDS 2017) is such a row of rack and node.
    """
    together = Fraction(1)
    for component in availabilities:
        together *= exact_probability(component)
    return float(1 - together)
