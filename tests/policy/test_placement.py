"""Placement: who is asked, who is offered what, and when it is enough."""

import json
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.actors.servers import Server
from tahoe.errors import NotEnoughServers
from tahoe.policy.happiness import happiness
from tahoe.policy.order import permuted
from tahoe.policy.placement import SPREAD, Accepted, Answered, Candidate, Declined, Failed, Placement
from tahoe.protocol import Encoding, NodeId, ShareFacts

VECTORS = Path(__file__).parents[1] / "vectors"
CASES = json.loads((VECTORS / "happiness.json").read_text())["cases"]
ORDERS = [case for case in json.loads((VECTORS / "permuted.json").read_text())["cases"] if "order" in case]
OURS = b"u" * 32
JUNK = b"j" * 32
PLENTY = 10**9


def server(name, seed=None):
    return Server(NodeId(name), name, seed or sha256(name.encode()).digest(), b"l" * 20)


def servers(count):
    return [server(f"s{index}") for index in range(count)]


STANDARD = Encoding(3, 7, 10)


def placement(names, encoding=STANDARD, share_size=1000):
    return Placement(encoding, share_size, [server(name) for name in names])


def share(number, ueb_hash=OURS):
    return ShareFacts(number, 1000, ueb_hash)


def answer_all(plan, accepts=PLENTY, claims=None):
    for node in plan.questions():
        plan.learn(Answered(node, (claims or {}).get(node, ()), accepts))


def accept_everything(plan):
    while offers := plan.proposals():
        for node, numbers in offers.items():
            plan.learn(Accepted(node, numbers))


@pytest.mark.parametrize("case", ORDERS)
def test_servers_are_asked_in_the_reference_programs_order(case):
    preferred = [index in case["preferred"] for index in range(len(case["seeds"]))]
    sites = [server(str(index), bytes.fromhex(seed)) for index, seed in enumerate(case["seeds"])]
    order = permuted(sites, bytes.fromhex(case["storage_index"]))
    order.sort(key=lambda site: not preferred[int(site.node)])
    assert [int(site.node) for site in order] == case["order"]


def test_only_the_front_of_the_order_is_asked():
    everybody = servers(100)
    assert SPREAD.shortlist(everybody, b"i" * 16, 10) == permuted(everybody, b"i" * 16)[:20]


@pytest.mark.parametrize("case", [case for case in CASES if "fresh_peers" in case])
def test_fresh_servers_get_shares_as_evenly_as_in_the_reference_program(case):
    candidates = [Candidate(NodeId(f"s{index}")) for index in range(case["fresh_peers"])]
    homes = SPREAD.assign(case["total_shares"], candidates)
    assert sorted(homes) == list(range(case["total_shares"]))
    assert sorted(Counter(homes.values()).values()) == case["shares_per_used_peer_sorted"]
    assert happiness({number: [node] for number, node in homes.items()}) == case["placement_happiness"]


def test_ten_shares_go_to_the_first_ten_servers_in_order():
    plan = placement([f"s{index:02}" for index in range(20)])
    answer_all(plan)
    assert plan.proposals() == {f"s{index:02}": (index,) for index in range(10)}


def test_shares_of_the_file_that_exist_are_not_sent_again():
    plan = placement([f"s{index}" for index in range(10)])
    answer_all(plan, claims={f"s{index}": [share(9 - index)] for index in range(10)})
    assert plan.unidentified
    plan.identify(OURS)
    assert not plan.unidentified
    assert plan.proposals() == {}
    assert plan.check() == 10


def test_junk_under_the_files_name_does_not_count_and_its_number_goes_elsewhere():
    plan = placement(["a", "b"], Encoding(1, 2, 2))
    answer_all(plan, claims={"a": [share(0, JUNK)]})
    plan.identify(OURS)
    assert plan.spread() == 0
    assert plan.proposals() == {"a": (1,), "b": (0,)}


def test_a_share_moves_on_where_that_lets_another_in():
    either, only_0 = Candidate(NodeId("either")), Candidate(NodeId("only 0"), occupied=(1,))
    assert SPREAD.assign(2, [either, only_0]) == {0: "only 0", 1: "either"}


def test_a_share_without_a_readable_ueb_is_nobodys():
    plan = placement(["a", "b"], Encoding(1, 2, 2))
    answer_all(plan, claims={"a": [share(0, b"")]})
    plan.identify(b"")
    assert plan.spread() == 0


def test_a_read_only_server_keeps_what_it_has_and_gets_nothing():
    plan = placement(["full", "a", "b"], Encoding(1, 3, 3))
    plan.learn(Answered(NodeId("full"), [share(2)], 999))
    plan.learn(Answered(NodeId("a"), [], PLENTY))
    plan.learn(Answered(NodeId("b"), [], PLENTY))
    plan.identify(OURS)
    assert plan.proposals() == {"a": (0,), "b": (1,)}
    accept_everything(plan)
    assert plan.check() == 3


