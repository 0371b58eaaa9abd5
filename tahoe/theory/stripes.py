"""Stripes: the chains of files in k-of-N shares, under several ways of repair.

State f counts failed shares. Each of the N - f others fails at the same constant rate; repair leads back, and how it
does is what distinguishes systems:

      N·l      (N-1)·l            k·l
    0 ---> 1 ---------> 2 ... N-k -----> lost         never     no way back
    0 <--- 1 <--------- 2                             serial    one share at a time, at one rate
                                                      parallel  each failed share by itself
    0 <--- any                                        jump      all at once, as a repairer that makes a file whole
    0 <--- any from the threshold on                  lazy      the same, but it waits until enough are missing
"""

from collections.abc import Callable, Sequence

from tahoe.theory.markov import Chain
from tahoe.theory.numbers import check_code, check_positive

Repair = Callable[[int], tuple[int, float]]
"""For a number of failed shares (1 or more): how many are failed after a repair, and at which rate it comes."""


def never() -> Repair:
    """No repair at all."""
    return lambda failed: (failed, 0.0)


def serial(rate: float) -> Repair:
    """One share after the other, each in a mean time of 1/rate."""
    return lambda failed: (failed - 1, rate)


def parallel(rate: float) -> Repair:
    """All failed shares at once, each by itself in a mean time of 1/rate."""
    return lambda failed: (failed - 1, failed * rate)


def jump(rate: float) -> Repair:
    """Back to whole from any state in a mean time of 1/rate: what a checker that repairs whole files does."""
    return lambda _failed: (0, rate)


def lazy(rate: float, threshold: int) -> Repair:
    """Back to whole, but only from `threshold` failed shares on."""
    return lambda failed: (0, rate if failed >= threshold else 0.0)


def stepwise(rates: Sequence[float]) -> Repair:
    """One share after the other, at ``rates[0]`` from one failed share, ``rates[1]`` from two; the last rate holds on."""
    return lambda failed: (failed - 1, rates[min(failed, len(rates)) - 1])


def partly_fatal_chain(made: int, fatal: Sequence[float], failure_rate: float, repair: Repair) -> Chain:
    """Which chain does a stripe follow whose next failure is fatal only with some probability?

    A local reconstruction code survives most, not all, sets of failures of one size.

    Args:
        made: fragments in the stripe (N).
        fatal: ``fatal[f]`` is the probability that the failure after f earlier ones loses data; the last must be 1.
        failure_rate: failures per fragment and unit of time (l).
        repair: one of this module's ways, or any other function of the number of failed fragments.

    Returns:
        The chain over 0 .. len(fatal) - 1 failed fragments.

    Raises:
        ValueError: if `fatal` does not end in certainty or is longer than there are fragments.

    Source: Huang et al., Erasure Coding in Windows Azure Storage, USENIX ATC 2012.
    """
    check_positive(failure_rate=failure_rate)
    if not 1 <= len(fatal) <= made or fatal[-1] != 1:
        raise ValueError("the last failure that is listed, among those possible, must be fatal for certain")
    rates = [[0.0] * (len(fatal) + 1) for _ in fatal]
    for failed, chance in enumerate(fatal):
        departure = (made - failed) * failure_rate
        rates[failed][failed + 1] += departure * (1 - chance)
        rates[failed][-1] += departure * chance
        if failed > 0:
            after, rate = repair(failed)
            rates[failed][after] += rate
    return Chain(tuple(tuple(row) for row in rates))


def share_chain(needed: int, made: int, failure_rate: float, repair: Repair) -> Chain:
    """Which chain does a k-of-N file follow?

    Failures come at (N - f)·l from f failed shares; N - k + 1 of them lose the file. Give the chain to
    `mean_time_to_loss` and `loss_within`. Without repair the mean is (1/l) times the sum of 1/i for i = k..N.

    Args:
        needed: shares needed (k).
        made: shares made (N).
        failure_rate: failures per share and unit of time (l).
        repair: `never()`, `serial(rate)`, `parallel(rate)`, `jump(rate)`, `lazy(rate, threshold)`, or your own.

    Source: Chen, Lee, Gibson, Katz and Patterson, RAID, ACM Computing Surveys 26, 1994 (birth-death chains).
    """
    check_code(needed, made)
    return partly_fatal_chain(made, [0.0] * (made - needed) + [1.0], failure_rate, repair)
