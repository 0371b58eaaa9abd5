"""The time by which a storage server stamps and judges leases.

A lease is a promise in time, and clocks are wrong: they start in 1970 after a flat battery, jump a year when somebody
mistypes, and are set by attackers. If a server believed its clock, one jump would end every lease that it has given. So
it keeps a time of its own, which is only ever *paced*, never set::

    lag = what most of those whom it hears say, less its own time

    lag > 0     it runs at up to twice the pace of its uptime, until it has caught up
    lag < 0     it runs at half the pace, until the others have
    else        it runs as its uptime does; while the process does not run, it stands still

Hence, whatever clocks and liars say, **a lease of 31 days lasts for at least 15½ days during which the server was up** and
its owner could have renewed it, and at most for 62. It follows that time a server was off does not count against those
who could not reach it then, that a clock set a year forward collects nothing early and one set back keeps nothing for
ever, and that a server which was off for a month needs a month to agree with the others again, which harms nobody:
stamps and judgements are by the same time.

Sightings are what others' clocks say when they ask for something, as a difference to our own uptime, so that they stay
true while we run. They agree when there are three or more and most of them are within an hour of their median. Our own
machine's clock is one of them and has no more to say than any other.

While a server keeps nothing, there is nothing to lose: then its time leaps to what the sightings agree upon.
"""

from __future__ import annotations

from collections import OrderedDict
from statistics import median_low
from typing import Final

MOST_GAIN: Final = 1.0
"""Seconds that it gains at most in a second of uptime."""

MOST_LOSS: Final = 0.5
"""Seconds that it loses at most in a second of uptime."""

QUORUM: Final = 3
"""Sightings below this number never agree."""

TOLERANCE: Final = 3600.0
"""Seconds that sightings may be off their median and still agree with it."""

SLACK: Final = 60.0
"""A difference of less than this many seconds is none."""

MOST_SIGHTINGS: Final = 256
"""Sightings kept; the oldest go."""


class ServerTime:
    """Never runs backward.

    Args:
        start: what it is, in seconds since the epoch.
        uptime: when it is that, in monotonic seconds of this process.
    """

    def __init__(self, start: float, uptime: float) -> None:
        self._time = start
        self._uptime = uptime
        self._sightings: OrderedDict[str, float] = OrderedDict()  # by whom: his clock, less our uptime

    def sight(self, who: str, clock: float, uptime: float) -> None:
        """Take in what somebody's clock says now; only the latest of each counts."""
        self._sightings.pop(who, None)
        self._sightings[who] = clock - uptime
        if len(self._sightings) > MOST_SIGHTINGS:
            self._sightings.popitem(last=False)

    def now(self, uptime: float) -> float:
        """The time, in seconds since the epoch."""
        passed = max(0.0, uptime - self._uptime)
        self._uptime = max(self._uptime, uptime)
        self._time += passed + self._correction(passed)
        return self._time

    def leap(self, uptime: float) -> float:
        """The time, after a leap forward to what the sightings agree upon; only for who keeps nothing."""
        agreed = self.agreed(uptime)
        if agreed is not None:
            self._time = max(self.now(uptime), agreed)
        return self.now(uptime)

    def agreed(self, uptime: float) -> float | None:
        """What most of those whom we hear say that the time is; None if they don't agree or are too few."""
        offsets = list(self._sightings.values())
        if len(offsets) < QUORUM:
            return None
        middle = median_low(offsets)
        near = sum(abs(offset - middle) <= TOLERANCE for offset in offsets)
        return middle + uptime if 2 * near > len(offsets) else None

    def _correction(self, passed: float) -> float:
        """Seconds to gain (or, below 0, to lose) beyond those that passed."""
        agreed = self.agreed(self._uptime)
        if agreed is None:
            return 0.0
        lag = agreed - self._time - passed
        if lag > SLACK:
            return min(lag, MOST_GAIN * passed)
        if lag < -SLACK:
            return max(lag, -MOST_LOSS * passed)
        return 0.0
