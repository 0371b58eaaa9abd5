"""Checking and verifying slots: which versions are about, where, and whether every block of them is what was signed.

All servers are asked, not only the homes that a version names: copies elsewhere don't vote, but they can be read. Unlike a
file's share a slot's is proven by the answer itself, down to the root of its block tree; whoever verifies has
all blocks sent as well, each with its proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tahoe.actors.keeping import KeepingDesk
from tahoe.actors.servers import Server
from tahoe.actors.slotcoding import ProvenShare, prove_shares
from tahoe.actors.slotmemory import Hearing
from tahoe.actors.slotreading import ALL
from tahoe.codec import base32
from tahoe.codec.capability import SlotVerify
from tahoe.codec.slot import SlotVersion, VersionId
from tahoe.context import AskEach, Errand, Queue, TimedOut
from tahoe.errors import Refused, Unanswered
from tahoe.policy.health import Answers, Health, Locator, VersionShares
from tahoe.protocol import ROOM_FOR_FACTS, NodeId, ReadSlot, SignedVersion, SlotRead


class SlotShare(NamedTuple):
    """A share of a slot that was found.

    Args:
        version: that it carries.
        root: of its block tree, proven; empty: its server says itself that it is damaged.
    """

    version: SlotVersion
    root: bytes


@dataclass(slots=True)
class SlotFindings:
    """What servers showed of a slot.

    Attributes:
        hearing: which position carries what.
        shares: by node and share number.
        signed: the signed form of every version seen.
        flaws: shares that fail, and why.
        silent: who did not answer, and why.
        responding: who did.
        presumed: shares thought to be on servers that are only away for a while; they are not copied.
    """

    hearing: Hearing = field(default_factory=Hearing)
    shares: dict[tuple[NodeId, int], SlotShare] = field(default_factory=dict)
    signed: dict[VersionId, SignedVersion] = field(default_factory=dict)
    flaws: dict[tuple[NodeId, int], str] = field(default_factory=dict)
    silent: dict[NodeId, str] = field(default_factory=dict)
    responding: dict[NodeId, None] = field(default_factory=dict)
    presumed: tuple[int, ...] = ()

    def take(self, server: Server, answer: SlotRead, proven: Sequence[ProvenShare]) -> None:
        """A server has shown its shares."""
        self.responding[server.node] = None
        self.silent.pop(server.node, None)
        signed = {share.number: share.signed for share in answer.shares}
        for share in proven:
            self.signed[share.version.identity] = signed[share.number]
            root = b"" if share.flaw else share.tree.root
            self.shares[server.node, share.number] = SlotShare(share.version, root)
            if share.flaw:
                self.accuse(server, share.number, share.flaw)
        self.hearing.learn(server.permutation_seed, {share.number: share.version for share in proven})

    def accuse(self, server: Server, number: int, flaw: str) -> None:
        """A share fails."""
        self.flaws[server.node, number] = flaw
        self.hearing.unsound[server.permutation_seed, number] = flaw

    def holders(self, version: VersionId) -> dict[int, tuple[NodeId, ...]]:
        """Who has which sound share of a version."""
        found: dict[int, list[NodeId]] = {}
        for (node, number), share in sorted(self.shares.items()):
            if share.version.identity == version and (node, number) not in self.flaws:
                found.setdefault(number, []).append(node)
        return {number: tuple(nodes) for number, nodes in sorted(found.items())}

    def best(self) -> SlotVersion | None:
        """The version that is looked after: the one that counts, or the newest that can be recovered, or the newest."""
        choice = self.hearing.best_effort()
        if choice is not None:
            return choice.version
        versions = self.hearing.versions
        return versions[max(versions)] if versions else None

    def health(self) -> Health:
        """The slot's health."""
        best = self.best()
        identities = sorted(self.hearing.versions, reverse=True)
        if best is not None:
            identities = [best.identity, *(each for each in identities if each != best.identity)]
        shown = [self._version(identity) for identity in identities]
        versions = tuple(version for place, version in enumerate(shown) if version.holders or not place)
        corrupt = tuple(Locator(node, number, reason) for (node, number), reason in sorted(self.flaws.items()))
        answers = Answers(tuple(self.responding), dict(self.silent))
        return Health(versions or (NOT_FOUND,), answers, corrupt, mutable=True)

    def _version(self, identity: VersionId) -> VersionShares:
        shape = self.hearing.versions[identity].shape
        return VersionShares(label_of(identity), shape.needed, shape.total, self.holders(identity))


