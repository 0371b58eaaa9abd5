"""Inventory: which server holds which share of which file, as two matrices, for thousands of files at once.

A file of N shares has 2N slots. Slot j and slot j+N both hold share number j: a repairer who can't see a share makes
it anew elsewhere, and when its old home comes back there are two. Should both be out of sight when a third is made, the
older is forgotten, which errs on the side of loss::

            slots 0 .. N-1        slots N .. 2N-1
    file 0   4  9  1  -1 ...       -1  7 -1  -1 ...       homes: a server's number, or -1
    file 1  ...                                           rotten: the share is there, and worthless
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tahoe.policy.placement import Candidate, PlacementPolicy
from tahoe.protocol import NodeId

Numbers: TypeAlias = NDArray[np.int32]
Truths: TypeAlias = NDArray[np.bool_]

NOWHERE = -1


class Inventory:
    """The shares of many files.

    Args:
        homes: for each file and share number, the server that holds it.
        servers: how many there are.

    Attributes:
        homes: for each file and slot.
        rotten: for each file and slot.
        up: for each server.
    """

    def __init__(self, homes: Numbers, servers: int) -> None:
        self.total = homes.shape[1]
        self.homes = np.hstack([homes, np.full_like(homes, NOWHERE)])
        self.rotten = np.zeros(self.homes.shape, bool)
        self.up = np.ones(servers, bool)

    def on(self, server: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Files and slots that have a share on a server."""
        files, slots = np.nonzero(self.homes == server)
        return files, slots

    def drop(self, files: NDArray[Any], slots: NDArray[Any]) -> None:
        """Some shares are gone."""
        self.homes[files, slots] = NOWHERE
        self.rotten[files, slots] = False

    def alive(self, files: Any) -> Truths:
        """For some files and each share number: whether a sound copy exists, on a server that is up or down."""
        return self._either((self.homes[files] != NOWHERE) & ~self.rotten[files])

    def visible(self, files: Any) -> Truths:
        """For some files and each share number: whether a checker finds it; rot it does not see."""
        return self._either(self.in_sight(files))

    def readable(self, files: Any) -> Truths:
        """For some files and each share number: whether a reader gets it now."""
        return self._either(self.in_sight(files) & ~self.rotten[files])

    def in_sight(self, files: Any) -> Truths:
        """For some files and each slot: whether there is a share on a server that is up."""
        homes = self.homes[files]
        sight: Truths = (homes != NOWHERE) & self.up[homes]
        return sight

    def _either(self, slots: Truths) -> Truths:
        either: Truths = slots[..., : self.total] | slots[..., self.total :]
        return either

    def put(self, file: int, number: int, server: int) -> None:
        """A share is made anew; of its two slots it takes the empty one, else the older."""
        homes = self.homes[file]
        slot = number if homes[number] == NOWHERE else number + self.total
        if homes[slot] != NOWHERE:
            homes[number], self.rotten[file, number] = homes[slot], self.rotten[file, slot]
        homes[slot] = server
        self.rotten[file, slot] = False


class Assigner:
    """Asks placement rules where shares should go, in the terms of an inventory.

    Args:
        nodes: the servers' ids by number.
        locations: their failure domains by number.
        total: shares of a file.
    """

    def __init__(self, nodes: Sequence[NodeId], locations: Sequence[str], total: int) -> None:
        self._nodes = nodes
        self._locations = locations
        self._total = total
        self._number = {node: number for number, node in enumerate(nodes)}

    def assign(self, policy: PlacementPolicy, order: Sequence[int], held: dict[int, tuple[int, ...]]) -> dict[int, int]:
        """A home for every share number that can have one.

        Args:
            policy: the rule.
            order: servers that are up, best first.
            held: which shares of this file each of them holds.
        """
        candidates = [
            Candidate(
                self._nodes[server], held.get(server, ()), (), True, self._locations[server]
            )  # positional is quicker, and this is the inner loop
            for server in order
        ]
        homes = policy.assign(self._total, candidates)
        return {number: self._number[node] for number, node in homes.items()}
