"""Outages and copysets: rows E1 and E2."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.theory.copysets import (
    expected_bytes_lost,
    expected_chunks_lost,
    loss_in_outage,
    minimal_copysets,
    random_copysets,
)
from tests.theory.printed import Printed

SERVERS, REPLICAS, FAILED = 5000, 3, 50
CHUNKS = 8000 * SERVERS / REPLICAS


def test_e1_minimal_copysets_lose_something_in_one_of_638_outages():
    # Cidon et al., USENIX ATC 2013: published .15 % and 625 years (of one outage each)
    minimal = minimal_copysets(SERVERS, REPLICAS, scatter_width=2)
    assert minimal == pytest.approx(SERVERS / 3)
    loss = loss_in_outage(SERVERS, REPLICAS, minimal, FAILED)
    assert loss == Printed(".00156771")
    assert 1 / loss == Printed("637.9")


def test_e1_random_placement_loses_something_in_every_outage():
    # Cidon et al., USENIX ATC 2013: published 99.99 % and 344 MB
    assert loss_in_outage(SERVERS, REPLICAS, random_copysets(SERVERS, REPLICAS, round(CHUNKS)), FAILED) >= 0.9999
    assert expected_bytes_lost(SERVERS * 64 * 2**30, FAILED / SERVERS, REPLICAS) / 1e6 == Printed("343.6")


def test_e2_expected_chunks_lost_do_not_depend_on_placement():
    # By linearity: C(50,3) / C(5000,3) of all chunks (Cidon et al., USENIX ATC 2013, give the trade-off)
    assert expected_chunks_lost(1, SERVERS, REPLICAS, FAILED) == Printed("9.41365e-7")  # 19,600 / 20,820,835,000
    assert expected_chunks_lost(10**6, SERVERS, REPLICAS, FAILED) == Printed(".941365")


def test_e2_fewer_copysets_make_losses_rarer_and_larger():
    few, many = (minimal_copysets(SERVERS, REPLICAS, width) for width in (2, 200))
    rare, frequent = (loss_in_outage(SERVERS, REPLICAS, copysets, FAILED) for copysets in (few, many))
    lost = expected_chunks_lost(round(CHUNKS), SERVERS, REPLICAS, FAILED)
    assert rare < frequent / 50
    assert lost / rare > 50 * lost / frequent


def test_e2_the_mean_is_the_same_for_two_placements_counted_out():
    placements = ([(0, 1), (2, 3), (4, 5)] * 2, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0)])
    outages = list(combinations(range(6), 3))
    for placement in placements:
        lost = sum(set(chunk) <= set(outage) for outage in outages for chunk in placement)
        assert lost / len(outages) == expected_chunks_lost(6, 6, 2, 3)


@given(st.integers(3, 12), st.integers(1, 3), st.data())
def test_when_every_set_is_a_copyset_an_outage_of_as_many_servers_is_a_loss(servers, replicas, data):
    failed = data.draw(st.integers(0, servers))
    every_set = expected_chunks_lost(1, servers, replicas, servers)
    assert every_set == 1
    sets = len(list(combinations(range(servers), replicas)))
    assert loss_in_outage(servers, replicas, sets, failed) == (failed >= replicas)
    assert loss_in_outage(servers, replicas, 0, failed) == 0


@given(st.integers(0, 1000))
def test_random_copysets_are_no_more_than_chunks_or_sets(chunks):
    assert random_copysets(10, 3, chunks) <= min(chunks, 120) * (1 + 1e-12)
    assert random_copysets(3, 3, chunks) == min(chunks, 1)
    assert random_copysets(10_000, 3, chunks) == pytest.approx(chunks, rel=1e-5)


def test_impossible_placements_are_refused():
    with pytest.raises(ValueError, match="cannot hold"):
        loss_in_outage(3, 4, 1, 1)
    with pytest.raises(ValueError, match="there are 10 sets"):
        loss_in_outage(5, 2, 11, 1)
    with pytest.raises(ValueError, match="scatter width"):
        minimal_copysets(10, 3, 1)
    with pytest.raises(ValueError, match="replicas must be positive"):
        expected_bytes_lost(1, 0.1, 0)
