"""Following a job of the gateway's to its end."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import click

from tahoe.cli.gateway import Gateway
from tahoe.cli.progress import counting

RUNNING: Final = "running"
DONE: Final = "done"


def run_job(gateway: Gateway, target: str, what: str, count: Callable[[Mapping[str, Any]], int]) -> dict[str, Any]:
    """Start a job and wait for its result.

    Args:
        gateway: of the node.
        target: of the request that starts it.
        what: is counted while it runs, for people who watch.
        count: how many of these its progress tells of.

    Raises:
        ClickException: it failed; the message says why. Interrupting ends the job, too.
    """
    job = f"/jobs/{json.loads(gateway.text('POST', target, b''))['job']}"
    ended = False
    try:
        facts = _follow(gateway, job, what, count)
        ended = True
    finally:
        if not ended:
            gateway.text("DELETE", job)
    if facts["state"] != DONE:
        raise click.ClickException(facts.get("error") or f"the job was {facts['state']}")
    result: dict[str, Any] = facts["result"]
    return result


def _follow(gateway: Gateway, job: str, what: str, count: Callable[[Mapping[str, Any]], int]) -> Mapping[str, Any]:
    """Look at a job until it has ended; the gateway answers when it has, or after a while."""
    seen = 0
    with counting(what) as advance:
        while (facts := gateway.json(f"{job}?wait=true"))["state"] == RUNNING:
            found = count(facts["progress"])
            advance(max(0, found - seen))
            seen = max(seen, found)
    result: Mapping[str, Any] = facts
    return result
