"""Rare losses: probabilities that no honest number of runs would ever show, by importance sampling.

A file of 3-of-10 that is looked after monthly is lost once in millions of years. Simulated as it is, every run ends with
nothing lost. So the dice are loaded, and each run carries the ratio of what it should have weighed to what it did:

* *Balanced failure biasing.* Wherever a repair could be next, a failure is made as likely as a repair, and every server
  that is up is equally likely to be the one that fails, however reliable. Losses then come in a good part of all runs.
* *Cycles.* A stripe that has been made whole begins anew. One long mission would multiply the ratios of thousands of
  repairs, until a single run outweighs the rest. So runs last one cycle, from whole to whole or to the loss::

          whole ──► ... ──► whole          MTTDL = E[length of a cycle] / Pr[a cycle ends in loss]
                └─► ... ──► LOST           both measured, with the interval of their ratio

For losses that are rare, time to loss is exponential, so that a mission t loses with 1 - exp(-t/MTTDL); a mission that
starts whole loses a little less, by about one cycle over the mission.

Sources: Shahabuddin, Management Science 40, 1994 (balanced failure biasing has bounded relative error); Goyal et al.,
IEEE Trans. Computers 41, 1992 (ratio of regenerative cycles).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import expm1, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tahoe.sim.montecarlo import RepairDecision
from tahoe.theory.confidence import Interval, student_quantile
from tahoe.theory.markov import MEAN_TIME_WARNING
from tahoe.theory.stripes import Repair

CONFIDENCE = 0.999


@dataclass(frozen=True, slots=True)
class Stripe:
    """One file on servers that fail at constant rates of their own.

    Args:
        needed: k.
        rates: failures of each of the N servers per unit of time.
        repair: after so many failures, how many remain after a repair and at which rate it comes; see
            ``tahoe.theory.stripes`` (``jump``, ``lazy``, ``serial``, ``parallel``) or ``by_rule``. Where not all are
            repaired at once, those are that failed at random.
    """

    needed: int
    rates: tuple[float, ...]
    repair: Repair

    def repair_table(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """For 0..N failed servers: how many stay failed after a repair, and the rate of repair."""
        told = [(0, 0.0), *(self.repair(failed) for failed in range(1, len(self.rates) + 1))]
        return np.array([after for after, _ in told]), np.array([rate for _, rate in told])


def by_rule(rule: RepairDecision, total: int, rate: float) -> Repair:
    """Checks at a constant rate, at which a rule decides on repair: the rule of the actors, in the terms of a chain."""
    return lambda failed: (0, rate if rule.decide(total - failed) else 0.0)


@dataclass(frozen=True, slots=True)
class RareLoss:
    """A mean time to loss, measured.

    Args:
        mean_time: to loss, with its interval, in the unit of the rates.
        relative_error: standard error over the mean.
        cycles: simulated.
        losses: cycles that ended in loss, by loaded dice.
    """

    mean_time: Interval
    relative_error: float
    cycles: int
    losses: int
    warning: str = MEAN_TIME_WARNING

    def within(self, mission: float) -> Interval:
        """The probability of loss within a mission much longer than a cycle."""
        low, middle, high = (
            -expm1(-mission / time) for time in (self.mean_time.high, self.mean_time.estimate, self.mean_time.low)
        )
        return Interval(middle, low, high, self.mean_time.confidence)


def rare_loss(
    stripe: Stripe, cycles: int = 100_000, seed: int = 1, bias: float = 0.5, confidence: float = CONFIDENCE
) -> RareLoss:
    """How long does a stripe last, however long that is?

    Args:
        stripe: what fails, and how it is repaired.
        cycles: how many to simulate, half of them with loaded dice for the loss, half with fair ones for the length.
        seed: names the run.
        bias: probability of a failure where a repair could come instead.
        confidence: of the interval.

    Raises:
        ValueError: nothing was lost even with loaded dice: give more cycles.
    """
    rng = np.random.default_rng(seed)
    _, ratios, lost = _cycles(stripe, cycles // 2, rng, bias)
    times, _, _ = _cycles(stripe, cycles - cycles // 2, rng, None)
    weights = np.where(lost, ratios, 0.0)
    if not lost.any():
        raise ValueError(f"none of {cycles // 2} cycles ended in loss: simulate more")
    mean_time = float(times.mean() / weights.mean())
    error = sqrt(_relative_variance(times) + _relative_variance(weights))
    reach = student_quantile(cycles // 2 - 1, confidence) * error
    interval = Interval(mean_time, mean_time / (1 + reach), mean_time / max(1e-9, 1 - reach), confidence)
    return RareLoss(interval, error, cycles, int(lost.sum()))


def _relative_variance(values: NDArray[np.float64]) -> float:
    """Variance of the mean over its square."""
    return float(values.var(ddof=1) / len(values) / values.mean() ** 2)


def mission_losses(stripe: Stripe, mission: float, runs: int, seed: int = 1) -> int:
    """In how many of so many missions is a stripe lost, with fair dice? For losses that are not rare.

    Args:
        stripe: what fails, and how it is repaired.
        mission: its length in the unit of the rates.
        runs: independent missions.
        seed: names the run.
    """
    rng = np.random.default_rng(seed)
    walk = _Walk(stripe, runs, None)
    while walk.going.any():
        walk.step(rng)
        late = walk.time > mission
        walk.lost &= ~late
        walk.going &= ~late & ~walk.lost
    return int(walk.lost.sum())


def _cycles(stripe: Stripe, count: int, rng: np.random.Generator, bias: float | None) -> tuple[Any, Any, Any]:
    """Run cycles from whole to whole or to loss; returns their lengths, likelihood ratios and which were losses."""
    walk = _Walk(stripe, count, bias)
    while walk.going.any():
        walk.step(rng)
        walk.going &= walk.failed.any(axis=1) & ~walk.lost
    return walk.time, walk.ratio, walk.lost


class _Walk:
    """Many copies of a stripe, each taking its next step at once. With fair dice, lengths are drawn, too."""

    def __init__(self, stripe: Stripe, count: int, bias: float | None) -> None:
        self._rates = np.array(stripe.rates)
        self._after, self._repair_rates = stripe.repair_table()
        self._needed = stripe.needed
        self._bias = bias
        self.failed = np.zeros((count, len(self._rates)), bool)
        self.time = np.zeros(count)
        self.ratio = np.ones(count)
        self.lost = np.zeros(count, bool)
        self.going = np.ones(count, bool)

    def step(self, rng: np.random.Generator) -> None:
        """One failure or repair for each that is still going."""
        walkers = np.nonzero(self.going)[0]
        failed = self.failed[walkers]
        missing = failed.sum(axis=1)
        rates = np.where(failed, 0.0, self._rates)
        failing, repairing = rates.sum(axis=1), self._repair_rates[missing]
        fair = failing / (failing + repairing)
        self.time[walkers] += rng.exponential(1.0, len(walkers)) / (failing + repairing)
        if self._bias is None:
            chance, weights = fair, rates
        else:
            chance, weights = np.where(repairing > 0, self._bias, 1.0), (~failed).astype(float)
        fails = rng.random(len(walkers)) < chance
        victims = _draw(weights, rng)
        if self._bias is not None:
            true = np.take_along_axis(rates, victims[:, None], 1)[:, 0] / failing
            loaded = np.take_along_axis(weights, victims[:, None], 1)[:, 0] / weights.sum(axis=1)
            self.ratio[walkers] *= np.where(
                fails, fair * true / (chance * loaded), (1 - fair) / np.where(fails, 1.0, 1 - chance)
            )
        self.failed[walkers[fails], victims[fails]] = True
        self._mend(walkers[~fails], missing[~fails], rng)
        total = len(self._rates)
        self.lost[walkers] = total - self.failed[walkers].sum(axis=1) < self._needed

    def _mend(self, walkers: NDArray[Any], missing: NDArray[Any], rng: np.random.Generator) -> None:
        """Of those that failed, so many stay failed as the repair says, chosen at random."""
        if len(walkers):
            failed = self.failed[walkers]
            rank = np.argsort(np.argsort(np.where(failed, rng.random(failed.shape), 2.0), axis=1), axis=1)
            self.failed[walkers] = failed & (rank < self._after[missing][:, None])


def _draw(weights: NDArray[np.float64], rng: np.random.Generator) -> NDArray[Any]:
    """One column for each row, with probabilities in proportion to the weights."""
    sums = weights.cumsum(axis=1)
    columns: NDArray[Any] = np.minimum(
        (sums < (rng.random(len(sums)) * sums[:, -1])[:, None]).sum(axis=1), weights.shape[1] - 1
    )
    return columns
