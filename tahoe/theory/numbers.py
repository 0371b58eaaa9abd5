"""Numbers: what a caller means by a probability such as 0.9.

A float is the nearest multiple of a power of two: 0.9 is not nine tenths, and ``1 - 0.9`` is not one tenth. With
availabilities close to one, that difference is the answer's first digit. So every probability is taken to be what its
shortest decimal says, as a fraction: 0.9 is 9/10 and its complement exactly 1/10. Who knows better (an availability
closer to one than a float can be) passes a `fractions.Fraction`.
"""

from collections.abc import Iterable
from fractions import Fraction

Number = Fraction | float
"""An exact fraction, or a float (or integer) standing for its shortest decimal."""


def exact(number: Number) -> Fraction:
    """The fraction that is meant by a number: ``exact(0.1)`` is 1/10.

    Raises:
        ValueError: for infinities and for what is not a number.
    """
    if not isinstance(number, float):
        return Fraction(number)
    return Fraction(float.__repr__(number))  # float's own: a subclass (numpy's) may print its type as well


def exact_probability(probability: Number) -> Fraction:
    """The fraction that is meant by a probability.

    Raises:
        ValueError: if it does not lie between 0 and 1.
    """
    fraction = exact(probability)
    if not 0 <= fraction <= 1:
        raise ValueError(f"a probability lies between 0 and 1, not at {probability}")
    return fraction


def check_code(needed: int, made: int) -> None:
    """Refuse what is no k-of-N code.

    Raises:
        ValueError: unless 1 <= needed <= made.
    """
    if not 1 <= needed <= made:
        raise ValueError(f"a code needs between one and all of its shares, not {needed} of {made}")


def check_positive(**quantities: Number) -> None:
    """Refuse times, rates or sizes that are not positive, by name.

    Raises:
        ValueError: naming the first quantity that is zero, negative or not finite.
    """
    for name, quantity in quantities.items():
        if exact(quantity) <= 0:
            raise ValueError(f"{name.replace('_', ' ')} must be positive, not {quantity}")


def odds(probabilities: Iterable[Number]) -> list[tuple[int, int]]:
    """Each probability as integer weights (against, for), which avoid a fraction's common divisors in long products."""
    fractions = [exact_probability(probability) for probability in probabilities]
    return [(fraction.denominator - fraction.numerator, fraction.numerator) for fraction in fractions]
