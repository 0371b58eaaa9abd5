"""Failure domains: servers that are likely to fail together, and placement that reckons with it.

A server announces where it stands as ``site/rack/host``. Who shares a site shares a roof, a power line and often a
broadband contract, so the site is the domain; a server that says nothing is a domain of its own. When the domain with
most shares of a file burns down, k shares must be left elsewhere: so no domain should hold more than N - k of
them. With few domains that can't be done, and is reported rather than refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from tahoe.policy.order import S
from tahoe.policy.placement import SPREAD, Candidate, PlacementPolicy
from tahoe.protocol import NodeId


class Place(Protocol):
    """What has a location."""

    @property
    def node(self) -> NodeId:
        """Who it is."""

    @property
    def location(self) -> str:
        """``site/rack/host``; may be empty."""


def domain_of(place: Place) -> str:
    """The failure domain of a server."""
    site = place.location.split("/", maxsplit=1)[0].strip()
    return site or place.node


def most_in_domain(needed: int, total: int) -> int:
    """How many shares one domain may hold so that the file survives its end."""
    return max(1, total - needed)


class DomainReport(NamedTuple):
    """How shares lie in domains.

    Args:
        shares: distinct share numbers by domain.
        most: how many one may hold.
    """

    shares: Mapping[str, int]
    most: int

    @property
    def crowded(self) -> tuple[str, ...]:
        """Domains whose end would be the file's."""
        return tuple(domain for domain, count in self.shares.items() if count > self.most)

    @property
    def text(self) -> str:
        """What to tell people; empty if there is nothing to tell."""
        return "; ".join(
            f"{self.shares[domain]} shares at {domain}, where {self.most} are the most that the file can lose"
            for domain in self.crowded
        )


def report(needed: int, total: int, holders: Mapping[int, Sequence[Place]]) -> DomainReport:
    """How the shares of a file lie in domains; a share that is in several counts in none of them.

    Args:
        needed: k.
        total: N.
        holders: servers by share number.
    """
    shares: Counter[str] = Counter()
    for places in holders.values():
        domains = dict.fromkeys(map(domain_of, places))
        if len(domains) == 1:
            shares[next(iter(domains))] += 1
    return DomainReport(dict(shares), most_in_domain(needed, total))


class SpreadOverDomains:
    """The standard rule, but no domain gets more shares than the file can lose, as long as there are others.

    Args:
        needed: k of the files placed.
        rule: decides everything else.
    """

    def __init__(self, needed: int, rule: PlacementPolicy = SPREAD) -> None:
        self._needed = needed
        self._rule = rule

    def shortlist(self, servers: Sequence[S], storage_index: bytes, total: int) -> list[S]:
        """The rule's, with servers of other domains at its end where it is too narrow."""
        chosen = self._rule.shortlist(servers, storage_index, total)
        domains = Counter(map(domain_of, chosen))
        if len(domains) * most_in_domain(self._needed, total) >= total:
            return chosen
        taken = dict.fromkeys(server.node for server in chosen)
        others = [server for server in servers if server.node not in taken and domain_of(server) not in domains]
        return [*chosen, *others[:total]]

    def assign(self, total: int, candidates: Sequence[Candidate]) -> dict[int, NodeId]:
        """See ``PlacementPolicy``."""
        homes = self._rule.assign(total, candidates)
        most = most_in_domain(self._needed, total)
        by_node = {candidate.node: candidate for candidate in candidates}
        counts = Counter(domain_of(by_node[node]) for node in homes.values())
        load = Counter(homes.values())
        for number, node in homes.items():
            old = by_node[node]
            if counts[domain_of(old)] <= most or number in old.holds:
                continue
            pool = [each for each in candidates if each.takes(number) and counts[domain_of(each)] < most]
            if pool:
                new = min(pool, key=lambda each: (load[each.node] + len(each.holds), counts[domain_of(each)]))
                homes[number] = new.node
                counts.update({domain_of(old): -1, domain_of(new): 1})
                load.update({node: -1, new.node: 1})
        return homes
