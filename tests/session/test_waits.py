"""Deadlines that share one timer."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from tahoe.session.credit import Budget, Inflow, Outflow
from tahoe.session.pace import Bucket
from tahoe.session.waits import Alarm, Ladder, Waits


class Timer:
    def __init__(self):
        self.wishes = []
        self.alarm = Alarm(self.wishes.append)
        self.done = []
        self.waits = Waits(self.alarm, lambda thing, now: self.done.append((thing, now)))

    def poll(self, now):
        self.alarm.rang(now)
        self.waits.run(now)
        self.waits.arm()


def test_one_timer_serves_all():
    timer = Timer()
    timer.waits.add(0.0, 15.0, "a")
    timer.waits.add(1.0, 15.0, "b")
    timer.waits.add(2.0, 0.5, "c")
    assert timer.wishes == [15.0, 2.5]
    timer.poll(2.5)
    assert timer.done == [("c", 2.5)]
    assert timer.wishes[-1] == 15.0
    timer.poll(16.0)
    assert timer.done[1:] == [("a", 16.0), ("b", 16.0)]
    assert timer.alarm.time == inf
    assert not timer.waits._queues


def test_being_woken_too_early_makes_no_further_wishes():
    timer = Timer()
    timer.waits.add(0.0, 15.0, "a")
    for _ in range(5):
        timer.poll(3.0)
    assert timer.wishes == [15.0]


def test_what_is_taken_out_is_not_kept():
    timer = Timer()
    for number in range(10_000):
        queue = timer.waits.add(0.0, 15.0, number)
        del queue[number]
    assert len(timer.waits) == 0
    timer.poll(15.0)
    assert not timer.done


@given(st.lists(st.floats(0.0, 1000.0), max_size=300))
def test_nothing_is_early_or_late_by_more_than_a_sixteenth_and_queues_are_few(lengths):
    timer = Timer()
    for number, length in enumerate(lengths):
        timer.waits.add(0.0, length, number)
    assert len(timer.waits._queues) <= 48 + 16 * 21
    while timer.alarm.time < inf:
        timer.poll(timer.alarm.time)
    assert sorted(number for number, _ in timer.done) == list(range(len(lengths)))
    for number, when in timer.done:
        assert lengths[number] <= when <= max(lengths[number], 0.001) * 1.05


def test_waits_double_up_to_the_longest():
    ladder = Ladder(0.5, 1.0, 16.0)
    assert ladder.wait(ladder.first, 0) == 1.0
    assert [round(ladder.wait(0, tries), 6) for tries in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 16.0]
    for seconds in (0.01, 0.5, 0.6, 3.0, 99.0):
        level = ladder.level(seconds)
        low, high = ladder.band(level)
        assert low < seconds <= high or seconds > 16.0


def test_a_bucket_keeps_to_its_rate_with_packets_of_any_size():
    bucket, now, sent = Bucket(1000), 0.0, 0
    while now < 100.0:
        delay = bucket.delay(now)
        if delay:
            now += delay
        else:
            bucket.take(now, 2500)
            sent += 2500
    assert 97_000 <= sent <= 1000 + 100_000 + 2500


# --- credit ------------------------------------------------------------------------------------------------------


def test_a_limit_moves_on_as_messages_are_dealt_with_and_never_back():
    flow = Inflow(1000)
    assert flow.grant() == 1000
    flow.seen, flow.held = 600, 600
    assert flow.grant() == 1000
    flow.held = 0
    assert flow.overdue()
    assert flow.grant() == 1600
    flow.held = 500
    assert flow.grant() == 1600
    assert not flow.overdue()


def test_lost_bytes_leak_no_credit():
    flow = Inflow(1000)
    flow.seen = 900  # of which nothing has come
    assert flow.grant() == 1900


def test_a_surplus_is_given_back():
    flow = Outflow(5000)
    flow.spent = 1000
    flow.give_back(100)
    assert flow.limit - flow.spent == 100
    flow.give_back(100)
    assert flow.limit - flow.spent == 100


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 100_000)), max_size=200))
def test_windows_lent_add_up_and_leave_everybody_room_for_one_message(steps):
    budget, flows = Budget(10_000, 100, 1000), [Inflow(100) for _ in range(6)]
    for number, step, wanted in steps:
        flow = flows[number]
        if step == 0:
            budget.release(flow)
            flows[number] = Inflow(100)
        elif step == 1:
            flow.seen = flow.announced
            budget.arrived(0.0, flow, 1.0)
        elif step == 2:
            flow.grant()
        else:
            budget.resize(flow, wanted)
            assert flow.window >= min(wanted, 1000)
        assert budget.lent == sum(flow.window - 100 for flow in flows)
        assert budget._borrowers == sum(flow.window > 100 for flow in flows)
        assert all(100 <= flow.window <= 10_000 for flow in flows)
    for flow in flows:
        budget.release(flow)
    assert budget.lent == 0
    assert budget._borrowers == 0


def test_a_window_grows_if_it_is_used_up_quicker_than_the_way_is_long():
    budget, slow, quick = Budget(100_000, 100, 1000), Inflow(100), Inflow(100)
    for number in range(1, 10):
        for flow, pace in ((slow, 1.0), (quick, 0.1)):
            flow.seen = flow.announced
            flow.grant()
            budget.arrived(number * pace, flow, 0.1)
    assert slow.window == 100
    assert quick.window > 10_000
