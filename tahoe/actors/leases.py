"""The lease secrets of one file, for whichever servers hold its shares."""

from __future__ import annotations

from tahoe.codec.keys import (
    bucket_cancel_secret,
    bucket_renewal_secret,
    client_cancel_secret,
    client_renewal_secret,
    file_cancel_secret,
    file_renewal_secret,
)
from tahoe.protocol import Lease


class FileLeases:
    """Derives a lease per server; what all servers have in common is derived once.

    Args:
        master: the client's lease master secret.
        storage_index: of the file, 16 bytes.
    """

    __slots__ = ("_cancel", "_renew")

    def __init__(self, master: bytes, storage_index: bytes) -> None:
        self._renew = file_renewal_secret(client_renewal_secret(master), storage_index)
        self._cancel = file_cancel_secret(client_cancel_secret(master), storage_index)

    def on(self, lease_seed: bytes) -> Lease:
        """The lease on the server with this 20-byte seed."""
        return Lease(bucket_renewal_secret(self._renew, lease_seed), bucket_cancel_secret(self._cancel, lease_seed))
