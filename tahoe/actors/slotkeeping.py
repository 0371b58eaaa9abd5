"""What a storage server does for slots: it takes a change only when all of it is proven, and tells with proof.

A server of a slot need not be trusted with secrets, and trusts nobody: the signed version says what a share has
to be, and the server finds out itself that the share, with the change, is that::

    storage index = H(read key hash, public key)          it is the right key …
    signature                                             … that signed this version
    replaces = version carried, sequence > that one's     the version comes on top of exactly what is there
    leaves of the changed blocks + leaves kept
        ──► root of the block tree ──chain──► root hash   the share is the one that was signed

Only then it commits. So nobody without the write cap changes a good share, whoever repairs needs no secret, and
an old version that somebody sends again is refused for its sequence number.

All shares of a request are judged before any is touched: a request with nonsense in it changes nothing. Otherwise
each share has its outcome:

``written``
    The share carries the version now, durably.
``present``
    It did before.
``conflict``
    It carries something else than what was to be replaced, or something newer; see ``signed``.
``damaged``
    What the server has kept of the share is damaged, so that the change alone does not make it whole.
    Send all segments: then nothing is needed of what was kept. A version is even taken in place of itself
    (``replaces`` names the version that is offered) if the server finds its own share unsound.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from tahoe.codec.hashing import HASH_SIZE
from tahoe.codec.slot import SALT_SIZE, SlotProof, SlotShape, SparseTree, VersionId, block_leaf, tree_height
from tahoe.errors import CorruptShare, Refused
from tahoe.protocol import (
    ROOM_FOR_FACTS,
    HeldSlot,
    ReadSlot,
    SignedVersion,
    SlotBlock,
    SlotOutcome,
    SlotRead,
    SlotShareFacts,
    SlotShareRead,
    SlotShareToWrite,
    SlotStaged,
    SlotWritten,
    StageSlot,
    VersionName,
    WriteSlot,
)
from tahoe.storage.books import owner_of
from tahoe.storage.slotparts import Parts, PartsName
from tahoe.storage.slots import SlotChange, SlotHead, SlotRecord, SlotStore
from tahoe.storage.slottree import changed_nodes, root_after
from tahoe.storage.store import check_names, check_secrets

WRITTEN = "written"
PRESENT = "present"
CONFLICT = "conflict"
DAMAGED = "damaged"

LEASE_OWNER = 0
"""Owner number of leases that come with a write (docs/formats.md)."""

BLOCK_ROOM = 64
"""Bytes that a block takes in an answer beyond its data and path: salt, numbers, lengths."""

ROOM_BESIDE = 3 * ROOM_FOR_FACTS - 1024
"""Bytes of heads and proofs that an answer may have beyond the room for its blocks. Who asks leaves three times the room
for facts of the largest packet (``SlotTerms.payload``); what he grants (``answer_room``) may be more than a packet holds."""


# --- writing ---------------------------------------------------------------------------------------------


class _Verdict(NamedTuple):
    """What is to become of one share: an outcome, and the change if it is ``written``."""

    number: int
    outcome: str
    carried: SignedVersion | None
    change: SlotChange | None = None


def write_slot(store: SlotStore, request: WriteSlot, now: float, sender: str = "") -> SlotWritten:
    """Answer ``WriteSlot``.

    Args:
        store: where the slot is kept.
        request: checked here, wholly.
        now: seconds since the epoch, for leases.
        sender: whose parts are taken along; empty: nobody's.

    Raises:
        Refused: ``bad-request``: the request is no proof of what it wants. Nothing was changed.
        NoSpace: for all of its shares together. Nothing was changed.
        StorageFailed: the disk; each share is as it was, or as it was to be.
    """
    offer = _Offer(request, now, sender)
    with store.lock(request.storage_index):
        store.restore(request.storage_index)  # or else what is in the trash would stand beside what is written
        try:
            verdicts = [offer.judge(store, share) for share in request.shares]
        except Refused:
            offer.drop_parts(store)
            raise
        changes = {verdict.number: verdict.change for verdict in verdicts if verdict.change is not None}
        if changes:
            store.write(request.storage_index, changes, request.lease, now)
        if any(verdict.outcome == PRESENT for verdict in verdicts):
            store.add_lease(request.storage_index, request.lease, LEASE_OWNER, now)
        offer.drop_parts(store)
    return SlotWritten(tuple(SlotOutcome(*verdict[:3]) for verdict in verdicts))


def stage_slot(store: SlotStore, request: StageSlot, now: float, sender: str) -> SlotStaged:
    """Answer ``StageSlot``.

    Args:
        store: where the slot is going to be kept.
        request: each of its blocks is of the right length; whether they are the signed ones is seen later.
        now: seconds since the epoch.
        sender: whose parts they are.

    Raises:
        Refused: ``bad-request``: the request makes no sense.
        NoSpace: what was set aside before is still there.
        StorageFailed: it is not.
    """
    share = SlotShareToWrite(request.number, None, (), request.blocks)
    offer = _Offer(WriteSlot(request.storage_index, request.lease, request.signed, (share,)), now, sender)
    with store.lock(request.storage_index):
        return SlotStaged(offer.stage(store, share))


class _Offer:
    """A signed version that is offered, known to belong to its storage index.

    Raises:
        Refused: ``bad-request``: it does not, or the request is malformed.
    """

    def __init__(self, request: WriteSlot, now: float, sender: str) -> None:
        self._lease, self._now, self._sender = request.lease, now, sender
        self._numbers = numbers = [share.number for share in request.shares]
        check_names(request.storage_index, numbers)
        check_secrets(request.lease.renew_secret, request.lease.cancel_secret)
        self.storage_index = request.storage_index
        self.signed = request.signed
        self.proof = _proof(request.signed)
        try:
            self.version = self.proof.check(request.storage_index)
        except ValueError as error:
            raise Refused("bad-request", str(error)) from error
        if len(set(numbers)) < len(numbers) or max(numbers, default=0) >= self.version.shape.total:
            raise Refused("bad-request", "share numbers are given once each, and below N")

    def judge(self, store: SlotStore, share: SlotShareToWrite) -> _Verdict:
        """Find out what is to become of a share. The slot's lock is held.

        Raises:
            Refused: ``bad-request``: what is offered is not the share that was signed.
        """
        held = _head(store, self.storage_index, share.number)
        carried = None if held is None else _signed(held)
        is_whole = self._is_whole(store, share)
        if held is not None and held.proof.version == self.proof.version:
            if not (is_whole and self._mends(store, share)):
                return _Verdict(share.number, PRESENT, carried)
        elif _replaced(share) != (held and held.version.identity) or self._is_no_newer_than(held):
            return _Verdict(share.number, CONFLICT, carried)
        change = self._whole(store, share) if is_whole else self._partial(store, share, held)
        if change is None:
            return _Verdict(share.number, DAMAGED, carried)
        return _Verdict(share.number, WRITTEN, self.signed, change)

    def parts_name(self, number: int) -> PartsName:
        """What the sender's parts of a share are set aside under."""
        return PartsName(self.storage_index, number, self.version.identity, self._sender)

    def drop_parts(self, store: SlotStore) -> None:
        """They have been written, or never will be."""
        for number in self._numbers:
            store.parts.drop(self.parts_name(number))

    def stage(self, store: SlotStore, share: SlotShareToWrite) -> int:
        """Set blocks aside; how many of the share's segments are there now."""
        name, owner = self.parts_name(share.number), owner_of(self._lease)
        return store.parts.put(name, self.version.shape, self.records(share), owner, self._now)

    def _parts(self, store: SlotStore, share: SlotShareToWrite) -> Parts | None:
        """What has been set aside of a share."""
        return store.parts.find(self.parts_name(share.number)) if self._sender else None

    def _is_whole(self, store: SlotStore, share: SlotShareToWrite) -> bool:
        """Whether all of a share has come, with the request or before."""
        segments = dict.fromkeys([*(self._parts(store, share) or ()), *(block.segment for block in share.blocks)])
        return len(segments) == self.version.shape.segment_count

    def _gathered(self, store: SlotStore, share: SlotShareToWrite) -> Mapping[int, SlotRecord]:
        """All of a share: what the request brings joins what has been set aside, if anything has."""
        parts = self._parts(store, share)
        if parts is None:
            return self.records(share)
        self.stage(store, share)
        return parts

    def _mends(self, store: SlotStore, share: SlotShareToWrite) -> bool:
        """Whether a version is offered in place of itself, and ours is unsound."""
        if _replaced(share) != self.version.identity:
            return False
        return not store.scrub(self.storage_index, share.number).sound

    def _is_no_newer_than(self, held: SlotHead | None) -> bool:
        return held is not None and self.version.sequence <= held.version.sequence

    def _whole(self, store: SlotStore, share: SlotShareToWrite) -> SlotChange:
        """The change to a share of which nothing need be there."""
        records = self._gathered(store, share)
        leaves = records.leaves if isinstance(records, Parts) else _leaves_of(records)
        nodes = changed_nodes(SparseTree(0), leaves, self.version.shape.segment_count)
        return self._vouched(share, SlotChange(self._head(share), records, nodes, whole=True), SparseTree(0))

    def _partial(self, store: SlotStore, share: SlotShareToWrite, held: SlotHead | None) -> SlotChange | None:
        """The change to the share that is there; None if that is damaged."""
        records = self.records(share)
        if held is None or not _covers_all_that_differs(held.version.shape, self.version.shape, records.keys()):
            raise Refused("bad-request", f"share {share.number} lacks segments that are new here")
        try:
            tree = store.tree(self.storage_index, share.number)
        except CorruptShare:
            return None
        nodes = changed_nodes(tree, _leaves_of(records), self.version.shape.segment_count)
        return self._vouched(share, SlotChange(self._head(share), records, nodes, whole=False), tree)

    def _vouched(self, share: SlotShareToWrite, change: SlotChange, tree: SparseTree) -> SlotChange:
        """The change, if the share that it makes of ``tree`` is the one that was signed."""
        root = root_after(tree, change.nodes, self.version.shape.segment_count)
        if not change.head.vouches_for(share.number, root):
            raise Refused("bad-request", f"share {share.number} is not the one that was signed")
        return change

    def _head(self, share: SlotShareToWrite) -> SlotHead:
        return SlotHead(self.version, self.proof, share.chain)

    def records(self, share: SlotShareToWrite) -> dict[int, SlotRecord]:
        """The blocks of a share, each with its leaf."""
        shape = self.version.shape
        records = {}
        for block in share.blocks:
            if not 0 <= block.segment < shape.segment_count or block.segment in records:
                raise Refused("bad-request", "segments are given once each, and not beyond the slot's length")
            if len(block.salt) != SALT_SIZE or len(block.data) != shape.block_length(block.segment):
                raise Refused("bad-request", f"block {block.segment} or its salt is of the wrong length")
            records[block.segment] = SlotRecord(block_leaf(block.salt, block.data), block.salt, block.data)
        return records


