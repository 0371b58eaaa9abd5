"""Checking, verifying and repairing through the gateway, each as a job: ``POST PLACE?t=start-check`` and the like.

A job of one object ends with what was found of it; one of a whole tree with counts, and with those objects with
which something was wrong. Servers are node ids there; ``servers`` has a name for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tahoe.actors.deepkeeping import Action, Order, Tally, TreeKeeping
from tahoe.actors.tree import Walk
from tahoe.codec.capability import Capability
from tahoe.web.calls import Call, Endpoint, json_answer
from tahoe.web.jobs import Job, Work
from tahoe.web.places import find
from tahoe.web.services import Services

if TYPE_CHECKING:
    from starlette.types import ASGIApp

DEEP: Final = "deep-"

KINDS: Final = ("check", "verify", "repair", "deep-check", "deep-verify", "deep-repair")


def starter(kind: str) -> Endpoint:
    """Return the endpoint that starts jobs of a kind."""

    async def start(call: Call) -> ASGIApp:
        """Check, verify or repair an object, or with ``deep-`` everything below it."""
        order = Order(_action(kind.removeprefix(DEEP), verify=call.flag("verify")), call.flag("add-lease"))
        found = await find(call.services.client, call.place)
        work = (deep_work if kind.startswith(DEEP) else work_of)(call.services, found.capability, order)
        return json_answer({"job": call.services.jobs.start(kind, work).identity}, 202)

    return start


def _action(verb: str, *, verify: bool) -> Action:
    if verb == "repair":
        return Action.VERIFY_AND_REPAIR if verify else Action.REPAIR
    return Action.VERIFY if verify else Action(verb)


def work_of(services: Services, capability: Capability, order: Order) -> Work:
    """What a job about one object does."""

    async def work(job: Job) -> dict[str, Any]:
        def show(done: int, total: int) -> None:
            job.progress = {"done": done, "total": total}

        client = services.client
        story = TreeKeeping(client.keeping, client.keeper, order)
        treated = await story.one(capability, show)
        return {**treated.as_json(), "servers": names_of_servers(services)}

    return work


def deep_work(services: Services, capability: Capability, order: Order) -> Work:
    """What a job about a whole tree does."""

    async def work(job: Job) -> dict[str, Any]:
        def tell(tally: Tally) -> None:
            job.progress = {name: int(count) for name, count in tally.counts.items()}

        client = services.client
        story = TreeKeeping(client.keeping, client.keeper, order)
        tally = await story.tree(capability, Walk(client.directories, capability), tell)
        return {**tally.as_json(), "servers": names_of_servers(services)}

    return work


def names_of_servers(services: Services) -> dict[str, str]:
    """What people call each server."""
    return {server.node: server.label for server in services.client.membership.servers()}
