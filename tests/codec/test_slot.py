"""Slots: keys that weaken one way, trees that grow, versions that are signed."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoe.codec.merkle import BadHash, MerkleTree
from tahoe.codec.slot import (
    SlotProof,
    SlotShape,
    SlotVersion,
    SlotWriter,
    SparseTree,
    block_leaf,
    climb,
    decode_slot_segment,
    encode_slot,
    path_places,
)

leaves = st.lists(st.binary(min_size=32, max_size=32), max_size=40)


def _encoded(contents: bytes, shape: SlotShape, *, seed: int = 1, sequence: int = 1):
    rng = Random(seed)
    writer = SlotWriter(rng.randbytes(32))
    homes = [rng.randbytes(32) for _ in range(shape.total)]
    return writer, encode_slot(writer, shape, contents, sequence, homes, lambda: rng.randbytes(16))


@given(leaves)
def test_a_sparse_tree_has_the_root_of_the_merkle_tree_over_the_same_leaves(values):
    assert SparseTree.of_leaves(values).root == MerkleTree(values).root


@given(leaves.filter(bool), st.data())
def test_every_leaf_climbs_to_the_root_by_its_path(values, data):
    leaf = data.draw(st.integers(0, len(values) - 1))
    tree = SparseTree.of_leaves(values)
    assert climb(leaf, values[leaf], len(values), tree.path(leaf)) == tree.root


@given(leaves.filter(bool), st.data())
def test_a_path_without_one_of_its_nodes_proves_nothing(values, data):
    leaf = data.draw(st.integers(0, len(values) - 1))
    path = SparseTree.of_leaves(values).path(leaf)
    for place in path_places(len(values), leaf):
        with pytest.raises(BadHash):
            climb(leaf, values[leaf], len(values), {other: node for other, node in path.items() if other != place})


@settings(max_examples=300)
@given(leaves, st.data())
def test_a_tree_changed_grown_or_cut_has_the_root_of_its_new_leaves(values, data):
    tree = SparseTree.of_leaves(values)
    count = data.draw(st.integers(0, 40))
    changed = (
        {}
        if not count
        else data.draw(st.dictionaries(st.integers(0, count - 1), st.binary(min_size=32, max_size=32), max_size=5))
    )
    changed |= {leaf: bytes([leaf]) * 32 for leaf in range(len(values), count) if leaf not in changed}
    tree.change(changed, count)
    expected = [changed.get(leaf, values[leaf] if leaf < len(values) else b"") for leaf in range(count)]
    assert tree.root == MerkleTree(expected).root


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_copies_of_a_large_tree_share_what_they_keep_and_change_on_their_own(seed):
    rng = Random(seed)
    values = [rng.randbytes(32) for _ in range(rng.randrange(100, 300))]
    states = [(SparseTree.of_leaves(values), values)]
    for _ in range(60):
        tree, values = rng.choice(states[-3:])
        tree, values = tree.copy(), list(values)
        count = len(values) if rng.random() < 0.8 else max(1, len(values) + rng.randrange(-9, 9))
        changed = {rng.randrange(count): rng.randbytes(32) for _ in range(rng.randrange(3))}
        changed |= {leaf: rng.randbytes(32) for leaf in range(len(values), count)}
        tree.change(changed, count)
        values = [changed.get(leaf, values[leaf] if leaf < len(values) else b"") for leaf in range(count)]
        states.append((tree, values))
    for tree, values in states:
        assert tree.root == MerkleTree(values).root
        whole = SparseTree.of_leaves(values).nodes
        known = dict(tree.nodes)
        assert len(known) == len(tree.nodes)
        assert {leaf for height, leaf in known if not height} == set(range(len(values)))
        assert all(whole[place] == node for place, node in known.items() if place in whole)


@given(st.integers(1, 60), st.data())
def test_the_paths_of_the_changed_and_the_last_leaf_suffice_to_append(count, data):
    values = [bytes([leaf]) * 32 for leaf in range(count)]
    changed = data.draw(st.integers(0, count - 1))
    whole = SparseTree.of_leaves(values)
    known = (
        whole.path(changed) | whole.path(count - 1) | {(0, changed): values[changed], (0, count - 1): values[count - 1]}
    )
    tree = SparseTree(count, known)
    assert tree.root == whole.root
    tree.change({changed: b"x" * 32, count: b"y" * 32}, count + 1)
    assert tree.root == MerkleTree([*values[:changed], b"x" * 32, *values[changed + 1 :], b"y" * 32]).root


@settings(max_examples=60)
@given(st.binary(max_size=300), st.integers(1, 6), st.integers(0, 6), st.integers(1, 20), st.randoms())
def test_any_k_shares_of_a_slot_give_its_contents_back(contents, needed, extra, block, rng):
    shape = SlotShape(needed, needed + extra, block * needed, len(contents))
    writer, encoded = _encoded(contents, shape)
    version = encoded.proof.check(writer.reader.storage_index)
    numbers = rng.sample(range(shape.total), needed)
    found = b""
    for index, segment in enumerate(encoded.segments):
        blocks = {number: segment.blocks[number] for number in numbers}
        for number, data in blocks.items():
            root = climb(
                index, block_leaf(segment.salt, data), shape.segment_count, encoded.block_trees[number].path(index)
            )
            assert climb(number, root, shape.total, encoded.chain(number)) == version.root_hash
        found += decode_slot_segment(writer.reader, shape, index, segment.salt, blocks)
    assert found == contents


def test_a_version_survives_packing():
    _, encoded = _encoded(b"some contents", SlotShape(3, 10, 6, 13), sequence=7)
    assert SlotVersion.unpack(encoded.version.pack()) == encoded.version
    assert encoded.version.shape.quorum == 7


@given(st.data())
def test_a_flipped_bit_anywhere_in_the_proof_is_found(data):
    writer, encoded = _encoded(b"some contents", SlotShape(1, 3, 5, 13))
    proof = encoded.proof
    field = data.draw(st.sampled_from(["version", "signature", "public_key", "read_key_hash"]))
    value = bytearray(getattr(proof, field))
    value[data.draw(st.integers(0, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    fields = {name: getattr(proof, name) for name in ("version", "signature", "public_key", "read_key_hash")}
    with pytest.raises(ValueError, match=r"."):
        SlotProof(**fields | {field: bytes(value)}).check(writer.reader.storage_index)


def test_a_slot_of_another_key_can_not_stand_at_this_storage_index():
    writer, _ = _encoded(b"mine", SlotShape(1, 1, 4, 4), seed=1)
    _, theirs = _encoded(b"mine", SlotShape(1, 1, 4, 4), seed=2)
    with pytest.raises(ValueError, match="public key"):
        theirs.proof.check(writer.reader.storage_index)


def test_keys_of_a_slot_derive_as_they_did_when_the_format_was_made():
    writer = SlotWriter(bytes(range(32)))
    reader = writer.reader
    assert (reader.public_key.hex(), reader.read_key.hex(), reader.storage_index.hex()) == FROZEN


FROZEN = (
    "bddafa839d7df981fa33b1ef5a2c47acdba2aa2918e7cf9a8c6c5a545d3567ec",
    "5095f4bd702fa6e002ddfdafffb17e8c",
    "c5a0163c4aa89e0181b765118d849b69",
)
