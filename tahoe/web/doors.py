"""Letting browsers in: the endpoints behind ``tahoe webopen``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse

from tahoe.web.calls import NOT_KEPT, Call, json_answer, text_answer
from tahoe.web.errors import WebError
from tahoe.web.sessions import CODE_SECONDS, COOKIE

if TYPE_CHECKING:
    from starlette.types import ASGIApp


async def invite(call: Call) -> ASGIApp:
    """Give an address that lets one browser in, once, within a minute."""
    guard = call.services.guard
    if not guard.has_token(call.scope):
        raise WebError(403, "only who has the node's token can let a browser in")
    code = guard.sessions.invite()
    return json_answer({"url": f"{_own_origin(call)}/session?code={code}", "seconds": CODE_SECONDS}, 201)


def _own_origin(call: Call) -> str:
    """Return the gateway's origin under a name that is nobody else's, on the port that this request came to."""
    asked = call.headers.get("host", "")
    if call.services.guard.is_own_host(call.scope):
        return f"{call.scope['scheme']}://{asked}"
    _, colon, port = asked.rpartition(":")
    own = call.services.guard.sessions.host
    return f"{call.scope['scheme']}://{own}{colon}{port}" if port.isdigit() else f"{call.scope['scheme']}://{own}"


async def enter(call: Call) -> ASGIApp:
    """Take a code and give a session's cookie for it, then send the browser to the welcome page."""
    sessions = call.services.guard.sessions
    if not call.services.guard.is_own_host(call.scope):
        raise WebError(421, "a session counts only under the node's own host name; run 'tahoe webopen' again")
    cookie = sessions.admit(call.needed("code"))
    if cookie is None:
        raise WebError(403, "this code is unknown, used, or older than a minute; run 'tahoe webopen' again")
    answer = RedirectResponse("/", 303, headers=NOT_KEPT)
    is_secure = call.scope["scheme"] == "https"
    answer.set_cookie(COOKIE, cookie, path="/", secure=is_secure, httponly=True, samesite="strict")
    return answer


async def leave(call: Call) -> ASGIApp:
    """End the session that the request belongs to."""
    call.services.guard.sessions.end(call.services.guard.check_session(call.scope))
    answer = text_answer("the session is over")
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return answer
