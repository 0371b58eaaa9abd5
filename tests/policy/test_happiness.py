"""Happiness: the largest matching of shares and servers, by vectors and laws."""

import json
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.policy.happiness import Matching, happiness, shortfall

CASES = json.loads((Path(__file__).parents[1] / "vectors/happiness.json").read_text())["cases"]
SERVERS = "abcdefgh"
SMALL_MAPS = st.dictionaries(st.integers(0, 5), st.lists(st.sampled_from(SERVERS[:5]), unique=True), max_size=5)


@pytest.mark.parametrize("case", [case for case in CASES if "sharemap" in case])
def test_happiness_is_the_reference_programs(case):
    assert happiness({int(number): servers for number, servers in case["sharemap"].items()}) == case["happiness"]


@pytest.mark.parametrize("case", [case for case in CASES if "reason" in case])
def test_unhappiness_is_named_by_its_kind(case):
    text = shortfall(case["peer_count"], case["effective"], case["k"], case["happy"])
    assert text.startswith(case["reason"])


def test_many_holders_of_the_same_shares_are_not_spread():
    assert shortfall(5, 2, 3, 7).startswith("not spread")
    assert shortfall(9, 7, 3, 7) == ""


def _by_trying_everything(holders):
    shares = list(holders)
    best = 0
    for servers in permutations([*SERVERS[:5], *[None] * len(shares)], len(shares)):
        best = max(best, sum(server in holders[share] for share, server in zip(shares, servers, strict=True)))
    return best


@given(st.dictionaries(st.integers(0, 3), st.lists(st.sampled_from(SERVERS[:3]), unique=True), max_size=3))
def test_no_matching_is_larger(holders):
    assert happiness(holders) == _by_trying_everything(holders)


@given(st.lists(SMALL_MAPS, max_size=4))
def test_growing_in_stages_reaches_the_same_size_as_all_at_once(stages):
    staged = Matching()
    everything = {}
    for stage in stages:
        paired = dict.fromkeys(staged.home_of)
        staged.grow(stage)
        assert all(number in staged.home_of for number in paired)
        for number, servers in stage.items():
            everything.setdefault(number, []).extend(servers)
    assert len(staged) == happiness(everything)


@given(SMALL_MAPS)
def test_pairs_are_edges_and_nobody_is_paired_twice(holders):
    matching = Matching()
    matching.grow(holders)
    assert len(set(matching.home_of.values())) == len(matching) == len(matching.share_of)
    assert all(server in holders[number] for number, server in matching.home_of.items())
    assert all(matching.home_of[number] == server for server, number in matching.share_of.items())


def test_256_shares_on_a_chain_that_takes_the_longest_paths_are_all_matched():
    chain = {number: [f"s{number}", f"s{number + 1}"] for number in range(255)}
    chain[255] = ["s0"]
    assert happiness(chain) == 256
