"""Where pages are: a place of the grid, and the address under which this browser sees it.

::

    /drive/NAME/name/name      below a root of the grid, or the node's own; may be bookmarked
    /d/HANDLE/name/name        below a capability that was handed in by a form; worth nothing outside this session

Names may stand in an address bar; capabilities may not, since histories, screen shots and people nearby read it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from tahoe.codec.capability import Capability
from tahoe.web.errors import WebError
from tahoe.web.places import PRIVATE_ROOT, Place, place_of
from tahoe.web.sessions import Session

if TYPE_CHECKING:
    from starlette.types import Scope

DRIVE_TITLES: Final = {PRIVATE_ROOT: "Private drive", "global": "Global drive"}


class Crumb(NamedTuple):
    """A step on the way to a place."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Spot:
    """A place and its address.

    Args:
        base: the address of where it starts, without a slash at the end.
        place: what the pages there are about.
        below: names from the start of the address to the place.
    """

    base: str
    place: Place
    below: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The address."""
        return "/".join([self.base, *(quote(name, safe="") for name in self.below)])

    @property
    def title(self) -> str:
        """What the place is called."""
        if self.below:
            return self.below[-1]
        start = self.place.start
        return DRIVE_TITLES.get(start, start) if isinstance(start, str) else "Opened by capability"

    @property
    def path(self) -> str:
        """The names, for a person."""
        return "/".join(self.below)

    @property
    def parent(self) -> Spot:
        """One name up."""
        return replace(self, place=self.place.parent, below=self.below[:-1])

    def child(self, name: str) -> Spot:
        """One name down."""
        return self.descend((name,))

    def descend(self, names: Iterable[str]) -> Spot:
        """Several names down."""
        way = tuple(names)
        return replace(self, place=self.place.child(*way), below=(*self.below, *way))

    def crumbs(self) -> list[Crumb]:
        """The steps from the start to here."""
        steps = [self]
        while steps[-1].below:
            steps.append(steps[-1].parent)
        return [Crumb(step.title, step.url) for step in reversed(steps)]


def drive(name: str) -> Spot:
    """Return where a root's pages are."""
    return Spot(f"/drive/{quote(name, safe='')}", Place(name))


def opened(session: Session, cap: Capability) -> Spot:
    """Return where the pages of a capability are, in one session."""
    place = Place(cap)
    return Spot(f"/d/{session.handle(place)}", place)


def spot_of(scope: Scope, session: Session) -> Spot:
    """Return the spot that a request is about.

    Raises:
        WebError: 410, the address is of another session; 400, a name in it is impossible.
    """
    named = place_of(scope)
    assert isinstance(named.start, str)
    if scope["path"].startswith("/drive/"):
        return Spot(drive(named.start).base, named, named.path)
    known = session.place(named.start)
    if known is None:
        raise WebError(
            410, "This address was made for an earlier session. Open the capability again, on the first page."
        )
    return Spot(f"/d/{named.start}", known.child(*named.path), named.path)
