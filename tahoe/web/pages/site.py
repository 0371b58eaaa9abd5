"""What every page has around it, and what happens around every page: the session, and errors that can be read.

``Site.page`` makes a route of a function that gathers facts: it lets in whoever has a session, hands the function a
``Visit``, and draws what goes wrong as a page that says what to do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tahoe.errors import TahoeError
from tahoe.web.calls import Call
from tahoe.web.care import health_of
from tahoe.web.errors import WebError, status_of, text_of
from tahoe.web.pages import render
from tahoe.web.pages.recent import Recent
from tahoe.web.pages.spots import Crumb, Spot, drive, spot_of
from tahoe.web.places import PRIVATE_ROOT
from tahoe.web.services import Services
from tahoe.web.sessions import Session

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LONGEST_FORM: Final = 1 << 20
GLOBAL_ROOT: Final = "global"
_NO_SESSION: Final = 401


class Visit:
    """One request of somebody who was let in.

    Args:
        services: of the gateway.
        request: his.
        session: of his browser.
    """

    def __init__(self, services: Services, request: Request, session: Session) -> None:
        self.services = services
        self.request = request
        self.session = session

    @property
    def query(self) -> Mapping[str, str]:
        """What stands behind the question mark."""
        return self.request.query_params

    @property
    def spot(self) -> Spot:
        """What the address is about.

        Raises:
            WebError: 410, it is of another session; 400.
        """
        return spot_of(self.request.scope, self.session)

    def call(self, spot: Spot | None = None) -> Call:
        """Return the request as the API's operations take it, about a spot's place."""
        call = Call(self.services, self.request.scope, self.request.receive)
        if spot is not None:
            call.place = spot.place
        return call

    async def form(self) -> list[tuple[str, str]]:
        """Return the fields of a form, in order.

        Raises:
            WebError: 413, it is too long; 400, it can't be read.
        """
        body = await self.call().whole_body(LONGEST_FORM)
        try:
            return parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=20_000)
        except ValueError:
            raise WebError(400, "the form can't be read") from None

    async def field(self, name: str) -> str:
        """Return one field of a form, without blanks around it.

        Raises:
            WebError: 400, it is missing or empty.
        """
        value = next((value.strip() for key, value in await self.form() if key == name), "")
        if not value:
            raise WebError(400, f"the field {name!r} is empty; go back and fill it in")
        return value


Gather: TypeAlias = Callable[[Visit], Awaitable["ASGIApp"]]
"""Does what a request wants and returns the answer."""


class Head(NamedTuple):
    """What the head of a page shows: whose node this is, the pages there are, and which of them this belongs to."""

    nickname: str
    pages: tuple[Crumb, ...]
    active: str


class Site:
    """All pages of one gateway."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._nickname = ""
        self._health = Recent(lambda: health_of(services.caretaker) if services.caretaker else None)

    def health(self) -> Mapping[str, Any] | None:
        """How it stands with what is looked after, as programs get it; None: the node has no caretaker."""
        return None if self._services.caretaker is None else self._health()

    def forget_health(self) -> None:
        """Somebody has changed something about it."""
        self._health.forget()

    def page(self, gather: Gather) -> Callable[[Request], Awaitable[Any]]:
        """Return an endpoint that lets ``gather`` answer whoever has a session."""

        async def endpoint(request: Request) -> Any:
            try:
                session = self._services.guard.check_session(request.scope)
                return await gather(Visit(self._services, request, session))
            except (WebError, TahoeError) as error:
                return await self._problem(request, error)

        return endpoint

    async def draw(self, visit: Visit, template: str, context: Mapping[str, Any], active: str = "") -> Response:
        """Return a page; with ``?live=PART`` only the part of it that a script brings up to date."""
        head = await self.head(active or str(visit.request.url.path))
        if "live" in visit.query:
            return render.fragment(template, visit.query["live"], {**context, "site": head})
        return render.page(template, {**context, "site": head})

    async def head(self, active: str) -> Head:
        """Return what the head of a page shows to somebody who was let in."""
        if not self._nickname:
            self._nickname = str((await self._services.status())["node"]["nickname"])
        roots = await self._services.client.roots.known()
        drives = [drive(name) for name in (PRIVATE_ROOT, *([GLOBAL_ROOT] if GLOBAL_ROOT in roots else []))]
        pages = (
            Crumb("Home", "/"),
            *(Crumb(each.title, each.url) for each in drives),
            Crumb("Transfers", "/transfers"),
            Crumb("Health", "/health"),
            Crumb("Storage", "/storage"),
            Crumb("Provisioning", "/provisioning"),
        )
        chosen = next((page.url for page in reversed(pages) if active == page.url or _is_below(active, page.url)), "")
        return Head(self._nickname, pages, chosen)

    async def _problem(self, request: Request, error: WebError | TahoeError) -> Response:
        """Draw what went wrong. Who has no session learns how to get one, and nothing about the node."""
        status = status_of(error, request.method)
        if status == _NO_SESSION:
            return render.page("locked", {"site": Head("tahoe", (), "")}, status)
        head = (
            await self.head(request.url.path) if self._services.guard.session(request.scope) else Head("tahoe", (), "")
        )
        context = {"site": head, "title": HTTPStatus(status).phrase, "status": status, "text": text_of(error)}
        return render.page("problem", context, status)


def _is_below(path: str, page: str) -> bool:
    return page != "/" and path.startswith(page + "/")


def see(url: str) -> RedirectResponse:
    """Send the browser on after a form, so that going back does not send it again."""
    return RedirectResponse(url, 303, headers={"Cache-Control": "no-store"})
