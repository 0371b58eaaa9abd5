"""Who may keep how much on a storage server.

Identities are free: whoever is in the grid can make another node. So a quota for everybody would limit nobody, and all
whom the operator has not named share *one* pool. Those he has named have a quota each. Named roots of the grid are an
account of their own, and so is nobody: leases from before accounts were kept, which count in the pool.

What an account keeps are all shares on which it has a lease, be they others' as well; what its uploads under way have set
aside counts, too. A renewal takes nothing that was not there, and is never refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tahoe.session.delegation import ROOTS_ACCOUNT

UNLIMITED: Final = -1

ROOTS: Final = ROOTS_ACCOUNT
"""The account of the grid's named roots; without a quota of its own it has no limit."""

NOBODY: Final = ""
"""Whose leases are that have no account."""


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody whom the operator has named: bytes that he may keep, and the nodes that are his (none: a node itself)."""

    quota: int = UNLIMITED
    nodes: tuple[str, ...] = ()


class Excess(NamedTuple):
    """A quota that would be exceeded: whose, how much is kept and set aside, how much may be, how much is too much."""

    account: str
    kept: int
    quota: int
    over: int

    def __str__(self) -> str:
        whose = f"account {self.account}" if self.account else "the common pool of those whom this server does not know"
        return f"{whose} keeps {self.kept} of {self.quota} bytes here; this is {self.over} bytes too much"


@dataclass(frozen=True, slots=True)
class Allowances:
    """What the operator allows.

    Args:
        members: by the names of their accounts.
        pool: bytes that all others may keep together.
    """

    members: Mapping[str, Member] = field(default_factory=dict)
    pool: int = UNLIMITED

    def account_of(self, node: str) -> str:
        """The account of a node: of the member whose it is, or its own."""
        for name, member in self.members.items():
            if node in member.nodes:
                return name
        return node

    def is_pooled(self, account: str) -> bool:
        """Whether an account has no quota of its own."""
        return account not in self.members and account != ROOTS

    def quota_of(self, account: str) -> int:
        """Bytes that an account may keep; for one without a quota of its own, those of the pool."""
        if self.is_pooled(account):
            return self.pool
        return self.members.get(account, Member()).quota

    def kept(self, account: str, usage: Mapping[str, int]) -> int:
        """Bytes that count against the quota of an account, of the usage by account."""
        if self.is_pooled(account):
            return sum(size for name, size in usage.items() if self.is_pooled(name))
        return usage.get(account, 0)

    def excess(self, account: str, wanted: int, usage: Mapping[str, int]) -> Excess | None:
        """Whether so many bytes more would be too much.

        Args:
            account: whose they would be.
            wanted: bytes; with none, nothing is too much.
            usage: bytes kept and set aside, by account.
        """
        quota = self.quota_of(account)
        if wanted <= 0 or quota == UNLIMITED:
            return None
        kept = self.kept(account, usage)
        over = kept + wanted - quota
        return Excess("" if self.is_pooled(account) else account, kept, quota, over) if over > 0 else None
