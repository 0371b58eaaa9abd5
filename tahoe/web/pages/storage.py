"""The storage page: what this node keeps for others and until when, how much room is left, and who may have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tahoe.web.pages import words


class Part(NamedTuple):
    """A stretch of the bar that the whole room is: where it begins and how wide it is, in per cent, and what it is."""

    kind: str
    title: str
    bytes: int
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Storage:
    """What the page draws of the room. Sizes are bytes, ``used`` per cent of the capacity.

    Args:
        parts: of the whole, from left to right.
        capacity: of the store.
        available: of it.
        used: how full it is.
        shares: how many it keeps.
        corrupt: how many of them failed the check.
        level: good, warn or bad.
        sentence: whether it takes more.
        limits: what the operator has set, in words: what, and how much.
    """

    parts: Sequence[Part]
    capacity: int
    available: int
    used: float
    shares: int
    corrupt: int
    level: str
    sentence: str
    limits: Sequence[tuple[str, str]]


class End(NamedTuple):
    """Leases that end in some time: when, how much it is, and how that is drawn, in per cent of the most."""

    when: str
    kind: str
    bytes: int
    shares: int
    width: float


class Account(NamedTuple):
    """Somebody who keeps something here: his name, how much, how much he may, and how much of that it is in per cent."""

    name: str
    node: str
    bytes: int
    shares: int
    quota: str
    used: float | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept here, by the ends of leases and by account.

    Args:
        ends: those that have ended first.
        accounts: the largest first.
        pool: what all who have no quota of their own may keep together, in words.
        trash: bytes and shares in the trash.
        counted: whether these are the figures of now, not of the last count.
    """

    ends: Sequence[End]
    accounts: Sequence[Account]
    pool: str
    trash: tuple[int, int]
    counted: bool


def storage(status: Mapping[str, Any]) -> Storage | None:
    """Return what to draw of a node's state; None for a node that keeps nothing for others."""
    facts = status["storage"]
    if facts is None:
        return None
    capacity, available = facts["capacity"], facts["available"]
    used = 100.0 * (1 - min(available, capacity) / capacity) if capacity else 100.0
    level, sentence = _judgement(facts, used)
    counts = facts["shares"], facts["corrupt"]
    return Storage(
        _parts(facts), capacity, available, round(used, 1), *counts, level, sentence, list(_limits(facts).items())
    )


def _judgement(facts: Mapping[str, Any], used: float) -> tuple[str, str]:
    if facts["readonly"]:
        return "warn", "It is set to read-only: it gives what it has and takes nothing new."
    if not facts["accepts"]:
        limit = facts["sizelimit"]
        full = "its size limit is reached" if limit and limit <= facts["capacity"] else "its disk is full"
        return "bad", f"It takes no new shares: {full}, or the disk can't be written to."
    if used > 90:
        return "warn", f"It is nearly full, and takes shares of up to {words.size(facts['accepts'])}."
    return "good", f"It takes shares of up to {words.size(facts['accepts'])}."


def _parts(facts: Mapping[str, Any]) -> list[Part]:
    """The room as it is divided. Trash counts as free room, since it gives way; here it is shown for what it is."""
    capacity, kept = facts["capacity"], facts["bytes"] or 0
    trash = min(facts["trash"], facts["available"])
    other = max(0, capacity - facts["available"] - kept)
    sizes = (
        ("used", "shares kept for others", kept),
        ("other", "other files on the disk, and the reserve", other),
        ("trash", "trash, which gives way", trash),
        ("", "free", facts["available"] - trash),
    )
    whole = max(1, sum(size for _, _, size in sizes))
    parts, start = [], 0.0
    for kind, title, size in sizes:
        width = 100.0 * size / whole
        parts.append(Part(kind, title, size, round(start, 3), round(width, 3)))
        start += width
    return parts


def _limits(facts: Mapping[str, Any]) -> dict[str, str]:
    limit, reserve = facts["sizelimit"], facts["reserved_space"]
    return {
        "Size limit": words.size(limit) if limit else "none; the disk is the limit",
        "Left free on the disk": words.size(reserve),
        "New shares": "none: read-only" if facts["readonly"] else "taken",
        "What nobody leases": f"stays for {_days(facts['keep_expired'])}, unless room is short",
        "Trash": f"stays for {_days(facts['keep_trash'])}, unless room is short",
    }


def _days(seconds: float) -> str:
    return words.many(round(seconds / 86_400), "day")


def kept(here: Mapping[str, Any] | None) -> Kept | None:
    """Return what to draw of what is kept here (``tahoe/web/usage.py``); None for a node that is no server."""
    if here is None:
        return None
    accounts = [_account(each) for each in here["accounts"] if each["shares"] or each["bytes"] or not each["pooled"]]
    pool = "" if here["pool"] is None else words.size(here["pool"])
    trash = (here["trash"]["bytes"], here["trash"]["shares"])
    return Kept(_ends(here["leases"]), accounts, pool, trash, here["counted"])


def _ends(leases: Sequence[Mapping[str, Any]]) -> list[End]:
    """When leases end: past, week by week, and later, if there are such."""
    most = max(1, *(each["bytes"] for each in leases))
    titles = ["has ended", "this week", "next week", *(f"week {number}" for number in range(3, len(leases)))]
    drawn = [
        End("later" if each["to"] is None else titles[number], "" if number else "bad",
            each["bytes"], each["shares"], round(100.0 * each["bytes"] / most, 2))
        for number, each in enumerate(leases)
    ]  # fmt: skip
    return drawn if drawn[-1].shares else drawn[:-1]


def _account(each: Mapping[str, Any]) -> Account:
    """An account for people: whoever has no quota of his own shares the pool, of which all of it counts."""
    name = each["nickname"] or (words.short(each["account"]) if each["account"].startswith("v0-") else each["account"])
    quota, of_it = each["quota"], each["pool_bytes"] if each["pooled"] else each["bytes"]
    allowed = (
        "no limit" if quota is None else f"{words.size(quota)}, with others" if each["pooled"] else words.size(quota)
    )
    used = None if quota is None else round(min(100.0, 100.0 * of_it / max(quota, 1)), 1)
    return Account(name or "nobody's", each["account"], each["bytes"], each["shares"], allowed, used)
