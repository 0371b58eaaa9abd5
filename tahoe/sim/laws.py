"""Laws of chance for delays: small frozen objects that draw seconds from a random stream."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from random import Random
from typing import Protocol


class Law(Protocol):
    """Something that draws seconds."""

    def sample(self, rng: Random) -> float:
        """One draw, in seconds."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same."""

    seconds: float

    def sample(self, rng: Random) -> float:  # a law's signature
        """The one value there is."""
        return self.seconds


@dataclass(frozen=True, slots=True)
class Uniform:
    """Anything between two bounds, equally likely. The cheapest law that is not constant."""

    low: float
    high: float

    def sample(self, rng: Random) -> float:
        """One draw."""
        return self.low + (self.high - self.low) * rng.random()


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Mostly about ``median``, now and then much more: what round trips over the internet look like."""

    median: float
    sigma: float = 0.5

    def sample(self, rng: Random) -> float:
        """One draw."""
        return rng.lognormvariate(log(self.median), self.sigma)


@dataclass(frozen=True, slots=True)
class Exponential:
    """A floor, and a memoryless wait on top of it."""

    mean: float
    floor: float = 0.0

    def sample(self, rng: Random) -> float:
        """One draw."""
        return self.floor + rng.expovariate(1.0 / self.mean)
