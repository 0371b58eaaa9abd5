"""Places in our own code that a plan may bend: sizes and times at their very edge, where mistakes hide.

In ordinary worlds windows are wide and time-outs long, so what happens when one is full or passes is rarely seen. A bent site
makes it the rule for a run (FoundationDB calls it *buggification*). Nothing here is a fault: whatever is bent, everything is to work.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from tahoe.actors.slotterms import SlotPatience
from tahoe.actors.terms import Patience
from tahoe.session.settings import SMALLEST_MESSAGE_BYTES
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.network import Terms

Site: TypeAlias = Literal["exactly-k-servers", "tiny-segments", "early-time-outs", "window-of-one", "small-packets"]
"""``exactly-k-servers`` and ``tiny-segments`` are about the plan itself: N and the servers are k, a segment has few bytes."""

ALL_SITES: Final[tuple[Site, ...]] = get_args(Site)

TINY_SEGMENT: Final = 24
"""Bytes of a segment where these are tiny."""

SEGMENT_OF_SMALL_PACKETS: Final = 1024
"""Most bytes of a segment whose every share, proofs included, fits the smallest packets."""

IMPATIENT: Final = Patience(question=2.0, straggler=0.05, offer=4.0, silence=3.0)
IMPATIENT_OF_SLOTS: Final = SlotPatience(
    question=2.0, write=4.0, straggler=0.05, hedge=0.001, backoff=0.001, mending=5.0
)


def bend(options: GridOptions, sites: tuple[Site, ...]) -> GridOptions:
    """The options of a grid with some sites bent."""
    if "early-time-outs" in sites:
        early = msgspec.structs.replace(
            options.settings, shortest_retransmission=0.02, first_retransmission=0.02, longest_retransmission=2.0
        )
        options = replace(options, patience=IMPATIENT, settings=early)
        if options.slots is not None:
            options = replace(options, slots=replace(options.slots, patience=IMPATIENT_OF_SLOTS))
    if "window-of-one" in sites:
        narrow = msgspec.structs.replace(options.settings, first_window=1)
        options = replace(options, limits=replace(options.limits, window=1), settings=narrow)
    if "small-packets" in sites:
        size = SMALLEST_MESSAGE_BYTES
        small = msgspec.structs.replace(options.settings, message_bytes=size)
        options = replace(
            options, limits=replace(options.limits, message=size), settings=small, terms=Terms(largest_packet=size)
        )
    return options
