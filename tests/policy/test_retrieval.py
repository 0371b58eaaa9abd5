"""Retrieval: which share is asked of whom next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.policy.retrieval import Corrupt, Holds, Pick, ResponseTimes, Retrieval, Silent
from tahoe.protocol import NodeId

A, B, C, D, E = (NodeId(name) for name in "abcde")


def retrieval(needed=2, order=(A, B, C, D), times=None):
    return Retrieval(needed, order, times or ResponseTimes())


def test_at_first_as_many_servers_as_shares_are_needed_are_asked_in_order():
    assert retrieval().proposals({}, ()) == [Pick(A, None), Pick(B, None)]


def test_a_hedge_asks_the_next_server():
    asked = [Pick(A, None), Pick(B, None)]
    assert retrieval().proposals({}, asked) == []
    assert retrieval().proposals({}, asked, extra=1) == [Pick(C, None)]


def test_primary_shares_are_preferred_among_servers_of_one_speed():
    choice = retrieval()
    for node, numbers in ((A, [7]), (B, [1]), (C, [0])):
        choice.learn(Holds(node, numbers))
    assert choice.proposals({}, ()) == [Pick(C, 0), Pick(B, 1)]


def test_a_much_quicker_server_is_preferred_to_a_primary_share():
    times = ResponseTimes()
    for node, seconds in ((A, 0.1), (B, 0.1), (C, 2.0)):
        times.learn(node, seconds)
    choice = retrieval(times=times)
    for node, numbers in ((A, [7]), (B, [1]), (C, [0])):
        choice.learn(Holds(node, numbers))
    assert choice.proposals({}, ()) == [Pick(B, 1), Pick(A, 7)]


def test_one_share_per_server_while_that_suffices():
    choice = retrieval()
    choice.learn(Holds(A, [0, 1, 2]))
    choice.learn(Holds(B, [5]))
    assert choice.proposals({}, ()) == [Pick(A, 0), Pick(B, 5)]


def test_one_server_gives_several_shares_where_diversity_is_lacking():
    choice = retrieval(needed=3, order=(A,))
    choice.learn(Holds(A, [0, 1, 2, 3]))
    assert choice.proposals({}, ()) == [Pick(A, 0), Pick(A, 1), Pick(A, 2)]


def test_a_share_on_two_servers_is_fetched_once():
    choice = retrieval(order=(A, B))
    choice.learn(Holds(A, [0]))
    choice.learn(Holds(B, [0, 1]))
    assert choice.proposals({}, ()) == [Pick(A, 0), Pick(B, 1)]
    assert choice.proposals({0: A}, ()) == [Pick(B, 1)]


def test_a_corrupt_share_is_not_asked_for_again_even_if_it_is_claimed_again():
    choice = retrieval()
    choice.learn(Holds(A, [0, 4]))
    choice.learn(Corrupt(A, 0, "a hash does not match"))
    choice.learn(Holds(A, [0, 4]))
    assert Pick(A, 0) not in choice.proposals({}, ())
    assert Pick(A, 4) in choice.proposals({}, ())


def test_a_silent_server_is_tried_once_more_after_all_others():
    choice = retrieval(needed=1, order=(A, B))
    choice.learn(Silent(A, "no answer"))
    assert choice.proposals({}, ()) == [Pick(B, None)]
    choice.learn(Holds(B, []))
    assert choice.proposals({}, ()) == [Pick(A, None)]
    choice.learn(Silent(A, "no answer again"))
    assert choice.proposals({}, ()) == []
    assert dict(choice.reasons()) == {A: "no answer again", B: "has no share of this file"}


def test_patience_follows_what_a_server_usually_takes():
    times = ResponseTimes(first_patience=0.5, least_patience=0.1)
    assert times.patience(A) == 0.5
    for _ in range(50):
        times.learn(A, 0.01)
        times.learn(B, 1.0)
    assert times.patience(A) == 0.1
    assert 1.0 <= times.patience(B) < 1.1


def test_waiting_in_vain_for_less_than_usual_teaches_nothing():
    times = ResponseTimes()
    times.learn(A, 1.0)
    times.learn_at_least(A, 0.5)
    assert times.expected(A) == 1.0
    times.learn_at_least(A, 9.0)
    assert times.expected(A) == pytest.approx(2.0)


def test_a_stranger_gets_as_much_time_as_servers_in_general_need():
    times = ResponseTimes(first_patience=0.5)
    for _ in range(50):
        times.learn(A, 3.0)
    assert 3.0 <= times.patience(B) < 3.2
    times.learn_at_least(C, 100.0)
    assert times.patience(B) < 3.2


def test_strangers_relieve_holders_that_are_slow_or_busy():
    times = ResponseTimes()
    choice = retrieval(times=times)
    for node, number in ((A, 0), (B, 1)):
        times.learn(node, 0.3)
        choice.learn(Holds(node, [number]))
    assert choice.proposals({}, ()) == [Pick(A, 0), Pick(B, 1)]
    assert choice.proposals({}, (), busy={A: 4, B: 4}) == [Pick(C, None), Pick(D, None)]
    assert choice.proposals({}, (), busy={A: 4, B: 4, C: 1, D: 1}) == [Pick(A, 0), Pick(B, 1)]
    assert choice.proposals({}, (), busy={A: 4}) == [Pick(B, 1), Pick(C, None)]


def test_what_one_question_takes_is_told_apart_from_waiting_for_those_before_it():
    times = ResponseTimes()
    times.learn(A, 8.0, ahead=7)
    times.learn(B, 2.0)
    assert times.expected(A) == 8.0
    assert times.speed_class(A) < times.speed_class(B)
    assert times.speed_class(A, ahead=1) == times.speed_class(B)


@given(st.data())
def test_proposals_are_distinct_never_too_many_and_end_only_when_nobody_is_left(data):
    nodes = [A, B, C, D, E]
    needed = data.draw(st.integers(1, 4))
    truth = {node: data.draw(st.lists(st.integers(0, 5), unique=True, max_size=4)) for node in nodes}
    dead = data.draw(st.lists(st.sampled_from(nodes), unique=True))
    choice = Retrieval(needed, nodes, ResponseTimes())
    hands = {}
    while len(hands) < needed and (picks := choice.proposals(hands, ())):
        assert len(set(picks)) == len(picks) <= needed - len(hands)
        for node, number in picks:
            if node in dead:
                choice.learn(Silent(node, "dead"))
                continue
            choice.learn(Holds(node, truth[node]))
            given_number = number if number is not None else next(iter(truth[node]), None)
            if given_number is not None:
                hands.setdefault(given_number, node)
    reachable = {number for node in nodes if node not in dead for number in truth[node]}
    assert len(hands) >= min(needed, len(reachable))
