"""What went wrong, as an HTTP answer: a status, a text that names the remedy, and never a capability.

Programs that accept JSON get problem details (RFC 9457) with one more member: ``kind``, the name of the error's class.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response

from tahoe import errors
from tahoe.codec.directory import BadName, CorruptDirectory

if TYPE_CHECKING:
    from starlette.types import Scope

STATUS_OF: Final[Mapping[type[errors.TahoeError], int]] = MappingProxyType(
    {
        errors.ReadOnly: 403,
        errors.BadCapability: 400,
        errors.BadMessage: 400,
        BadName: 400,
        errors.NoSuchChild: 404,
        errors.NoSuchRoot: 404,
        errors.Conflict: 409,
        errors.NotADirectory: 409,
        errors.NotEnoughShares: 410,
        errors.CorruptFile: 410,
        CorruptDirectory: 410,
        errors.NotEnoughServers: 503,
        errors.RolledBack: 503,
        errors.BadConfiguration: 503,
        errors.StorageFailed: 503,
        errors.VersionMismatch: 502,
        errors.Refused: 502,
        errors.Unanswered: 504,
        errors.Indefinite: 504,
        errors.NoSpace: 507,
    }
)
"""410 Gone for a file whose shares are out of reach is what Tahoe-LAFS answers, and what its users' scripts look for."""

READING: Final = frozenset({"GET", "HEAD"})
BUG: Final = "the gateway failed; the node's logs/node.log says more"
_CAPABILITY: Final = re.compile(r"URI(?::|%3A)[\w:%.-]*", re.IGNORECASE)


class WebError(Exception):
    """A request that can't be served; ``text`` is for people. Positional: status, text, further headers."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(status, text, headers)
        self.status = status
        self.text = text
        self.headers = headers


class ClientGone(Exception):
    """The other end of the connection went away. Nobody is left to be answered."""


def response_to(error: Exception, scope: Scope) -> Response:
    """Return the answer to a request that ended in ``error``, in the form that it accepts."""
    status, text = status_of(error, scope["method"]), text_of(error)
    headers = dict(error.headers) if isinstance(error, WebError) else {}
    if not prefers_json(Headers(scope=scope).get("accept", "")):
        return PlainTextResponse(text + "\n", status, headers=headers)
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": text,
        "kind": type(error).__name__ if isinstance(error, WebError | errors.TahoeError) else "Bug",
    }
    return Response(msgspec.json.encode(problem), status, headers=headers, media_type="application/problem+json")


def prefers_json(accept: str) -> bool:
    """Whether an ``Accept`` header names JSON, and plain text no more than that."""
    wanted = {
        kind.strip().lower(): _weight(rest) for kind, _, rest in (each.partition(";") for each in accept.split(","))
    }
    most = max((weight for kind, weight in wanted.items() if kind.endswith("json")), default=0.0)
    return most > 0 and most >= wanted.get("text/plain", 0.0)


def _weight(parameters: str) -> float:
    """The ``q`` of a media range (RFC 9110, 12.4.2): one that says none, or nonsense, counts fully."""
    match = re.search(r"(?:^|;)\s*q=([01](?:\.\d{0,3})?)\s*(?:;|$)", parameters, re.IGNORECASE)
    return float(match[1]) if match else 1.0


def status_of(error: Exception, method: str = "GET") -> int:
    """Return the HTTP status for an error; a path that leads through a file names, for a reader, nothing."""
    if isinstance(error, WebError):
        return error.status
    if isinstance(error, errors.NotADirectory) and method in READING:
        return 404
    return next((status for kind, status in STATUS_OF.items() if isinstance(error, kind)), 500)


def text_of(error: Exception) -> str:
    """Return what a person may be told of an error, without a capability."""
    if isinstance(error, WebError):
        return without_capabilities(error.text)
    if isinstance(error, errors.TahoeError):
        return without_capabilities(str(error) or type(error).__name__)
    return BUG


def account_of(error: Exception) -> dict[str, Any]:
    """Return what a log may say of an error. Of a bug only what and where: its own words may quote anything."""
    if isinstance(error, errors.TahoeError):
        return {"error": without_capabilities(str(error))}
    return {"error": type(error).__name__, "at": "".join(traceback.format_tb(error.__traceback__))}


def without_capabilities(text: str) -> str:
    """Return ``text`` with every capability cut down to ``URI:...``."""
    return _CAPABILITY.sub("URI:...", text)
