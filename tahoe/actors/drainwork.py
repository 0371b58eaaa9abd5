"""What a leaving server does about one object: find out which of its shares are elsewhere, and copy those that are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tahoe.actors.checking import Holdings
from tahoe.actors.keeping import KeepingDesk
from tahoe.actors.leases import FileLeases
from tahoe.actors.moving import Carrier
from tahoe.actors.servers import Server
from tahoe.actors.slotcoding import checked_version
from tahoe.actors.slotkeeping import PRESENT, WRITTEN
from tahoe.actors.slotwriting import BLOCK_BYTES
from tahoe.codec.capability import ImmutableVerify
from tahoe.codec.share import MAX_HEADER_SIZE, UriExtension, parse_header, parse_uri_extension
from tahoe.codec.slot import SlotVersion, VersionId
from tahoe.errors import CorruptShare, NotEnoughServers, Refused, TahoeError, Unanswered
from tahoe.policy.order import permuted
from tahoe.policy.rebalance import LEAVE, Takers, next_move
from tahoe.protocol import (
    NodeId,
    ReadShare,
    ReadSlot,
    Request,
    ShareFacts,
    SlotBlock,
    SlotShareRead,
    SlotShareToWrite,
    StageSlot,
    VersionName,
    WriteSlot,
)
from tahoe.storage.leaseindex import FILE, ShareName

LONGEST_UEB = 4096
"""Bytes in which the URI extension block of a share ends for certain, the field of its length included."""


class Dispatcher:
    """Sees to the shares of one object on the server that leaves.

    Args:
        desk: of its node.
        own: the server.
        holdings: what it and others have said that they have.
        name: of one of the shares.
    """

    def __init__(self, desk: KeepingDesk, own: Server, holdings: Holdings, name: ShareName) -> None:
        self._desk = desk
        self._own = own
        self._holdings = holdings
        self._index = name.storage_index
        self._is_file = name.kind == FILE
        self._facts = {each.number: each for each in holdings.claims(self._index)[own.node]}
        self._versions = {each.number: _identity(each) for each in self._slot_claims(own.node)}
        self._copies: dict[int, list[NodeId]] = {}
        self._refused: dict[NodeId, str] = {}

    def is_held_here(self, number: int) -> bool:
        """Whether we really have the share; it may have gone meanwhile."""
        return number in (self._facts if self._is_file else self._versions)

    async def is_elsewhere(self, number: int) -> bool:
        """Whether nothing is lost with our share. Of a slot that is so, too, if newer shares have made it worthless."""
        if self._holders(number):
            return True
        return not self._is_file and await self._is_superseded(number)

    async def copy(self, number: int) -> int:
        """Copy a share to a server that has none of the object, or as few as can be.

        Returns:
            Bytes sent.

        Raises:
            CorruptShare: our share is.
            NotEnoughServers: nobody takes it.
            TahoeError: the share can't be sent.
        """
        capability = await self._file(number) if self._is_file else None
        version = None if self._is_file else (await self._read_slot(number))[1]
        shape = (capability.needed, capability.total) if capability is not None else _shape_of(version)
        while (target := self._target(number, shape)) is not None:
            try:
                if capability is not None:
                    size = await Carrier(self._desk, capability, number, self._own, target).copy()
                else:
                    size = await self._send_slot(number, target)
            except (Refused, Unanswered) as error:
                self._refused[target.node] = str(error)
            else:
                self._copies.setdefault(number, []).append(target.node)
                return size
        reasons = [f"{self._desk.sites()[node].label}: {reason}" for node, reason in self._refused.items()]
        raise NotEnoughServers(0, 1, "; ".join(reasons) or "nobody else is in reach")

    # --- where it is, and where it may go ----------------------------------------------------------------------

    def _slot_claims(self, node: NodeId) -> Any:
        return self._holdings.slots.get(node, {}).get(self._index, ())

    def _others(self) -> list[NodeId]:
        return [node for node in self._holdings.held if node != self._own.node]

    def _holders(self, number: int) -> list[NodeId]:
        """Who else has the share; of a slot in our version or a newer one."""
        found = list(self._copies.get(number, ()))
        for node in self._others():
            if self._is_file:
                facts: Mapping[int, ShareFacts] = {
                    each.number: each for each in self._holdings.claims(self._index)[node]
                }
                mine = self._facts.get(number)
                has = number in facts and (mine is None or facts[number].ueb_hash == mine.ueb_hash)
            else:
                has = any(
                    each.number == number and _identity(each) >= self._versions.get(number, _identity(each))
                    for each in self._slot_claims(node)
                )
            if has and node not in found:
                found.append(node)
        return found

    async def _is_superseded(self, number: int) -> bool:
        """Whether k shares of a newer version are elsewhere."""
        newer: dict[VersionId, dict[int, None]] = {}
        for node in self._others():
            for each in self._slot_claims(node):
                if _identity(each) > self._versions[number]:
                    newer.setdefault(_identity(each), {})[each.number] = None
        if not newer:
            return False
        needed = (await self._read_slot(number))[1].shape.needed
        return any(len(numbers) >= needed for numbers in newer.values())

    def _target(self, number: int, shape: tuple[int, int]) -> Server | None:
        """The rule by which caretakers empty a server says where to; see ``policy/rebalance.py``."""
        sites = self._desk.sites()
        able = [
            sites[node]
            for node in self._others()
            if node in sites and node not in self._refused and self._holdings.accepts.get(node, 0) > 0
        ]
        holders = {each: self._holders(each) for each in range(shape[1])}
        known = {each: nodes for each, nodes in holders.items() if nodes} | {number: [self._own.node]}
        move = next_move(*shape, known, Takers(permuted(able, self._index), leaving=(self._own.node,)))
        return None if move is None or move.reason != LEAVE else sites[move.target]

    # --- files -------------------------------------------------------------------------------------------------

    async def _file(self, number: int) -> ImmutableVerify:
        """The verify cap that follows from our own share; the copy is proven by it."""
        try:
            offsets = parse_header(await self._read(number, 0, MAX_HEADER_SIZE))
            section = await self._read(number, offsets.uri_extension, LONGEST_UEB)
            fields = parse_uri_extension(offsets.uri_extension_in(section))
            parameters = UriExtension.from_fields(fields).parameters
        except ValueError as error:
            raise CorruptShare(self._own.label, number, str(error)) from error
        ueb_hash = self._facts[number].ueb_hash
        return ImmutableVerify(self._index, ueb_hash, parameters.needed, parameters.total, parameters.size)

    async def _read(self, number: int, offset: int, length: int) -> bytes:
        answer = await self._ask(self._own, ReadShare(self._index, number, offset, length))
        return bytes(answer.data)

    # --- slots -------------------------------------------------------------------------------------------------

    async def _read_slot(self, number: int, offset: int = 0, length: int = 0) -> tuple[SlotShareRead, SlotVersion]:
        """Our share of a slot with the blocks of a part of its contents, and its version."""
        room = self._desk.terms().limits.payload * max(1, len(self._versions))
        answer = await self._ask(self._own, ReadSlot(self._index, offset, length, room))
        share: SlotShareRead | None = next((each for each in answer.shares if each.number == number), None)
        if share is None or not share.root:
            raise CorruptShare(self._own.label, number, "its head can't be read, or its tree is damaged")
        version = checked_version(self._index, share.signed)
        if version is None:
            raise CorruptShare(self._own.label, number, "its version is not signed by the slot's key")
        return share, version

    async def _send_slot(self, number: int, target: Server) -> int:
        """Send our share of a slot: what is larger than a message goes in parts, the last of which commits it."""
        _, version = await self._read_slot(number)
        shape, size = version.shape, 0
        most = max(1, self._desk.terms().limits.payload // (shape.block_length(0) + BLOCK_BYTES)) if shape.length else 1
        lease = FileLeases(self._desk.terms().lease_master, self._index).on(target.lease_seed)
        for start in range(0, max(1, shape.segment_count), most):
            segments = range(start, min(start + most, shape.segment_count))
            share, now = await self._read_slot(number, start * shape.segment_size, len(segments) * shape.segment_size)
            if now != version or [block.segment for block in share.blocks] != list(segments):
                raise TahoeError("a slot was written while its share was being copied")
            blocks = tuple(SlotBlock(block.segment, block.salt, block.data) for block in share.blocks)
            size += sum(len(block.data) for block in blocks)
            if segments.stop < shape.segment_count:
                await self._ask(target, StageSlot(self._index, lease, share.signed, number, blocks))
        older = next((_identity(each) for each in self._slot_claims(target.node) if each.number == number), None)
        replaces = None if older is None else VersionName(*older)
        parcel = SlotShareToWrite(number, replaces, share.chain, blocks)
        answer = await self._ask(target, WriteSlot(self._index, lease, share.signed, (parcel,)))
        word = answer.outcomes[0].outcome if answer.outcomes else "left the share out of its answer"
        if word not in (WRITTEN, PRESENT):
            raise Refused(word, f"share {number} of a slot was not taken")
        return size

    async def _ask(self, server: Server, request: Request[Any]) -> Any:
        terms = self._desk.terms()
        timeout = terms.room.habits.patience_for(terms.limits.payload)
        return await self._desk.ctx.ask(server.address, request, timeout=timeout)


def _identity(facts: Any) -> VersionId:
    return VersionId(facts.sequence, facts.root_hash)


def _shape_of(version: SlotVersion | None) -> tuple[int, int]:
    assert version is not None, "what is no file is a slot"
    return version.shape.needed, version.shape.total
