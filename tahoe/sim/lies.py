"""Servers that lie: what stands between a dishonest server's actor and those who ask it.

A liar has an honest actor below it and bends what passes: the answer, or the question before it is executed. It knows
everything that its machine knows (its disk, what it was told), and no key of anybody else. Lies come in kinds, so that
a schedule of faults can name them::

    wrong-block      a bit of every block is flipped                 junk-blocks     headers as signed, blocks of noise
    wrong-chain      a bit of every proof is flipped                 other-share     the answer of another file's question
    forgets          "stored", and it was not                        already-there   "you need not send it, I have it"
    old-version      a slot as it was when first asked for           two-faced       that, to half of those who ask
    drip             answers come late                               enormous        answers a thousand times too long
    forges           every change of a slot it hears of is twisted in all ways it can think of and offered to the others

Lies are about shares and slots; who says what about nodes is signed by themselves (``session/statement.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from tahoe.actors.storage import StorageServer
from tahoe.codec.slot import SEED_SIZE, SlotVersion, SlotWriter
from tahoe.context import Actor
from tahoe.errors import Refused, StorageFailed, Unanswered
from tahoe.protocol import (
    Address,
    Allocate,
    Allocated,
    Answer,
    BlockRead,
    Close,
    Closed,
    Message,
    NodeId,
    ReadShares,
    ReadSlot,
    ShareBytes,
    ShareFacts,
    ShareRead,
    SharesRead,
    SignedVersion,
    SlotBlock,
    SlotOutcome,
    SlotRead,
    SlotShareRead,
    SlotWritten,
    Stored,
    StoreShares,
    VersionName,
    WriteSlot,
)
from tahoe.storage.content import ueb_hash_of

LieKind: TypeAlias = Literal[
    "wrong-block",
    "junk-blocks",
    "wrong-chain",
    "other-share",
    "forgets",
    "already-there",
    "old-version",
    "two-faced",
    "drip",
    "enormous",
    "forges",
]

ALL_LIES: Final[tuple[LieKind, ...]] = get_args(LieKind)

DENIALS: Final[frozenset[LieKind]] = frozenset({"forgets", "already-there", "old-version", "two-faced"})
"""Lies by which a server goes back on what it has promised to keep."""

DRIP_SECONDS = 12.0
MANY = 1000
FORGERY_SECONDS = 10.0


class Liar:
    """What a dishonest server makes of a message.

    Args:
        kind: of its lies.
        rng: decides details.
        others: servers that a forger offers its forgeries to.
    """

    def __init__(self, kind: LieKind, rng: Random, others: Sequence[Address] = ()) -> None:
        self.kind = kind
        self._rng = rng
        self._others = others
        self._accomplices = frozenset(
            address.node for address in others
        )  # or forgers would forge each other's forgeries
        self._first: dict[tuple[NodeId, bytes], WriteSlot | SlotRead] = {}
        self._asked: dict[bytes, None] = {}

    async def receive(self, actor: Actor, sender: NodeId, message: Message) -> Answer | None:
        """Handle a message as a liar does."""
        if self.kind == "drip":
            await actor.ctx.sleep(DRIP_SECONDS)
        elif self.kind == "forges" and isinstance(message, WriteSlot) and sender not in self._accomplices:
            actor.ctx.spawn(self._forge(actor, message))
        elif self.kind == "forgets":
            denied = _forgotten(message)
            if denied is not None:
                return denied
        elif self.kind == "already-there":
            denied = _claimed(message)
            if denied is not None:
                return denied
        if self.kind == "other-share" and isinstance(message, (ReadSlot, ReadShares)):
            return await self._another(actor, sender, message)
        return self._bent(sender, message, await actor.receive(sender, message))

    async def _another(self, actor: Actor, sender: NodeId, message: ReadSlot | ReadShares) -> Answer | None:
        """The answer about another file or slot; shares of a file are said to be of the one that was asked for."""
        answer = await actor.receive(sender, message)
        known = self._known(actor) if isinstance(message, ReadShares) else self._asked
        self._asked[message.storage_index] = None
        others = [index for index in known if index != message.storage_index]
        if not others:
            return answer
        other = await actor.receive(sender, msgspec.structs.replace(message, storage_index=self._rng.choice(others)))
        if isinstance(answer, SharesRead) and isinstance(other, SharesRead):
            return SharesRead(answer.held, other.shares)
        return other

    def _known(self, actor: Actor) -> list[bytes]:
        """All files of which the liar has shares, if its disk tells."""
        assert isinstance(actor, StorageServer), "nobody else has shares"
        try:
            return list(actor.store.storage_indexes())
        except StorageFailed:
            return []

    def _bent(self, sender: NodeId, message: Message, answer: Answer | None) -> Answer | None:
        """The answer that is really given."""
        if isinstance(answer, SlotRead) and isinstance(message, ReadSlot):
            if self.kind == "old-version" or (self.kind == "two-faced" and sender.encode()[-1] % 2):
                return self._old(message, answer)
            bend = SLOT_LIES.get(self.kind)
            return answer if bend is None else bend(answer, self._rng)
        if isinstance(answer, SharesRead):
            bend_shares = SHARE_LIES.get(self.kind)
            return answer if bend_shares is None else bend_shares(answer, self._rng)
        if isinstance(answer, ShareBytes) and self.kind in {"wrong-block", "junk-blocks"}:
            return ShareBytes(_flipped(answer.data, self._rng))
        return answer

    def _old(self, message: ReadSlot, answer: SlotRead) -> SlotRead:
        """What was answered first, once there was anything."""
        key = NodeId(""), message.storage_index
        if answer.shares:
            self._first.setdefault(key, answer)
        first = self._first.get(key, answer)
        assert isinstance(first, SlotRead), "answers are kept under no sender"
        return first

    # --- forgeries ------------------------------------------------------------------------------------------

    async def _forge(self, actor: Actor, heard: WriteSlot) -> None:
        """Offer the others what nobody with the write cap has made."""
        key = NodeId("forged"), heard.storage_index
        first = self._first.setdefault(key, heard)
        assert isinstance(first, WriteSlot), "changes are kept under this name"
        for forgery in (*_forgeries(heard, self._rng), _replayed(first, heard)):
            for address in self._others:
                try:
                    await actor.ctx.ask(address, forgery, timeout=FORGERY_SECONDS)
                except (Refused, Unanswered):
                    continue


def _forgotten(message: Message) -> Answer | None:
    """The answer of a server that has taken what it was sent, without taking it."""
    if isinstance(message, StoreShares):
        return Stored(tuple(share.number for share in message.shares), ())
    if isinstance(message, Close):
        return Closed(message.numbers)
    if isinstance(message, WriteSlot):
        return SlotWritten(tuple(SlotOutcome(each.number, "written", message.signed) for each in message.shares))
    return None


def _claimed(message: Message) -> Answer | None:
    """The answer of a server that says it has everything already."""
    if isinstance(message, StoreShares):
        facts = (ShareFacts(each.number, len(each.data), ueb_hash_of(each.data)) for each in message.shares)
        return Stored((), tuple(facts))
    if isinstance(message, Allocate):
        return Allocated((), tuple(ShareFacts(number, message.size, bytes(32)) for number in message.numbers))
    if isinstance(message, WriteSlot):
        return SlotWritten(tuple(SlotOutcome(each.number, "present", message.signed) for each in message.shares))
    return None


def _forgeries(heard: WriteSlot, rng: Random) -> Iterator[WriteSlot]:
    """Changes that no signature covers, each offered on top of the version that was just written."""
    version = SlotVersion.unpack(heard.signed.version)
    next_version = SlotVersion(version.sequence + 1, version.root_hash, version.shape, version.homes)
    own = SlotWriter(rng.randbytes(SEED_SIZE)).sign(next_version)
    newer = msgspec.structs.replace(heard.signed, version=next_version.pack())
    yield _on_top(heard, newer, version)
    yield _on_top(heard, SignedVersion(own.version, own.signature, own.public_key, own.read_key_hash), version)
    yield _on_top(heard, msgspec.structs.replace(newer, signature=own.signature), version)
    junk = tuple(
        msgspec.structs.replace(share, blocks=tuple(_noise(block, rng) for block in share.blocks))
        for share in heard.shares
    )
    yield msgspec.structs.replace(heard, shares=junk)


def _on_top(heard: WriteSlot, signed: SignedVersion, version: SlotVersion) -> WriteSlot:
    """A change with another signed version, in place of one that is there."""
    name = VersionName(*version.identity)
    shares = tuple(msgspec.structs.replace(share, replaces=name) for share in heard.shares)
    return msgspec.structs.replace(heard, signed=signed, shares=shares)


def _replayed(first: WriteSlot, heard: WriteSlot) -> WriteSlot:
    """The first change of the slot that was heard of, in place of the last."""
    return _on_top(first, first.signed, SlotVersion.unpack(heard.signed.version))


# --- answers that are bent ----------------------------------------------------------------------------------


def _flipped(data: bytes, rng: Random) -> bytes:
    if not data:
        return data
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def _noise(block: SlotBlock, rng: Random) -> SlotBlock:
    return msgspec.structs.replace(block, data=rng.randbytes(len(block.data)))


def _slot_shares(change: Callable[[SlotShareRead, Random], SlotShareRead]) -> Callable[[SlotRead, Random], SlotRead]:
    def bend(answer: SlotRead, rng: Random) -> SlotRead:
        return SlotRead(tuple(change(share, rng) for share in answer.shares))

    return bend


def _slot_blocks(change: Callable[[SlotBlock, Random], SlotBlock]) -> Callable[[SlotRead, Random], SlotRead]:
    def bend(share: SlotShareRead, rng: Random) -> SlotShareRead:
        return msgspec.structs.replace(share, blocks=tuple(change(block, rng) for block in share.blocks))

    return _slot_shares(bend)


def _wrong_slot_block(block: SlotBlock, rng: Random) -> SlotBlock:
    return msgspec.structs.replace(block, data=_flipped(block.data, rng))


def _wrong_slot_chain(share: SlotShareRead, rng: Random) -> SlotShareRead:
    if not share.chain:
        return msgspec.structs.replace(share, root=_flipped(share.root, rng))
    return msgspec.structs.replace(share, chain=(_flipped(share.chain[0], rng), *share.chain[1:]))


def _many_slots(answer: SlotRead, rng: Random) -> SlotRead:  # noqa: ARG001  # all lies are called alike
    return SlotRead(answer.shares * MANY)


SLOT_LIES: Final[dict[LieKind, Callable[[SlotRead, Random], SlotRead]]] = {
    "wrong-block": _slot_blocks(_wrong_slot_block),
    "junk-blocks": _slot_blocks(_noise),
    "wrong-chain": _slot_shares(_wrong_slot_chain),
    "enormous": _many_slots,
}


def _shares(change: Callable[[ShareRead, Random], ShareRead]) -> Callable[[SharesRead, Random], SharesRead]:
    def bend(answer: SharesRead, rng: Random) -> SharesRead:
        return SharesRead(answer.held, tuple(change(share, rng) for share in answer.shares))

    return bend


def _wrong_blocks(share: ShareRead, rng: Random) -> ShareRead:
    def wrong(block: BlockRead) -> BlockRead:
        return msgspec.structs.replace(block, data=_flipped(block.data, rng))

    return msgspec.structs.replace(share, blocks=tuple(map(wrong, share.blocks)))


def _junk_blocks(share: ShareRead, rng: Random) -> ShareRead:
    def junk(block: BlockRead) -> BlockRead:
        return msgspec.structs.replace(block, data=rng.randbytes(len(block.data)))

    return msgspec.structs.replace(share, blocks=tuple(map(junk, share.blocks)))


def _wrong_chain(share: ShareRead, rng: Random) -> ShareRead:
    if not share.share_hashes:
        return share
    first = msgspec.structs.replace(share.share_hashes[0], digest=_flipped(share.share_hashes[0].digest, rng))
    return msgspec.structs.replace(share, share_hashes=(first, *share.share_hashes[1:]))


def _many_shares(answer: SharesRead, rng: Random) -> SharesRead:  # noqa: ARG001  # all lies are called alike
    return SharesRead(answer.held * MANY, answer.shares * MANY)


SHARE_LIES: Final[dict[LieKind, Callable[[SharesRead, Random], SharesRead]]] = {
    "wrong-block": _shares(_wrong_blocks),
    "junk-blocks": _shares(_junk_blocks),
    "wrong-chain": _shares(_wrong_chain),
    "enormous": _many_shares,
}
