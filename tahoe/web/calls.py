"""One request as an endpoint sees it: services, query, headers, body, and the place that it is about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qsl

import msgspec
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response

from tahoe.actors.edits import Replace
from tahoe.web.errors import WebError
from tahoe.web.places import Place, place_of
from tahoe.web.services import Services
from tahoe.web.spool import Body

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope

    from tahoe.web.multipart import Form

MOST_JSON: Final = 32 << 20
"""Bytes of a body that is read whole: names and capabilities of some 100,000 children."""

_YES: Final = frozenset({"true", "t", "1", "on", "yes"})
_NO: Final = frozenset({"false", "f", "0", "off", "no", ""})


class Call:
    """One request.

    Args:
        services: of the gateway.
        scope: the ASGI scope.
        receive: brings the body.

    Attributes:
        form: what has been read of a form with files, once somebody has begun to.
    """

    def __init__(self, services: Services, scope: Scope, receive: Receive) -> None:
        self.services = services
        self.scope = scope
        self.receive = receive
        self.form: Form | None = None

    @cached_property
    def headers(self) -> Headers:
        """The request's headers."""
        return Headers(scope=self.scope)

    @cached_property
    def query(self) -> Mapping[str, str]:
        """The query's parameters; of one that stands twice, the last.

        Raises:
            WebError: 400, it is not UTF-8.
        """
        return parameters(self.scope["query_string"])

    @cached_property
    def place(self) -> Place:
        """The place that the path names."""
        return place_of(self.scope)

    @cached_property
    def body(self) -> Body:
        """The body, read as it is asked for."""
        return Body(self.receive)

    async def whole_body(self, most: int = MOST_JSON) -> bytes:
        """Return the body.

        Raises:
            WebError: 413, it is longer than ``most`` bytes.
        """
        body = await self.body.read(most + 1)
        if len(body) > most:
            raise WebError(413, f"the body may have {most} bytes here", {"Connection": "close"})
        return body

    async def json(self, of_nothing: Any = None) -> Any:
        """Return what the body says as JSON, or ``of_nothing`` if that is given and the body is empty.

        Raises:
            WebError: 400, it is none; 413.
        """
        body = await self.whole_body()
        if not body and of_nothing is not None:
            return of_nothing
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise WebError(400, f"the body is no JSON: {error}") from None

    # --- parameters -----------------------------------------------------------------------------------------

    def needed(self, name: str) -> str:
        """Return a parameter that has to be there.

        Raises:
            WebError: 400, it is not.
        """
        if not self.query.get(name):
            raise WebError(400, f"this needs the parameter {name}=")
        return self.query[name]

    def flag(self, name: str) -> bool:
        """Return a parameter that is true or false (the default).

        Raises:
            WebError: 400, it is neither.
        """
        text = self.query.get(name, "").lower()
        if text not in _YES | _NO:
            raise WebError(400, f"{name} is true or false")
        return text in _YES

    def number(self, name: str) -> int | None:
        """Return a parameter that is a count of bytes; None without it.

        Raises:
            WebError: 400, it is no such number.
        """
        text = self.query.get(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise WebError(400, f"{name} is a number of bytes")
        return int(text)

    @property
    def replace(self) -> Replace:
        """What may be replaced: ``replace=true`` (the default), ``false`` or ``only-files``; ``overwrite=`` is the same.

        Raises:
            WebError: 400, it says something else.
        """
        text = self.query.get("replace", self.query.get("overwrite", "true")).lower()
        if text == "only-files":
            return Replace.ONLY_FILES
        if text not in _YES | _NO:
            raise WebError(400, "replace is true, false or only-files")
        return Replace.ALWAYS if text in _YES else Replace.NEVER

    @property
    def convergence(self) -> bytes | None:
        """The convergence secret to be used: the node's, or with ``convergence=none`` none (a random key).

        Raises:
            WebError: 400, it says something else.
        """
        wanted = self.query.get("convergence", "node")
        if wanted not in {"none", "node"}:
            raise WebError(400, "convergence is none (a random key) or node (the node's secret, the default)")
        return None if wanted == "none" else self.services.keeping.convergence


def parameters(encoded: bytes) -> dict[str, str]:
    """Return the parameters of a query, or the fields of a form that is encoded like one.

    Raises:
        WebError: 400, it is not UTF-8.
    """
    try:
        return dict(parse_qsl(encoded.decode("latin-1"), keep_blank_values=True, errors="strict"))
    except ValueError:
        raise WebError(400, "the query is not percent-encoded UTF-8") from None


Endpoint: TypeAlias = Callable[[Call], Awaitable["ASGIApp"]]
"""Does what a request wants and returns the answer."""


def text_answer(text: object, status: int = 200) -> Response:
    """Return one line of text, which may be a capability: nobody keeps it."""
    return PlainTextResponse(f"{text}\n", status, headers=NOT_KEPT)


def json_answer(value: Any, status: int = 200) -> Response:
    """Return a value as JSON."""
    return Response(msgspec.json.encode(value), status, headers=NOT_KEPT, media_type="application/json")


NOT_KEPT: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
