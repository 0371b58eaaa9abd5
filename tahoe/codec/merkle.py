"""Merkle trees: one root that stands for many hashes, and short proofs that one of them belongs to it.

Nodes are numbered breadth first from the root, and the leaves are padded to a power of two::

               0                 5 leaves in a tree for 8: leaf j is node 7 + j,
         1           2           the children of node i are 2i + 1 and 2i + 2.
      3     4     5     6        Leaves 5..7 are padding: a hash of their number.
     7 8   9 10 11 12 13 14      To prove leaf 4 (node 11): nodes 12, 6, 1.

:class:`MerkleTree` is the writer's, who has all leaves. :class:`PartialTree` is the reader's, who has a trusted root
and hears of some nodes from people he does not trust; it keeps what it could prove and nothing else, and a node
proven once cuts short every later proof, so that a run of leaves costs about one inner hash each.
:class:`TreeStream` is for a checker who wants to see every node once without holding the tree.
"""

from __future__ import annotations

import heapq
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from tahoe.codec.hashing import HASH_SIZE, Tag, netstring, tagged_hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PAIR_HEAD: Final = netstring(Tag.MERKLE_NODE) + b"%d:" % HASH_SIZE
_PAIR_MIDDLE: Final = b",%d:" % HASH_SIZE


class BadHash(ValueError):
    """A hash does not fit the tree it is said to belong to. Nothing of that input was kept."""


def layout(leaf_count: int) -> tuple[int, int]:
    """Return the node number of leaf 0 and the number of nodes, padding included."""
    width = 1 << max(leaf_count - 1, 0).bit_length()
    return width - 1, 2 * width - 1


def pair_hash(left: bytes, right: bytes) -> bytes:
    """Return the inner node above two nodes: the tagged pair hash, spelled out because readers live by its speed."""
    return sha256(sha256(b"%b%b%b%b," % (_PAIR_HEAD, left, _PAIR_MIDDLE, right)).digest()).digest()


def padding_leaf(leaf: int) -> bytes:
    """Return the hash that stands in for a missing leaf."""
    return tagged_hash(Tag.MERKLE_EMPTY_LEAF, b"%d" % leaf)


def siblings(leaf_count: int, leaf: int) -> list[int]:
    """Return the node numbers that prove a leaf, from the leaf's sibling up to a child of the root."""
    node = layout(leaf_count)[0] + leaf
    path = []
    while node:
        path.append(_sibling(node))
        node = _parent(node)
    return path


class MerkleTree:
    """A whole tree, computed from its leaves (32-byte hashes; none at all gives one padding leaf)."""

    __slots__ = ("leaf_count", "nodes")

    leaf_count: int
    nodes: Sequence[bytes]

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaf_count = len(leaves)
        width = layout(len(leaves))[0] + 1
        level = [*leaves, *map(padding_leaf, range(len(leaves), width))]
        levels = [level]
        while len(level) > 1:
            level = list(map(pair_hash, level[::2], level[1::2]))
            levels.append(level)
        self.nodes = [node for level in reversed(levels) for node in level]

    @property
    def root(self) -> bytes:
        """The hash that stands for all leaves."""
        return self.nodes[0]

    @property
    def serialised(self) -> bytes:
        """All nodes in order, 32 bytes each."""
        return b"".join(self.nodes)

    def path(self, leaf: int) -> list[tuple[int, bytes]]:
        """Return the nodes that prove a leaf, as (number, hash), from its sibling up."""
        return [(node, self.nodes[node]) for node in siblings(self.leaf_count, leaf)]


