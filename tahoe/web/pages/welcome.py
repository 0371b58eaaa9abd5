"""The welcome page: how the grid is, in one sentence; then who is in it, and where one's files are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tahoe.policy.care import Safety
from tahoe.web.pages import words

LEAST_COUNT: Final = 0.1
"""Failures and lies that have faded below this are forgiven."""


class Alarm(NamedTuple):
    """Something a person should know. ``level`` is good, warn or bad."""

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Welcome:
    """What the welcome page tells.

    Args:
        level: how the grid is: good, warn or bad.
        headline: the same in a few words.
        sentence: and in a few more.
        alarms: what else there is to know.
        care: what is looked after, and since when all of it was seen alive; empty if nothing is.
        servers: a row each, those in reach first.
    """

    level: str
    headline: str
    sentence: str
    alarms: Sequence[Alarm]
    care: str
    servers: Sequence[Mapping[str, Any]]


def welcome(status: Mapping[str, Any], health: Mapping[str, Any] | None = None) -> Welcome:
    """Return what the page tells.

    Args:
        status: the node's state, the dictionary of ``tahoe/web/status.py``.
        health: of what its caretaker looks after, that of ``tahoe/web/care.py``; None: it has no caretaker.
    """
    servers = sorted(
        status["servers"], key=lambda server: (server["online"] is not True, words.natural(server["nickname"]))
    )
    state = _state_of(status, sum(server["online"] is True for server in servers), len(servers))
    told = alarms_of(health) if health is not None else []
    if state[0] != "bad" and any(alarm.level == "bad" for alarm in told):
        state = "bad", "Some files can't be given back", state[2]
    rows = [_row(server) for server in servers]
    return Welcome(*state, [*told, *_alarms(status)], "" if health is None else _care(health), rows)


def _state_of(status: Mapping[str, Any], online: int, known: int) -> tuple[str, str, str]:
    """Say what can be done now: a level, a headline, a sentence."""
    if not any(broker["connected"] for broker in status["brokers"]):
        return "bad", "The grid is out of reach", "No broker answers. Nothing can be stored or read until one does."
    encoding = status["grid"]["encoding"]
    if encoding is None:
        text = "The grid's encoding parameters are not known yet, so nothing can be stored."
        return "warn", "Waiting for the grid", text
    if not known:
        return "warn", "No servers yet", "Nobody offers space on this grid, as far as this node knows."
    return _reach_of(encoding[0], encoding[1], online, known)


def _reach_of(needed: int, happy: int, online: int, known: int) -> tuple[str, str, str]:
    """Say what so many servers are good for. A file of happiness h survives any h - k servers, whichever they are."""
    away, servers = known - online, words.many(known, "server")
    if online < needed:
        text = f"{words.many(online, 'server')} of {known} can be reached, and any file needs {needed}."
        return "bad", "Files can't be read now", text
    if online < happy:
        text = f"{away} of {servers} unreachable; storing needs {happy}, reading {needed}."
        return "warn", "Files can be read, but not stored", text
    if away > happy - needed:
        return (
            "warn",
            "Many servers are away",
            f"{away} of {servers} unreachable; some files may be unreadable meanwhile.",
        )
    if away:
        return "good", "The grid is well", f"{away} of {servers} unreachable; everything still readable."
    return "good", "All is well", f"All {servers} can be reached. Any {needed} of a file's shares give it back."


def _alarms(status: Mapping[str, Any]) -> list[Alarm]:
    found = []
    if status["grid"]["problem"]:
        found.append(Alarm("warn", status["grid"]["problem"]))
    introducers = status["introducers"]
    if introducers and not any(each["connected"] for each in introducers):
        text = "No introducer answers. Servers known from before stay usable; new ones are not heard of."
        found.append(Alarm("warn", text))
    storage = status["storage"]
    if storage and storage["corrupt"]:
        text = (
            f"{words.many(storage['corrupt'], 'share')} kept here failed the check. The owner's repair replaces them."
        )
        found.append(Alarm("warn", text))
    if storage and not storage["accepts"]:
        found.append(
            Alarm(
                "warn", "This node's store takes no new shares: its disk or limit is full, or it is set to read-only."
            )
        )
    if status["failures"]:
        text = f"{words.many(status['failures'], 'task')} of this node failed. Its logs/node.log says more."
        found.append(Alarm("bad", text))
    return found


def alarms_of(health: Mapping[str, Any]) -> list[Alarm]:
    """What is wrong with what is looked after, in plain words. What only has not been looked at yet is no alarm."""
    counts: Counter[str] = Counter()
    for root in health["roots"]:
        counts.update(root["objects"])
    found = []
    if counts[Safety.LOST.value]:
        text = f"{words.many(counts[Safety.LOST.value], 'file or folder', 'files or folders')} can't be recovered from"
        found.append(Alarm("bad", f"{text} the servers that are known to live."))
    if counts[Safety.AT_RISK.value]:
        has = "file or folder has", "files or folders have"
        text = f"{words.many(counts[Safety.AT_RISK.value], *has)} fewer shares than they should; repair is on its way."
        found.append(Alarm("warn", text))
    found += [Alarm("warn", f"{root['name']}: {root['trouble']}.") for root in health["roots"] if root["trouble"]]
    if health["servers"]["distrusted"]:
        liars = words.many(health["servers"]["distrusted"], "server")
        found.append(Alarm("warn", f"{liars} lied about what they hold; nothing they claim counts."))
    return found + [Alarm("warn", text) for text in _old_news(health)]


def _care(health: Mapping[str, Any]) -> str:
    """What is looked after, and the age of that knowledge: as good as that of the root longest unseen."""
    roots = [root for root in health["roots"] if root["objects"]]
    if not roots:
        return ""
    objects = words.many(sum(sum(root["objects"].values()) for root in roots), "object")
    lost = sum(root["objects"].get(Safety.LOST.value, 0) for root in roots)
    if lost:
        return f"{objects} looked after; {lost:,} of them can't be recovered."
    ages = [root["verified-age"] for root in roots]
    if None in ages:
        return f"{objects} looked after; not all of them seen alive yet."
    within = words.span(max(60.0, *ages)).removeprefix("1 ")
    return f"{objects} looked after; all of them seen alive within the last {within}."


def _old_news(health: Mapping[str, Any]) -> Iterator[str]:
    """What nobody has seen alive for too long."""
    limit = health["stale-after"]
    for root in health["roots"]:
        age = root["verified-age"]
        if age is not None and age > limit:
            yield f"{root['name']}: all of it was last seen alive {words.span(age)} ago."
    last = health["last-round-age"]
    if last is not None and last > limit:
        yield f"The caretaker has not been able to work for {words.span(last)}."


def _row(server: Mapping[str, Any]) -> dict[str, Any]:
    """Add what is drawn: the lamp with its word, how much of the space is used, and how it has behaved."""
    lamp, word = {True: ("good", "connected"), False: ("bad", "away")}.get(server["online"], ("unknown", "not known"))
    capacity, available = server["capacity"], server["available"]
    used = None if not capacity else round(100 * (1 - min(available, capacity) / capacity), 1)
    shown = {"heard": None, "round_trip": None, "leaving": False, **server}
    return shown | {"lamp": lamp, "word": word, "used": used, "record": _record(server.get("history"))}


def _record(history: Mapping[str, Any] | None) -> list[Alarm]:
    """What a server's history comes to, in few words. Counts fade, so they are told as parts of the whole."""
    if history is None:
        return []
    told = []
    if history["lies"] >= LEAST_COUNT:
        told.append(Alarm("bad", "has lied"))
    asked = history["answers"] + history["failures"]
    if history["failures"] >= LEAST_COUNT:
        level = "warn" if history["failures"] > asked / 10 else ""
        told.append(Alarm(level, f"{words.probability(history['failures'] / asked)} of questions failed"))
    if history["response"] is not None:
        told.append(Alarm("", f"answers in {words.latency(history['response'])}"))
    if history["availability"] is not None:
        told.append(Alarm("", f"there {words.probability(history['availability'])} of the time"))
    return told
