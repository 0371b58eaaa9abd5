"""Servers of happiness: on how many servers do the shares of a file really stand?

Ten shares on one server are worth no more than one share when that server burns. So we pair shares with servers, each
of them at most once, and count the pairs of the largest such matching::

      share 0 ------------ bob           pairs: 0-bob, 1-carol, 2-alice
      share 1 ------- bob, carol         happiness 3
      share 2 ----- alice, bob
                                         Without share 2 on alice it would be 2,
                                         however many copies of 0 and 1 there are.

The matching grows by augmenting paths: a free share takes a server; if that one is taken, its share moves on to
another, and so on until somebody finds a free server. It may be grown in stages, edge set after edge set: whoever is
paired stays paired (perhaps with another partner), so what comes first in the stages is never given up for what comes
later, and the result is still the largest over all edges.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from tahoe.protocol import NodeId


class Matching:
    """Pairs of share numbers and servers. The same edges in the same order give the same pairs."""

    __slots__ = ("_edges", "home_of", "share_of")

    def __init__(self) -> None:
        self.home_of: dict[int, NodeId] = {}
        self.share_of: dict[NodeId, int] = {}
        self._edges: dict[int, dict[NodeId, None]] = {}

    def __len__(self) -> int:
        return len(self.home_of)

    def pair(self, share: int, server: NodeId) -> None:
        """Pair two that are both still free, without search."""
        assert share not in self.home_of, "the share is free"
        assert server not in self.share_of, "the server is free"
        self._edges.setdefault(share, {})[server] = None
        self.home_of[share] = server
        self.share_of[server] = share

    def grow(self, edges: Mapping[int, Iterable[NodeId]]) -> None:
        """Add edges (share number to servers) and pair as many as can be."""
        for share, servers in edges.items():
            self._edges.setdefault(share, {}).update(dict.fromkeys(servers))
        # From a server that a failed search has seen no free one can be reached, now or later: never look there again.
        barren: dict[NodeId, int] = {}
        for share in self._edges:
            if share not in self.home_of:
                self._search(share, barren)

    def _search(self, start: int, reached: dict[NodeId, int]) -> None:
        """Find the shortest way from a free share to a free server and re-pair along it."""
        trail: dict[NodeId, int] = {}  # server: the share it was reached from
        frontier = deque([start])
        while frontier:
            share = frontier.popleft()
            for server in self._edges.get(share, ()):
                if server in trail or server in reached:
                    continue
                trail[server] = share
                if server not in self.share_of:
                    self._flip(server, trail)
                    return
                frontier.append(self.share_of[server])
        reached.update(trail)

    def _flip(self, server: NodeId, trail: Mapping[NodeId, int]) -> None:
        """Give every share on the trail the server it reached, from the free server back to the free share."""
        onward: NodeId | None = server
        while onward is not None:
            share = trail[onward]
            vacated = self.home_of.get(share)
            self.home_of[share] = onward
            self.share_of[onward] = share
            onward = vacated


def happiness(holders: Mapping[int, Iterable[NodeId]]) -> int:
    """Size of the largest matching, given which servers hold (or will hold) each share number."""
    matching = Matching()
    matching.grow(holders)
    return len(matching)


def shortfall(holding: int, spread: int, needed: int, happy: int) -> str:
    """Say in words which kind of unhappiness this is; empty when ``spread`` reaches ``happy``.

    Args:
        holding: servers that hold any share at all.
        spread: the happiness reached.
        needed: k, shares that give the file back.
        happy: the happiness asked for.
    """
    if spread >= happy:
        return ""
    if holding < needed:
        return f"too few servers: only {holding} would hold a share, and {needed} shares are needed to read the file"
    if spread < needed:
        return (
            f"not spread: {holding} servers would hold shares, but not every {needed} of them could give the file back"
        )
    return f"not happy: {holding} servers would hold shares"
