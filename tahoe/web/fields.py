"""Parameters of a POST that stand in a form instead of the query, as Tahoe-LAFS takes them from web pages and scripts.

``curl -F t=upload -F file=@x URL`` means what ``curl -F file=@x "URL?t=upload"`` does. Files are taken in as they come, so
a field counts only if it stands before the first of them.
"""

from __future__ import annotations

from typing import Final

from tahoe.web.calls import Call, parameters
from tahoe.web.multipart import fields_before_files

MOST_BYTES: Final = 1 << 18
"""Of a form without files."""

FORMS: Final = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


def has_form(call: Call) -> bool:
    """Whether a request brings a form."""
    return _kind(call) in FORMS


async def take_fields(call: Call) -> None:
    """Take the fields of a form as parameters; those of the query count more.

    Raises:
        WebError: 400, the form can't be read; 413, it is too long.
    """
    if _kind(call) == "multipart/form-data":
        fields = await fields_before_files(call)
    else:
        fields = parameters(await call.whole_body(MOST_BYTES))
    call.query = {**fields, **call.query}


def _kind(call: Call) -> str:
    return call.headers.get("content-type", "").partition(";")[0].strip().lower()
