"""In which manner contents are handed to browsers: under which name, as what, and shut in.

Stored content may be anybody's. It must neither run in the gateway's origin nor leak where it was read; so a browser
shows only kinds that can do nothing, shut in a sandbox, and saves all others.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

CONTENT_HEADERS: Final[Mapping[str, str]] = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

UNKNOWN_TYPE: Final = "application/octet-stream"
_TYPES: Final = mimetypes.MimeTypes()
"""What Python knows by itself: the machine's own tables would make answers differ from node to node."""

_SHOWN: Final = re.compile(
    r"text/(plain|csv|markdown)|image/(?!svg)[\w.+-]+|(audio|video)/[\w.+-]+|application/(pdf|json)"
)
"""Kinds that a browser may show; every other one could be active, and is saved."""

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Manner:
    """How contents are to be handed over.

    Args:
        name: of the file, from which its kind is guessed; empty if there is none.
        save: whether a browser should save it whatever it is.
    """

    name: str = ""
    save: bool = False

    @property
    def kind(self) -> str:
        """The media type that the name promises."""
        guessed, encoding = _TYPES.guess_type(f"file:{quote(self.name)}")
        return UNKNOWN_TYPE if guessed is None or encoding is not None else guessed

    def headers(self) -> dict[str, str]:
        """Return what an answer's head says of it."""
        kind = self.kind
        charset = "; charset=utf-8" if kind.startswith("text/") else ""
        headers = {"Content-Type": kind + charset}
        is_shown = not self.save and _SHOWN.fullmatch(kind)
        if self.save or self.name:
            headers["Content-Disposition"] = _disposition("inline" if is_shown else "attachment", self.name)
        return headers


def _disposition(how: str, name: str) -> str:
    """Return a ``Content-Disposition`` (RFC 6266). Nothing in a name can end the header or look like a path."""
    plain = _CONTROLS.sub("_", name).replace("/", "_").replace("\\", "_")
    if not plain:
        return how
    ascii_name = re.sub(r'[^ -~]|["%]', "_", plain)
    return f"{how}; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(plain, safe='', errors='replace')}"
