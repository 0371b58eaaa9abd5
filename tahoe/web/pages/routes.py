"""All rows of the pages, and those pages that are about the node itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.routing import BaseRoute, Match, Route

from tahoe.web import files
from tahoe.web.app import PageRoute
from tahoe.web.calls import Call
from tahoe.web.errors import WebError
from tahoe.web.pages import render, words
from tahoe.web.pages.browsing import Browsing, open_capability, store_loose
from tahoe.web.pages.caring import Caring
from tahoe.web.pages.network import introducer, vdrive
from tahoe.web.pages.plan import FIELDS, Plan, parse_plan
from tahoe.web.pages.provisioning import answers, drawings
from tahoe.web.pages.site import GLOBAL_ROOT, Site, Visit, see
from tahoe.web.pages.spots import drive, opened
from tahoe.web.pages.storage import kept, storage
from tahoe.web.pages.transfers import summary, timeline
from tahoe.web.pages.welcome import welcome
from tahoe.web.places import PRIVATE_ROOT
from tahoe.web.services import Services
from tahoe.web.table import PLACE_PATHS, TABLE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Scope

_API: Final = frozenset(
    path.split("/")[1] for path in (*PLACE_PATHS, *(row.path for row in TABLE), "/openapi.json") if "/" in path
)
"""First parts of the API's paths."""


def page_routes(services: Services) -> list[BaseRoute]:
    """Return the routes of all pages. Where the API has the same path, only browsers get the page."""
    site = Site(services)
    browsing, caring, node = Browsing(site), Caring(site), NodePages(site)
    places = [
        Route(path, site.page(act), methods=[method])
        for path in ("/drive/{place:path}", "/d/{place:path}")
        for method, act in (("GET", browsing.look), ("POST", browsing.change), ("PUT", browsing.put))
    ]
    return [
        PageRoute("/", site.page(node.welcome), methods=["GET"]),
        PageRoute("/transfers", site.page(node.transfers), methods=["GET"]),
        PageRoute("/storage", site.page(node.storage), methods=["GET"]),
        PageRoute("/health", site.page(caring.look), methods=["GET"]),
        Route("/health", site.page(caring.change), methods=["POST"]),
        Route("/job/{job}", site.page(caring.job), methods=["GET"]),
        Route("/job/{job}", site.page(caring.cancel), methods=["POST"]),
        PageRoute("/vdrive/{place:path}", site.page(_to_drive), methods=["GET"]),
        PageRoute("/uri/{place:path}", _out_of_the_address_bar(site, services), methods=["GET"]),
        Route("/transfer/{transfer}", site.page(node.transfer), methods=["GET"]),
        Route("/provisioning", site.page(node.provisioning), methods=["GET"]),
        Route("/introducer", site.page(node.introducer), methods=["GET"]),
        Route("/roots", site.page(node.roots), methods=["GET"]),
        Route("/open", site.page(open_capability), methods=["POST"]),
        Route("/store", site.page(store_loose), methods=["POST"]),
        Route("/assets/{name}", render.asset, methods=["GET"]),
        *places,
        _Nowhere("/{path:path}", site.page(_nothing), methods=["GET"]),
    ]


class _Nowhere(PageRoute):
    """Addresses that nothing has: people are told so on a page. What the API knows is left to it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match what neither the pages before this one nor the API have."""
        return (Match.NONE, {}) if scope["path"].split("/")[1] in _API else super().matches(scope)


