"""Named roots over HTTP: which there are, and publishing statements of the grid's owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tahoe.actors.roots import LONGEST_STATEMENT, ROOT_PREFIX
from tahoe.session.statement import open_statement
from tahoe.web.calls import Call, json_answer
from tahoe.web.errors import WebError
from tahoe.web.places import PRIVATE_ROOT

if TYPE_CHECKING:
    from starlette.types import ASGIApp

REFRESH: Final = "refresh"


async def list_roots(call: Call) -> ASGIApp:
    """Tell which roots are known; ``refresh=true`` asks the vdrives first."""
    roots = call.services.client.roots
    answered = await roots.refresh() if call.flag(REFRESH) else ()
    known = {
        name: {"writable": cap.writeable, "sequence": roots.book.sequence(name)}
        for name, cap in (await roots.known()).items()
    }
    return json_answer({"roots": {**known, PRIVATE_ROOT: {"writable": True}}, "vdrives_answered": list(answered)})


async def publish(call: Call) -> ASGIApp:
    """Spread a statement that the grid key has signed about this root."""
    signed = await call.whole_body(LONGEST_STATEMENT)
    roots = call.services.client.roots
    name = str(call.place.start)
    statement = open_statement(call.services.client.membership.ledger.grid_public_key, signed)
    if statement.name != ROOT_PREFIX + name or call.place.path:
        raise WebError(400, f"the statement is not about a root named {name!r}")
    if statement.sequence <= roots.book.sequence(name):
        raise WebError(
            409, f"statement {roots.book.sequence(name)} about this root is known; a newer one needs a higher number"
        )
    answered = await roots.publish(signed)
    return json_answer({"root": name, "sequence": statement.sequence, "vdrives": list(answered)})
