"""Erasure coding: the engines agree byte for byte, and any k blocks suffice."""

import sys
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoe.codec import erasure as module
from tahoe.codec.erasure import Erasure, IsalEngine, ZfecEngine, engine_name, erasure
from tests.codec.samples import cases

ENGINES = [ZfecEngine, IsalEngine] if engine_name() == "isa-l" else [ZfecEngine]
CORNERS = [(1, 1), (1, 7), (4, 4), (3, 10), (1, 256), (256, 256), (255, 256), (128, 255)]


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def without_isal(monkeypatch):
    monkeypatch.setattr(module, "_ISAL_NAME", "libisal-which-is-nowhere.so")
    monkeypatch.setattr(module.ctypes.util, "find_library", lambda _name: None)
    module._library.cache_clear()
    yield
    module._library.cache_clear()


@st.composite
def codings(draw):
    """Draw k, N, k blocks, and the numbers of k blocks that survive, in any order."""
    needed = draw(st.integers(1, 12))
    total = draw(st.integers(needed, 20))
    if draw(st.integers(0, 9)) == 0:
        needed, total = draw(st.sampled_from(CORNERS))
    length = draw(st.sampled_from([0, 1, 2, 15, 16, 17, 63, 64, 65, 200]))
    random = Random(draw(st.integers(0, 2**32)))
    blocks = [random.randbytes(length) for _ in range(needed)]
    return needed, total, blocks, random.sample(range(total), needed)


@pytest.mark.parametrize("case", cases("zfec"), ids=lambda case: f"{case['k']}-of-{case['n']}")
def test_blocks_are_the_vectors(engine, case):
    coder = Erasure(case["k"], case["n"], engine(case["k"], case["n"]))
    blocks = [bytes.fromhex(block) for block in case["input_blocks"]]
    assert [block.hex() for block in coder.encode(blocks)] == case["output_blocks"]


@settings(max_examples=60, deadline=None)
@given(codings())
def test_all_engines_make_the_same_blocks_and_any_k_give_the_input_back(coding):
    needed, total, blocks, survivors = coding
    reference = Erasure(needed, total, ZfecEngine(needed, total)).encode(blocks)
    assert len(reference) == total
    for engine in ENGINES:
        coder = Erasure(needed, total, engine(needed, total))
        assert coder.encode(blocks) == reference
        assert coder.encode_some(blocks, survivors) == [reference[number] for number in survivors]
        assert coder.decode(survivors, [reference[number] for number in survivors]) == blocks


@settings(max_examples=20, deadline=None)
@given(codings())
def test_any_bytes_like_input_will_do(coding):
    needed, total, blocks, survivors = coding
    reference = erasure(needed, total).encode(blocks)
    for engine in ENGINES:
        coder = Erasure(needed, total, engine(needed, total))
        for wrap in (bytearray, memoryview, lambda block: memoryview(b"x" + block + b"y")[1:-1]):
            assert coder.encode([wrap(block) for block in blocks]) == reference
            decoded = coder.decode(survivors, [wrap(reference[number]) for number in survivors])
            assert decoded == blocks
            assert all(type(block) is bytes for block in decoded)


def test_inputs_are_released_and_the_interpreters_own_byte_strings_stay_intact(engine):
    data = bytearray(b"q")
    coder = Erasure(2, 5, engine(2, 5))
    coder.encode([data, memoryview(b"z")])
    data.extend(b"a bytearray can't grow while somebody holds a view of it")
    assert [bytes([value]) for value in range(256)] == [value.to_bytes(1, "big") for value in range(256)]
    assert bytes(1) == b"\0"
    assert sys.getrefcount(data) == 2


def test_one_coder_may_be_used_from_several_threads(engine):
    coder = Erasure(3, 10, engine(3, 10))
    random = Random(1)
    inputs = [[random.randbytes(5000) for _ in range(3)] for _ in range(40)]
    expected = [coder.encode(blocks) for blocks in inputs]

    def round_trip(blocks):
        encoded = coder.encode(blocks)
        return encoded, coder.decode([9, 4, 7], [encoded[9], encoded[4], encoded[7]])

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(round_trip, inputs))
    assert [encoded for encoded, _ in results] == expected
    assert [decoded for _, decoded in results] == inputs


def test_views_with_gaps_are_refused():
    for engine_class in ENGINES:
        coder = Erasure(1, 2, engine_class(1, 2))
        with pytest.raises((BufferError, ValueError, TypeError)):
            coder.encode([memoryview(b"abcdef")[::2]])


@pytest.mark.parametrize(("needed", "total"), [(0, 1), (0, 0), (-1, 3), (4, 3), (3, 257), (257, 257)])
def test_k_and_n_out_of_bounds_are_refused_clearly(needed, total):
    with pytest.raises(ValueError, match="1 <= k <= N <= 256"):
        Erasure(needed, total)


def test_wrong_arguments_are_refused_before_any_memory_is_touched(engine):
    coder = Erasure(2, 4, engine(2, 4))
    with pytest.raises(ValueError, match="2 blocks are needed, not 3"):
        coder.encode([b"a", b"b", b"c"])
    with pytest.raises(ValueError, match="same length"):
        coder.encode([b"a", b"bb"])
    with pytest.raises(ValueError, match="run from 0 to 3"):
        coder.encode_some([b"a", b"b"], [4])
    with pytest.raises(ValueError, match="2 distinct blocks"):
        coder.decode([1, 1], [b"a", b"a"])
    with pytest.raises(ValueError, match="2 distinct blocks"):
        coder.decode([0, 1, 2], [b"a", b"b"])
    with pytest.raises(ValueError, match="run from 0 to 3"):
        coder.decode([0, -1], [b"a", b"b"])


@pytest.mark.usefixtures("without_isal")
def test_without_the_library_zfec_takes_over_silently(recwarn):
    assert engine_name() == "zfec"
    assert Erasure(2, 3).encode([b"ab", b"cd"])[:2] == [b"ab", b"cd"]
    with pytest.raises(OSError, match="not installed"):
        IsalEngine(2, 3)
    assert not recwarn.list
