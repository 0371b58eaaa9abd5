"""The gateway's routes: one table, and what happens around every request.

To grow the gateway, add a row. Rows that use the node's own authority stand behind ``guard.with_token``; what a
capability in the URL allows does not need to. Endpoints raise what went wrong, and the answer is made here.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, Router

from tahoe.errors import TahoeError
from tahoe.net.logs import NodeLog
from tahoe.web.errors import ClientGone, WebError, account_of, response_to
from tahoe.web.guard import Guard
from tahoe.web.uri import FileByCapability, Files, NewFile

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

Status: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
"""Gives what the node knows of itself and the grid: brokers, introducers, servers, space. JSON-able."""

_WELCOME: Final = """\
This is the gateway of a tahoe node.

  GET /uri/CAP      a file, by its capability
  PUT /uri          store a file (needs the node's token); the answer is its capability
  GET /status       what the node knows of its grid (needs the node's token)
"""


class Gateway:
    """The ASGI application.

    Args:
        files: what serving files takes.
        guard: who may do what.
        status: gives the node's state.
        log: the node's.
    """

    def __init__(self, files: Files, guard: Guard, status: Status, log: NodeLog) -> None:
        self._guard = guard
        self._log = log
        self._router = Router(
            [
                Route("/", _text(_WELCOME), methods=["GET"]),
                Route("/uri", guard.with_token(NewFile(files)), methods=["PUT"]),
                Route("/uri/{cap}", FileByCapability(files), methods=["GET"]),
                Route("/status", guard.with_token(_json(status)), methods=["GET"]),
            ],
            redirect_slashes=False,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert scope["type"] == "http", "the server is told to speak plain HTTP only"
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
            await response_to(error)(scope, receive, watched)

    def _note(self, scope: Scope, watched: _Watched, seconds: float) -> None:
        """Log a request by its kind: what follows the first part of a path may be a capability."""
        first, slash, _ = scope["path"][1:].partition("/")
        kind = f"/{first if first in {'', 'uri', 'status'} else '...'}{slash and '/...'}"
        method, status, sent = scope["method"], watched.status, watched.sent
        self._log.info("served", method=method, path=kind, status=status, bytes=sent, seconds=seconds)


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


def _text(text: str) -> PlainTextResponse:
    return PlainTextResponse(text)


def _json(status: Status) -> Callable[[Scope, Receive, Send], Any]:
    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse(await status())(scope, receive, send)

    return endpoint
