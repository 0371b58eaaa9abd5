"""The page of a job: what is done to what, how far it is, and what it came to, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from tahoe.web.pages import words
from tahoe.web.pages.spots import Crumb

SHARES: Final = "?about&shares#shares"
"""Behind the address of a place: where its shares are."""

MOST_NAMED: Final = 100
"""Objects of a tree that are told one by one."""

TITLES: Final[Mapping[str, str]] = {
    "care": "A look",
    "check": "Check", "verify": "Verification", "repair": "Repair",
    "deep-check": "Check", "deep-verify": "Verification", "deep-repair": "Repair",
}  # fmt: skip
_LEVELS: Final = {"running": "lake", "done": "good", "failed": "bad", "cancelled": "warn"}
_COUNTS: Final = {
    "count-objects-checked": "looked at",
    "count-objects-healthy": "healthy",
    "count-objects-unhealthy": "not healthy",
    "count-objects-unrecoverable": "not recoverable",
    "count-corrupt-shares": "corrupt shares",
    "count-objects-healthy-pre-repair": "healthy before",
    "count-objects-unhealthy-pre-repair": "not healthy before",
    "count-corrupt-shares-pre-repair": "corrupt shares before",
    "count-repairs-attempted": "repairs tried",
    "count-repairs-successful": "repairs that succeeded",
    "count-repairs-unsuccessful": "repairs that failed",
    "count-objects-healthy-post-repair": "healthy now",
    "count-objects-unhealthy-post-repair": "not healthy now",
    "count-objects-unrecoverable-post-repair": "not recoverable now",
    "count-directories-unreadable": "folders that could not be read",
    "count-objects-unknown": "of kinds not known here",
}  # fmt: skip


class Problem(NamedTuple):
    """An object of a tree with which something was wrong: its path, its page, what was found, what came of it, and a level."""

    path: str
    url: str
    found: str
    outcome: str
    level: str


@dataclass(frozen=True, slots=True)
class Work:
    """What the page tells.

    Args:
        identity: of the job.
        title: what is done.
        about: to what, and where that is: of one object, the page with its shares.
        state: running, done, failed or cancelled; ``level`` is how that is drawn.
        percent: how far it is, where that is known.
        progress: how far, in words.
        seconds: how long it took so far.
        verdict: what it came to: a level and a sentence; None before the end.
        counts: of a tree: what, and how many.
        problems: of a tree, one by one.
        more: how many problems there are beyond those.
    """

    identity: str
    title: str
    about: Crumb | None
    state: str
    level: str
    percent: float | None
    progress: str
    seconds: float
    verdict: tuple[str, str] | None
    counts: Sequence[tuple[str, int]]
    problems: Sequence[Problem]
    more: int


def work(job: Mapping[str, Any], about: Crumb | None, now: float) -> Work:
    """Return what the page tells of a job as programs get it (``Job.describe``)."""
    kind, found = job["kind"], job.get("result")
    result: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    problems = result.get("problems", [])
    return Work(
        job["id"], TITLES.get(kind, kind), _with_shares(about, kind), job["state"], _LEVELS[job["state"]],
        _percent(job["progress"]), _progress(job["progress"]), max(0.0, (job["ended"] or now) - job["began"]),
        _verdict(job, result), list(_counted(result)),
        [_problem(each, about.url if about else "") for each in problems[:MOST_NAMED]], max(0, len(problems) - MOST_NAMED),
    )  # fmt: skip


def _with_shares(about: Crumb | None, kind: str) -> Crumb | None:
    return Crumb(about.title, f"{about.url}{SHARES}") if about and kind in {"check", "verify", "repair"} else about


def _percent(progress: Mapping[str, Any]) -> float | None:
    return round(100.0 * progress["done"] / progress["total"], 1) if progress.get("total") else None


def _progress(progress: Mapping[str, Any]) -> str:
    if progress.get("total"):
        return f"{words.size(progress['done'])} of {words.size(progress['total'])}"
    count = progress.get("objects", progress.get("count-objects-checked"))
    return "" if count is None else words.many(count, "object")


def _counted(result: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for name, title in _COUNTS.items():
        if result.get(name):
            yield title, result[name]


def _verdict(job: Mapping[str, Any], result: Mapping[str, Any]) -> tuple[str, str] | None:
    """What it came to."""
    if job["state"] == "failed":
        return "bad", job["error"]
    if job["state"] != "done":
        return None
    if job["kind"] == "care":
        level = {"green": "good", "yellow": "warn", "red": "bad"}[result["state"]]
        return level, "All of it was looked at. The page of health tells how it stands."
    if "problems" in result:
        return _verdict_of_tree(result)
    after = result.get("post-repair-results", result.get("results"))
    if after is None:
        return "good", "It is done."
    return _verdict_of_one(result, after)


def _verdict_of_tree(result: Mapping[str, Any]) -> tuple[str, str]:
    unhealthy = result.get("count-objects-unhealthy-post-repair", result.get("count-objects-unhealthy", 0))
    lost = result.get("count-objects-unrecoverable-post-repair", result.get("count-objects-unrecoverable", 0))
    unread = result.get("count-directories-unreadable", 0)
    if lost or unread:
        found = [words.many(lost, "object") + " can't be recovered"] * bool(lost)
        found += [words.many(unread, "folder") + " could not be read"] * bool(unread)
        return "bad", f"{words.listed(found)}."
    checked = words.many(result.get("count-objects-checked", 0), "object")
    if unhealthy:
        return "warn", f"Everything can be read, but {unhealthy:,} of {checked} don't have all their shares."
    return "good", f"All is healthy: {checked}."


def _verdict_of_one(result: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, str]:
    if "count-shares-good" not in after:
        return "good", "Its capability holds all of it: there is nothing that could be lost."
    shares = f"{after['count-shares-good']} of {after['count-shares-expected']} shares are good"
    shares += (
        f" on {words.many(after['count-good-share-hosts'], 'server')}, any {after['count-shares-needed']} suffice."
    )
    corrupt = after.get("count-corrupt-shares", 0)
    said = f"{words.many(corrupt, 'share')} corrupt. " if corrupt else ""
    if not after["recoverable"]:
        return "bad", f"It can't be recovered. {said}{shares}"
    begin = "Repaired. " if result.get("repair-successful") else ""
    if result.get("repair-attempted") and not result["repair-successful"]:
        begin = f"The repair did not succeed{': ' if result['repair-trouble'] else ''}{result['repair-trouble']}. "
    return ("good" if after["healthy"] else "warn"), f"{begin}{said}{shares}"


def _problem(facts: Mapping[str, Any], base: str) -> Problem:
    results = facts["results"]
    corrupt = results.get("count-corrupt-shares", 0)
    found = facts["summary"] + (f", {corrupt} corrupt" if corrupt else "")
    outcome, level = "", "bad" if not results["recoverable"] else "warn"
    if facts.get("repair-attempted"):
        outcome = "repaired" if facts["repair-successful"] else facts["repair-trouble"] or "not repaired"
        level = "good" if facts["repair-successful"] else level
    url = "/".join([base, *(quote(name, safe="") for name in facts["path"])])
    return Problem("/".join(facts["path"]), f"{url}{SHARES}", found, outcome, level)