NOT_FOUND = VersionShares("", 3, 10, {})
"""What is reported where nobody has anything; the numbers are those of the reference."""


def label_of(identity: VersionId) -> str:
    """A version's name for people."""
    return f"seq{identity.sequence}-{base32.encode(identity.root_hash)[:4]}"


async def check_slot(desk: KeepingDesk, capability: SlotVerify, servers: Sequence[Server]) -> SlotFindings:
    """Ask servers which version of a slot they have.

    Args:
        desk: of the node.
        capability: of the slot.
        servers: to be asked.
    """
    findings = SlotFindings()
    present = desk.in_reach(servers)
    findings.silent = {server.node: "not connected" for server in servers}
    findings.silent |= {server.node: "did not answer in time" for server in present}
    question = ReadSlot(capability.storage_index, 0, 0, 0)
    errands = [Errand(server, server.address, question) for server in present]
    terms = desk.terms()
    async with AskEach[Server, SlotRead](desk.ctx, errands, timeout=terms.question) as outcomes:
        while len(outcomes):
            try:
                is_late = len(findings.responding) * 2 > len(present)
                found = await outcomes.next(terms.straggler if is_late else None)
            except TimedOut:
                break
            if found is None:
                break
            server, outcome = found
            if isinstance(outcome, (Refused, Unanswered)):
                findings.silent[server.node] = str(outcome)
            else:
                proven = await desk.ctx.compute(prove_shares, capability.storage_index, outcome)
                findings.take(server, outcome, proven)
    return findings


async def verify_slot(desk: KeepingDesk, capability: SlotVerify, servers: Sequence[Server]) -> SlotFindings:
    """Have all blocks of all shares sent, and prove them."""
    findings = await check_slot(desk, capability, servers)
    sites = {server.node: server for server in servers}
    ended: Queue[None] = desk.ctx.queue()
    nodes = dict.fromkeys(node for node, _ in findings.shares)
    tasks = [desk.ctx.spawn(_verify_on(desk, capability, sites[node], findings, ended)) for node in nodes]
    try:
        for _ in tasks:
            await ended.get()
    finally:
        for task in tasks:
            task.cancel()
    return findings


async def _verify_on(
    desk: KeepingDesk, capability: SlotVerify, server: Server, findings: SlotFindings, ended: Queue[None]
) -> None:
    """Prove the blocks of all shares that one server has."""
    try:
        await _Blocks(desk, capability, server, findings).run()
    except (Refused, Unanswered) as failure:
        findings.silent[server.node] = str(failure)
        findings.responding.pop(server.node, None)
        for place in [place for place in findings.shares if place[0] == server.node]:
            del findings.shares[place]
        findings.hearing.heard.pop(server.permutation_seed, None)
    ended.put_nowait(None)


class _Blocks:
    """The blocks of a server's shares, in order, as many at a time as a message takes."""

    def __init__(self, desk: KeepingDesk, capability: SlotVerify, server: Server, findings: SlotFindings) -> None:
        self._desk = desk
        self._index = capability.storage_index
        self._server = server
        self._findings = findings
        self._room = max(1024, desk.terms().limits.payload - 2 * ROOM_FOR_FACTS)
        sound = ((number, share) for (node, number), share in findings.shares.items() if node == server.node)
        self._next = {number: 0 for number, share in sound if share.root and share.version.shape.segment_count}

    async def run(self) -> None:
        """Until every share is proven or accused."""
        while self._next:
            number = min(self._next, key=self._next.__getitem__)
            shape = self._findings.shares[self._server.node, number].version.shape
            before = self._next[number]
            question = ReadSlot(self._index, before * shape.segment_size, ALL, self._room)
            patience = self._desk.terms().room.habits.patience
            answer = await self._desk.ctx.ask(self._server.address, question, timeout=patience)
            proven = await self._desk.ctx.compute(prove_shares, self._index, answer)
            self._learn(proven)
            if self._next.get(number) == before:
                self._accuse(number, f"block {before} is not given")

    def _learn(self, proven: Iterable[ProvenShare]) -> None:
        for share in proven:
            known = self._findings.shares.get((self._server.node, share.number))
            if share.number not in self._next or known is None or known.version != share.version:
                continue
            if share.flaw:
                self._accuse(share.number, share.flaw)
                continue
            while self._next[share.number] in share.blocks:
                self._next[share.number] += 1
            if self._next[share.number] >= share.version.shape.segment_count:
                del self._next[share.number]

    def _accuse(self, number: int, flaw: str) -> None:
        self._findings.accuse(self._server, number, flaw)
        del self._next[number]
