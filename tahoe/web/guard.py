"""Who may do what: the ``Host`` a request must name, and the token that stands for the node's own authority.

A capability in the URL is its own authority for reading; everything that uses the *node's* authority (its space,
its account, what it knows of the grid) needs the token from ``private/api_token``. A web page of a stranger
can send requests to a loopback port, and with a name that he rebinds to 127.0.0.1 even read the answers;
but then the request says his name in ``Host``. So that is checked on every request.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from tahoe.web.errors import WebError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_BEARER: Final = b"bearer "
_READING: Final = frozenset({"GET", "HEAD"})


class Guard:
    """Checks requests. ``names`` are host names besides loopback's by which the gateway may be called, without port."""

    def __init__(self, token: str, names: Iterable[str] = ()) -> None:
        assert token, "a gateway without a token would let everybody write"
        self._token = token.encode()
        self._names = LOOPBACK_NAMES | {name.lower() for name in names}

    def check_host(self, scope: Scope) -> None:
        """Refuse a request that was meant for another host.

        Raises:
            WebError: 421; 400 where ``Host`` is missing, except when something is read in HTTP/1.0 (by telnet, say).
        """
        named = [value for name, value in scope["headers"] if name == b"host"]
        if not named and scope["http_version"] == "1.0" and scope["method"] in _READING:
            return
        if len(named) != 1:
            raise WebError(400, "the request needs one Host header")
        if _without_port(named[0].decode("latin-1").strip().lower()) not in self._names:
            raise WebError(421, "this gateway does not go by that host name; call it localhost")

    def check_token(self, scope: Scope) -> None:
        """Refuse a request that does not carry the node's token.

        Raises:
            WebError: 401.
        """
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, token = given[: len(_BEARER)].lower(), given[len(_BEARER) :].strip()
        if scheme != _BEARER or not hmac.compare_digest(token, self._token):
            raise WebError(
                401,
                "this needs the node's token: Authorization: Bearer <contents of private/api_token>",
                {"WWW-Authenticate": 'Bearer realm="tahoe"'},
            )

    def with_token(self, app: ASGIApp) -> ASGIApp:
        """Return ``app`` as it is for those who carry the token."""
        return _Authorized(self, app)


class _Authorized:
    """An application behind the token."""

    def __init__(self, guard: Guard, app: ASGIApp) -> None:
        self._guard = guard
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._guard.check_token(scope)
        await self._app(scope, receive, send)


def _without_port(host: str) -> str:
    """Return ``name`` of ``name:port``; an IPv6 address keeps its brackets."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and (not name.startswith("[") or name.endswith("]")) else host
