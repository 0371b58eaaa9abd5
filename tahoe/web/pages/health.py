"""The health page: how it stands with everything that is looked after, and why it is not better.

The headline of every root is how long ago all of it was last seen alive. What is in danger is listed, the most endangered
first, by the path by which it was last reached, if the caretaker knows one, and with the shares that can be counted on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from tahoe.actors.carelist import Root
from tahoe.actors.careround import CareRound
from tahoe.actors.caretaker import Caretaker
from tahoe.actors.servers import Server
from tahoe.codec.capability import SlotWrite, parse
from tahoe.policy.care import Safety, Standing
from tahoe.web.pages import words
from tahoe.web.pages.spots import DRIVE_TITLES

PageOf: TypeAlias = Callable[[str, str], str]
"""The address of the page of what is below a root, by its path; empty if there is none."""

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
    """An object that is not safe: below which root and where, what it is, how it stands, what of it can be counted on.

    ``url`` is that of its page, empty where there is none; ``capability`` is its verify cap.
    """

    root: str
    name: str
    url: str
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
        endangered: objects, the most endangered first; not all of them, if there are many.
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


def health(caretaker: Caretaker, facts: Mapping[str, Any], own: Collection[str], url_of: PageOf) -> Health:
    """Return what the page tells.

    Args:
        caretaker: of the node.
        facts: what it reports, as programs get it (``tahoe/web/care.py``).
        own: names of roots that are looked after unasked.
        url_of: tells where the page of an object is.
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
        [_endangered(each, shared.desk.ctx.wall_time(), url_of) for each in facts["in-danger"]],
        facts["in-danger-count"] - len(facts["in-danger"]),
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


def _endangered(facts: Mapping[str, Any], now: float, url_of: PageOf) -> Endangered:
    asleep = f", {facts['shares-asleep']} asleep" if facts["shares-asleep"] else ""
    shares = f"{facts['shares-here']} of {facts['shares-total']} in reach{asleep}; needs {facts['shares-needed']}"
    safety, age, path = Safety(facts["safety"]), facts["seen-age"], facts["path"]
    return Endangered(
        DRIVE_TITLES.get(facts["root"], facts["root"]),
        path or facts["remark"],
        url_of(facts["root"], path) if path else "",
        "folder or changeable file" if facts["kind"] == "slot" else "file",
        _LEVELS[safety],
        safety.value,
        shares,
        None if age is None else now - age,
        facts["verify-cap"],
    )


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
