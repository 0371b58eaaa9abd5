"""What the gateway says of itself and of its node: status, and the welcome of those who come without a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import PlainTextResponse

from tahoe.web.calls import Call, json_answer

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_WELCOME: Final = """\
This is the gateway of a tahoe node. Pages for people: run 'tahoe webopen'. For programs:

  GET /uri/CAP[/name/name]      a file or directory, by its capability
  PUT /uri                      store a file; the answer is its capability
  GET /vdrive/private/name      the node's own drive; /vdrive/global is the grid's
  GET /status                   what the node knows of its grid
  GET /openapi.json             all that can be asked for

All but the first need the node's token: Authorization: Bearer <contents of private/api_token>.
"""


async def welcome(_call: Call) -> ASGIApp:
    """Say what this is."""
    return PlainTextResponse(_WELCOME)


async def status(call: Call) -> ASGIApp:
    """Tell what the node knows of itself and its grid."""
    return json_answer(await call.services.status())
