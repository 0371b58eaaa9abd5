"""What can be chosen about sessions: sizes, memory, rates, patience; and what lets a node into a grid."""

from __future__ import annotations

from typing import Final

import msgspec

from tahoe.errors import BadConfiguration
from tahoe.protocol import DEFAULT_MESSAGE_BYTES

JOIN_SECRET_BYTES: Final = 32
SMALLEST_MESSAGE_BYTES: Final = 16 * 1024
"""A handshake with the longest announcement fits, with room to spare."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits and patience of one node's sessions. Sizes are bytes, times seconds, rates bytes per second.

    Attributes:
        sealed: packets are bytes, encrypted; False only inside the simulator, which then hands over
            objects with the size that the bytes would have had.
        message_bytes: largest packet, everything included. Larger messages are refused before they leave.
        bulk_bytes: packets of more than this travel in the bulk channel, so that they don't hold up small ones.
        receive_budget: memory for what others send unasked, divided among active senders, and once more
            for answers that are expected.
        first_window: bytes a fresh session may send before any grant.
        answers_kept: answers of requests that must not run twice, per peer; beyond it new work is refused.
        answer_bytes_kept: the same for all peers together, in bytes.
        asks_open: asks per peer that may be open at once, waiting for credit or a session included; beyond it
            they are refused. As many tells may wait.
        half_open: conversations that strangers with the join secret have begun and not confirmed.
        upload_rate: most bytes per second sent, 0 for no limit.
        download_rate: most bytes per second received on average, 0 for no limit.
        shortest_retransmission: wait at least this long for an answer before asking again.
        longest_retransmission: and at most this long, however often it was asked.
        first_retransmission: the wait before anything is known of a peer's round trip.
    """

    sealed: bool = True
    message_bytes: int = DEFAULT_MESSAGE_BYTES
    bulk_bytes: int = 16 * 1024
    receive_budget: int = 64 * 1024 * 1024
    first_window: int = 64 * 1024
    answers_kept: int = 1024
    answer_bytes_kept: int = 16 * 1024 * 1024
    asks_open: int = 4096
    half_open: int = 1024
    upload_rate: int = 0
    download_rate: int = 0
    shortest_retransmission: float = 0.5
    longest_retransmission: float = 16.0
    first_retransmission: float = 1.0

    def __post_init__(self) -> None:
        if self.message_bytes < SMALLEST_MESSAGE_BYTES:
            raise BadConfiguration(f"message_bytes must be at least {SMALLEST_MESSAGE_BYTES}")
        if self.receive_budget < 2 * self.message_bytes:
            raise BadConfiguration("receive_budget must hold at least two messages")
        if not 0 < self.shortest_retransmission <= self.first_retransmission <= self.longest_retransmission:
            raise BadConfiguration("retransmission times must be positive and ordered")
        if min(self.upload_rate, self.download_rate) < 0:
            raise BadConfiguration("a rate is 0 (no limit) or positive")


class GridAccess(msgspec.Struct, frozen=True):
    """Which grid, and the secret without which nobody gets through a handshake."""

    grid_id: str
    join_secret: bytes

    def __post_init__(self) -> None:
        if len(self.join_secret) != JOIN_SECRET_BYTES:
            raise BadConfiguration(f"a join secret has {JOIN_SECRET_BYTES} bytes, not {len(self.join_secret)}")

    def __repr__(self) -> str:
        return f"GridAccess({self.grid_id})"
