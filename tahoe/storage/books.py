"""A store's books: what is kept, for whom, and how much each may.

They bring together the lease index, the accounts, what the operator allows, and what uploads under way have set aside for
whom. Stores report every share that comes, changes or goes, and ask before anything comes.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Lock
from typing import NamedTuple

from tahoe.codec.container import UPLOAD_OWNER
from tahoe.errors import BadConfiguration, Refused
from tahoe.policy.quota import UNLIMITED, Allowances, Member
from tahoe.protocol import Lease
from tahoe.storage.accounts import AccountBook
from tahoe.storage.allowances import read_allowances
from tahoe.storage.filesystem import FileSystem
from tahoe.storage.leaseindex import Entry, Kept, LeaseIndex, ShareName
from tahoe.storage.timekeeper import Timekeeper


class OwnedLease(Lease, frozen=True):
    """A lease as a client asks for it, with the owner number of the account that it is going to be for."""

    owner: int = UPLOAD_OWNER


def owner_of(lease: Lease) -> int:
    """The owner number that a lease is going to have."""
    return lease.owner if isinstance(lease, OwnedLease) else UPLOAD_OWNER


class OverQuota(Refused):
    """Somebody would keep more than this server lets him. Free space, ask its operator for more, or use another server."""

    def __init__(self, reason: str, over: int) -> None:
        super().__init__("over-quota", reason)
        self.args = (reason, over)
        self.over = over


class Usage(NamedTuple):
    """What an account keeps: bytes of containers, those set aside for uploads included, and shares."""

    bytes: int
    shares: int


@dataclass(slots=True)
class _Ration:
    allowances: Allowances
    is_free: bool


class Books:
    """The books of one store. May be used from several threads at once.

    Args:
        index: of all leases.
        filesystem: of the storage directory.

    Attributes:
        accounts: whose the owner numbers of leases are.
        clock: the server's own time.
        host: the node whose store this is; it keeps what it likes, unless its operator says otherwise.
    """

    def __init__(self, index: LeaseIndex, filesystem: FileSystem) -> None:
        self.index = index
        self.accounts = AccountBook(filesystem)
        self.clock = Timekeeper(filesystem)
        self.host = ""
        self._filesystem = filesystem
        self._lock = Lock()
        self._reserved: Counter[int] = Counter()
        self._ration = _Ration(Allowances(), is_free=True)

    @property
    def allowances(self) -> Allowances:
        """What the operator allows."""
        return self._ration.allowances

    def allow(self, allowances: Allowances) -> None:
        """Ration by these from now on."""
        if self.host:
            allowances = replace(allowances, members={self.host: Member(), **allowances.members})
        quotas = (allowances.pool, *(member.quota for member in allowances.members.values()))
        self._ration = _Ration(allowances, is_free=all(quota == UNLIMITED for quota in quotas))

    def refresh(self) -> None:
        """See what the operator allows now. A file that can't be read changes nothing."""
        with suppress(BadConfiguration, OSError):
            self.allow(read_allowances(self._filesystem))

    def reserve(self, owner: int, size: int) -> None:
        """Set bytes aside for an upload.

        Raises:
            OverQuota: it may not be.
        """
        with self._lock:
            self._check(owner, size)
            self._reserved[owner] += size

    def release(self, owner: int, size: int) -> None:
        """End what :meth:`reserve` began; what has come of it is in the index by now."""
        with self._lock:
            self._reserved[owner] -= size
            if not self._reserved[owner]:
                del self._reserved[owner]

    def check(self, owner: int, size: int) -> None:
        """Say whether an account may keep so many bytes more.

        Raises:
            OverQuota: no; with whose, how much and by how much.
        """
        with self._lock:
            self._check(owner, size)

    def enter(self, entry: Entry) -> None:
        """A share is as this says; leases of it that have ended while others last are charged to nobody."""
        self.index.put(entry.charged(self.clock.now) if self.clock.is_started else entry)

    def restored(self, name: ShareName) -> None:
        """A share has come back from the trash."""
        known = self.index.find(name)
        if known is not None:
            self.index.put(known._replace(discarded=0))

    def number_of(self, account: str) -> int:
        """The owner number of an account, which is given one durably if it has none. Errors are ``OSError``."""
        return self.accounts.number_of(account, max(self.index.owners(), default=0))

    def usage(self) -> dict[str, Usage]:
        """What every account keeps, by its name; what is nobody's under the empty one."""
        kept = self.index.owners()
        found: dict[str, Usage] = {}
        for owner in {**kept, **self._reserved}:
            share = kept.get(owner, Kept())
            name = self.accounts.name_of(owner)
            before = found.get(name, Usage(0, 0))
            found[name] = Usage(before.bytes + share.bytes + self._reserved[owner], before.shares + share.shares)
        return found

    def _bytes(self) -> dict[str, int]:
        return {name: usage.bytes for name, usage in self.usage().items()}

    def _check(self, owner: int, size: int) -> None:
        if self._ration.is_free:
            return
        excess = self.allowances.excess(self.accounts.name_of(owner), size, self._bytes())
        if excess is not None:
            raise OverQuota(str(excess), excess.over)