def _leaves_of(records: Mapping[int, SlotRecord]) -> dict[int, bytes]:
    return {segment: record.leaf for segment, record in records.items()}


def _covers_all_that_differs(old: SlotShape, new: SlotShape, segments: Collection[int]) -> bool:
    """Whether these segments are all that can't be kept: cut alike, appended ones, and a last one that grew or shrank."""
    if (old.needed, old.total, old.segment_size) != (new.needed, new.total, new.segment_size):
        return False
    kept = min(old.segment_count, new.segment_count)
    if kept and old.block_length(kept - 1) != new.block_length(kept - 1) and kept - 1 not in segments:
        return False
    return all(segment in segments for segment in range(kept, new.segment_count))


# --- reading ---------------------------------------------------------------------------------------------


def read_slot(store: SlotStore, request: ReadSlot) -> SlotRead:
    """Answer ``ReadSlot``. A share whose head is damaged is left out; one whose tree is damaged has an empty root.

    Room is divided among the shares, since a reader wants the same segments of all of them. The proofs count, too,
    so that many small blocks don't make a large answer.

    Raises:
        Refused: ``bad-request``.
        StorageFailed: the disk.
    """
    check_names(request.storage_index, ())
    if min(request.offset, request.length, request.room) < 0:
        raise Refused("bad-request", "offset, length and room are never negative")
    with store.lock(request.storage_index):
        heads = {}
        for number in store.numbers(request.storage_index):
            head = _head(store, request.storage_index, number)
            if head is not None:
                heads[number] = head
        room = _Room(request, heads.values())
        return SlotRead(tuple(_share_read(store, request, room, number, head) for number, head in heads.items()))


