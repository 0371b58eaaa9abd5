"""``health``: one screen that says whether all is safe, and if not, why. Exit status: 0 green, 1 yellow, 2 red."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from tahoe.cli.gateway import Gateway, with_gateway
from tahoe.cli.values import human_size, human_time, json_option

STATUS: Final = {"green": 0, "yellow": 1, "red": 2}
WORDS: Final = {
    "green": "All is safe.",
    "yellow": "Nothing is lost, but not all is as it should be.",
    "red": "Something is lost, as far as can be seen.",
}

MOST_NAMED: Final = 20
"""Objects in danger that are named on the screen."""

Facts = Mapping[str, Any]


@click.command()
@json_option
@with_gateway
@click.pass_context
def health(ctx: click.Context, gateway: Gateway, *, as_json: bool) -> None:
    """Tell how it stands with everything that the node's caretaker looks after."""
    facts = gateway.json("/health")
    click.echo(json.dumps(facts) if as_json else "\n".join(describe(facts)))
    ctx.exit(STATUS[facts["state"]])


def describe(facts: Facts) -> Iterator[str]:
    """The screen."""
    yield f"{facts['state'].upper()}: {WORDS[facts['state']]}"
    for root in facts["roots"]:
        yield f"  {root['name']}: {_age(root['verified-age'])}; {_counts(root['objects'])}"
    if not facts["roots"]:
        yield "  Nothing is looked after yet. Store something, or name it: tahoe care add NAME PATH"
    for reason in facts["reasons"]:
        yield f"  ! {reason}"
    yield from _in_danger(facts)
    servers = facts["servers"]
    others = ", ".join(
        f"{servers[name]} {name}" for name in ("asleep", "leaving", "distrusted", "gone") if servers[name]
    )
    yield f"Servers: {servers['present']} of {servers['known']} present{', ' if others else ''}{others}"
    yield _work(facts)
    for trouble in facts["troubles"][-3:]:
        yield f"  lately: {trouble}"


def _in_danger(facts: Facts) -> Iterator[str]:
    """What is not safe, by the paths by which it was last reached."""
    if facts["in-danger"]:
        yield "In danger:"
    for each in facts["in-danger"][:MOST_NAMED]:
        name = f"{each['root']}: {each['path'] or each['remark']}"
        asleep = f" and {each['shares-asleep']} asleep" if each["shares-asleep"] else ""
        shares = (
            f"{each['shares-here']} of {each['shares-total']} shares in reach{asleep}, needs {each['shares-needed']}"
        )
        yield f"  {each['safety']}  {name} ({shares})"
        if not each["path"]:
            yield f"          {each['verify-cap']}"
    more = facts["in-danger-count"] - len(facts["in-danger"][:MOST_NAMED])
    if more > 0:
        yield f"  and {more} more"


def _age(age: float | None) -> str:
    return "never seen whole" if age is None else f"all of it seen alive {human_time(age)} ago"


def _counts(objects: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in objects.items()) or "no objects found yet"


def _work(facts: Facts) -> str:
    done = facts["done"]
    age = facts["last-round-age"]
    last = "The caretaker has not worked yet" if age is None else f"The caretaker last worked {human_time(age)} ago"
    counts = ", ".join(f"{count} {name}" for name, count in done.items())
    return f"{last}; since the node started: {counts or 'nothing'}, {human_size(facts['bytes'])} moved"
