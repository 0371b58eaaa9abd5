"""Estimates: how many runs of Monte Carlo are enough, and what they prove.

Files of one run share servers, so they are lost together more often than apart: ten thousand files in one run prove
less than ten thousand coins. How much less is measured, as the ratio of the variance between runs to that of coins
(the design effect), and the interval is that of so many fewer files. Where nothing was lost the files prove nothing
about each other's dependence, and only whole runs are counted.

Source: Korn and Graubard, Survey Methodology 24, 1998 (Clopper-Pearson with the effective sample size).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from statistics import fmean, variance

from tahoe.sim.montecarlo import Outcome, Rules, Study, run
from tahoe.theory.confidence import Interval, probability_interval

CONFIDENCE = 0.999
PRECISION = 0.05
"""Half-width of an interval, over the estimate, at which enough is known."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a number of runs say about losses.

    Args:
        per_file: probability that a file is lost within the time of the study.
        any_loss: probability that a run loses at least one file.
        runs: how many.
        lost: files lost in all of them.
        design_effect: how many files weigh as much as one independent one.
    """

    per_file: Interval
    any_loss: Interval
    runs: int
    lost: int
    design_effect: float

    def __str__(self) -> str:
        if self.lost == 0:
            return f"no file lost in {self.runs} runs: below {self.per_file.high:.2e} at {self.per_file.confidence:.1%}"
        interval = self.per_file
        return (
            f"{interval.estimate:.3e} [{interval.low:.3e}, {interval.high:.3e}] at {interval.confidence:.1%}, "
            f"{self.runs} runs"
        )

    def is_enough(self, precision: float) -> bool:
        """Whether the half-width of the interval is within so much of the estimate."""
        return self.lost > 0 and self.per_file.half_width() <= precision * self.per_file.estimate


def judge(lost: list[int], files: int, confidence: float = CONFIDENCE) -> Estimate:
    """What is proved by the numbers of files that were lost in independent runs.

    Args:
        lost: files lost, run by run; at least two.
        files: files in each run.
        confidence: of the intervals.

    Raises:
        ValueError: with one run nothing is known of the spread.
    """
    runs = len(lost)
    if runs < 2:
        raise ValueError("a spread takes at least two runs")
    any_loss = probability_interval(sum(count > 0 for count in lost), runs, confidence)
    total = sum(lost)
    if total == 0:
        return Estimate(Interval(0.0, 0.0, any_loss.high, confidence), any_loss, runs, 0, float(files))
    mean = fmean(lost) / files
    coins = mean * (1 - mean) * files
    effect = min(float(files), max(1.0, variance(lost) / coins)) if coins > 0 else float(files)
    effective = max(1, int(runs * files / effect))
    bounds = probability_interval(round(mean * effective), effective, confidence)
    return Estimate(
        Interval(mean, min(mean, bounds.low), max(mean, bounds.high), confidence), any_loss, runs, total, effect
    )


Runner = Callable[[Study, Rules, str], Outcome]


def estimate(
    study: Study,
    rules: Rules,
    seed: int | str = 1,
    precision: float = PRECISION,
    most_runs: int = 1000,
    runner: Runner = run,
) -> Estimate:
    """Run until the probability of losing a file is known well enough, or ``most_runs`` are done.

    Args:
        study: what there is, and what happens to it.
        rules: who decides.
        seed: names all runs together.
        precision: half-width of the 99.9 % interval over the estimate.
        most_runs: where to stop in any case; at least 2.
        runner: ``tahoe.sim.montecarlo.run``, or its compiled twin.
    """
    lost: list[int] = []
    for batch in _batches(most_runs):
        lost += [runner(study, rules, f"{seed}/{number}").lost for number in batch]
        found = judge(lost, study.files)
        if found.is_enough(precision):
            break
    return found


def _batches(most: int) -> Iterator[list[int]]:
    """Run numbers in batches: the more have been done, the less often they are judged."""
    numbers = iter(range(most))
    size = 8
    while batch := list(islice(numbers, size)):
        yield batch
        size = max(size, batch[-1] // 4)
