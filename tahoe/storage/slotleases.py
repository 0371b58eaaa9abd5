"""The leases on a share of a slot: the records of immutable containers, in a list that changes as a whole."""

from __future__ import annotations

import hmac
from dataclasses import replace

from tahoe.codec.container import WRITTEN_VERSION, stored_secret
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
            renewed = replace(present, expires=max(present.expires, wanted.expires))
            return (*leases[:position], renewed, *leases[position + 1 :])
    return (*leases, wanted)


def without_lease(leases: Leases, cancel_secret: bytes) -> Leases:
    """Remove the leases with this cancel secret (32 bytes)."""
    stored = stored_secret(WRITTEN_VERSION, cancel_secret)
    return tuple(lease for lease in leases if not hmac.compare_digest(lease.cancel, stored))


def facts_of(leases: Leases) -> tuple[LeaseFacts, ...]:
    """Leases as a store tells them."""
    return tuple(LeaseFacts(lease.owner, lease.renew, lease.cancel, lease.expires) for lease in leases)
