"""Groups: shares that stand or fall together.

Two reasons make shares fall together: they are on one server (a small grid), or their servers share a site, a link, a
volcano. The first is a placement, the second a common cause. Both end in a `Distribution` of surviving shares, and
independent groups add up by convolution:

    Nebraska (link) -- 4 machines --+
    Hawaii (link, lava) 4 machines --+--> survivors of all 12 --> fewer than k?
    homes ------------- 4 machines --+
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tahoe.theory.counts import NOTHING, Distribution, independent
from tahoe.theory.numbers import Number, odds


@dataclass(frozen=True, slots=True)
class Home:
    """A server that holds some shares of a file, and the probability that it is up (or survives)."""

    shares: Collection[int]
    up: Number


def group_survivors(up: Iterable[Number], common_failure: Number = 0) -> Distribution:
    """How many shares survive in a group of machines, one share on each, that a common cause may take as a whole?

    Formula: with probability c none; otherwise Poisson-binomial.

    Args:
        up: each machine's own probability of surviving.
        common_failure: probability that the group falls as a whole (c); independent causes combine by calling
            `Distribution.unless_all_fall` once more for each.

    Source: Willden, loss-model draft of Tahoe-LAFS, 2009.
    """
    return independent(up).unless_all_fall(common_failure)


def together(groups: Iterable[Distribution]) -> Distribution:
    """How many shares survive in several independent groups taken together?

    Formula: the convolution of the groups' distributions.

    Source: Willden, loss-model draft of Tahoe-LAFS, 2009.
    """
    everything = NOTHING
    for group in groups:
        everything = everything.plus(group)
    return everything


def surviving_shares(homes: Sequence[Home]) -> Distribution:
    """How many *different* shares of a file are there, for any placement of shares on independent servers?

    Formula: the sum over all sets of servers that may be up of the probability that just these are. It is reached
    step by step: homes are added one after the other, and all that matters of the past is how many shares are
    settled (no later home holds them) and which of the others have been seen. Placements without double shares
    therefore cost no more than a convolution, and each share in several places doubles the work at worst.

    Args:
        homes: the servers, each with its share numbers. A share may be in several homes.

    Returns:
        The distribution of the number of different shares held by the servers that are up.
    """
    last_home = {share: position for position, home in enumerate(homes) for share in home.shares}
    states: dict[tuple[int, frozenset[int]], int] = {(0, frozenset()): 1}
    for position, (home, (down, up)) in enumerate(zip(homes, odds(home.up for home in homes), strict=True)):
        settling = frozenset(share for share in home.shares if last_home[share] == position)
        following: dict[tuple[int, frozenset[int]], int] = defaultdict(int)
        for (settled, seen), weight in states.items():
            for there, factor in ((seen, down), (seen.union(home.shares), up)):
                following[settled + len(there & settling), there - settling] += weight * factor
        states = following
    weights = [0] * (len(last_home) + 1)
    for (settled, _), weight in states.items():
        weights[settled] += weight
    return Distribution(tuple(weights))


def loss_of_placement(needed: int, homes: Sequence[Home]) -> float:
    """With which probability is a file unavailable, given which server holds which shares?

    Shares on one server stand or fall together. Formula: the sum, over all sets of servers that may be up and hold
    fewer than k different shares between them, of the probability that just these are up.

    Args:
        needed: different shares needed (k).
        homes: the servers, each with its share numbers and its probability of being up.

    Returns:
        The probability that fewer than k different shares are there (1 if there are not so many at all).
    """
    return float(surviving_shares(homes).fewer_than(needed))


def evenly(counts: Iterable[int], up: Number) -> list[Home]:
    """Homes for a placement given by counts: ``evenly([4, 3, 3], 0.9)`` spreads ten different shares on three servers."""
    homes, first = [], 0
    for count in counts:
        homes.append(Home(range(first, first + count), up))
        first += count
    return homes


def guaranteed_losses(needed: int, matching: int) -> int:
    """How many servers, whichever they are, can a file lose for sure?

    Formula: m - k, for a maximum matching of m between servers and different shares: among the m matched servers at
    least k remain. (The matching itself is found where placement is decided; a file may survive more, as ten servers
    with the same k shares show, whose matching is only k.)

    Args:
        needed: shares needed (k).
        matching: size of the largest matching between servers and shares, the file's happiness (m).

    Returns:
        The number of servers, 0 or more.

    Raises:
        ValueError: if the matching is smaller than `needed`: then no statement can be made.

    Source: the servers-of-happiness specification of Tahoe-LAFS.
    """
    if not 1 <= needed <= matching:
        raise ValueError(f"a matching of {matching} promises nothing to a file that needs {needed} shares")
    return matching - needed
