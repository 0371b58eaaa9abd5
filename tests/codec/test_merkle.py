"""Merkle trees: the vectors' trees, and readers who keep only what was proven."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.codec.merkle import BadHash, MerkleTree, PartialTree, TreeStream, layout, siblings
from tests.codec.samples import cases, stream


def leaves_of(count: int) -> list[bytes]:
    return [stream(f"leaf{count}-{leaf}".encode(), 32) for leaf in range(count)]


def flipped(value: bytes) -> bytes:
    return bytes([value[0] ^ 1]) + value[1:]


@pytest.mark.parametrize("case", cases("merkle"), ids=lambda case: case["n"])
def test_trees_are_the_vectors(case):
    tree = MerkleTree(leaves_of(case["n"]))
    assert layout(case["n"]) == (case["first_leaf"], case["length"])
    assert tree.root.hex() == case["root"]
    assert sha256(tree.serialised).hexdigest() == case["all_sha256"]
    if "nodes" in case:
        assert [node.hex() for node in tree.nodes] == case["nodes"]
    for leaf, chain in case["chains"].items():
        assert sorted(siblings(case["n"], int(leaf))) == chain["without_leaf_sorted"]
        assert [node for node, _ in tree.path(int(leaf))] == siblings(case["n"], int(leaf))


@given(st.integers(1, 40), st.data())
def test_every_leaf_is_proven_by_its_path_alone(count, data):
    tree = MerkleTree(leaves_of(count))
    leaf = data.draw(st.integers(0, count - 1))
    partial = PartialTree(count, tree.root)
    assert partial.needed(leaf) == siblings(count, leaf)
    partial.add({leaf: leaves_of(count)[leaf]}, dict(tree.path(leaf)))
    assert partial.has_leaf(leaf)
    assert partial.leaf(leaf) == leaves_of(count)[leaf]
    assert partial.needed(leaf) == []


@given(st.integers(1, 40), st.data())
def test_what_is_needed_is_enough_in_any_order(count, data):
    tree = MerkleTree(leaves_of(count))
    partial = PartialTree(count, tree.root)
    for leaf in data.draw(st.permutations(range(count))):
        partial.add({leaf: leaves_of(count)[leaf]}, {node: tree.nodes[node] for node in partial.needed(leaf)})
        assert partial.has_leaf(leaf)


def test_a_run_of_leaves_needs_about_one_node_each():
    tree = MerkleTree(leaves_of(64))
    partial = PartialTree(64, tree.root)
    asked = 0
    for leaf in range(64):
        needed = partial.needed(leaf)
        asked += len(needed)
        partial.add({leaf: tree.nodes[63 + leaf]}, {node: tree.nodes[node] for node in needed})
    assert asked == 63  # of each of the 63 pairs one node is asked for; the other is computed or was asked before
    assert all(partial.has_leaf(leaf) for leaf in range(64))


@given(st.integers(1, 40), st.data())
def test_nothing_of_a_bad_proof_is_kept(count, data):
    tree = MerkleTree(leaves_of(count))
    leaf = data.draw(st.integers(0, count - 1))
    partial = PartialTree(count, tree.root)
    path = dict(tree.path(leaf))
    good = tree.nodes[layout(count)[0] + leaf]
    victim = data.draw(st.sampled_from([None, *path]))
    bad_path = path if victim is None else {**path, victim: flipped(path[victim])}
    with pytest.raises(BadHash):
        partial.add({leaf: flipped(good) if victim is None else good}, bad_path)
    assert not partial.has_leaf(leaf) or count == 1
    assert partial.needed(leaf) == siblings(count, leaf)
    partial.add({leaf: good}, path)
    assert partial.has_leaf(leaf)


@given(st.integers(2, 40), st.data())
def test_a_proof_with_a_hole_is_refused_whole(count, data):
    tree = MerkleTree(leaves_of(count))
    leaf = data.draw(st.integers(0, count - 1))
    path = dict(tree.path(leaf))
    del path[data.draw(st.sampled_from(list(path)))]
    partial = PartialTree(count, tree.root)
    with pytest.raises(BadHash, match=f"missing to prove leaf {leaf}"):
        partial.add({leaf: tree.nodes[layout(count)[0] + leaf]}, path)
    assert partial.needed(leaf) == siblings(count, leaf)


def test_one_bad_leaf_spoils_a_batch():
    tree = MerkleTree(leaves_of(8))
    partial = PartialTree(8, tree.root)
    whole = {leaf: tree.nodes[7 + leaf] for leaf in range(8)}
    with pytest.raises(BadHash):
        partial.add({**whole, 5: bytes(32)}, {})
    assert not any(partial.has_leaf(leaf) for leaf in range(8))
    partial.add(whole, {})
    assert all(partial.has_leaf(leaf) for leaf in range(8))


def test_nodes_that_prove_nothing_are_let_go():
    tree = MerkleTree(leaves_of(8))
    partial = PartialTree(8, tree.root)
    stray = {9: bytes(32)}
    partial.add({0: tree.nodes[7]}, {**dict(tree.path(0)), **stray})
    assert partial.has_leaf(0)
    assert partial.needed(3) == [9]
    partial.add({3: tree.nodes[10]}, {9: tree.nodes[9]})
    assert partial.has_leaf(2)


def test_nodes_alone_are_kept_once_they_hang_on_the_root():
    tree = MerkleTree(leaves_of(4))
    partial = PartialTree(4, tree.root)
    partial.add({}, {1: tree.nodes[1], 2: tree.nodes[2]})
    assert partial.needed(0) == [4]
    with pytest.raises(BadHash, match="contradicts"):
        partial.add({}, {1: bytes(32)})


@pytest.mark.parametrize(
    ("leaves", "nodes"),
    [({5: bytes(32)}, {}), ({-1: bytes(32)}, {}), ({}, {15: bytes(32)}), ({}, {-1: bytes(32)}), ({0: bytes(31)}, {})],
)
def test_what_is_not_in_the_tree_is_refused(leaves, nodes):
    partial = PartialTree(5, MerkleTree(leaves_of(5)).root)
    with pytest.raises(BadHash, match="not in a tree of 5 leaves"):
        partial.add(leaves, nodes)


def test_a_single_leaf_is_the_root():
    leaf = bytes(range(32))
    assert MerkleTree([leaf]).nodes == [leaf]
    partial = PartialTree(1, leaf)
    partial.add({0: leaf}, {})
    with pytest.raises(BadHash, match="contradicts"):
        partial.add({0: flipped(leaf)}, {})


def test_a_root_may_come_later():
    tree = MerkleTree(leaves_of(2))
    partial = PartialTree(2)
    partial.trust(tree.root)
    partial.add({0: tree.nodes[1]}, {2: tree.nodes[2]})
    assert partial.has_leaf(1)


@given(st.integers(0, 40))
def test_a_stream_tells_every_node_once_and_the_root_last(count):
    leaves = leaves_of(count)
    tree_stream = TreeStream(count)
    told = [pair for leaf in leaves for pair in tree_stream.append(leaf)]
    told += tree_stream.finish()
    assert told[-1] == (0, MerkleTree(leaves).root)
    assert [value for _, value in sorted(told)] == MerkleTree(leaves).nodes
