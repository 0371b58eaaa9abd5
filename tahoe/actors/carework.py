"""A caretaker's round: look, renew, mend, challenge, move; each within the allowance, and whoever is nearest to the end first.

::

    due records ──► known homes are asked, now and then everybody ──► homes, leases
                      │ too few shares reckoned with                   │ chance
                      ▼                                                ▼
                   repair                                          challenges ──► who lies
                                                                       ▼
                                                                     moves

What to do is decided in ``policy/care.py`` and ``policy/rebalance.py``; the stages do it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tahoe.actors.carechallenging import Challenging
from tahoe.actors.carelist import Record
from tahoe.actors.carelooking import Looking
from tahoe.actors.caremending import Mending
from tahoe.actors.caremoving import Moving
from tahoe.actors.careround import CareRound
from tahoe.actors.keeper import Keeper


class CareWork:
    """All stages of one caretaker.

    Args:
        shared: by all stages.
        keeper: checks and repairs.
    """

    def __init__(self, shared: CareRound, keeper: Keeper) -> None:
        self.looking = Looking(shared, keeper)
        self._mending = Mending(shared, keeper)
        self._challenging = Challenging(shared)
        self._moving = Moving(shared)

    async def treat(self, records: Sequence[Record]) -> None:
        """Do for some records all that is to be done. Mending comes before what costs traffic and can wait."""
        await self.looking.look(records)
        await self._mending.mend(records)
        await self._challenging.challenge(records)
        await self._moving.move(records)
