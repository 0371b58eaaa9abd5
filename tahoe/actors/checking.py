"""Checking files: asking servers what they have, of many files in one message.

::

    128 storage indexes ──► every server ──► which shares, with the hash of each one's UEB

A share counts only if that hash is the capability's. Servers are believed here; whoever does not want to believe them
verifies (``verifying.py``). Nothing else is needed for a tree of a thousand objects than a few messages to
each server, which is why this is cheap enough to be done every week.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tahoe.actors.keeping import KeepingDesk
from tahoe.actors.servers import Server
from tahoe.codec.capability import ImmutableVerify
from tahoe.context import AskEach, Errand, TimedOut
from tahoe.policy.health import Answers, Health, Locator, health_of_file
from tahoe.protocol import HaveShares, NodeId, ShareFacts, SharesHeld, SlotShareFacts

INDEXES_IN_MESSAGE = 128
"""Storage indexes asked about at once. Even if a server has all ten shares of each, the answer fits a message."""


@dataclass(slots=True)
class Holdings:
    """What servers said they have.

    Attributes:
        held: share facts by server and storage index; who answered is in here, even with nothing.
        accepts: the largest share that each would take, in bytes.
        silent: who did not answer, and why.
        slots: the versions of slots that each says its shares carry, where that was asked for.
    """

    held: dict[NodeId, dict[bytes, tuple[ShareFacts, ...]]] = field(default_factory=dict)
    accepts: dict[NodeId, int] = field(default_factory=dict)
    silent: dict[NodeId, str] = field(default_factory=dict)
    slots: dict[NodeId, dict[bytes, tuple[SlotShareFacts, ...]]] = field(default_factory=dict)

    def claims(self, storage_index: bytes) -> dict[NodeId, tuple[ShareFacts, ...]]:
        """What each server that answered says it has of one object."""
        return {node: held.get(storage_index, ()) for node, held in self.held.items()}

    @property
    def answers(self) -> Answers:
        """Who answered and who did not."""
        return Answers(tuple(self.held), dict(self.silent))

    def take(self, node: NodeId, answer: SharesHeld) -> None:
        """A server has answered."""
        self.held.setdefault(node, {}).update({each.storage_index: each.shares for each in answer.held})
        self.slots.setdefault(node, {}).update({each.storage_index: each.shares for each in answer.slots})
        self.accepts[node] = answer.space.accepts
        self.silent.pop(node, None)


async def ask_holdings(desk: KeepingDesk, indexes: Sequence[bytes], servers: Iterable[Server]) -> Holdings:
    """Ask servers what they have of some objects.

    Args:
        desk: of the node.
        indexes: storage indexes, not more than ``INDEXES_IN_MESSAGE``.
        servers: to be asked.
    """
    assert len(indexes) <= INDEXES_IN_MESSAGE, "what is more goes into the next message"
    question = HaveShares(tuple(indexes))
    return await ask_servers(desk, dict.fromkeys(servers, question))


async def ask_servers(desk: KeepingDesk, questions: Mapping[Server, HaveShares]) -> Holdings:
    """Ask each server its own question."""
    present = desk.in_reach(questions)
    holdings = Holdings()
    holdings.silent = {server.node: "not connected" for server in questions}
    holdings.silent |= {server.node: "did not answer in time" for server in present}
    errands = [Errand(server.node, server.address, questions[server]) for server in present]
    terms = desk.terms()
    async with AskEach[NodeId, SharesHeld](desk.ctx, errands, timeout=terms.question) as outcomes:
        while len(outcomes):
            try:
                found = await outcomes.next(terms.straggler if len(holdings.held) * 2 > len(present) else None)
            except TimedOut:
                break
            if found is not None:
                node, outcome = found
                if isinstance(outcome, SharesHeld):
                    holdings.take(node, outcome)
                else:
                    holdings.silent[node] = str(outcome)
    return holdings


def holders_of(capability: ImmutableVerify, holdings: Holdings) -> dict[int, list[NodeId]]:
    """Who says that he has which share of a file."""
    found: dict[int, list[NodeId]] = {}
    for node, facts in holdings.claims(capability.storage_index).items():
        for share in facts:
            if share.ueb_hash == capability.ueb_hash and share.number < capability.total:
                found.setdefault(share.number, []).append(node)
    return found


def file_health(capability: ImmutableVerify, holdings: Holdings, flaws: Mapping[tuple[NodeId, int], str]) -> Health:
    """The health of a file.

    Args:
        capability: of the file.
        holdings: what servers said.
        flaws: shares that were looked at and are corrupt, and why.
    """
    holders = {
        number: [node for node in nodes if (node, number) not in flaws]
        for number, nodes in holders_of(capability, holdings).items()
    }
    corrupt = [Locator(node, number, reason) for (node, number), reason in flaws.items()]
    return health_of_file(capability.needed, capability.total, holders, holdings.answers, corrupt)


async def check_files(
    desk: KeepingDesk, capabilities: Sequence[ImmutableVerify], servers: Sequence[Server]
) -> tuple[list[Health], Holdings]:
    """Check files, as many as fit a message.

    Returns:
        Their health in order, and what servers said.
    """
    holdings = await ask_holdings(desk, [capability.storage_index for capability in capabilities], servers)
    return [file_health(capability, holdings, {}) for capability in capabilities], holdings
