"""Where the shares of something are: every server is asked what it has, and the answers make a matrix.

Servers are believed here; that is what a picture needs. Who does not want to believe them runs ``tahoe check --verify``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from tahoe.actors.client import Client
from tahoe.actors.servers import Server
from tahoe.codec.capability import Capability, Directory, ImmutableRead, ImmutableVerify
from tahoe.context import AskEach, Errand
from tahoe.protocol import HaveShares, NodeId, SharesHeld

ASK_SECONDS: Final = 5.0
LAST_CHANCE: Final = 1.0
"""Seconds for a server that is said to be gone, which may be wrong; somebody waits for the page."""

LEGEND: Final = {"good": "sound", "stale": "an older version", "bad": "not of this file", "none": "no share"}


class Fact(NamedTuple):
    """One share that a server says it has, and which version of the thing it belongs to.

    ``version`` counts up for slots and is 0 for files; ``identity`` is the hash that tells versions apart.
    """

    number: int
    version: int
    identity: bytes


class Line(NamedTuple):
    """One server's row: the state of each share number, or why nothing is known."""

    server: str
    cells: Sequence[str]
    silence: str


class Version(NamedTuple):
    """One version of a slot: its number, how many different shares of it there are, and whether it is the newest."""

    sequence: int
    shares: int
    newest: bool


@dataclass(frozen=True, slots=True)
class Matrix:
    """Shares by servers.

    Args:
        numbers: the share numbers, in order.
        lines: servers that have shares, then silent ones.
        found: how many different sound shares there are.
        needed: how many give the file back; None where only the shares themselves know.
        without: how many servers answered and have none.
        versions: of a slot, the newest first.
    """

    numbers: Sequence[int]
    lines: Sequence[Line]
    found: int
    needed: int | None
    without: int
    versions: Sequence[Version] = ()

    @property
    def verdict(self) -> tuple[str, str]:
        """A level and a sentence: how the file is."""
        total = len(self.numbers)
        if self.needed is None:
            spread = sum("good" in line.cells for line in self.lines)
            return ("good" if spread else "bad"), f"Shares of the newest version are on {spread} servers."
        if self.found >= total:
            return "good", f"All {total} shares are there; any {self.needed} give the file back."
        if self.found >= self.needed:
            return "warn", f"{self.found} of {total} shares are there; any {self.needed} give the file back."
        return "bad", f"Only {self.found} of {total} shares are in reach, and {self.needed} are needed."


async def ask_holdings(client: Client, cap: Capability) -> tuple[dict[NodeId, list[Fact]], dict[NodeId, str]]:
    """Ask every server what it has of something that lies on servers.

    Returns:
        Facts by server; and those who did not answer, with the reason.
    """
    index = cap.storage_index
    assert index is not None, "literals lie nowhere"
    question = HaveShares((index,), slots=True)
    errands = [Errand(server.node, server.address, question) for server in client.membership.servers()]
    gone = [errand for errand in errands if client.ctx.presence(errand.key) is False]
    facts: dict[NodeId, list[Fact]] = {}
    silent: dict[NodeId, str] = {}
    async with AskEach[NodeId, SharesHeld](client.ctx, timeout=ASK_SECONDS) as outcomes:
        for errand in errands:
            outcomes.add(errand, timeout=LAST_CHANCE if errand in gone else None)
        async for node, outcome in outcomes:
            if isinstance(outcome, SharesHeld):
                facts[node] = _facts(outcome)
            else:
                silent[node] = str(outcome)
    return facts, silent


def _facts(answer: SharesHeld) -> list[Fact]:
    files = [Fact(share.number, 0, share.ueb_hash) for held in answer.held for share in held.shares]
    slots = [Fact(share.number, share.sequence, share.root_hash) for held in answer.slots for share in held.shares]
    return files + slots


def matrix(
    cap: Capability, servers: Sequence[Server], facts: Mapping[NodeId, Sequence[Fact]], silent: Mapping[NodeId, str]
) -> Matrix:
    """Return the matrix of shares by servers.

    Args:
        cap: of a file, slot or directory.
        servers: all that are known.
        facts: what each that answered has.
        silent: the others.
    """
    known = [fact for each in facts.values() for fact in each]
    wanted = _wanted(cap, known)
    names, numbers = _names(servers), range(wanted.total)
    lines = [Line(names.get(node, node[:12]), _cells(each, wanted), "") for node, each in facts.items() if each]
    lines.sort(key=lambda line: [cell == "none" for cell in line.cells])
    lines += [Line(names.get(node, node[:12]), [], reason.removeprefix(f"{node} ")) for node, reason in silent.items()]
    return Matrix(
        numbers,
        lines,
        found=len({fact.number for fact in known if fact[1:] == wanted.version}),
        needed=wanted.needed,
        without=sum(not each for each in facts.values()),
        versions=() if wanted.needed else _versions(known, wanted.version),
    )


class _Wanted(NamedTuple):
    """The version whose shares count, how many there are of it, and how many give it back (of slots, only shares know)."""

    version: tuple[int, bytes]
    total: int
    needed: int | None


def _wanted(cap: Capability, known: Sequence[Fact]) -> _Wanted:
    file = cap.file if isinstance(cap, Directory) else cap
    if isinstance(file, ImmutableRead | ImmutableVerify):
        return _Wanted((0, file.ueb_hash), file.total, file.needed)
    newest = max((fact[1:] for fact in known), default=(0, b""))
    return _Wanted(newest, 1 + max((fact.number for fact in known), default=-1), None)


def _names(servers: Sequence[Server]) -> dict[NodeId, str]:
    """Nicknames; with some of the identity where several servers have the same or none."""
    count = Counter(server.nickname for server in servers)
    return {
        server.node: server.nickname if server.nickname and count[server.nickname] == 1 else server.label
        for server in servers
    }


def _cells(facts: Sequence[Fact], wanted: _Wanted) -> list[str]:
    states = {fact.number: _state(fact, wanted.version) for fact in facts}
    return [states.get(number, "none") for number in range(wanted.total)]


def _state(fact: Fact, right: tuple[int, bytes]) -> str:
    if fact[1:] == right:
        return "good"
    return "stale" if fact.version else "bad"


def _versions(known: Sequence[Fact], right: tuple[int, bytes]) -> list[Version]:
    shares = Counter(fact[1:] for fact in set(known))
    return [Version(key[0], count, key == right) for key, count in sorted(shares.items(), reverse=True)]
