"""Templates and style made into answers: one environment, one set of headers for all pages.

A page may load our style sheet, our script and our pictures, send forms to us, and frame stored content that is
itself in a sandbox; its policy allows nothing else, so even a mistake in a template could not call out.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateNotFound
from starlette.requests import Request
from starlette.responses import Response

from tahoe.web.errors import WebError
from tahoe.web.pages import words

PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; media-src 'self'; "
        "frame-src 'self'; object-src 'none'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""``same-origin``: a form that is sent says where it comes from; nobody else is told."""

ASSETS: Final = ("style.css", "script.js", "icon.svg")
_ASSET_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "max-age=31536000, immutable"}


def page(template: str, context: Mapping[str, Any], status: int = 200) -> Response:
    """Return a page.

    Args:
        template: its file's name, without ``.html``.
        context: what the template speaks of.
        status: of the answer.
    """
    text = environment().get_template(f"{template}.html").render(context)
    return Response(text, status, headers=dict(PAGE_HEADERS), media_type="text/html")


def fragment(template: str, part: str, context: Mapping[str, Any]) -> Response:
    """Return the part of a page that a script brings up to date, a template of its own.

    Raises:
        WebError: 404, the page has no such part.
    """
    try:
        chosen = environment().get_template(f"{template}_{part}.html")
    except TemplateNotFound:
        raise WebError(404, "this page has no such part; load it again") from None
    return Response(chosen.render(context), headers=dict(PAGE_HEADERS), media_type="text/html")


async def asset(request: Request) -> Response:
    """Return the style sheet, the script or a picture. Their addresses change with their contents."""
    name = request.path_params["name"]
    if name not in ASSETS:
        raise WebError(404, "there is nothing here")
    kind = mimetypes.guess_type(name)[0]
    return Response(_content(name), headers=_ASSET_HEADERS, media_type=kind)


def asset_url(name: str) -> str:
    """Return where a page finds an asset."""
    return f"/assets/{name}?{hashlib.sha256(_content(name)).hexdigest()[:12]}"


@cache
def environment() -> Environment:
    """Return the templates and the words they may use."""
    made = Environment(
        loader=PackageLoader("tahoe.web.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["asset"] = cache(asset_url)
    for word in (
        words.size,
        words.span,
        words.ago,
        words.latency,
        words.date,
        words.machine_date,
        words.many,
        words.listed,
        words.probability,
        words.power_of_ten,
        words.number,
        words.one_in,
        words.short,
    ):
        made.filters[word.__name__] = word
    return made


@cache
def _content(name: str) -> bytes:
    return (files("tahoe.web.pages") / "static" / name).read_bytes()
