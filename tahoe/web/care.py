"""What the caretaker looks after, and how it stands with it, through the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tahoe.actors.carereport import STALE_PERIODS
from tahoe.actors.caretaker import Caretaker
from tahoe.actors.endangered import MOST_NAMED, endangered
from tahoe.policy.care import Safety
from tahoe.web.calls import Call, json_answer, text_answer
from tahoe.web.errors import WebError
from tahoe.web.jobs import Job, Work

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def caretaker_of(call: Call) -> Caretaker:
    """The node's caretaker.

    Raises:
        WebError: 404, it has none.
    """
    caretaker = call.services.caretaker
    if caretaker is None:
        raise WebError(404, "this node has no caretaker: enabled = true in [care] of its tahoe.toml gives it one")
    return caretaker


async def health(call: Call) -> ASGIApp:
    """Tell how it stands with everything that is looked after: safe, at risk, lost, and why."""
    return json_answer(health_of(caretaker_of(call)))


def health_of(caretaker: Caretaker) -> dict[str, Any]:
    """How it stands, what is in danger, and what was done, as programs get it."""
    tidings, report = caretaker.tidings, caretaker.report()
    is_safe = not any(root.counts.get(kind.value) for root in report.roots for kind in (Safety.AT_RISK, Safety.LOST))
    danger = [] if is_safe else endangered(caretaker.shared)
    return {
        **report.as_json(),
        "in-danger": [each.as_json(report.time) for each in danger[:MOST_NAMED]],
        "in-danger-count": len(danger),
        "stale-after": STALE_PERIODS * caretaker.shared.rules.check_every,
        "done": {name: int(count) for name, count in sorted(tidings.counts.items())},
        "bytes": int(tidings.bytes),
        "troubles": list(tidings.troubles),
    }


async def add(call: Call) -> ASGIApp:
    """Look after what a capability (the body) names, under a name."""
    capability = (await call.whole_body(4096)).decode("utf-8", "replace").strip()
    delegation = call.query.get("delegation", "")
    await caretaker_of(call).add(call.needed("name"), capability, manifest=call.flag("manifest"), delegation=delegation)
    return text_answer("done")


async def remove(call: Call) -> ASGIApp:
    """Look after something no more."""
    await caretaker_of(call).remove(call.needed("name"))
    return text_answer("done")


async def publish(call: Call) -> ASGIApp:
    """Keep a manifest of what a name leads to, for a caretaker elsewhere; gives its read capability."""
    return text_answer(await caretaker_of(call).publish(call.needed("name")))


async def server_gone(call: Call) -> ASGIApp:
    """Say that a server is gone for good (or, with back=true, that it is not)."""
    await caretaker_of(call).server_gone(call.needed("node"), gone=not call.flag("back"))
    return text_answer("done")


async def start_round(call: Call) -> ASGIApp:
    """Look at everything now, and mend what can be mended."""
    work = round_work(caretaker_of(call))
    return json_answer({"job": call.services.jobs.start("care", work).identity}, 202)


def round_work(caretaker: Caretaker) -> Work:
    """What a job does that looks at everything."""

    async def work(job: Job) -> dict[str, Any]:
        job.progress = {"objects": len(caretaker.care.records)}
        await caretaker.round(everything=True)
        return health_of(caretaker)

    return work
