"""Which shares should move, when servers have come, are about to leave, or were badly chosen.

A move is a copy first and a farewell afterwards, so there is never less than before. They are proposed one
after the other, dearest reason first::

    leave      the server says that it is going; whoever has most room for it takes the share
    spread     two shares sit on one server while another has none: the number of servers whose loss is survived grows
    domain     a site holds more shares than the file can lose, and another has room
    even       a server has much more than its part and another much less; one share of a file at a time

What is only uneven moves little: a server must have ``slack`` times its part before anything leaves it for that
reason, since every byte that moves crosses the broker twice.

*Where it ends.* A server that leaves no longer counts, so a file's happiness is that of its shares on servers that
stay. No move lowers it: a share that leaves only adds a pair there, and a lonely share that moves to an empty server
takes its pair along. And as long as a share and a server are both without a partner in the largest matching, that share
may move to that server and makes one more pair. So when no move is left, the file is as happy as its shares and the
servers that stay allow. It may be less than before the farewell, where fewer servers stay than shares were spread over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tahoe.policy.domains import domain_of, most_in_domain
from tahoe.policy.happiness import Matching
from tahoe.policy.order import Site
from tahoe.protocol import NodeId

LEAVE, SPREAD, DOMAIN, EVEN = "leave", "spread", "domain", "even"


class Move(NamedTuple):
    """A share to be copied, and then let go where it was."""

    number: int
    source: NodeId
    target: NodeId
    reason: str


@dataclass(frozen=True, slots=True)
class Takers:
    """Servers that a share may go to, and how full everybody is.

    Args:
        sites: all that are present, in the file's order.
        leaving: nothing goes there, and everything there should go.
        load: bytes that each holds of what this caretaker looks after.
        slack: how many times its part a server may have before shares leave it for evenness.
    """

    sites: Sequence[Site]
    leaving: Collection[NodeId] = ()
    load: Mapping[NodeId, float] | None = None
    slack: float = 1.5


def next_move(needed: int, total: int, holders: Mapping[int, Sequence[NodeId]], takers: Takers) -> Move | None:
    """The move that is most worth making for one file; None if all is as it should be.

    Args:
        needed: k.
        total: N.
        holders: who has which share.
        takers: where shares may go.
    """
    state = _State(needed, total, holders, takers)
    return state.leave() or state.spread() or state.domain() or state.even()


class _State:
    """One file among its servers."""

    def __init__(self, needed: int, total: int, holders: Mapping[int, Sequence[NodeId]], takers: Takers) -> None:
        self._holders = holders
        self._sites = {site.node: site for site in takers.sites}
        self._takers = takers
        self._shares = Counter(node for nodes in holders.values() for node in nodes)
        self._most = most_in_domain(needed, total)
        self._domains = Counter(
            domain_of(self._sites[nodes[0]])
            for nodes in holders.values()
            if len(nodes) == 1 and nodes[0] in self._sites
        )
        self._load = takers.load or {}

    def _open(self, number: int) -> list[NodeId]:
        """Servers that this share may go to, those with fewest shares of the file and least load first."""
        places = [
            node for node in self._sites if node not in self._takers.leaving and node not in self._holders[number]
        ]
        order = {node: place for place, node in enumerate(places)}
        return sorted(
            places,
            key=lambda node: (
                self._shares[node],
                self._domains[domain_of(self._sites[node])] >= self._most,
                self._load.get(node, 0.0) if self._load else 0.0,
                order[node],
            ),
        )

    def _staying(self) -> Matching:
        """The largest pairing of shares with servers that stay."""
        matching = Matching()
        matching.grow(
            {
                number: [node for node in nodes if node not in self._takers.leaving]
                for number, nodes in sorted(self._holders.items())
            }
        )
        return matching

    def leave(self) -> Move | None:
        """Off servers that are going, unless the share is elsewhere anyway; where it makes one more pair, if it can.

        The pairing of the others may be any of the largest, so a server that is left over in it is a partner for sure.
        One that is not may be freed by re-pairing: ``spread`` sees to that afterwards.
        """
        for number, nodes in sorted(self._holders.items()):
            staying = [node for node in nodes if node not in self._takers.leaving]
            if not staying and (places := self._open(number)):
                paired = self._staying().share_of
                target = next((node for node in places if node not in paired), places[0])
                return Move(number, nodes[0], target, LEAVE)
        return None

    def spread(self) -> Move | None:
        """A share without a partner, onto a server without one: the file becomes happier by one."""
        pairs = self._staying()
        for number, nodes in sorted(self._holders.items()):
            if number in pairs.home_of:
                continue
            partners = [node for node in self._open(number) if node not in pairs.share_of]
            if partners:
                return Move(number, max(nodes, key=self._shares.__getitem__), partners[0], SPREAD)
        return None

    def domain(self) -> Move | None:
        """Out of sites that hold more than the file can lose."""
        for number, nodes in sorted(self._holders.items()):
            if len(nodes) != 1 or nodes[0] not in self._sites:
                continue
            if self._domains[domain_of(self._sites[nodes[0]])] <= self._most:
                continue
            for node in self._open(number):
                if self._has_room(domain_of(self._sites[node])) and not self._shares[node]:
                    return Move(number, nodes[0], node, DOMAIN)
        return None

    def even(self) -> Move | None:
        """From a server with much more than its part to one with much less."""
        staying = [node for node in self._sites if node not in self._takers.leaving]
        if not self._load or not staying:
            return None
        part = sum(self._load.get(node, 0.0) for node in staying) / len(staying)
        for number, nodes in sorted(self._holders.items()):
            full = [node for node in nodes if self._load.get(node, 0.0) > self._takers.slack * part]
            for node in self._open(number):
                empty = not self._shares[node] and self._load.get(node, 0.0) < part / self._takers.slack
                if full and empty and self._has_room(domain_of(self._sites[node])):
                    return Move(number, full[0], node, EVEN)
        return None

    def _has_room(self, domain: str) -> bool:
        """Whether a site may hold one share more; if not, what comes in for evenness would go out for safety."""
        return self._domains[domain] < self._most
