"""The kinds of jobs: a new one is a row here. ``POST WHERE?t=start-KIND`` starts it on what a place names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from tahoe.codec.capability import Capability
from tahoe.web.calls import Call, Endpoint, json_answer
from tahoe.web.jobs import WAIT_SECONDS, Work
from tahoe.web.places import find
from tahoe.web.services import Services
from tahoe.web.trees import size_job, statistics_job

if TYPE_CHECKING:
    from starlette.types import ASGIApp

JOB_KINDS: Final[Mapping[str, Callable[[Services, Capability], Work]]] = {
    "deep-stats": statistics_job,
    "deep-size": size_job,
}
"""By name: what makes a job's work, given the services and the object that it is to be done on."""


def starter(kind: str) -> Endpoint:
    """Return the endpoint that starts jobs of a kind."""

    async def start(call: Call) -> ASGIApp:
        found = await find(call.services.client, call.place)
        job = call.services.jobs.start(kind, JOB_KINDS[kind](call.services, found.capability))
        return json_answer({"job": job.identity}, 202)

    start.__doc__ = f"Do what `t={kind}` does as a job, which goes on when nobody waits for it."
    return start


async def list_jobs(call: Call) -> ASGIApp:
    """Tell of all jobs, the newest first."""
    return json_answer({"jobs": [job.describe() for job in call.services.jobs.all()]})


async def show_job(call: Call) -> ASGIApp:
    """Tell how far a job is, or what it came to."""
    job = call.services.jobs.get(_identity(call))
    if call.flag("wait"):
        await job.wait(WAIT_SECONDS)
    return json_answer(job.describe())


async def cancel_job(call: Call) -> ASGIApp:
    """Stop a job."""
    job = call.services.jobs.get(_identity(call))
    await job.cancel()
    return json_answer(job.describe())


def _identity(call: Call) -> str:
    return str(call.scope["path_params"]["job"])
