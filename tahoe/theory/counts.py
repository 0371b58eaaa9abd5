"""Counts: exact distributions of how many shares survive.

A distribution is a row of integer weights, one per count; the probability of a count is its weight over the sum of
all. Two independent groups of shares are added by multiplying the rows as polynomials, and a cause that takes a whole
group moves weight to the count zero. Integers keep every digit: the weight that matters (few survivors) may be 1e-30
of the whole.

                       no. of survivors     0     1      2      3
    one server, up in 9 of 10               1     9
    three of them                           1    27    243    729
    ... at a site that falls in 1 of 100 1099  2673  24057  72171     (99 times the row above, 1000 more at zero)
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from tahoe.theory.numbers import Number, exact_probability, odds


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many of some things survive: ``weights[count]`` over the sum of all weights is the probability of a count."""

    weights: tuple[int, ...]

    def __post_init__(self) -> None:
        if min(self.weights, default=0) < 0 or sum(self.weights) == 0:
            raise ValueError("weights of a distribution are natural numbers, not all of them zero")

    def exactly(self, count: int) -> Fraction:
        """Probability that just `count` survive."""
        return Fraction(self.weights[count] if 0 <= count < len(self.weights) else 0, sum(self.weights))

    def fewer_than(self, count: int) -> Fraction:
        """Probability that fewer than `count` survive: the loss of a file that needs `count` shares."""
        return Fraction(sum(self.weights[: max(count, 0)]), sum(self.weights))

    def at_least(self, count: int) -> Fraction:
        """Probability that `count` or more survive."""
        return Fraction(sum(self.weights[max(count, 0) :]), sum(self.weights))

    def mean(self) -> Fraction:
        """Expected number of survivors."""
        return Fraction(sum(count * weight for count, weight in enumerate(self.weights)), sum(self.weights))

    def plus(self, other: "Distribution") -> "Distribution":
        """Survivors of two independent groups together (the convolution of both)."""
        weights = [0] * (len(self.weights) + len(other.weights) - 1)
        for mine, weight in enumerate(self.weights):
            for theirs, factor in enumerate(other.weights):
                weights[mine + theirs] += weight * factor
        return Distribution(tuple(weights))

    def unless_all_fall(self, probability: Number) -> "Distribution":
        """The same things under a common cause that, with `probability`, takes all of them at once."""
        fall = exact_probability(probability)
        spared = fall.denominator - fall.numerator
        weights = [weight * spared for weight in self.weights]
        weights[0] += sum(self.weights) * fall.numerator
        return Distribution(tuple(weights))


NOTHING = Distribution((1,))
"""No things at all, hence certainly no survivors: the sum of no groups."""


def independent(up: Iterable[Number]) -> Distribution:
    """Survivors among independent things, each with its own probability of being up (Poisson-binomial).

    Source: the product of the polynomials (1 - p_i) + p_i x; Hong, Computational Statistics and Data Analysis 59, 2013.
    """
    weights = [1]
    for against, favour in odds(up):
        weights = [
            without * against + with_it * favour for without, with_it in zip([*weights, 0], [0, *weights], strict=True)
        ]
    return Distribution(tuple(weights))
