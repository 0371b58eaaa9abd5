"""Where the shares of one file go: which servers to ask, which share to offer to whom, and when it is good enough.

Two objects, because two things change independently:

* A ``PlacementPolicy`` is a pure rule: given what candidates hold and take, where should each share be? The grid, the
  simulator and Monte Carlo call the same one; another rule (random, copysets, failure domains) is another object.
* A ``Placement`` is the dialogue of one upload. It asks, learns and proposes until nothing better can be done::

      questions() ──► servers ──► learn(Answered | Failed)
           proposals() ──► servers ──► learn(Accepted | Failed)      again while there are proposals
                check()                                              happy, or says what was found

Only shares of *this* file count, which the hash of their UEB tells. Servers' claims wait until the uploader knows that
hash (``identify``); a claim that is not this file's makes the number unusable on that server, and nothing more. No
step iterates over a set: the same facts in the same order give the same placement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

from tahoe.errors import NotEnoughServers
from tahoe.policy.happiness import Matching, happiness, shortfall
from tahoe.policy.order import S, Site, permuted
from tahoe.protocol import Encoding, NodeId, ShareFacts

ASKED_PER_SHARE = 2
"""How many servers are asked for each share made, so that full, dead and odd ones don't matter."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One server as a placement rule sees it.

    Args:
        node: who it is.
        holds: shares of this file that it has or has agreed to take.
        occupied: numbers under which it holds something else.
        writable: whether it takes another share.
        location: its failure domain.
    """

    node: NodeId
    holds: tuple[int, ...] = ()
    occupied: tuple[int, ...] = ()
    writable: bool = True
    location: str = ""

    def takes(self, number: int) -> bool:
        """Whether this share could be put here anew."""
        return self.writable and number not in self.occupied


class PlacementPolicy(Protocol):
    """A rule of placement."""

    def shortlist(self, servers: Sequence[S], storage_index: bytes, total: int) -> list[S]:
        """The servers worth asking about a file of ``total`` shares, best first."""

    def assign(self, total: int, candidates: Sequence[Candidate]) -> dict[int, NodeId]:
        """A home for every share number that can have one; holders keep what the rule wants them to keep."""


class SpreadForHappiness:
    """The standard rule: as many servers as possible, what is there already reused, the rest spread evenly.

    Read-only servers are paired first, with shares they hold, then writable ones with shares they hold, then what is
    still free of both: the largest matching, and among those one that sends little.
    """

    def shortlist(self, servers: Sequence[S], storage_index: bytes, total: int) -> list[S]:
        """The front of the permuted order."""
        return permuted(servers, storage_index, ASKED_PER_SHARE * total)

    def assign(self, total: int, candidates: Sequence[Candidate]) -> dict[int, NodeId]:
        """See the class."""
        matching = Matching()
        matching.grow(_holders(candidate for candidate in candidates if not candidate.writable))
        matching.grow(_holders(candidate for candidate in candidates if candidate.writable))
        writable = [candidate for candidate in candidates if candidate.writable]
        _pair_the_free(matching, total, writable)
        homes = dict(matching.home_of)
        _house_the_rest(homes, total, candidates)
        return dict(sorted(homes.items()))


SPREAD = SpreadForHappiness()


def _holders(candidates: Iterable[Candidate]) -> dict[int, list[NodeId]]:
    """Share number to those who hold it."""
    holders: dict[int, list[NodeId]] = {}
    for candidate in candidates:
        for number in candidate.holds:
            holders.setdefault(number, []).append(candidate.node)
    return holders


def _pair_the_free(matching: Matching, total: int, writable: Sequence[Candidate]) -> None:
    """Pair homeless shares with unused servers: in order where that works, by search where it does not."""
    unused = [candidate for candidate in writable if candidate.node not in matching.share_of]
    stuck = False
    for number in range(total):
        if number in matching.home_of or not unused:
            continue
        taker = next((index for index, candidate in enumerate(unused) if candidate.takes(number)), None)
        if taker is None:
            stuck = True
        else:
            matching.pair(number, unused.pop(taker).node)
    if stuck and unused:
        matching.grow({number: [other.node for other in writable if other.takes(number)] for number in range(total)})


def _house_the_rest(homes: dict[int, NodeId], total: int, candidates: Sequence[Candidate]) -> None:
    """Shares beyond the matching: with whoever holds them already, else where the fewest are."""
    load = {candidate.node: len(candidate.holds) for candidate in candidates}
    held = {candidate.node: candidate.holds for candidate in candidates}
    for number, node in homes.items():
        load[node] += number not in held[node]
    for number in range(total):
        if number in homes:
            continue
        pool = [candidate for candidate in candidates if number in candidate.holds]
        pool = pool or [candidate for candidate in candidates if candidate.takes(number)]
        if pool:
            home = min(pool, key=lambda candidate: load[candidate.node])
            homes[number] = home.node
            load[home.node] += number not in home.holds


# --- the dialogue ------------------------------------------------------------------------------------------


class Answered(NamedTuple):
    """A server said which shares it has, and the largest it would take (bytes; 0: none)."""

    node: NodeId
    claims: Sequence[ShareFacts]
    accepts: int


class Accepted(NamedTuple):
    """A server took these shares; ``claims`` are complete shares that it has anyway."""

    node: NodeId
    numbers: Sequence[int]
    claims: Sequence[ShareFacts] = ()


class Declined(NamedTuple):
    """A server takes no more shares; what it holds still counts."""

    node: NodeId
    reason: str


class Failed(NamedTuple):
    """A server can't be relied on: it fell silent, or lost what it took; nothing on it counts any more."""

    node: NodeId
    reason: str


