"""The health page: how it stands with everything that is looked after, and why it is not better.

The headline of every root is how long ago all of it was last seen alive. What is in danger is listed, the most endangered
first, by what a caretaker knows of it: a verify capability, and how many shares can be counted on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tahoe.actors.carelist import Record, Root
from tahoe.actors.careround import CareRound
from tahoe.actors.caretaker import Caretaker
from tahoe.actors.servers import Server
from tahoe.codec.capability import SlotVerify, SlotWrite, parse
from tahoe.policy.care import Safety, Standing
from tahoe.web.pages import words
from tahoe.web.pages.spots import DRIVE_TITLES

MOST_NAMED: Final = 50
"""Objects in danger that are listed one by one."""

HEADLINES: Final[Mapping[str, tuple[str, str]]] = {
    "green": ("good", "All is safe"),
    "yellow": ("warn", "Nothing is lost, but not all is as it should be"),
    "red": ("bad", "Something is lost, as far as can be seen"),
}
_LEVELS: Final = {Safety.SAFE: "good", Safety.AT_RISK: "warn", Safety.LOST: "bad", Safety.UNKNOWN: ""}
_STATES: Final = {
    "present": "good", "asleep": "unknown", "away": "bad", "leaving": "warn", "distrusted": "bad", "gone": "bad",
}  # fmt: skip
_DEEDS: Final = {
    "checked": "looked at", "renewed": "leases renewed", "challenged": "blocks asked for by chance", "lies": "lies found",
    "repairs": "repaired", "failures": "repairs that failed", "moves": "shares moved",
}  # fmt: skip


class Cared(NamedTuple):
    """A root: its name and title, how its objects are, the age of that knowledge, and what may be done about it.

    ``verified`` is None for what was never seen whole; ``manifest`` is the read capability to be given to a friend;
    ``is_own`` says that it is looked after unasked, ``can_walk`` that there is a way down from it.
    """

    name: str
    title: str
    counts: Sequence[tuple[str, str, int]]
    verified: float | None
    trouble: str
    manifest: str
    is_own: bool
    can_walk: bool


class Endangered(NamedTuple):
    """An object that is not safe: below which root, what it is, how it stands, what of it can be counted on, its verify cap."""

    root: str
    kind: str
    level: str
    safety: str
    shares: str
    seen: float | None
    capability: str


class Seen(NamedTuple):
    """A server as the caretaker sees it: its state in a word with a lamp, and when it was last heard of."""

    node: str
    label: str
    lamp: str
    word: str
    seen: float | None
    is_gone: bool


@dataclass(frozen=True, slots=True)
class Health:
    """What the page tells.

    Args:
        level: good, warn, bad, or unknown before the first look.
        headline: in a few words.
        reasons: why it is not better.
        roots: by name.
        endangered: objects, the most endangered first; at most ``MOST_NAMED``.
        more: how many there are beyond those.
        servers: those in trouble first.
        deeds: what was done since the node started: what, and how often.
        moved: bytes that it took.
        troubles: what went wrong lately, the newest first.
        worked: how long ago the last round was, in seconds; None: never.
    """

    level: str
    headline: str
    reasons: Sequence[str]
    roots: Sequence[Cared]
    endangered: Sequence[Endangered]
    more: int
    servers: Sequence[Seen]
    deeds: Sequence[tuple[str, int]]
    moved: int
    troubles: Sequence[str]
    worked: float | None


class Danger(NamedTuple):
    """What is not safe, the most endangered first, and the servers as they were seen then."""

    objects: Sequence[tuple[Record, Safety]]
    standing: Standing


def danger_of(shared: CareRound) -> Danger:
    """Return what is not safe."""
    standing = shared.standing()
    found = sorted(_in_danger(shared, standing), key=lambda pair: -shared.danger(pair[0], standing))
    return Danger(found, standing)


def health(caretaker: Caretaker, facts: Mapping[str, Any], danger: Danger, own: Collection[str]) -> Health:
    """Return what the page tells.

    Args:
        caretaker: of the node.
        facts: what it reports, as programs get it (``tahoe/web/care.py``).
        danger: what is not safe.
        own: names of roots that are looked after unasked.
    """
    shared, roots = caretaker.shared, caretaker.care.roots
    level, headline = HEADLINES[facts["state"]]
    if facts["last-round-age"] is None:
        level, headline = "unknown", "Not looked at yet"
    return Health(
        level,
        headline,
        facts["reasons"],
        [
            _cared(roots[root["name"]], root, is_own=root["name"] in own)
            for root in facts["roots"]
            if root["name"] in roots  # what is told may be older than what is looked after
        ],
        [_endangered(record, safety, danger.standing) for record, safety in danger.objects[:MOST_NAMED]],
        max(0, len(danger.objects) - MOST_NAMED),
        list(_servers(shared, shared.standing())),
        [(_DEEDS.get(name, name), count) for name, count in facts["done"].items() if count],
        facts["bytes"],
        facts["troubles"][:-6:-1],
        facts["last-round-age"],
    )


def _cared(root: Root, facts: Mapping[str, Any], *, is_own: bool) -> Cared:
    found = facts["objects"]
    counts = [
        (level, safety.value, found[safety.value]) for safety, level in _LEVELS.items() if found.get(safety.value)
    ]
    title = DRIVE_TITLES.get(root.name, root.name)
    return Cared(
        root.name, title, counts, facts["verified-age"], root.trouble, _manifest(root), is_own, not root.manifest
    )


def _manifest(root: Root) -> str:
    slot = parse(root.published) if root.published else None
    return str(slot.read_only()) if isinstance(slot, SlotWrite) else ""


def _in_danger(shared: CareRound, standing: Standing) -> Iterator[tuple[Record, Safety]]:
    for record in shared.care.records.values():
        if record.checked and record.total:
            safety = record.outlook(standing).safety(shared.rules.repair)
            if safety is not Safety.SAFE:
                yield record, safety


def _endangered(record: Record, safety: Safety, standing: Standing) -> Endangered:
    outlook = record.outlook(standing)
    asleep = f", {len(outlook.presumed)} asleep" if outlook.presumed else ""
    shares = f"{outlook.here} of {outlook.total} in reach{asleep}; needs {outlook.needed}"
    kind = "folder or changeable file" if isinstance(record.target, SlotVerify) else "file"
    title = DRIVE_TITLES.get(record.root, record.root)
    return Endangered(title, kind, _LEVELS[safety], safety.value, shares, record.confirmed or None, record.capability)


def _servers(shared: CareRound, standing: Standing) -> Iterator[Seen]:
    """All servers, those in trouble first."""
    states = list(_STATES)
    found = [(_state_of(server, shared, standing), server) for server in shared.desk.servers()]
    found.sort(key=lambda pair: (pair[0] == "present", -states.index(pair[0]), pair[1].label))
    for state, server in found:
        is_gone = state == "gone"
        name = server.nickname or words.short(server.node)
        yield Seen(server.node, name, _STATES[state], state, shared.care.seen.get(server.node), is_gone)


def _state_of(server: Server, shared: CareRound, standing: Standing) -> str:
    if server.node in shared.care.gone:
        return "gone"
    if server.node in standing.distrusted:
        return "distrusted"
    if server.leaving:
        return "leaving"
    if server.node in standing.present:
        return "present"
    return "asleep" if server.node in standing.asleep else "away"
