"""Block trees of slots on a server: the few nodes that a change touches, and roots computed in passing.

A server keeps the whole tree of a share in memory while the share is in use. A change of m segments touches
their leaves and the paths above them and nothing else, so what it costs grows with m and the *logarithm* of
the number of segments. Nothing is altered until the change is durable: the new nodes are computed beside the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tahoe.codec.merkle import BadHash, pair_hash
from tahoe.codec.slot import Place, SparseTree, padding_node, tree_height


def changed_nodes(tree: SparseTree, leaves: Mapping[int, bytes], leaf_count: int) -> dict[Place, bytes]:
    """The nodes that differ once these leaves are set and the tree has ``leaf_count`` leaves.

    Args:
        tree: a whole one; it stays as it is.
        leaves: changed and appended ones, all below ``leaf_count``.
        leaf_count: leaves then; what lies beyond is cut off.

    Raises:
        BadHash: a node is needed that the tree does not have, such as a leaf that should have been appended.
    """
    nodes: dict[Place, bytes] = {(0, leaf): value for leaf, value in leaves.items()}
    level = set(leaves)
    if 0 < leaf_count < tree.leaf_count:
        level.add(leaf_count - 1)  # what was cut off stands no longer below the nodes above the last leaf

    def child(place: Place) -> bytes:
        height, index = place
        if index << height >= leaf_count:
            return padding_node(place)
        found = nodes.get(place) or tree.nodes.get(place)
        if found is None:
            raise BadHash(f"node {place} is not known")
        return found

    for height in range(tree_height(leaf_count)):
        level = {index >> 1 for index in level}
        for index in level:
            nodes[height + 1, index] = pair_hash(child((height, 2 * index)), child((height, 2 * index + 1)))
    return nodes


def root_after(tree: SparseTree, nodes: Mapping[Place, bytes], leaf_count: int) -> bytes:
    """The root that the tree will have with these nodes and so many leaves.

    Raises:
        BadHash: it is not known.
    """
    top = tree_height(leaf_count), 0
    found = nodes.get(top) or (tree.nodes.get(top) if leaf_count else padding_node(top))
    if found is None:
        raise BadHash("the root is not known")
    return found


def apply(tree: SparseTree, nodes: Mapping[Place, bytes], leaf_count: int) -> None:
    """Let the tree become what :func:`changed_nodes` told; forget what is cut off."""
    for height in range(tree_height(tree.leaf_count) + 1):
        for index in range(_width(leaf_count, height), _width(tree.leaf_count, height)):
            tree.nodes.pop((height, index), None)
    for height in range(tree_height(leaf_count) + 1, tree_height(tree.leaf_count) + 1):
        tree.nodes.pop((height, 0), None)
    tree.nodes.update(nodes)
    tree.leaf_count = leaf_count


def root_of_leaves(leaves: Iterable[bytes]) -> bytes:
    """The root of a tree whose leaves pass by once; holds no more than one node per level."""
    full: list[bytes] = []  # at height h: the last full node that has no sibling yet, where bit h of the count is set
    count = 0
    for leaf in leaves:
        node, height = leaf, 0
        while count >> height & 1:
            node = pair_hash(full[height], node)
            height += 1
        full[height : height + 1] = [node]
        count += 1
    if not count:
        return padding_node((0, 0))
    edge: bytes | None = None  # the node that is neither full nor all padding
    for height in range(tree_height(count)):
        index = count >> height
        if index & 1:
            edge = pair_hash(full[height], edge or padding_node((height, index)))
        elif edge is not None:
            edge = pair_hash(edge, padding_node((height, index + 1)))
    return edge or full[tree_height(count)]


def _width(leaf_count: int, height: int) -> int:
    """How many nodes of a height have a leaf below them."""
    return -(-leaf_count >> height)
