"""What a node says of itself: the signed announcement, made anew when a fact has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from tahoe import __version__
from tahoe.protocol import PROTOCOL_VERSIONS, Announcement, Role, Space
from tahoe.session.identity import Identity
from tahoe.session.statement import sign_announcement

NOTICEABLE: Final = 0.02
"""Free space is announced anew when it has changed by this part of the capacity; clients ask before they store."""

_NO_SPACE: Final = Space(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Profile:
    """What does not change while a node runs."""

    roles: tuple[Role, ...]
    nickname: str
    location: str
    epoch: int


class Herald:
    """Keeps a node's announcement.

    Args:
        identity: that signs it.
        profile: what stays.
        space: tells the room on the node's storage; must not block.
        leaves: tells whether the node is about to leave.
    """

    def __init__(
        self,
        identity: Identity,
        profile: Profile,
        space: Callable[[], Space] = lambda: _NO_SPACE,
        leaves: Callable[[], bool] = lambda: False,
    ) -> None:
        self._identity = identity
        self._space = space
        self._leaves = leaves
        self._current = Announcement(
            node=identity.node,
            exchange_key=identity.exchange_public,
            roles=profile.roles,
            nickname=profile.nickname,
            location=profile.location,
            capacity=-1,  # no space has been seen yet, so the first call signs
            available=0,
            protocol_versions=PROTOCOL_VERSIONS,
            software=f"tahoe-grid/{__version__}",
            epoch=profile.epoch,
            sequence=0,
        )
        self._signed = b""

    def announcement(self) -> bytes:
        """The signed announcement as of now; the same bytes while nothing noticeable has changed."""
        space, leaves = self._space(), self._leaves()
        if leaves != self._current.leaving or self._has_changed(space):
            self._current = msgspec.structs.replace(
                self._current,
                capacity=space.capacity,
                available=space.available,
                leaving=leaves,
                sequence=self._current.sequence + 1,
            )
            self._signed = sign_announcement(self._identity, self._current)
        return self._signed

    def _has_changed(self, space: Space) -> bool:
        known = self._current
        if space.capacity != known.capacity or (space.available == 0) != (known.available == 0):
            return True
        return abs(space.available - known.available) > NOTICEABLE * space.capacity
