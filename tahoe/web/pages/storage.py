"""The storage page: what this node keeps for others, and how much room is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tahoe.web.pages import words


@dataclass(frozen=True, slots=True)
class Storage:
    """What the page draws. Sizes are bytes, ``used`` per cent of the capacity.

    Args:
        capacity: of the store.
        available: of it.
        used: how full it is.
        shares: how many it keeps.
        corrupt: how many of them failed the check.
        level: good, warn or bad.
        sentence: whether it takes more.
    """

    capacity: int
    available: int
    used: float
    shares: int
    corrupt: int
    level: str
    sentence: str


def storage(status: Mapping[str, Any]) -> Storage | None:
    """Return what to draw of a node's state; None for a node that keeps nothing for others."""
    facts = status["storage"]
    if facts is None:
        return None
    capacity, available = facts["capacity"], facts["available"]
    used = 100.0 * (1 - min(available, capacity) / capacity) if capacity else 100.0
    level, sentence = _judgement(facts["accepts"], used)
    return Storage(capacity, available, round(used, 1), facts["shares"], facts["corrupt"], level, sentence)


def _judgement(accepts: int, used: float) -> tuple[str, str]:
    if not accepts:
        return "bad", "It takes no new shares: its disk or its limit is full, or it is set to read-only."
    if used > 90:
        return "warn", f"It is nearly full, and takes shares of up to {words.size(accepts)}."
    return "good", f"It takes shares of up to {words.size(accepts)}."
