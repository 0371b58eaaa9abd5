"""What a caretaker decides, by facts alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.policy.allowance import DAY, Allowance, Budget
from tahoe.policy.care import CareRules, Outlook, Safety, Standing, Trust, outlook, standing_of
from tahoe.policy.repair import RepairRule

LAZY = RepairRule(0.5)
ALL = tuple(f"v0-{number}" for number in range(10))
HOLDERS = {number: (ALL[number],) for number in range(10)}


def look(present, asleep=(), distrusted=(), leaving=()):
    return outlook(HOLDERS, Standing(present, asleep, distrusted, leaving), 3, 10)


def test_a_sleeping_server_costs_no_repair():
    found = look(ALL[:6], asleep=ALL[6:])
    assert (found.here, found.left) == (6, 10)
    assert not found.wants_repair(RepairRule())
    assert found.safety(RepairRule()) is Safety.SAFE


def test_a_third_of_the_servers_out_for_a_night_start_no_storm():
    for rule in (RepairRule(), LAZY, RepairRule(0.0)):
        assert not look(ALL[3:], asleep=ALL[:3]).wants_repair(rule)


def test_dead_servers_are_made_up_for_and_sleeping_ones_are_not():
    found = look(ALL[:6], asleep=ALL[6:8])
    assert found.wants_repair(RepairRule())
    assert found.spared == (6, 7)


def test_a_file_that_hangs_by_its_last_shares_is_repaired_whoever_sleeps():
    found = look(ALL[:3], asleep=ALL[3:])
    assert found.wants_repair(RepairRule(0.0))
    assert found.spared == ()


def test_what_can_t_be_read_now_is_not_tried_and_may_not_be_lost():
    found = look(ALL[:2], asleep=ALL[2:])
    assert not found.wants_repair(RepairRule())
    assert found.safety(RepairRule()) is Safety.SAFE
    assert look(ALL[:2]).safety(RepairRule()) is Safety.LOST


def test_a_liar_s_shares_count_for_nothing_and_a_leaver_s_soon():
    assert look(ALL, distrusted=ALL[:2]).left == 8
    assert look(ALL, leaving=ALL[:2]).left == 8


@pytest.mark.parametrize(
    ("margin", "needed", "total", "threshold"),
    [(1.0, 3, 10, 10), (0.0, 3, 10, 4), (0.5, 3, 10, 7), (1.0, 1, 1, 1), (0.5, 1, 2, 2), (0.0, 5, 6, 6)],
)
def test_the_threshold_lies_between_one_spare_share_and_all(margin, needed, total, threshold):
    assert RepairRule(margin).threshold(needed, total) == threshold


@given(st.floats(0, 1), st.integers(1, 20), st.integers(0, 20))
def test_a_threshold_never_lies_below_k_plus_one_nor_above_n(margin, needed, spare):
    threshold = RepairRule(margin).threshold(needed, needed + spare)
    assert min(needed + 1, needed + spare) <= threshold <= needed + spare


def test_whoever_is_nearest_to_the_end_is_in_most_danger():
    outlooks = [Outlook(left, (), 3, 10) for left in range(11)]
    dangers = [each.danger(0.98) for each in outlooks]
    assert dangers == sorted(dangers, reverse=True)
    assert dangers[2] == 1.0
    assert Outlook(5, (), 1, 10).danger(0.98) < Outlook(5, (), 4, 10).danger(0.98)


def test_a_server_is_asleep_until_the_grace_is_over_or_somebody_says_that_it_is_gone():
    rules = CareRules()
    seen = {"v0-a": 1000.0, "v0-b": 1000.0, "v0-c": 1000.0 - rules.grace - 1}
    assert standing_of(seen, seen, 1000.0, rules.grace, gone=("v0-b",)) == ("v0-a",)
    assert standing_of(["v0-never-seen"], seen, 10.0**9, rules.grace) == ()


def test_one_failed_challenge_makes_a_suspect_two_a_liar_and_many_answers_an_honest_server():
    trust = Trust()
    trust.learn("v0-a", passed=False)
    assert trust.is_suspect("v0-a")
    assert trust.distrusted == ()
    trust.learn("v0-a", passed=False)
    assert trust.distrusted == ("v0-a",)
    for _ in range(Trust.SUCCESSES):
        assert trust.distrusted == ("v0-a",)
        trust.learn("v0-a", passed=True)
    assert trust.distrusted == ()


# --- the budget ---------------------------------------------------------------------------------------------------


def test_an_allowance_comes_back_within_a_day_and_is_not_saved_up():
    allowance = Allowance(Budget(bytes_per_day=1000.0), 0.0)
    allowance.spend(1500.0, 3)
    assert not allowance.is_left(0.4 * DAY)
    assert allowance.is_left(0.6 * DAY)
    assert allowance.is_left(100 * DAY)
    allowance.spend(1000.0, 1)
    assert not allowance.is_left(100 * DAY)
    assert (allowance.spent_bytes, allowance.spent_requests) == (2500.0, 4)


def test_without_limits_there_is_always_something_left():
    allowance = Allowance(Budget(), 0.0)
    allowance.spend(1e18, 1e9)
    assert allowance.is_left(0.0)


@pytest.mark.parametrize(
    ("hours", "hour", "is_open"),
    [
        ((0, 0), 13, True),
        ((1, 6), 1, True),
        ((1, 6), 6, False),
        ((22, 6), 23, True),
        ((22, 6), 5, True),
        ((22, 6), 12, False),
    ],
)
def test_work_is_done_in_certain_hours(hours, hour, is_open):
    assert Budget(hours=hours).is_open(1000 * DAY + hour * 3600.0) is is_open
