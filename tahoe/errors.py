"""The exception tree: what can go wrong, and what the caller should do about it.

Every class answers three questions in its docstring, which is also what a user reads: is it mine or
theirs, did it definitely not happen or may it have happened, and is it worth trying again. All of
them rebuild from their positional ``args`` (so they cross process and simulator boundaries), and none
ever carries a capability or a key.
"""

from __future__ import annotations


class TahoeError(Exception):
    """Something went wrong that the world, not a bug of ours, caused."""


class BadCapability(TahoeError):
    """The capability string can't be used: mistyped, of an unknown kind, or for another operation. Check it and try again."""


class ReadOnly(BadCapability):
    """The capability reads, and this takes one that writes. Ask whoever gave it to you for more."""


class BadConfiguration(TahoeError):
    """A configuration file, grid card or option can't be used. The message names the place and the remedy."""


class BadMessage(TahoeError):
    """Bytes from the network don't parse as a message of this version. Nothing was executed."""


class CorruptShare(TahoeError):
    """A share failed a hash check. Other shares may still give the file back; a repair replaces this one."""

    def __init__(self, server: str, share: int, reason: str = "") -> None:
        super().__init__(server, share, reason)
        self.server = server
        self.share = share
        self.reason = reason

    def __str__(self) -> str:
        return f"share {self.share} on server {self.server or '?'} is corrupt: {self.reason or 'a hash does not match'}"


class CorruptFile(TahoeError):
    """The shares agree with the capability but not with one another: whoever wrote the file wrote nonsense. Final."""


class Refused(TahoeError):
    """The other side says it did not do it. ``code`` is for programs, ``reason`` for people."""

    def __init__(self, code: str, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"refused ({self.code}): {self.reason}" if self.reason else f"refused ({self.code})"


class Unanswered(TahoeError):
    """No answer came in time: the request may or may not have been executed. Idempotent requests may be sent again."""

    def __init__(self, peer: str, seconds: float = 0.0, reason: str = "") -> None:
        super().__init__(peer, seconds, reason)
        self.peer = peer
        self.seconds = seconds
        self.reason = reason

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"{self.peer} did not answer within {self.seconds:g} s{why}"


class NotEnoughShares(TahoeError):
    """Fewer than k shares of the file could be reached. Wait for servers to come back; ``reasons`` tells server by server."""

    def __init__(self, found: int, needed: int, reasons: tuple[str, ...] = ()) -> None:
        super().__init__(found, needed, reasons)
        self.found = found
        self.needed = needed
        self.reasons = reasons

    def __str__(self) -> str:
        detail = "".join(f"\n  {reason}" for reason in self.reasons)
        return f"found {self.found} good shares, {self.needed} are needed{detail}"


class NotEnoughServers(TahoeError):
    """The upload could not be spread widely enough. Nothing was stored. Wait for servers, or lower ``happy``.

    Args:
        spread: the happiness that could be reached (size of the largest matching of shares to servers).
        happy: the happiness asked for.
        detail: what was found: servers, shares, matching, and why servers dropped out.
    """

    def __init__(self, spread: int, happy: int, detail: str = "") -> None:
        super().__init__(spread, happy, detail)
        self.spread = spread
        self.happy = happy
        self.detail = detail

    def __str__(self) -> str:
        tail = f": {self.detail}" if self.detail else ""
        return f"shares could be placed on {self.spread} servers, happiness {self.happy} is asked for{tail}"


class VersionMismatch(TahoeError):
    """The other side speaks no protocol version that we speak. Upgrade the older of the two."""


class NoSpace(TahoeError):
    """The disk or the configured limit has no room for this. Free space, raise the limit, or use another server."""


class StorageFailed(TahoeError):
    """The disk under a store failed (read-only, I/O error). See the node's log; the share was not stored."""


class Conflict(TahoeError):
    """Somebody else changed the same thing first; yours was not done. Look at what is there now, and decide anew."""


class ChildExists(Conflict):
    """The directory has a child of this name already, and it was not to be replaced. Nothing was changed."""


class NoSuchChild(TahoeError):
    """The directory has no child of this name. Look at what it has; names are told apart by case."""


class NoSuchRoot(TahoeError):
    """The grid has no root of this name, or nobody in reach knows it. See what ``tahoe vdrive list`` shows."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"there is no root named {self.name!r}, as far as anybody in reach knows"


class NotADirectory(TahoeError):
    """The path leads through something, or to something, that is no directory. Look at what is there."""


class Indefinite(TahoeError):
    """A change may have been made or not: too few servers said that they have it. Look, or make it again."""

    def __init__(self, taken: int, quorum: int, reasons: tuple[str, ...] = ()) -> None:
        super().__init__(taken, quorum, reasons)
        self.taken = taken
        self.quorum = quorum
        self.reasons = reasons

    def __str__(self) -> str:
        detail = "".join(f"\n  {reason}" for reason in self.reasons)
        return f"{self.taken} share positions are known to have the new version, {self.quorum} are needed{detail}"


class RolledBack(TahoeError):
    """These servers show an older version than was seen before: restored from a backup, or lying.

    Nothing was read. Ask their operators; what a server has lost the next writer or a repair brings back.
    """

    def __init__(self, seen: int, found: int, servers: tuple[str, ...] = ()) -> None:
        super().__init__(seen, found, servers)
        self.seen = seen
        self.found = found
        self.servers = servers

    def __str__(self) -> str:
        return f"version {self.seen} was seen before, but now there is only {self.found} (on {', '.join(self.servers)})"
