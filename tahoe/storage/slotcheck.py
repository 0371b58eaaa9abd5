"""Whether a share of a slot is sound inside: every block against its leaf, the leaves against the signed root.

A share may be large and may change at any moment. So it is read in stretches, each under the slot's lock, and
from the start again if it has changed in between; one that never stands still is locked in the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tahoe.codec.slot import SALT_SIZE, block_leaf
from tahoe.errors import CorruptShare
from tahoe.storage.slots import SlotHead, SlotStore
from tahoe.storage.slottree import root_of_leaves
from tahoe.storage.store import Verdict

STRETCH: Final = 2**20
"""Bytes of blocks read at once."""

_PATIENCE: Final = 3


class _ChangedMeanwhileError(Exception):
    """The share carries another version than at the start."""


class _UnsoundError(Exception):
    """What is wrong with the share."""


def check_slot_share(store: SlotStore, storage_index: bytes, number: int) -> Verdict:
    """Check one share.

    Raises:
        Refused: ``no-such-share``.
    """
    for _ in range(_PATIENCE):
        try:
            return _check_once(store, storage_index, number)
        except _ChangedMeanwhileError:
            continue
    with store.lock(storage_index):
        return _check_once(store, storage_index, number)


def _check_once(store: SlotStore, storage_index: bytes, number: int) -> Verdict:
    try:
        head = store.head(storage_index, number)
        root = root_of_leaves(_proven_leaves(store, storage_index, number, head))
    except CorruptShare as error:
        return Verdict(number, error.reason)
    except _UnsoundError as error:
        return Verdict(number, str(error))
    sound = head.vouches_for(number, root)
    return Verdict(number, "" if sound else "the leaves don't lead to the signed root hash")


def _proven_leaves(store: SlotStore, storage_index: bytes, number: int, head: SlotHead) -> Iterator[bytes]:
    shape = head.version.shape
    step = max(STRETCH * shape.needed // shape.segment_size, 1)
    for start in range(0, shape.segment_count, step):
        segments = range(start, min(start + step, shape.segment_count))
        with store.lock(storage_index):
            if store.head(storage_index, number).version != head.version:
                raise _ChangedMeanwhileError
            records = store.read(storage_index, number, segments)
        for segment, record in zip(segments, records, strict=True):
            if len(record.block) != shape.block_length(segment) or len(record.salt) != SALT_SIZE:
                raise _UnsoundError(f"the share ends within block {segment}")
            if block_leaf(record.salt, record.block) != record.leaf:
                raise _UnsoundError(f"block {segment} is not that of its leaf")
            yield record.leaf
