"""A caretaker's round: look, renew, mend, challenge, move; each within the allowance, and whoever is nearest to the end first.

::

    due records ──► known homes are asked, now and then everybody ──► homes, leases
                      │ too few shares reckoned with                   │ chance
                      ▼                                                ▼
                   repair                                          challenges ──► who lies
                      │ nothing is owed any more
                      ▼
                    moves

What to do is decided in ``policy/care.py`` and ``policy/rebalance.py``; the stages do it. What wants repair and was not
reached by the allowance is owed: it is mended as soon as there is some again, whenever it is due to be looked at.
"""

from __future__ import annotations

from tahoe.actors.carechallenging import Challenging
from tahoe.actors.carelooking import Looking
from tahoe.actors.caremending import Mending
from tahoe.actors.caremoving import Moving
from tahoe.actors.careround import CareRound
from tahoe.actors.checking import INDEXES_IN_MESSAGE
from tahoe.actors.keeper import Keeper


class CareWork:
    """All stages of one caretaker.

    Args:
        shared: by all stages.
        keeper: checks and repairs.
    """

    def __init__(self, shared: CareRound, keeper: Keeper) -> None:
        self._care = shared.care
        self._looking = Looking(shared, keeper)
        self._mending = Mending(shared, keeper)
        self._challenging = Challenging(shared)
        self._moving = Moving(shared)

    async def round(self, *, everything: bool) -> bool:
        """Do what is due, or as if all of it were due; whether there was anything to do.

        All is looked at and mended before anything is challenged or moved, so that no share is moved for what is left of a
        day's allowance while a file waits for its repair.
        """
        due = self._looking.due(everything=everything)
        batches = [due[start : start + INDEXES_IN_MESSAGE] for start in range(0, len(due), INDEXES_IN_MESSAGE)]
        for some in batches:
            await self._looking.look(some)
            await self._care.save()
        wanting = {record.capability: record for record in (*due, *self._mending.owed())}
        await self._mending.mend(list(wanting.values()))
        for some in batches:
            await self._challenging.challenge(some)
            if not any(record.owed for record in self._care.records.values()):
                await self._moving.move(some)
            await self._care.save()
        return bool(wanting)
