"""Servers are remembered by what they did, and forgiven in time; uptime is kept as it was seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.errors import BadConfiguration
from tahoe.policy.history import HALF_LIFE, MOST_DISTRUST, History
from tahoe.policy.retrieval import Corrupt, Holds, Pick, Retrieval, Silent
from tahoe.policy.uptime import GONE, MOST_TRANSITIONS, THERE, UNSEEN, Stretch, UptimeLog
from tahoe.protocol import NodeId

A, B, C = (NodeId(name) for name in "ABC")
NOW = 1_700_000_040.0


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def history(clock):
    history = History(clock)
    for node in (A, B, C):
        history.learn(node, 0.1)
    return history


# --- history ------------------------------------------------------------------------------------------------------


def test_a_liar_is_asked_last_and_forgiven_in_time(history, clock):
    honest = history.speed_class(A)
    history.lied(B)
    assert history.speed_class(B) >= honest + 6
    clock.time += 10 * HALF_LIFE
    assert history.speed_class(B) == honest


def test_one_failure_among_many_answers_costs_nothing_and_a_server_that_mostly_fails_some(history):
    for _ in range(20):
        history.learn(A, 0.1)
        history.failed(B)
    history.failed(A)
    assert history.distrust(A) == 0
    assert 1 <= history.distrust(B) <= MOST_DISTRUST


def test_counts_fade_by_half_in_a_half_life_and_not_at_all_when_the_clock_is_set_back(history, clock):
    history.lied(A)
    clock.time += HALF_LIFE
    assert history.record(A).lies == pytest.approx(0.5)
    clock.time -= 5 * HALF_LIFE
    assert history.record(A).lies == pytest.approx(0.5)


def test_what_was_learnt_outlives_a_restart(history, clock):
    history.learn(B, 5.0)
    history.lied(C)
    again = History(clock)
    again.unpack(history.pack())
    assert [again.speed_class(node) for node in (A, B, C)] == [history.speed_class(node) for node in (A, B, C)]
    assert again.expected(B) == history.expected(B)
    assert again.record(C) == history.record(C)


def test_what_can_not_be_read_is_forgotten(clock):
    fresh = History(clock)
    fresh.unpack(b"junk")
    assert fresh.expected(A) is None


def test_a_download_learns_who_lies_and_the_next_asks_others_first(history):
    one = Retrieval(1, [A, B, C], history)
    one.learn(Holds(A, (0,)))
    one.learn(Corrupt(A, 0, "block 0"))
    one.learn(Silent(B, "no answer"))
    assert history.record(A).lies == pytest.approx(1)
    assert history.record(B).failures == pytest.approx(1)
    other = Retrieval(1, [A, B, C], history)
    for number, node in enumerate((A, B, C)):
        other.learn(Holds(node, (number,)))
    assert other.proposals({}, []) == [Pick(B, 1)]
    two_more = other.proposals({}, [], extra=2)
    assert two_more[-1].node == A


# --- uptime -------------------------------------------------------------------------------------------------------


def test_transitions_are_kept_and_what_stays_is_not():
    log = UptimeLog()
    for minute, state in enumerate((THERE, THERE, GONE, GONE, THERE)):
        log.see("A", state, NOW + 60 * minute)
    start = int(NOW) // 60 * 60
    assert list(log.stretches("A", NOW + 600)) == [
        Stretch(start, start + 120, THERE),
        Stretch(start + 120, start + 240, GONE),
        Stretch(start + 240, start + 600, THERE),
    ]
    assert log.availability("A", NOW + 600) == pytest.approx(0.8)
    assert log.nodes() == ["A"]


def test_time_in_which_nobody_looked_does_not_count():
    log = UptimeLog()
    log.see("A", THERE, NOW)
    log.look_away(NOW + 600)
    log.see("A", GONE, NOW + 6000)
    assert log.availability("A", NOW + 6600) == pytest.approx(0.5)
    assert [stretch.state for stretch in log.stretches("A", NOW + 6600)] == [THERE, UNSEEN, GONE]
    assert log.availability("B", NOW) is None


def test_a_clock_that_is_set_back_breaks_nothing():
    log = UptimeLog()
    log.see("A", THERE, NOW)
    log.see("A", GONE, NOW - 10**6)
    log.see("A", THERE, NOW + 120)
    stretches = list(log.stretches("A", NOW + 240))
    assert all(stretch.start < stretch.end for stretch in stretches)
    assert [stretch.state for stretch in stretches] == [GONE, THERE]


def test_a_flapping_server_does_not_fill_the_disk():
    log = UptimeLog()
    for minute in range(MOST_TRANSITIONS + 50):
        log.see("A", minute % 2, NOW + 60 * minute)
    assert len(log.pack()) < 2.1 * MOST_TRANSITIONS + 100


@pytest.mark.parametrize("data", [b"", b"junk", b"\x92\xa1x\x80", UptimeLog().pack()[:-1]])
def test_what_is_no_log_is_said_to_be_none(data):
    with pytest.raises(BadConfiguration, match="uptime log"):
        UptimeLog.unpack(data)


@given(
    st.lists(
        st.tuples(st.sampled_from("AB"), st.sampled_from([GONE, THERE, UNSEEN]), st.integers(0, 10**6)), max_size=40
    )
)
def test_a_log_is_read_as_it_was_written(seen):
    log, when = UptimeLog(), NOW
    for node, state, later in seen:
        when += later
        log.see(node, state, when)
    again = UptimeLog.unpack(log.pack())
    for node in "AB":
        assert list(again.stretches(node, when + 60)) == list(log.stretches(node, when + 60))
