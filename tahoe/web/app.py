"""The gateway: what happens around every request, and how a request finds its row in the table of routes.

To grow the gateway, add a row to ``table.py``. Endpoints raise what went wrong, and the answer is made here. Pages
for people are rows of their own that are tried first (``PageRoute``).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Match, Route, Router

from tahoe.errors import TahoeError
from tahoe.net.logs import NodeLog
from tahoe.web.calls import Call
from tahoe.web.errors import ClientGone, WebError, account_of, response_to
from tahoe.web.fields import has_form, take_fields
from tahoe.web.openapi import DESCRIPTION
from tahoe.web.rows import Authority, Row, Takes
from tahoe.web.services import Services
from tahoe.web.table import NAMED, PLACE, rows_by_path
from tahoe.web.transfers import forget_watchers

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

_OWN_PAGE: Final = re.compile(r"/(?![/\\])[!-\[\]-~]*")
_ROUTES: Final[Mapping[str, tuple[str, ...]]] = {
    PLACE: ("/uri/{place:path}", "/vdrive/{place:path}"),
    NAMED: ("/named/{place:path}",),  # whatever stands before the last name is for people, too: CAP/@@named=/NAME
}
_REFUSED: Final = ("localfile", "localdir")
_LOGGED: Final = frozenset(
    {"", "uri", "vdrive", "named", "status", "jobs", "statistics", "metrics", "storage", "transfers", "session"}
)


class PageRoute(Route):
    """A route for people: it takes only what a browser asks for, and leaves the rest to the API."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match as a ``Route`` does, if the request comes from somebody who wants HTML and names no operation."""
        wants_html = "text/html" in Headers(scope=scope).get("accept", "")
        names_operation = any(part.startswith(b"t=") for part in scope.get("query_string", b"").split(b"&"))
        return super().matches(scope) if wants_html and not names_operation else (Match.NONE, {})


class Gateway:
    """The ASGI application.

    Args:
        services: what endpoints work with.
        log: the node's.
        pages: routes for people, tried before those of the table.
    """

    def __init__(self, services: Services, log: NodeLog, pages: Sequence[BaseRoute] = ()) -> None:
        self._guard = services.guard
        self._log = log
        self._router = Router([*pages, *_table_routes(services)], redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert scope["type"] == "http", "the server is told to speak plain HTTP only"
        forget_watchers()
        watched = _Watched(send)
        began = time.monotonic()
        try:
            self._guard.check_host(scope)
            await self._router(scope, receive, watched)
        except ClientGone:
            watched.status = watched.status or 499
        except Exception as error:  # noqa: BLE001  # the one place that turns any error into an answer
            await self._fail(error, watched, scope, receive)
        self._note(scope, watched, time.monotonic() - began)

    async def _fail(self, error: Exception, watched: _Watched, scope: Scope, receive: Receive) -> None:
        """Answer an error. Where an answer has begun, the server cuts the connection: too short is how it shows."""
        if not isinstance(error, WebError | TahoeError):
            self._log.error("a request failed", **account_of(error))
        elif watched.status:
            self._log.warning("a transfer broke off", **account_of(error))
        if not watched.status:
            await response_to(error, scope)(scope, receive, watched)

    def _note(self, scope: Scope, watched: _Watched, seconds: float) -> None:
        """Log a request by its kind: what follows the first part of a path may be a capability."""
        first, slash, _ = scope["path"][1:].partition("/")
        kind = f"/{first if first in _LOGGED else '...'}{slash and '/...'}"
        method, status, sent = scope["method"], watched.status, watched.sent
        self._log.info("served", method=method, path=kind, status=status, bytes=sent, seconds=seconds)


class Switch:
    """All rows of one path: finds the one that a request means, sees that it may, and has it answered.

    Args:
        services: what endpoints work with.
        rows: of the path.
    """

    def __init__(self, services: Services, rows: Sequence[Row]) -> None:
        self._services = services
        self._rows: Mapping[tuple[str, str], Row] = {(row.method, row.operation): row for row in rows}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for the path."""
        call = Call(self._services, scope, receive)
        await self._take_form(call)
        row = self._row(scope["method"], call)
        if row.authority is Authority.NODE or (row.authority is Authority.CAPABILITY and _is_root(scope)):
            self._services.guard.check(scope)
        target = _when_done(call)
        answer = await row.endpoint(call)
        await (answer if target is None else RedirectResponse(target, 303))(scope, receive, send)

    async def _take_form(self, call: Call) -> None:
        """Take parameters from a form. What curl calls a form may also be what an operation of the query wants as its body."""
        row = self._rows.get(("POST", call.query.get("t", "")))
        if call.scope["method"] == "POST" and has_form(call) and (row is None or row.takes in {None, Takes.FORM}):
            self._services.guard.check(call.scope)
            await take_fields(call)

    def _row(self, method: str, call: Call) -> Row:
        """Return the row that a request means.

        Raises:
            WebError: 405, nothing here is done by its method; 400, no operation of this name.
        """
        for name in _REFUSED:
            if name in call.query:
                raise WebError(
                    400, f"{name}= let any web page read and write this machine's files; send the file itself"
                )
        method = "GET" if method == "HEAD" else method
        row = self._rows.get((method, call.query.get("t", "")))
        if row is not None:
            return row
        methods = dict.fromkeys(known for known, _ in self._rows)
        if method not in methods:
            raise WebError(405, f"this path knows {', '.join(methods)}", {"Allow": ", ".join(_with_head(methods))})
        operations = [operation or "(none)" for known, operation in self._rows if known == method]
        raise WebError(400, f"{method} knows no such operation here; t= is one of: {', '.join(operations)}")


def _when_done(call: Call) -> str | None:
    """Return where a form wants the browser to be sent on to: only ever to a page of the gateway's own.

    Raises:
        WebError: 400, it is another place.
    """
    target = call.query.get("when_done")
    if target is None or call.scope["method"] != "POST":
        return None
    if not _OWN_PAGE.fullmatch(target):
        raise WebError(400, "when_done= is the path of a page of this gateway, as /d/...")
    return target


class _Watched:
    """``send`` that dates the answer, remembers its status and counts its bytes."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.sent = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            date = (b"date", formatdate(usegmt=True).encode())
            message = {**message, "headers": [*message["headers"], date]}
        else:
            self.sent += len(message.get("body", b""))
        await self._send(message)


def _table_routes(services: Services) -> list[BaseRoute]:
    routes: list[BaseRoute] = []
    for path, rows in [*rows_by_path(), (DESCRIPTION.path, (DESCRIPTION,))]:
        switch = Switch(services, rows)
        routes += [Route(each, switch) for each in _ROUTES.get(path, (path,))]
    return [*routes, Route("/{path:path}", _nowhere)]


async def _nowhere(_request: Any) -> None:
    raise WebError(404, "there is nothing of this name; GET /openapi.json tells what there is")


def _is_root(scope: Scope) -> bool:
    """Whether a place is named by a root, which is the node's to use."""
    return str(scope["path"]).startswith("/vdrive")


def _with_head(methods: Mapping[str, None]) -> list[str]:
    return [*methods, "HEAD"] if "GET" in methods else [*methods]