class NodePages:
    """Endpoints about the node and its grid."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def welcome(self, visit: Visit) -> ASGIApp:
        """How the grid is, who is in it, and where one's files are."""
        status = await visit.services.status()
        roots = await visit.services.client.roots.known()
        abouts = {PRIVATE_ROOT: "Only you can reach it.", GLOBAL_ROOT: "Everybody on this grid shares it."}
        names = dict.fromkeys((PRIVATE_ROOT, GLOBAL_ROOT, *roots))
        drives = [
            {
                "title": drive(name).title,
                "url": drive(name).url,
                "about": abouts.get(name, "A shared drive of this grid."),
            }
            for name in names
            if name == PRIVATE_ROOT or name in roots
        ]
        view = welcome(status, self._site.health())
        return await self._site.draw(visit, "welcome", {"view": view, "status": status, "drives": drives})

    async def transfers(self, visit: Visit) -> ASGIApp:
        """What moves and what moved."""
        now, names = time.time(), await _nicknames(visit)
        listed = [summary(transfer.describe(), now, names) for transfer in visit.services.transfers.all()]
        return await self._site.draw(visit, "transfers", {"transfers": listed, "now": now})

    async def transfer(self, visit: Visit) -> ASGIApp:
        """One of them, server by server."""
        transfer = visit.services.transfers.get(visit.request.path_params["transfer"])
        if transfer is None:
            raise WebError(404, "this transfer is not known any more; only the latest are kept")
        names = await _nicknames(visit)
        context = {
            "each": summary(transfer.describe(), time.time(), names),
            "drawing": timeline(transfer.timeline(), names),
        }
        return await self._site.draw(visit, "transfer", context, "/transfers")

    async def storage(self, visit: Visit) -> ASGIApp:
        """What the node keeps for others. Servers are asked what they keep of ours only when somebody wants to know."""
        status, books = await visit.services.status(), visit.services.books
        context: dict[str, Any] = {"view": storage(status), "status": status, "kept": None, "mine": None}
        if "live" not in visit.query:
            context["kept"] = kept(await books.here())
        if "servers" in visit.query:
            context["mine"] = {each["node"]: each for each in await books.mine() or ()}
        return await self._site.draw(visit, "storage", context)

    async def introducer(self, visit: Visit) -> ASGIApp:
        """Who makes nodes known to one another."""
        status = await visit.services.status()
        return await self._site.draw(visit, "introducer", {"view": introducer(status), "status": status})

    async def roots(self, visit: Visit) -> ASGIApp:
        """The grid's named roots, and the vdrives that keep them."""
        roots = visit.services.client.roots
        known = {name: (cap.writeable, roots.book.sequence(name)) for name, cap in (await roots.known()).items()}
        return await self._site.draw(visit, "roots", {"roots": vdrive(known), "status": await visit.services.status()})

    async def provisioning(self, visit: Visit) -> ASGIApp:
        """What a grid takes and gives."""
        context = await asyncio.to_thread(_provisioned, dict(visit.query))
        return await self._site.draw(visit, "provisioning", context)


def _provisioned(query: Mapping[str, str]) -> dict[str, Any]:
    plan, problems = parse_plan(query)
    return {
        "plan": plan,
        "problems": problems,
        "values": {
            field.name: query.get(field.name) or f"{_usual(plan, field.name, field.usual):g}" for field in FIELDS
        },
        "groups": [(name, list(fields)) for name, fields in groupby(FIELDS, key=lambda field: field.group)],
        "answers": answers(plan),
        "drawings": drawings(plan),
    }


def _usual(plan: Plan, name: str, usual: float) -> float:
    """What the form shows where nothing was typed: a threshold and happiness that fit the code."""
    return {"happy": plan.code.happy, "threshold": plan.upkeep.threshold}.get(name, usual)


async def _nicknames(visit: Visit) -> dict[str, str]:
    return {
        server.node: server.nickname or words.short(server.node)
        for server in visit.services.client.membership.servers()
    }


async def _nothing(_visit: Visit) -> ASGIApp:
    raise WebError(404, "there is no page at this address")


async def _to_drive(visit: Visit) -> ASGIApp:
    """Send somebody who has typed the API's address of a root to its page."""
    place = visit.call().place
    return see(drive(str(place.start)).descend(place.path).url)


def _out_of_the_address_bar(site: Site, services: Services) -> Any:
    """Return an endpoint that sends browsers with a session from ``/uri/CAP`` to a page; others get what the API gives."""

    async def to_page(visit: Visit) -> ASGIApp:
        place = visit.call().place
        assert not isinstance(place.start, str), "what stands behind /uri/ is a capability"
        return see(opened(visit.session, place.start).descend(place.path).url)

    async def endpoint(request: Request) -> Any:
        if services.guard.session(request.scope) is None or request.query_params:
            return await files.get(Call(services, request.scope, request.receive))
        return await site.page(to_page)(request)

    return endpoint
