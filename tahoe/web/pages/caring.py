"""Pages about keeping: the health of what is looked after, what forms do about it, and long work as it goes on.

Checking, verifying and repairing take long, so a form starts a job of the gateway (``tahoe/web/jobs.py``) and sends the
browser to the job's page, which shows how far it is and what it came to.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Final

from tahoe.actors.carelist import CUT
from tahoe.actors.caretaker import OWN_ROOT, Caretaker
from tahoe.actors.deepkeeping import Action, Order
from tahoe.codec.capability import Capability, Directory, parse
from tahoe.errors import NoSuchRoot
from tahoe.web.care import caretaker_of, round_work
from tahoe.web.checks import DEEP, deep_work, work_of
from tahoe.web.errors import WebError
from tahoe.web.jobs import Job
from tahoe.web.pages.health import PageOf, health
from tahoe.web.pages.site import Site, Visit, see
from tahoe.web.pages.spots import Crumb, drive, opened
from tahoe.web.pages.work import SHARES, work

if TYPE_CHECKING:
    from starlette.types import ASGIApp

PAGE: Final = "/health"
MOST_JOBS: Final = 8
"""Of the work that was begun on these pages, as much is listed."""
ACTIONS: Final = {"check": Action.CHECK, "verify": Action.VERIFY, "repair": Action.REPAIR}
"""What the buttons of a form do, by what they send."""


class Caring:
    """Endpoints of these pages."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._forms: dict[str, Callable[[Visit], Awaitable[ASGIApp]]] = {
            "look": _look,
            "treat": _treat,
            "add": _add,
            "remove": _remove,
            "publish": _publish,
            "server": _server,
        }

    async def look(self, visit: Visit) -> ASGIApp:
        """GET: how it stands with everything."""
        caretaker, facts = visit.services.caretaker, self._site.health()
        view = None
        if caretaker is not None and facts is not None:
            own = await _own(visit)
            view = health(caretaker, facts, own, _page_of(visit, caretaker, own))
        now = time.time()
        jobs = [work(job.describe(), job.about, now) for job in visit.services.jobs.all()[:MOST_JOBS] if job.about]
        context = {"view": view, "jobs": jobs, "url_of": _url_of(visit), "status": await visit.services.status()}
        return await self._site.draw(visit, "health", context)

    async def change(self, visit: Visit) -> ASGIApp:
        """POST: do what a form says."""
        chosen = next((done for word, done in self._forms.items() if word in visit.query), None)
        if chosen is None:
            raise WebError(400, "this form is of another version of the gateway; load the page again")
        try:
            return await chosen(visit)
        finally:
            self._site.forget_health()

    async def job(self, visit: Visit) -> ASGIApp:
        """GET: long work, how far it is, and what it came to."""
        job = visit.services.jobs.get(visit.request.path_params["job"])
        return await self._site.draw(visit, "job", {"view": work(job.describe(), job.about, time.time())}, PAGE)

    async def cancel(self, visit: Visit) -> ASGIApp:
        """POST: stop it."""
        job = visit.services.jobs.get(visit.request.path_params["job"])
        await job.cancel()
        return see(f"/job/{job.identity}")


def treat(visit: Visit, capability: Capability, action: str, about: Crumb) -> ASGIApp:
    """Check, verify or repair something and, of a folder, everything below it; go to the page of that work.

    Args:
        visit: who wants it.
        capability: of it.
        action: a key of ``ACTIONS``.
        about: what it is called, and where it is.

    Raises:
        WebError: 400, there is no such action; 429, too much is under way.
    """
    if action not in ACTIONS:
        raise WebError(400, "the buttons are check, verify and repair")
    order = Order(ACTIONS[action])
    is_tree = isinstance(capability, Directory) and capability != capability.verifier()
    kind = f"{DEEP}{action}" if is_tree else action
    return _begun(
        visit.services.jobs.start(kind, (deep_work if is_tree else work_of)(visit.services, capability, order)), about
    )


def _begun(job: Job, about: Crumb) -> ASGIApp:
    job.about = about
    return see(f"/job/{job.identity}")


def _url_of(visit: Visit) -> Callable[[str], str]:
    """Return what gives a capability an address of this session."""
    return lambda text: f"{opened(visit.session, parse(text)).url}{SHARES}"


def _page_of(visit: Visit, caretaker: Caretaker, own: Collection[str]) -> PageOf:
    """Return what tells where the page of an object is, by its root and path; it never has a capability in it."""

    def url_of(name: str, path: str) -> str:
        root = caretaker.care.roots.get(name)
        if root is None or root.manifest or path.startswith(CUT):
            return ""
        spot = drive(name) if name in own else opened(visit.session, parse(root.capability))
        return f"{spot.descend(path.split('/')).url}{SHARES}"

    return url_of


async def _own(visit: Visit) -> Collection[str]:
    """Names of roots that are looked after unasked, and have pages of their own."""
    return {OWN_ROOT, *await visit.services.client.roots.known()}


# --- what forms do -----------------------------------------------------------------------------------------


def _caretaker(visit: Visit) -> Caretaker:
    return caretaker_of(visit.call())


async def _look(visit: Visit) -> ASGIApp:
    begun = visit.services.jobs.start("care", round_work(_caretaker(visit)))
    return _begun(begun, Crumb("everything that is looked after", PAGE))


async def _treat(visit: Visit) -> ASGIApp:
    fields = dict(await visit.form())
    name = fields.get("root", "")
    root = _caretaker(visit).care.roots.get(name)
    if root is None:
        raise NoSuchRoot(name)
    capability = parse(root.capability)
    is_drive = name in await _own(visit)
    spot = drive(name) if is_drive else opened(visit.session, capability)
    return treat(visit, capability, fields.get("do", ""), Crumb(spot.title if is_drive else name, spot.url))


async def _add(visit: Visit) -> ASGIApp:
    fields = {key: value.strip() for key, value in await visit.form()}
    if not fields.get("name") or not fields.get("cap"):
        raise WebError(400, "give it a name, and its capability")
    await _caretaker(visit).add(fields["name"], fields["cap"], manifest="manifest" in fields)
    return see(PAGE)


async def _remove(visit: Visit) -> ASGIApp:
    await _caretaker(visit).remove(await visit.field("root"))
    return see(PAGE)


async def _publish(visit: Visit) -> ASGIApp:
    await _caretaker(visit).publish(await visit.field("root"))
    return see(PAGE)


async def _server(visit: Visit) -> ASGIApp:
    fields = dict(await visit.form())
    await _caretaker(visit).server_gone(fields.get("node", ""), gone=fields.get("do") == "gone")
    return see(f"{PAGE}#servers")