def test_a_server_that_refuses_is_replaced():
    plan = placement(["a", "b", "c"], Encoding(1, 2, 2))
    answer_all(plan)
    assert plan.proposals() == {"a": (0,), "b": (1,)}
    plan.learn(Accepted(NodeId("a"), (0,)))
    plan.learn(Declined(NodeId("b"), "disk full"))
    assert plan.proposals() == {"c": (1,)}


def test_a_server_that_declines_more_keeps_counting_for_what_it_took():
    plan = placement(["a", "b"], Encoding(1, 1, 4))
    answer_all(plan)
    assert plan.proposals() == {"a": (0, 2), "b": (1, 3)}
    plan.learn(Accepted(NodeId("a"), (0,)))
    plan.learn(Declined(NodeId("a"), "full"))
    plan.learn(Accepted(NodeId("b"), (1, 3)))
    assert plan.proposals() == {"b": (2,)}
    assert plan.spread() == 2


def test_the_loss_of_a_server_lowers_happiness():
    plan = placement(["a", "b", "c"], Encoding(1, 3, 3))
    answer_all(plan)
    accept_everything(plan)
    assert plan.check() == 3
    plan.learn(Failed(NodeId("b"), "silent"))
    with pytest.raises(NotEnoughServers) as caught:
        plan.check()
    assert (caught.value.spread, caught.value.happy) == (2, 3)


def test_unhappiness_tells_servers_shares_matching_and_reasons():
    plan = placement(["alice", "bob", "carol"], Encoding(3, 3, 5))
    plan.learn(Answered(NodeId("alice"), [share(4)], PLENTY))
    plan.learn(Answered(NodeId("bob"), [], 0))
    plan.learn(Failed(NodeId("carol"), "did not answer within 15 s"))
    plan.identify(OURS)
    with pytest.raises(NotEnoughServers) as caught:
        plan.check(plan.promise())
    text = str(caught.value)
    assert "too few servers: only 1" in text
    assert "asked 3 servers: 2 answered, 1 of those take shares" in text
    assert "shares found: 4 on alice" in text
    assert "carol: did not answer within 15 s" in text


def test_numbers_beyond_the_encoding_are_ignored():
    plan = placement(["a"], Encoding(1, 1, 1))
    answer_all(plan, claims={"a": [share(7)]})
    plan.identify(OURS)
    assert plan.holders() == {}


NODES = [NodeId(f"n{index}") for index in range(6)]


@st.composite
def candidate_lists(draw):
    total = draw(st.integers(1, 8))
    numbers = st.lists(st.integers(0, total - 1), unique=True, max_size=3)
    candidates = []
    for node in NODES[: draw(st.integers(0, 6))]:
        holds = tuple(draw(numbers))
        occupied = tuple(number for number in draw(numbers) if number not in holds)
        candidates.append(Candidate(node, holds, occupied, draw(st.booleans())))
    return total, candidates


@given(candidate_lists())
def test_no_share_is_lost_or_put_where_it_cannot_be_and_happiness_is_the_largest_possible(case):
    total, candidates = case
    by_node = {candidate.node: candidate for candidate in candidates}
    homes = SPREAD.assign(total, candidates)
    possible = {
        number: [other.node for other in candidates if number in other.holds or other.takes(number)]
        for number in range(total)
    }
    assert sorted(homes) == [number for number in range(total) if possible[number]]
    for number, node in homes.items():
        assert number in by_node[node].holds or by_node[node].takes(number)
    assert happiness({number: [node] for number, node in homes.items()}) == happiness(possible)


@given(candidate_lists())
def test_the_same_facts_give_the_same_placement(case):
    total, candidates = case
    assert SPREAD.assign(total, candidates) == SPREAD.assign(total, list(candidates))


@given(st.data())
def test_an_upload_ends_happy_or_says_so_and_loses_no_accepted_share(data):
    total = data.draw(st.integers(1, 8))
    encoding = Encoding(1, data.draw(st.integers(1, total)), total)
    plan = placement(NODES[: data.draw(st.integers(0, 6))], encoding)
    claims = st.lists(st.builds(share, st.integers(0, total - 1), st.sampled_from([OURS, JUNK])), max_size=2)
    for node in plan.questions():
        if data.draw(st.booleans()):
            plan.learn(Answered(node, data.draw(claims), data.draw(st.sampled_from([0, PLENTY]))))
        else:
            plan.learn(Failed(node, "silent"))
    plan.identify(OURS)
    kept = {}
    rounds = 0
    while offers := plan.proposals():
        rounds += 1
        assert rounds <= 2 * len(NODES) * total
        for node, numbers in offers.items():
            taken = numbers[: data.draw(st.integers(0, len(numbers)))]
            plan.learn(Accepted(node, taken))
            kept.setdefault(node, []).extend(taken)
            if len(taken) < len(numbers):
                plan.learn(Declined(node, "full"))
    holders = plan.holders()
    assert all(node in holders[number] for node, numbers in kept.items() for number in numbers)
    if plan.spread() >= encoding.happy:
        assert plan.check() == plan.spread()
    else:
        with pytest.raises(NotEnoughServers):
            plan.check()
