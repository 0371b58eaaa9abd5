"""Magnitude: how much of the data is lost, and not only whether.

A probability of loss grows with the size of the system, and a mean time to loss says nothing about how much goes.
NOMDL, the normalised magnitude of data loss, is the expected number of bytes lost within a mission over the usable
capacity: it can be compared between systems of different sizes, and it is what to show first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import fsum

from tahoe.theory.numbers import check_positive, exact_probability


@dataclass(frozen=True, slots=True)
class Stake:
    """Bytes that are lost all together with one probability within the mission: a file, or a class of files."""

    size_bytes: float
    loss: float


def normalised_magnitude_of_loss(stakes: Iterable[Stake], usable_bytes: float) -> float:
    """Which part of the usable capacity is lost within a mission, on average (NOMDL)?

    Formula: sum of size · Pr[loss within the mission], over the usable capacity. No independence is assumed: means
    add up in any case. Take the probabilities from `loss_within`, `loss_over_windows`, or a simulation.

    Args:
        stakes: all that is stored, each with its probability of being lost within the mission.
        usable_bytes: capacity for data, redundancy not counted.

    Returns:
        Bytes lost per usable byte.

    Raises:
        ValueError: if the capacity is not positive or a probability is none.

    Source: Greenan, Plank and Wylie, Mean Time to Meaningless, HotStorage 2010.
    """
    check_positive(usable_bytes=usable_bytes)
    return fsum(stake.size_bytes * float(exact_probability(stake.loss)) for stake in stakes) / usable_bytes
