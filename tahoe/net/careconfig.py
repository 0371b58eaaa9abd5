"""``[care]`` of a node's ``tahoe.toml``: how its caretaker goes about it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from tahoe.actors.caretaker import CareTerms
from tahoe.net.quantities import ByteSize, Seconds
from tahoe.policy.allowance import Budget
from tahoe.policy.care import CareRules
from tahoe.policy.repair import LAZY, RepairRule


def about(text: str) -> msgspec.Meta:
    """The meaning of an option, as the generated file tells it."""
    return msgspec.Meta(description=text)


class CareSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[care]``."""

    enabled: Annotated[bool, about("Look after what this node stores, and what `tahoe care add` names.")] = True
    own_roots: Annotated[bool, about("Look after the node's own root and the grid's named ones unasked.")] = True
    tick: Annotated[Seconds, about("How often to see whether something is due.")] = Seconds(3600)
    check_every: Annotated[Seconds, about("How often to look for every object where it was last found.")] = Seconds(
        7 * 86400
    )
    everywhere_every: Annotated[Seconds, about("How often to look for it on all servers.")] = Seconds(30 * 86400)
    grace: Annotated[Seconds, about("A server that was heard of within this time is only asleep.")] = Seconds(4 * 86400)
    challenges: Annotated[int, about("Blocks asked for by chance in each round over a hundred objects.")] = 20
    repair_margin: Annotated[
        float, about("Repair when so much of the spare shares is left: 1 as soon as one is gone, 0 at the last.")
    ] = LAZY.margin
    bytes_per_day: Annotated[ByteSize, about("Bytes that repairs and the like may move in a day; 0: no limit.")] = (
        ByteSize(0)
    )
    requests_per_day: Annotated[int, about("Messages that it may ask in a day; 0: no limit.")] = 0
    first_hour: Annotated[int, about("Hour of the day (UTC) at which it may begin to work.")] = 0
    last_hour: Annotated[int, about("Hour at which it has to stop; the same hour: it may work at any time.")] = 0
    on_change: Annotated[
        str, about("Command to run when the state changes; it gets green, yellow or red as its argument.")
    ] = ""
    webhook: Annotated[str, about("Address to which the state is posted as JSON when it changes.")] = ""

    def __post_init__(self) -> None:
        if not 0 <= self.repair_margin <= 1:
            raise ValueError("repair_margin must be between 0 and 1")
        if not (0 <= self.first_hour < 24 and 0 <= self.last_hour < 24):
            raise ValueError("first_hour and last_hour must be between 0 and 23")
        if min(self.challenges, self.requests_per_day) < 0:
            raise ValueError("challenges and requests_per_day are never negative")
        if min(self.tick, self.check_every, self.everywhere_every) <= 0:
            raise ValueError("tick, check_every and everywhere_every must be longer than nothing")

    def terms(self, *, verify_only: bool = False) -> CareTerms:
        """What the caretaker is told.

        Args:
            verify_only: it is a node of its own, which holds nothing that can read what it looks after.
        """
        rules = CareRules(
            check_every=self.check_every,
            everywhere_every=self.everywhere_every,
            grace=self.grace,
            renew_every=min(CareRules().renew_every, self.check_every),
            challenges=self.challenges,
            repair=RepairRule(self.repair_margin),
        )
        budget = Budget(self.bytes_per_day, self.requests_per_day, (self.first_hour, self.last_hour))
        return CareTerms(rules, budget, self.tick, self.own_roots and not verify_only, verify_only)
