"""What went wrong, as an HTTP answer: a status, one text that names the remedy, and never a capability."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from starlette.responses import PlainTextResponse

from tahoe import errors

STATUS_OF: Final[Mapping[type[errors.TahoeError], int]] = MappingProxyType(
    {
        errors.BadCapability: 400,
        errors.NotEnoughShares: 410,
        errors.CorruptFile: 410,
        errors.NotEnoughServers: 503,
        errors.StorageFailed: 503,
        errors.VersionMismatch: 502,
        errors.Refused: 502,
        errors.Unanswered: 504,
        errors.NoSpace: 507,
    }
)
"""410 Gone for a file whose shares are out of reach is what Tahoe-LAFS answers, and what its users' scripts look for."""

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


def response_to(error: Exception) -> PlainTextResponse:
    """Return the answer to a request that ended in ``error``."""
    if isinstance(error, WebError):
        return _text(error.status, error.text, error.headers)
    if isinstance(error, errors.TahoeError):
        status = next((status for kind, status in STATUS_OF.items() if isinstance(error, kind)), 500)
        return _text(status, str(error) or type(error).__name__)
    return _text(500, "the gateway failed; the node's logs/node.log says more")


def account_of(error: Exception) -> dict[str, str]:
    """Return what a log may say of an error. Of a bug only what and where: its own words may quote anything."""
    if isinstance(error, errors.TahoeError):
        return {"error": without_capabilities(str(error))}
    return {"error": type(error).__name__, "at": "".join(traceback.format_tb(error.__traceback__))}


def without_capabilities(text: str) -> str:
    """Return ``text`` with every capability cut down to ``URI:...``."""
    return _CAPABILITY.sub("URI:...", text)


def _text(status: int, text: str, headers: Mapping[str, str] = MappingProxyType({})) -> PlainTextResponse:
    return PlainTextResponse(without_capabilities(text) + "\n", status, headers=dict(headers))