def slots_held(store: SlotStore, storage_indexes: tuple[bytes, ...]) -> tuple[HeldSlot, ...]:
    """Which versions the store's shares of several slots carry; damaged heads are left out.

    Raises:
        Refused: ``bad-request``.
        StorageFailed: the disk.
    """
    held = []
    for storage_index in storage_indexes:
        with store.lock(storage_index):
            heads = [(number, _head(store, storage_index, number)) for number in store.numbers(storage_index)]
        shares = tuple(
            SlotShareFacts(number, head.version.sequence, head.version.root_hash)
            for number, head in heads
            if head is not None
        )
        if shares:
            held.append(HeldSlot(storage_index, shares))
    return tuple(held)


class _Room:
    """The room in an answer: for data, and for data with its proofs."""

    def __init__(self, request: ReadSlot, heads: Collection[SlotHead]) -> None:
        self._data = request.room
        self._all = request.room + ROOM_BESIDE - sum(map(_weight, heads))
        self._shares = len(heads)

    def take(self, head: SlotHead, segments: range) -> range:
        """The first of the segments that one more share has room for."""
        shape, proof = head.version.shape, HASH_SIZE * tree_height(head.version.shape.segment_count) + BLOCK_ROOM
        data, everything = self._data // self._shares, self._all // self._shares
        self._shares -= 1
        if not segments:
            return segments
        first = shape.block_length(segments[0])
        if max(data, first) > self._data or max(everything, first + proof) > self._all:
            return segments[:0]
        data, everything = max(data, first), max(everything, first + proof)
        fitting = min(data // first, everything // (first + proof), len(segments))
        taken = sum(map(shape.block_length, segments[:fitting]))
        self._data -= taken
        self._all -= taken + fitting * proof
        return segments[:fitting]


def _share_read(store: SlotStore, request: ReadSlot, room: _Room, number: int, head: SlotHead) -> SlotShareRead:
    """One share of an answer."""
    shape = head.version.shape
    is_known = _identity_named(request.known) == head.version.identity
    segments = room.take(head, range(0) if is_known else shape.segments(request.offset, request.length))
    signed = _signed(head)
    try:
        tree = store.tree(request.storage_index, number)
    except CorruptShare:
        return SlotShareRead(number, signed, b"", head.chain, ())
    records = store.read(request.storage_index, number, segments)
    blocks = tuple(
        SlotBlock(segment, record.salt, record.block, tuple(tree.path(segment).values()))
        for segment, record in zip(segments, records, strict=True)
    )
    return SlotShareRead(number, signed, tree.root, head.chain, blocks, _edge(tree) if request.edge else ())


def _edge(tree: SparseTree) -> tuple[bytes, ...]:
    """The last leaf and its siblings; nothing for a tree without leaves."""
    if not tree.leaf_count:
        return ()
    last = tree.leaf_count - 1
    return (tree.nodes[0, last], *tree.path(last).values())


# --- words of the protocol -------------------------------------------------------------------------------


def _head(store: SlotStore, storage_index: bytes, number: int) -> SlotHead | None:
    """What a share carries; None if it is not there, or its head damaged, which is as good as not there."""
    try:
        return store.head(storage_index, number)
    except CorruptShare:
        return None
    except Refused as refused:
        if refused.code != "no-such-share":
            raise
        return None


def _replaced(share: SlotShareToWrite) -> VersionId | None:
    return _identity_named(share.replaces)


def _identity_named(name: VersionName | None) -> VersionId | None:
    return None if name is None else VersionId(name.sequence, name.root_hash)


def _proof(signed: SignedVersion) -> SlotProof:
    return SlotProof(signed.version, signed.signature, signed.public_key, signed.read_key_hash)


def _signed(head: SlotHead) -> SignedVersion:
    proof = head.proof
    return SignedVersion(proof.version, proof.signature, proof.public_key, proof.read_key_hash)


def _weight(head: SlotHead) -> int:
    """Bytes that a share without blocks takes in an answer, at most and roughly."""
    tree = HASH_SIZE * (tree_height(head.version.shape.segment_count) + 2)
    return 256 + len(head.proof.version) + HASH_SIZE * len(head.chain) + tree
