"""Epochs: repair in sweeps. Every so often, everything is looked at and made whole again.

Between two sweeps nothing is repaired, so a file survives an epoch if k of its N shares do: the binomial again, and
with full repair epochs are independent of one another.

    whole --epoch--> k or more left: repaired --epoch--> ... --epoch--> fewer than k: lost

Rates stay constant (exponential lives) except in `epoch_mean_time_to_loss`, whose disks all serve equally long.
"""

from collections.abc import Iterable
from math import expm1, fsum, log1p

from tahoe.theory.availability import loss, survivors
from tahoe.theory.markov import MeanTime
from tahoe.theory.numbers import Number, check_code, check_positive, exact, exact_probability


def epoch_mean_time_to_loss(needed: int, made: int, epoch: Number, life: Number) -> MeanTime:
    """How long does a file last on average if all is repaired every epoch and every disk serves equally long?

    Formula: a share survives an epoch with p = 1 - e/L (disks of exactly L, shares put on them at random ages); the
    block with q = Pr[Bin(N, p) >= k]; the mean is e·q / (1 - q).

    Args:
        needed: shares needed (k).
        made: shares made (N).
        epoch: time between sweeps (e), any unit; pass a fraction for thirds of a year.
        life: service life of every disk (L), same unit, at least an epoch.

    Returns:
        The mean in that unit, with its warning.

    Source: Weatherspoon and Kubiatowicz, Erasure Coding vs. Replication, IPTPS 2002, sec. 5 and appendix.
    """
    check_code(needed, made)
    check_positive(epoch=epoch, life=life)
    lost = survivors(made, 1 - exact_probability(exact(epoch) / exact(life))).fewer_than(needed)
    return MeanTime(float(exact(epoch) * (1 - lost) / lost))


def failure_within(rate: float, time: float) -> float:
    """With which probability does a thing of constant failure rate fail within a time?

    Formula: 1 - e^(-rate·time).

    Args:
        rate: failures per unit of time.
        time: in that unit.
    """
    return -expm1(-rate * time)


def window_loss(needed: int, made: int, failure_rate: float, window: float) -> float:
    """With which probability do too many drives of one stripe fail within one window of replacement?

    Formula: Pr[Bin(N, p) > N - k] with p = 1 - e^(-rate·window).

    Args:
        needed: shares needed (k).
        made: shares made (N), one a drive.
        failure_rate: failures per drive and unit of time.
        window: time to replace a drive, in that unit.

    Source: Beach, Backblaze Durability is 99.999999999% - And Why It Doesn't Matter, 2018.
    """
    return loss(needed, made, 1 - exact(failure_within(failure_rate, window)))


def loss_over_windows(loss_in_one: float, windows: float) -> float:
    """With which probability is something lost in at least one of many independent windows (epochs)?

    Formula: 1 - (1 - x)^n, with ``log1p`` and ``expm1``.

    Args:
        loss_in_one: probability of loss in one window (x).
        windows: number of windows (n), not necessarily whole.

    Source: Beach, Backblaze 2018.
    """
    exact_probability(loss_in_one)
    return 1.0 if loss_in_one == 1 else -expm1(windows * log1p(-loss_in_one))


def loss_without_repair(needed: int, made: int, life: float, time: float) -> float:
    """With which probability is a file lost after a time in which nobody repairs it?

    Formula: Pr[Bin(N, p) < k] with p = e^(-time/life).

    The reliability tool of early Tahoe steps through the same decay. It prints slightly less, for two reasons: it
    runs one step longer than asked, and it forgets files that have lost their very last share.

    Args:
        needed: shares needed (k).
        made: shares made (N), on independent servers.
        life: mean life of a server (exponential), any unit.
        time: in that unit.

    Source: Warner, reliability.py of Tahoe-LAFS 1.3, 2009.
    """
    check_positive(life=life)
    return loss(needed, made, 1 - exact(failure_within(1 / life, time)))


def loss_with_sweeps(needed: int, made: int, threshold: int, survival: Iterable[float]) -> float:
    """With which probability is a file lost when a sweep ends each epoch, and repairs only what has become thin?

    Formula: a chain over the number of shares. In each epoch every share survives with that epoch's probability;
    below k the file is lost; from k to just below the threshold R it is made whole; from R on it is left alone.
    With R = N it is `loss_over_windows`.

    Args:
        needed: shares needed (k).
        made: shares made (N).
        threshold: repair when fewer shares than this are found (R), k <= R <= N.
        survival: one epoch after the other, the probability that a share survives it.

    Returns:
        The probability that the file is lost by the end of the last epoch.

    Source: the model of Warner, reliability.py of Tahoe-LAFS, 2009, with losses counted to the end.
    """
    check_code(needed, made)
    if not needed <= threshold <= made:
        raise ValueError(f"the threshold lies between {needed} and {made}, not at {threshold}")
    present, losses = {made: 1.0}, []
    known: dict[tuple[int, float], list[float]] = {}  # most epochs are alike, and exact distributions take their time
    for probability in survival:
        for before in present:
            if (before, probability) not in known:
                known[before, probability] = _chances(before, probability)
        after = [
            fsum(weight * known[before, probability][count] for before, weight in present.items() if count <= before)
            for count in range(made + 1)
        ]
        losses.append(fsum(after[:needed]))
        present = {count: after[count] for count in range(threshold, made)}
        present[made] = after[made] + fsum(after[needed:threshold])
    return fsum(losses)


def _chances(count: int, probability: float) -> list[float]:
    """The probabilities that 0, 1, ... of some shares survive an epoch."""
    weights = survivors(count, probability).weights
    whole = sum(weights)
    return [weight / whole for weight in weights]
