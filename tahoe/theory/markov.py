"""Markov: any chain of failures and repairs, the mean time until data is lost and the loss within a mission.

A chain has living states, of which the first is the whole one, and one end, the loss. Rates between them are
constant. Two questions are asked of it, and both are answered without a single subtraction of nearly equal numbers:

* *Mean time to loss*: states are removed one after the other, the last first. Whoever could go through the removed
  state now goes around it, and pays for the time spent there:

      rate[i][j] += rate[i][n] * rate[n][j] / out[n]        cost[i] += rate[i][n] * cost[n] / out[n]

  When only the first state is left, its cost over its rate of loss is the answer. Only sums, products and quotients
  of positive numbers occur, so all digits hold however rare the loss is (Gaussian elimination on the same system
  loses as many digits as the loss has zeros).

* *Loss within a mission*: the chain's transition matrix over a tiny step is a power series of positive terms
  (uniformisation); squaring it doubles the time. Rows are scaled back to a sum of one after each squaring, which
  keeps rounding from growing with the length of the mission.

Sources: Grassmann, Taksar and Heyman, Operations Research 33, 1985 (elimination); Jensen, Skand. Aktuarietidskr. 36,
1953 (uniformisation); Moler and Van Loan, SIAM Review 45, 2003 (scaling and squaring).
"""

from dataclasses import dataclass
from math import ceil, fsum, log2

from tahoe.theory.numbers import check_positive

MEAN_TIME_WARNING = (
    "a mean time to loss assumes independent failures and repairs at constant rates; "
    "it is no lifetime (Greenan, Plank and Wylie, HotStorage 2010): judge by the loss within a mission and by NOMDL"
)
"""What must stand beside every mean time to loss."""


@dataclass(frozen=True, slots=True)
class MeanTime:
    """A mean time to data loss, with the warning that must not be parted from it."""

    duration: float
    warning: str = MEAN_TIME_WARNING

    def __str__(self) -> str:
        return f"{self.duration:.6g} ({self.warning})"

    def in_units_of(self, length: float) -> "MeanTime":
        """The same mean in longer units: a mean in hours, ``in_units_of(8760)``, is one in years of 365 days."""
        return MeanTime(self.duration / length, self.warning)


@dataclass(frozen=True, slots=True)
class Chain:
    """Living states and the loss: ``rates[i][j]`` leads from state i to state j, the last column to the loss.

    State 0 is the whole one. There are as many rows as living states and one column more; the diagonal is zero. Rates
    are per unit of time, and every answer is in that unit.
    """

    rates: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        living = len(self.rates)
        if living == 0 or any(len(row) != living + 1 for row in self.rates):
            raise ValueError(
                "a chain has a row per living state, and in it a rate per living state and one to the loss"
            )
        if any(row[state] != 0 or min(row) < 0 for state, row in enumerate(self.rates)):
            raise ValueError("rates are not negative, and no state leads to itself")


def mean_time_to_loss(chain: Chain) -> MeanTime:
    """How long does it take on average, from the whole state, until data is lost?

    Formula: the solution h_0 of out_i h_i = 1 + sum over j of rate_ij h_j, by elimination without subtraction.

    Args:
        chain: states and rates per unit of time.

    Returns:
        The mean in that unit, with its warning.

    Raises:
        ValueError: if some state can be neither left nor lost, so that the loss may never come.

    Source: Grassmann, Taksar and Heyman, Operations Research 33, 1985; the warning is Greenan, Plank and Wylie's.
    """
    rates = [list(row) for row in chain.rates]
    cost = [1.0] * len(rates)
    while True:
        departing = rates.pop()
        last = len(rates)
        onward = departing[:last] + departing[last + 1 :]
        out = fsum(onward)
        if out == 0:
            raise ValueError(f"from state {last} the loss is never reached")
        time = cost.pop() / out
        if last == 0:
            return MeanTime(time)
        for state, row in enumerate(rates):
            inward = row.pop(last)
            cost[state] += inward * time
            rates[state] = [0.0 if to == state else rate + inward * onward[to] / out for to, rate in enumerate(row)]


def loss_within(chain: Chain, mission: float) -> float:
    """With which probability is data lost within a mission that starts whole?

    Formula: the entry (whole, loss) of exp(Q t), by uniformisation over a step and repeated squaring. Relative
    precision holds for losses of 1e-30 as for those near one.

    Args:
        chain: states and rates per unit of time.
        mission: length of the mission (t) in that unit.

    Returns:
        The probability.

    Raises:
        ValueError: if the mission is not positive.

    Source: Jensen 1953; Moler and Van Loan, SIAM Review 45, 2003.
    """
    check_positive(mission=mission)
    fastest = max(fsum(row) for row in chain.rates)
    if fastest == 0:
        return 0.0
    doublings = max(0, ceil(log2(fastest * mission)))
    transition = _short_step(chain, fastest, fastest * mission / 2**doublings)
    for _ in range(doublings):
        transition = _normalised(_product(transition, transition))
    return min(1.0, transition[0][-1])


Matrix = list[list[float]]


def _short_step(chain: Chain, fastest: float, events: float) -> Matrix:
    """Transition matrix over a step in which the fastest state expects `events` (at most one) departures."""
    size = len(chain.rates) + 1
    jump = [[rate / fastest for rate in row] for row in chain.rates] + [[0.0] * (size - 1) + [1.0]]
    for state, row in enumerate(chain.rates):
        jump[state][state] = max(0.0, (fastest - fsum(row)) / fastest)
    term = [[float(row == column) for column in range(size)] for row in range(size)]
    total = term
    order = 0
    growing = True
    while growing or order < size:  # a distant state is first reached by a term as late as its distance
        order += 1
        term = [[entry * events / order for entry in row] for row in _product(term, jump)]
        following = [[old + new for old, new in zip(*rows, strict=True)] for rows in zip(total, term, strict=True)]
        growing, total = following != total, following
    return _normalised(total)


def _product(left: Matrix, right: Matrix) -> Matrix:
    columns = list(zip(*right, strict=True))
    return [[sum(a * b for a, b in zip(row, column, strict=True) if a and b) for column in columns] for row in left]


def _normalised(matrix: Matrix) -> Matrix:
    """The matrix with rows scaled to a sum of one, as those of transition matrices are."""
    sums = [fsum(row) for row in matrix]
    return [[entry / total for entry in row] for row, total in zip(matrix, sums, strict=True)]
