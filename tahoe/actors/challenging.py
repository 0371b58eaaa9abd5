"""Challenges: one block of one share, chosen by chance, is asked for and proven.

A server that says it holds a share and has thrown it away can't give a block that nobody could foresee. So a few blocks a
week tell what a verification of everything would, with a confidence that grows with every round, for a thousandth of
the traffic.
"""

from __future__ import annotations

from typing import NamedTuple

from tahoe.actors import coding
from tahoe.actors.keeper import Target
from tahoe.actors.keeping import KeepingDesk
from tahoe.actors.servers import Server
from tahoe.actors.slotcoding import prove_shares
from tahoe.codec.capability import ImmutableVerify, SlotVerify
from tahoe.codec.file import FileDecoder
from tahoe.errors import CorruptShare, Refused, Unanswered
from tahoe.protocol import BlockRead, HashNode, ReadShares, ReadSlot, ShareRead


class Challenge(NamedTuple):
    """What to ask whom.

    Args:
        target: the object.
        server: who says that he has the share.
        number: of the share.
    """

    target: Target
    server: Server
    number: int


class Reply(NamedTuple):
    """What came of a challenge.

    Args:
        answered: whether anything came; if not, nothing is known.
        flaw: what is wrong with it; empty if nothing is.
        size: bytes of the block.
    """

    answered: bool
    flaw: str = ""
    size: int = 0


async def pose(desk: KeepingDesk, challenge: Challenge) -> Reply:
    """Ask for a block by chance, and prove it."""
    try:
        if isinstance(challenge.target, ImmutableVerify):
            return await _pose_file(desk, challenge.target, challenge)
        return await _pose_slot(desk, challenge.target, challenge)
    except Refused as refused:
        return Reply(answered=True, flaw=str(refused))
    except Unanswered:
        return Reply(answered=False)


async def _pose_file(desk: KeepingDesk, target: ImmutableVerify, challenge: Challenge) -> Reply:
    offset, room = desk.ctx.rng.randrange(target.size), desk.terms().room.habits.room
    question = ReadShares(target.storage_index, offset, 1, room, 1, (challenge.number,))
    answer = await desk.ctx.ask(challenge.server.address, question, timeout=desk.terms().question)
    given = [share for share in answer.shares if share.number == challenge.number]
    if not given:
        return Reply(answered=True, flaw="the share was claimed, but not given")
    decoder: FileDecoder = await desk.ctx.compute(coding.begin_reading, target)
    flaw = await desk.ctx.compute(
        coding.prove_share, decoder, challenge.number, given[0].uri_extension, given[0].share_hashes
    )
    size = sum(len(block.data) for block in given[0].blocks)
    if not flaw:
        flaw = await desk.ctx.compute(prove_block, decoder, offset, given[0])
    return Reply(answered=True, flaw=flaw, size=size)


def prove_block(decoder: FileDecoder, offset: int, share: ShareRead) -> str:
    """Prove the one block that covers a byte of the file.

    Of a block that no message carries whole only its proof's place is looked at.

    Returns:
        What is wrong; empty if nothing is.
    """
    segment = offset // decoder.parameters.segment_size
    if len(share.blocks) != 1 or share.blocks[0].segment != segment:
        return "another block was given than was asked for"
    block: BlockRead = share.blocks[0]
    length = decoder.parameters.block_length(segment)
    if 0 < len(block.data) < length:
        return ""
    try:
        decoder.accept_block(share.number, segment, block.data, _nodes(block.block_path))
    except CorruptShare as error:
        return error.reason
    return ""


def _nodes(path: tuple[HashNode, ...]) -> dict[int, bytes]:
    return {node.number: node.digest for node in path}


async def _pose_slot(desk: KeepingDesk, target: SlotVerify, challenge: Challenge) -> Reply:
    patience = desk.terms().question
    index, address = target.storage_index, challenge.server.address
    shown = await desk.ctx.ask(address, ReadSlot(index, 0, 0, 0), timeout=patience)
    proven = {share.number: share for share in await desk.ctx.compute(prove_shares, index, shown)}
    share = proven.get(challenge.number)
    if share is None or share.flaw:
        return Reply(answered=True, flaw=share.flaw if share else "the share was claimed, but not given")
    shape = share.version.shape
    if not shape.length:
        return Reply(answered=True)
    offset = desk.ctx.rng.randrange(shape.length)
    question = ReadSlot(index, offset, 1, desk.terms().room.habits.room)
    answer = await desk.ctx.ask(address, question, timeout=patience)
    again = {each.number: each for each in await desk.ctx.compute(prove_shares, index, answer)}.get(challenge.number)
    if again is None or again.flaw:
        return Reply(answered=True, flaw=again.flaw if again else "the share was claimed, but not given")
    if again.version == share.version and not again.blocks:
        return Reply(answered=True, flaw="its block was claimed, but not given")
    return Reply(answered=True, size=sum(len(block.data) for block in again.blocks.values()))
