"""What a check, a verification or a repair found, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from tahoe.cli.names import shown_path

NAMED_AT_MOST: Final = 50
"""Objects of a tree that are told one by one."""

Facts = Mapping[str, Any]


def is_well(facts: Facts) -> bool:
    """Whether an object is healthy, or is now."""
    results = facts.get("post-repair-results") or facts["results"]
    return bool(results["healthy"])


def is_tree_well(tally: Facts) -> bool:
    """Whether all objects of a tree are healthy, or are now, and all of it could be seen."""
    unhealthy = tally.get("count-objects-unhealthy-post-repair", tally.get("count-objects-unhealthy", 0))
    return not unhealthy and not tally.get("count-directories-unreadable", 0)


def describe(facts: Facts) -> Iterator[str]:
    """Tell of one object."""
    results, names = facts["results"], facts["servers"]
    yield facts["summary"]
    if not facts["storage-index"]:
        return
    yield from _describe_results(results, names)
    if facts.get("repair-attempted"):
        after = facts["post-repair-results"]
        yield "Repaired: " + after["summary"] if facts["repair-successful"] else "Repair failed: " + after["summary"]
        if facts["repair-trouble"]:
            yield f"  {facts['repair-trouble']}"
        if not facts["repair-successful"]:
            return
        yield from _describe_results(after, names)


def _describe_results(results: Facts, names: Mapping[str, str]) -> Iterator[str]:
    good, total = results["count-shares-good"], results["count-shares-expected"]
    yield (
        f"  {good} of {total} shares on {results['count-good-share-hosts']} servers,"
        f" any {results['count-shares-needed']} suffice; happiness {results['count-happiness']}"
    )
    if results["count-recoverable-versions"] + results["count-unrecoverable-versions"] > 1:
        yield (
            f"  versions: {results['count-recoverable-versions']} recoverable,"
            f" {results['count-unrecoverable-versions']} not; {results['count-wrong-shares']} shares of others"
        )
    for name, nodes in results["sharemap"].items():
        yield f"    share {name:>3}  {', '.join(names.get(node, node) for node in nodes)}"
    for kind in ("corrupt", "incompatible"):
        for locator in results[f"list-{kind}-shares"]:
            where = names.get(locator["server"], locator["server"])
            yield f"  {kind}: share {locator['share']} on {where}: {locator['reason']}"
    silent = results["servers-silent"]
    if silent:
        yield f"  not heard: {', '.join(f'{names.get(node, node)} ({why})' for node, why in silent.items())}"


def describe_tree(tally: Facts) -> Iterator[str]:
    """Tell of a tree."""
    for problem in tally["problems"][:NAMED_AT_MOST]:
        yield f"{shown_path(problem['path']) or 'the top itself'}: {_in_a_line(problem)}"
    if len(tally["problems"]) > NAMED_AT_MOST:
        yield f"... and {len(tally['problems']) - NAMED_AT_MOST} more; --json has them all"
    yield from _counts(tally)


def _in_a_line(problem: Facts) -> str:
    text = str(problem["summary"])
    corrupt = problem["results"].get("count-corrupt-shares", 0)
    if corrupt:
        text += f", {corrupt} corrupt"
    if not problem["results"]["recoverable"]:
        text += ", LOST"
    if problem.get("repair-attempted"):
        trouble = problem["repair-trouble"] or problem["post-repair-results"]["summary"]
        text += "; repaired" if problem["repair-successful"] else f"; not repaired: {trouble}"
    return text


def _counts(tally: Facts) -> Iterable[str]:
    suffix = "-pre-repair" if "count-objects-healthy-pre-repair" in tally else ""
    checked = tally.get("count-objects-checked", 0)
    yield (
        f"{checked} objects checked: {tally.get(f'count-objects-healthy{suffix}', 0)} healthy,"
        f" {tally.get(f'count-objects-unhealthy{suffix}', 0)} not,"
        f" {tally.get(f'count-objects-unrecoverable{suffix}', 0)} of these lost"
    )
    if suffix:
        yield (
            f"{tally['count-repairs-attempted']} repairs: {tally['count-repairs-successful']} successful,"
            f" {tally['count-repairs-unsuccessful']} not; {tally['count-objects-unhealthy-post-repair']} unhealthy now"
        )
    for name, words in (
        ("count-directories-unreadable", "directories could not be read: what is below them was not seen"),
        ("count-objects-unknown", "objects of kinds that can't be checked here"),
    ):
        if tally.get(name):
            yield f"{tally[name]} {words}"
