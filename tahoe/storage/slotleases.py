"""The leases on a share of a slot: the records of immutable containers, in a list that changes as a whole."""

from __future__ import annotations

import hmac

from tahoe.codec.container import RELEASED_OWNER, WRITTEN_VERSION, released, renewed, stored_secret
from tahoe.codec.container import Lease as LeaseRecord
from tahoe.codec.keys import LeaseSecrets
from tahoe.protocol import Lease
from tahoe.storage.store import LeaseFacts, check_secrets

Leases = tuple[LeaseRecord, ...]


def granted(lease: Lease, owner: int, expires: float) -> LeaseRecord:
    """The record of a lease that a client asks for; ``expires`` is seconds since the epoch.

    Raises:
        Refused: ``bad-request``: its secrets are none.
    """
    check_secrets(lease.renew_secret, lease.cancel_secret)
    return LeaseRecord.of(LeaseSecrets(lease.renew_secret, lease.cancel_secret), expires, owner=owner)


def with_lease(leases: Leases, wanted: LeaseRecord) -> Leases:
    """Add a lease, or move the expiry of the one with the same renewal secret forward (never back)."""
    for position, present in enumerate(leases):
        if hmac.compare_digest(present.renew, wanted.renew):
            return (*leases[:position], renewed(present, wanted), *leases[position + 1 :])
    return (*(present for present in leases if present.owner != RELEASED_OWNER), wanted)


def without_lease(leases: Leases, cancel_secret: bytes, now: float) -> Leases:
    """Remove the leases with this cancel secret (32 bytes); after the last the share is nobody's since ``now``."""
    stored = stored_secret(WRITTEN_VERSION, cancel_secret)
    others = tuple(lease for lease in leases if not hmac.compare_digest(lease.cancel, stored))
    if others == leases:
        return leases
    return tuple(lease for lease in others if lease.owner != RELEASED_OWNER) or (released(int(now)),)


def count_of(leases: Leases) -> int:
    """How many of these records are somebody's."""
    return sum(lease.owner != RELEASED_OWNER for lease in leases)


def ends_of(leases: Leases) -> dict[int, int]:
    """When the last lease of each owner ends (seconds since the epoch), by owner number."""
    ends: dict[int, int] = {}
    for lease in leases:
        ends[lease.owner] = max(ends.get(lease.owner, 0), lease.expires)
    return ends


def facts_of(leases: Leases) -> tuple[LeaseFacts, ...]:
    """Leases as a store tells them: those that are somebody's."""
    return tuple(
        LeaseFacts(lease.owner, lease.renew, lease.cancel, lease.expires)
        for lease in leases
        if lease.owner != RELEASED_OWNER
    )
