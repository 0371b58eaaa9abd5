"""Who may do what: the ``Host`` a request must name, and what stands for the node's own authority.

A capability in the URL is its own authority for reading. Everything that uses the *node's* authority (its space, its
account, its roots, what it knows of the grid) and every change takes one of two:

* the token from ``private/api_token`` as ``Authorization: Bearer``, which no browser sends by itself;
* the cookie of a session, which browsers do send by themselves. So it counts only under the node's own host name
  (cookies know no ports: any other local server would get one of ``localhost``), and only for requests that the
  gateway's own pages make.

A web page of a stranger can send requests to a loopback port, and with a name that he rebinds to 127.0.0.1 even
read the answers; but then the request says his name in ``Host``. So that is checked on every request.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers

from tahoe.web.errors import WebError
from tahoe.web.sessions import COOKIE, Session, Sessions, new_host_name

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_BEARER: Final = "bearer "
_READING: Final = frozenset({"GET", "HEAD"})
_OWN_SITES: Final = frozenset({"same-origin", "none"})
_UNAUTHORIZED: Final = {"WWW-Authenticate": 'Bearer realm="tahoe"'}


class Guard:
    """Checks requests.

    Args:
        token: the node's.
        names: host names besides loopback's by which the gateway may be called, without port; by TLS only.
        sessions: of browsers.
    """

    def __init__(self, token: str, names: Iterable[str] = (), sessions: Sessions | None = None) -> None:
        assert token, "a gateway without a token would let everybody write"
        self._token = token.encode()
        self.sessions = sessions or Sessions(new_host_name())
        self._given = frozenset(name.lower() for name in names)

    def check_host(self, scope: Scope) -> None:
        """Refuse a request that was meant for another host.

        Raises:
            WebError: 421; 400 where ``Host`` is missing, except when something is read in HTTP/1.0 (by telnet, say).
        """
        named = Headers(scope=scope).getlist("host")
        if not named and scope["http_version"] == "1.0" and scope["method"] in _READING:
            return
        if len(named) != 1:
            raise WebError(400, "the request needs one Host header")
        if _host_of(scope) not in LOOPBACK_NAMES and not self.is_own_host(scope):
            raise WebError(421, "this gateway does not go by that host name; call it localhost")

    def check(self, scope: Scope) -> None:
        """Refuse a request that does not have the node's authority, by token or by session.

        Raises:
            WebError: 401; 403 for a session's request that another site has made.
        """
        if not self.has_token(scope):
            self.check_session(scope)

    def has_token(self, scope: Scope) -> bool:
        """Whether the request carries the node's token.

        Raises:
            WebError: 401, it carries another one.
        """
        given = Headers(scope=scope).get("authorization")
        if given is None:
            return False
        token = given[len(_BEARER) :].strip().encode("latin-1")
        if not given.lower().startswith(_BEARER) or not hmac.compare_digest(token, self._token):
            raise WebError(
                401,
                "this is not the node's token: send Authorization: Bearer <contents of private/api_token>",
                _UNAUTHORIZED,
            )
        return True

    def check_session(self, scope: Scope) -> Session:
        """Return the session that a browser's request belongs to.

        Raises:
            WebError: 401, to none; 403, it was not made by one of the gateway's own pages.
        """
        session = self.session(scope)
        if session is None:
            raise WebError(
                401,
                "this needs the node's token (Authorization: Bearer <contents of private/api_token>), or in a browser "
                "a session: run 'tahoe webopen'",
                _UNAUTHORIZED,
            )
        self._check_origin(scope)
        return session

    def is_own_host(self, scope: Scope) -> bool:
        """Whether a request calls the gateway by a name that no other server has."""
        host = _host_of(scope)
        return host == self.sessions.host or (scope["scheme"] == "https" and host in self._given)

    def session(self, scope: Scope) -> Session | None:
        """Return the session that a request's cookie names; who made the request is for ``check_session`` to see."""
        if not self.is_own_host(scope):
            return None
        try:
            morsel = SimpleCookie(Headers(scope=scope).get("cookie", "")).get(COOKIE)
        except CookieError:
            return None
        return None if morsel is None else self.sessions.find(morsel.value)

    def _check_origin(self, scope: Scope) -> None:
        """Refuse what another origin's page made the browser send, whatever cookies came along."""
        headers = Headers(scope=scope)
        reads = scope["method"] in _READING
        site = headers.get("sec-fetch-site")
        if site is not None:
            own = site in _OWN_SITES if reads else site == "same-origin"
        elif "origin" in headers:
            own = headers["origin"].lower() == f"{scope['scheme']}://{headers.get('host', '').lower()}"
        else:
            own = reads
        if not own:
            raise WebError(403, "this request does not come from one of the gateway's own pages")

    def with_authority(self, app: ASGIApp) -> ASGIApp:
        """Return ``app`` as it is for those who have the node's authority."""
        return _Guarded(self, app)


class _Guarded:
    """An application behind the node's authority."""

    def __init__(self, guard: Guard, app: ASGIApp) -> None:
        self._guard = guard
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._guard.check(scope)
        await self._app(scope, receive, send)


def _host_of(scope: Scope) -> str:
    return _without_port(Headers(scope=scope).get("host", "").strip().lower())


def _without_port(host: str) -> str:
    """Return ``name`` of ``name:port``; an IPv6 address keeps its brackets."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and (not name.startswith("[") or name.endswith("]")) else host