Fact: TypeAlias = Answered | Accepted | Declined | Failed


@dataclass(slots=True)
class _Standing:
    """What one server has said so far. Dictionaries keep order, which sets would not."""

    site: Site
    answered: bool = False
    writable: bool = False
    claims: dict[int, bytes] = field(default_factory=dict)
    placed: dict[int, None] = field(default_factory=dict)
    failed: bool = False
    trouble: str = ""


class Placement:
    """The placement of one upload.

    Args:
        encoding: k, happy and N.
        share_size: bytes of a share; a server that accepts less is read-only to us.
        servers: to be asked, best first (a policy's ``shortlist``).
        policy: the rule.
    """

    def __init__(
        self, encoding: Encoding, share_size: int, servers: Sequence[Site], policy: PlacementPolicy = SPREAD
    ) -> None:
        self._encoding = encoding
        self._share_size = share_size
        self._policy = policy
        self._standings = {site.node: _Standing(site) for site in servers}
        self._ueb_hash: bytes | None = None
        self._candidates: list[Candidate] | None = None
        self._homes: dict[int, NodeId] | None = None

    # --- learning -------------------------------------------------------------------------------------------

    def learn(self, fact: Fact) -> None:
        """Take in what a server did."""
        standing = self._standings[fact.node]
        match fact:
            case Answered(_, claims, accepts):
                standing.answered = True
                standing.writable = accepts >= self._share_size
                self._claim(standing, claims)
            case Accepted(_, numbers, claims):
                standing.placed.update(dict.fromkeys(numbers))
                self._claim(standing, claims)
            case Declined(_, reason):
                standing.writable = False
                standing.trouble = standing.trouble or reason
            case Failed(_, reason):
                standing.failed = True
                standing.trouble = standing.trouble or reason
        self._forget_plan()

    def identify(self, ueb_hash: bytes) -> None:
        """Say which shares are this file's. Empty: no share that exists already can be."""
        self._ueb_hash = ueb_hash
        self._forget_plan()

    @property
    def ueb_hash(self) -> bytes:
        """What ``identify`` was told; empty before."""
        return self._ueb_hash or b""

    @property
    def unidentified(self) -> bool:
        """Whether servers claim shares that can't be judged before ``identify``."""
        return self._ueb_hash is None and any(standing.claims for standing in self._standings.values())

    def _claim(self, standing: _Standing, claims: Sequence[ShareFacts]) -> None:
        for share in claims:
            if share.number < self._encoding.total and share.number not in standing.placed:
                standing.claims[share.number] = share.ueb_hash

    def _forget_plan(self) -> None:
        self._candidates = None
        self._homes = None

    # --- proposing ------------------------------------------------------------------------------------------

    def questions(self) -> tuple[NodeId, ...]:
        """Whom to ask what they have."""
        return tuple(node for node, standing in self._standings.items() if not standing.answered)

    def proposals(self) -> dict[NodeId, tuple[int, ...]]:
        """Which shares to offer to whom now; empty when nothing more can be done or needs to be."""
        offers: dict[NodeId, list[int]] = {}
        held = {candidate.node: candidate.holds for candidate in self.candidates()}
        for number, node in self.homes().items():
            if number not in held[node]:
                offers.setdefault(node, []).append(number)
        return {node: tuple(numbers) for node, numbers in offers.items()}

    def promise(self) -> int:
        """The happiness that would be reached if every proposal were accepted."""
        holders = self.holders()
        for number, node in self.homes().items():
            holders.setdefault(number, []).append(node)
        return happiness(holders)

    def homes(self) -> dict[int, NodeId]:
        """Where each share is or should go by what is known now."""
        if self._homes is None:
            self._homes = self._policy.assign(self._encoding.total, self.candidates())
        return self._homes

    def candidates(self) -> list[Candidate]:
        """The servers that answered and did not fail, as the rule sees them."""
        if self._candidates is None:
            self._candidates = [
                self._candidate(standing)
                for standing in self._standings.values()
                if standing.answered and not standing.failed
            ]
        return self._candidates

    def _candidate(self, standing: _Standing) -> Candidate:
        ours = self._ueb_hash or None
        verified = [number for number, ueb_hash in standing.claims.items() if ueb_hash == ours]
        occupied = [number for number, ueb_hash in standing.claims.items() if ueb_hash != ours]
        holds = (*standing.placed, *verified)
        return Candidate(standing.site.node, holds, tuple(occupied), standing.writable, standing.site.location)

    # --- judging --------------------------------------------------------------------------------------------

    def holders(self) -> dict[int, list[NodeId]]:
        """Who holds which share of this file by now, servers in order."""
        return _holders(self.candidates())

    def standing(self) -> dict[int, NodeId]:
        """One server for each share that is somewhere, on as many servers as can be."""
        holders = self.holders()
        matching = Matching()
        matching.grow(holders)
        return {number: matching.home_of.get(number, nodes[0]) for number, nodes in sorted(holders.items())}

    def placed(self) -> dict[NodeId, tuple[int, ...]]:
        """Shares that this upload put, or is putting, on servers that have not failed."""
        standings = self._standings.items()
        return {node: tuple(standing.placed) for node, standing in standings if standing.placed and not standing.failed}

    def spread(self) -> int:
        """The happiness reached by what servers hold now."""
        return happiness(self.holders())

    def check(self, spread: int | None = None) -> int:
        """The happiness reached, if it is enough.

        Args:
            spread: judge this instead of what servers hold now (a promise, say).

        Raises:
            NotEnoughServers: it is not; tells servers, shares, matching and reasons.
        """
        reached = self.spread() if spread is None else spread
        if reached < self._encoding.happy:
            raise NotEnoughServers(reached, self._encoding.happy, self._explain(reached))
        return reached

    def _explain(self, reached: int) -> str:
        standings = self._standings.values()
        answered = sum(standing.answered for standing in standings)
        writable = sum(candidate.writable for candidate in self.candidates())
        homes = self.homes()
        holding = len(dict.fromkeys([*homes.values(), *(node for nodes in self.holders().values() for node in nodes)]))
        lines = [
            shortfall(holding, reached, self._encoding.needed, self._encoding.happy),
            f"asked {len(standings)} servers: {answered} answered, {writable} of those take shares",
            f"shares found: {self._listed(self.holders())}",
            f"best placement: {self._listed({number: [node] for number, node in homes.items()})}",
        ]
        troubles = [f"{_label(standing.site)}: {standing.trouble}" for standing in standings if standing.trouble]
        return "\n  ".join([*lines, *troubles])

    def _listed(self, holders: Mapping[int, Sequence[NodeId]]) -> str:
        listed = [
            f"{number} on {', '.join(_label(self._standings[node].site) for node in nodes)}"
            for number, nodes in sorted(holders.items())
        ]
        return "; ".join(listed) or "none"


def _label(site: Site) -> str:
    return site.nickname or site.node.removeprefix("v0-")[:8]