class PartialTree:
    """The proven part of a tree whose root is trusted.

    Args:
        leaf_count: leaves without padding.
        root: the trusted root, or None if :meth:`trust` will bring it.
    """

    __slots__ = ("_first_leaf", "_known", "_leaf_count", "_node_count")

    def __init__(self, leaf_count: int, root: bytes | None = None) -> None:
        self._leaf_count = leaf_count
        self._first_leaf, self._node_count = layout(leaf_count)
        self._known: dict[int, bytes] = {}
        if root is not None:
            self.trust(root)

    def trust(self, root: bytes) -> None:
        """Set the root once it is known from a trusted place."""
        assert self._known.get(0, root) == root, "a tree has one root"
        self._known[0] = root

    def has_leaf(self, leaf: int) -> bool:
        """Tell whether this leaf's hash has been proven."""
        return self._first_leaf + leaf in self._known

    def leaf(self, leaf: int) -> bytes:
        """Return a proven leaf's hash; KeyError if it has not been proven."""
        return self._known[self._first_leaf + leaf]

    def needed(self, leaf: int) -> list[int]:
        """Return the numbers of the nodes still missing to prove a leaf once its own hash is known."""
        missing = []
        node = self._first_leaf + leaf
        while node and node not in self._known:
            if _sibling(node) not in self._known:
                missing.append(_sibling(node))
            node = _parent(node)
        return missing

    def add(self, leaves: Mapping[int, bytes], nodes: Mapping[int, bytes] | None = None) -> None:
        """Prove leaves with the help of nodes, and keep what is proven.

        Args:
            leaves: leaf number to hash; each of them must be proven.
            nodes: node number to hash; those that can be proven are kept, those that can't be told are let go.

        Raises:
            BadHash: a hash contradicts the root or a proven node, is no hash of this tree, or a leaf lacks a node of
                its proof. The tree is as it was before.
        """
        assert 0 in self._known, "a partial tree needs its root before anything can be proven"
        claimed = self._claims(leaves, nodes or {})
        self._climb(claimed)
        proven = self._proven(claimed)
        for leaf in leaves:
            node = self._first_leaf + leaf
            if node not in proven and node not in self._known:
                raise BadHash(f"nodes are missing to prove leaf {leaf}")
        self._known.update(proven)

    def _claims(self, leaves: Mapping[int, bytes], nodes: Mapping[int, bytes]) -> dict[int, bytes]:
        """Return what is claimed and not yet known, by node number."""
        claimed: dict[int, bytes] = {}
        for leaf in leaves:
            if not 0 <= leaf < self._leaf_count:
                raise BadHash(f"leaf {leaf} is not in a tree of {self._leaf_count} leaves")
        from_leaves = {self._first_leaf + leaf: value for leaf, value in leaves.items()}
        for node, value in (*nodes.items(), *from_leaves.items()):
            if not 0 <= node < self._node_count or len(value) != HASH_SIZE:
                raise BadHash(f"node {node} is not in a tree of {self._leaf_count} leaves")
            expected = self._known.get(node)
            if expected is None:
                expected = claimed.setdefault(node, value)
            if value != expected:
                raise BadHash(f"node {node} contradicts what is known")
        return claimed

    def _climb(self, claimed: dict[int, bytes]) -> None:
        """Add every parent that can be computed to ``claimed``, deepest nodes first, checking it where it is known."""
        known = self._known
        waiting = [-node for node in claimed]
        heapq.heapify(waiting)
        previous = -1
        while waiting:
            parent = _parent(-heapq.heappop(waiting))
            if parent == previous:  # the sibling has been here
                continue
            previous = parent
            left = known.get(2 * parent + 1) or claimed.get(2 * parent + 1)
            right = known.get(2 * parent + 2) or claimed.get(2 * parent + 2)
            if left is None or right is None:
                continue
            computed = pair_hash(left, right)
            expected = known.get(parent) or claimed.get(parent)
            if expected is None:
                claimed[parent] = computed
                heapq.heappush(waiting, -parent)
            elif computed != expected:
                raise BadHash(f"node {parent} does not fit its children")

    def _proven(self, claimed: dict[int, bytes]) -> dict[int, bytes]:
        """Return the claims that hang on the root: parent proven, sibling present (so that the pair was checked)."""
        proven: dict[int, bytes] = {}
        for node in sorted(claimed):
            parent, sibling = _parent(node), _sibling(node)
            if (parent in self._known or parent in proven) and (sibling in self._known or sibling in claimed):
                proven[node] = claimed[node]
        return proven


class TreeStream:
    """A tree computed leaf by leaf, each node told once, in memory that grows with the tree's depth only."""

    __slots__ = ("_count", "_first_leaf", "_left", "_next")

    def __init__(self, leaf_count: int) -> None:
        self._count = leaf_count
        self._first_leaf = layout(leaf_count)[0]
        self._next = 0
        self._left: list[bytes] = []

    def append(self, leaf: bytes) -> Iterator[tuple[int, bytes]]:
        """Take the next leaf and yield the nodes it completes, as (number, hash), itself first."""
        node, value = self._first_leaf + self._next, leaf
        self._next += 1
        yield node, value
        while node and not node % 2:  # a right child: its parent is complete
            value = pair_hash(self._left.pop(), value)
            node = _parent(node)
            yield node, value
        self._left.append(value)

    def finish(self) -> Iterator[tuple[int, bytes]]:
        """Yield the nodes that padding completes; call it after the last leaf."""
        assert self._next == self._count, "leaves are missing"
        for leaf in range(self._count, self._first_leaf + 1):
            yield from self.append(padding_leaf(leaf))


def _parent(node: int) -> int:
    return (node - 1) // 2


def _sibling(node: int) -> int:
    return node + 1 if node % 2 else node - 1
