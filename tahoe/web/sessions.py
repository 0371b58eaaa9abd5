"""Browsers' sessions: how a page gets the node's authority without ever knowing the node's token.

::

    tahoe webopen ── token ──► POST /session ──► one-time code
    browser ───────── GET /session?code=... ──► cookie, and a redirect to the welcome page

The code works once and only for a minute, so it does no harm in a browser's history; the cookie is out of reach
of scripts. A session also keeps *handles*: pages name a place of the grid by one, because its capability
must not stand in an address bar.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from tahoe.web.places import Place

COOKIE: Final = "tahoe_session"
CODE_SECONDS: Final = 60.0
IDLE_SECONDS: Final = 7 * 86400.0
"""A session nobody has used for so long is over."""

MOST_SESSIONS: Final = 64
MOST_CODES: Final = 16
MOST_HANDLES: Final = 10_000
SECRET_BYTES: Final = 24


class Session:
    """One browser that was let in. ``used`` is when it last came, in monotonic seconds."""

    def __init__(self, used: float) -> None:
        self.used = used
        self._places: OrderedDict[str, Place] = OrderedDict()
        self._handles: dict[Place, str] = {}

    def handle(self, place: Place) -> str:
        """Return a handle for a place, the same one for the same place."""
        handle = self._handles.get(place) or secrets.token_urlsafe(SECRET_BYTES)
        self._handles[place] = handle
        self._places[handle] = place
        self._places.move_to_end(handle)
        if len(self._places) > MOST_HANDLES:
            _, oldest = self._places.popitem(last=False)
            del self._handles[oldest]
        return handle

    def place(self, handle: str) -> Place | None:
        """Return what a handle of this session stands for."""
        return self._places.get(handle)


class Sessions:
    """All sessions of a node, in memory: they end with it.

    Args:
        host: the host name of the node's own under which cookies count; no other local server has it.
        now: monotonic seconds.
    """

    def __init__(self, host: str, now: Callable[[], float] = time.monotonic) -> None:
        self.host = host
        self._now = now
        self._codes: OrderedDict[str, float] = OrderedDict()
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def invite(self) -> str:
        """Return a code that lets one browser in, once, within a minute."""
        code = secrets.token_urlsafe(SECRET_BYTES)
        self._codes[code] = self._now() + CODE_SECONDS
        while len(self._codes) > MOST_CODES:
            self._codes.popitem(last=False)
        return code

    def admit(self, code: str) -> str | None:
        """Return the cookie of a new session for a code; None if the code is unknown, used or too old."""
        expiry = self._codes.pop(code, None)
        if expiry is None or expiry < self._now():
            return None
        cookie = secrets.token_urlsafe(SECRET_BYTES)
        self._sessions[cookie] = Session(self._now())
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return cookie

    def find(self, cookie: str) -> Session | None:
        """Return the session with this cookie, if it is not over."""
        session = self._sessions.get(cookie)
        if session is None:
            return None
        if self._now() - session.used > IDLE_SECONDS:
            del self._sessions[cookie]
            return None
        session.used = self._now()
        self._sessions.move_to_end(cookie)
        return session

    def end(self, session: Session) -> None:
        """Let a browser in no more."""
        self._sessions = OrderedDict((cookie, each) for cookie, each in self._sessions.items() if each is not session)


def new_host_name() -> str:
    """Return a host name that leads to this machine and that nobody else's pages have."""
    return f"tahoe-{secrets.token_hex(8)}.localhost"
