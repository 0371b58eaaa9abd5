"""The codec and its twin on phantoms: the same sizes, the same verdicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoe.actors import coding
from tahoe.actors.coding import ShareStretch
from tahoe.actors.reading import ProofCache, read_shares
from tahoe.codec.capability import ImmutableRead
from tahoe.codec.parameters import EncodingParameters
from tahoe.errors import CorruptFile
from tahoe.protocol import Lease, ReadShares, ShareFacts
from tahoe.sim.coding import register
from tahoe.sim.phantom import Phantom
from tahoe.sim.twins import twin_of
from tahoe.storage.memory import MemoryStore

register()

SECRET, KEY, INDEX = b"s" * 32, b"k" * 16, b"i" * 16
LEASE = Lease(b"r" * 32, b"c" * 32)


class World(NamedTuple):
    """One of the two: real bytes with the codec, or phantoms with its twin."""

    pick: Callable[[Any], Any]
    content: Callable[[int], Any]
    spoil: Callable[[Any], Any]


REAL = World(
    lambda function: function,
    lambda size: bytes(byte * 7 % 251 for byte in range(size)),
    lambda block: bytes([block[0] ^ 1]) + block[1:],
)
TWIN = World(twin_of, lambda size: Phantom(size, "file"), lambda block: block.spoiled())
WORLDS = pytest.mark.parametrize("world", [REAL, TWIN], ids=["real", "twin"])


def encode(world, parameters):
    """Key, blocks by segment and what stands behind them, the long way."""
    pick, content = world.pick, world.content(parameters.size)
    step = parameters.segment_size
    pieces = [content[start : start + step] for start in range(0, parameters.size, step)]
    hasher = pick(coding.begin_key)(parameters, SECRET)
    for piece in pieces:
        pick(coding.feed_key)(hasher, piece)
    key = pick(coding.end_key)(hasher)
    bench = pick(coding.begin_file)(parameters, key)
    blocks = [pick(coding.encode_segment)(bench, piece) for piece in pieces]
    return key, blocks, pick(coding.finish_file)(bench)


def decode(world, parameters, numbers, harm=None):
    """What k shares decode to, read from a server's store by the server's own code."""
    small = world.pick(coding.encode_small)(parameters, KEY, world.content(parameters.size))
    store, proofs = MemoryStore(), ProofCache()
    store.store(INDEX, dict(enumerate(small.shares)), LEASE, 0.0)
    cap = ImmutableRead(KEY, small.ueb_hash, parameters.needed, parameters.total, parameters.size)
    decoder = world.pick(coding.begin_reading)(cap)
    stretches = []
    for number in numbers:
        request = ReadShares(INDEX, 0, parameters.size, 2**30, numbers=(number,))
        (share,) = read_shares(store, proofs, request).shares
        assert world.pick(coding.prove_share)(decoder, number, share.uri_extension, share.share_hashes) == ""
        blocks = [block.data for block in share.blocks]
        paths = [block.block_path for block in share.blocks], [block.ciphertext_path for block in share.blocks]
        stretches.append(ShareStretch(number, blocks, *paths))
    if harm is not None:
        stretches = harm(world, stretches)
    return world.pick(coding.decode_stretch)(decoder, KEY, 0, stretches)


@st.composite
def parameters_of_files(draw):
    needed = draw(st.integers(1, 6))
    total = draw(st.integers(needed, 12))
    segment_size = needed * draw(st.integers(1, 40))
    return EncodingParameters(needed, total, segment_size, draw(st.integers(1, 5 * segment_size)))


def sizes(thing):
    """The shape of nested contents."""
    return [sizes(each) for each in thing] if isinstance(thing, (list, tuple)) else len(thing)


@settings(max_examples=40, deadline=None)
@given(parameters_of_files())
def test_both_make_shares_of_the_same_sizes_in_the_same_pieces(parameters):
    (key, blocks, finished), (twin_key, twin_blocks, twin_finished) = encode(REAL, parameters), encode(TWIN, parameters)
    assert (len(key), sizes(blocks)) == (len(twin_key), sizes(twin_blocks))
    assert sizes(tuple(finished)) == sizes(tuple(twin_finished))


@settings(max_examples=40, deadline=None)
@given(parameters_of_files())
def test_both_make_the_same_shares_in_one_go_as_piece_by_piece(parameters):
    for world in (REAL, TWIN):
        key, blocks, finished = encode(world, parameters)
        small = world.pick(coding.encode_small_convergent)(parameters, SECRET, world.content(parameters.size))
        assert (small.key, small.ueb_hash) == (key, finished.ueb_hash)
        for number, share in enumerate(small.shares):
            assert share[len(share) - len(finished.trailers[number]) :] == finished.trailers[number]
            assert len(share) == stored_size(share)
            start = len(share) - len(finished.trailers[number]) - sum(len(column[number]) for column in blocks)
            for column in blocks:
                assert share[start : start + len(column[number])] == column[number]
                start += len(column[number])


def stored_size(share):
    """What a store says of the size of a share."""
    store = MemoryStore()
    store.store(INDEX, {0: share}, LEASE, 0.0)
    facts = store.shares(INDEX)[0]
    assert isinstance(facts, ShareFacts)
    assert facts.ueb_hash
    return facts.size


@settings(max_examples=40, deadline=None)
@given(parameters_of_files(), st.randoms(use_true_random=False))
def test_any_k_shares_give_the_plaintext_back_in_both(parameters, random):
    numbers = sorted(random.sample(range(parameters.total), parameters.needed))
    for world in (REAL, TWIN):
        decoded = decode(world, parameters, numbers)
        assert decoded.bad == ()
        assert decoded.plaintext == world.content(parameters.size)


def spoil_one(world, stretches):
    number, blocks, *paths = stretches[1]
    return [stretches[0], ShareStretch(number, [world.spoil(blocks[0]), *blocks[1:]], *paths), *stretches[2:]]


def swap_two(_, stretches):
    first, second, *rest = stretches
    return [first._replace(blocks=second.blocks), second._replace(blocks=first.blocks), *rest]


def turn_segments(_, stretches):
    first, *rest = stretches
    return [first._replace(blocks=[first.blocks[1], first.blocks[0], *first.blocks[2:]]), *rest]


def cut_short(_, stretches):
    first, *rest = stretches
    return [first._replace(blocks=[first.blocks[0][:-1], *first.blocks[1:]]), *rest]


@pytest.mark.parametrize("harm", [spoil_one, swap_two, turn_segments, cut_short])
def test_both_blame_the_same_shares_for_the_same_reasons(harm):
    parameters = EncodingParameters(3, 10, 300, 1000)
    real, twin = (decode(world, parameters, (1, 4, 7), harm) for world in (REAL, TWIN))
    assert real.bad
    assert real == twin


def test_both_say_when_proven_blocks_make_no_file():
    parameters = EncodingParameters(2, 4, 200, 200)
    for world in (REAL, TWIN):
        bench = world.pick(coding.begin_file)(parameters, KEY)
        blocks = world.pick(coding.encode_segment)(bench, world.content(200))
        finished = world.pick(coding.finish_file)(bench)
        decoder = world.pick(coding.begin_reading)(ImmutableRead(KEY, finished.ueb_hash, 2, 4, 200))
        decoder.accept_ueb(finished.uri_extension)
        decoder.accept_segment_path(0, {0: decoder.uri_extension.crypttext_root_hash})
        other = world.pick(coding.encode_segment)(
            world.pick(coding.begin_file)(parameters, b"another key....."), world.content(200)
        )
        with pytest.raises(CorruptFile):
            decoder.decode_segment(0, {0: other[0], 1: other[1]})
        assert len(decoder.decode_segment(0, {0: blocks[0], 3: blocks[3]})) == 200


def test_real_bytes_among_phantoms_come_back_as_what_they_were():
    parameters = EncodingParameters(3, 5, 300, 1000)
    real_bytes_by_twin = TWIN._replace(content=REAL.content)
    assert decode(real_bytes_by_twin, parameters, (0, 2, 4)).plaintext == REAL.content(1000)
    assert encode(real_bytes_by_twin, parameters)[0] == encode(real_bytes_by_twin, parameters)[0]


@WORLDS
def test_a_share_of_either_kind_passes_its_servers_scrub_until_it_is_spoiled(world):
    small = world.pick(coding.encode_small)(EncodingParameters(3, 5, 300, 1000), KEY, world.content(1000))
    store = MemoryStore()
    share = small.shares[0]
    spoiled = share[:100] + b"!!!!" + share[104:] if isinstance(share, bytes) else share.spoiled()
    store.store(INDEX, {0: share, 1: small.shares[1]}, LEASE, 0.0)
    store.store(INDEX, {3: spoiled}, LEASE, 0.0)
    assert [store.scrub(INDEX, number).sound for number in (0, 1, 3)] == [True, True, False]
