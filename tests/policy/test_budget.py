"""The budget of read-ahead that all downloads of a node share."""

from hypothesis import given
from hypothesis import strategies as st

from tahoe.policy.budget import Budget

TOTAL = 1000


def fill(allowance, size):
    """Take as often as may be; returns how often."""
    times = 0
    while allowance.may_take(size):
        allowance.take(size)
        times += 1
    return times


def test_a_single_download_may_hold_the_whole_budget():
    assert fill(Budget(TOTAL).open(), 100) == 10


def test_a_stalled_download_keeps_its_part_and_a_fresh_one_goes_on():
    budget = Budget(TOTAL)
    fill(budget.open(), 100)
    fresh = budget.open()
    assert fresh.may_take(300)
    fresh.take(300)
    assert not fresh.may_take(1)
    fresh.give(300)
    assert fresh.may_take(300)


def test_two_downloads_share_evenly_from_the_start():
    budget = Budget(TOTAL)
    first, second = budget.open(), budget.open()
    assert fill(first, 100) == fill(second, 100) == 5


def test_a_closed_allowance_holds_nothing_and_may_take_nothing():
    budget = Budget(TOTAL)
    allowance = budget.open()
    allowance.take(700)
    allowance.close()
    allowance.close()
    allowance.take(100)
    allowance.give(100)
    assert budget.held == 0
    assert budget.sharers == 0
    assert not allowance.may_take(1)


@given(st.lists(st.tuples(st.sampled_from(["open", "take", "give", "close"]), st.integers(0, 4), st.integers(1, 400))))
def test_what_is_held_stays_within_the_budget_and_one_piece_for_each_download(steps):
    budget = Budget(TOTAL)
    allowances = []
    for step, which, size in steps:
        if step == "open":
            allowances.append(budget.open())
        elif allowances:
            allowance = allowances[which % len(allowances)]
            if step == "take" and allowance.may_take(size):
                allowance.take(size)
            elif step == "give":
                allowance.give(min(size, allowance.held))
            elif step == "close":
                allowance.close()
        assert budget.held == sum(allowance.held for allowance in allowances)
        assert budget.held <= TOTAL + 400 * len(allowances)


def test_a_single_download_may_have_as_much_under_way_as_there_may_be():
    allowance = Budget(TOTAL, 500).open()
    allowance.ask(400)
    assert allowance.may_ask(100)
    assert not allowance.may_ask(101)
    assert allowance.piece == 500


def test_each_download_may_have_a_piece_under_way_and_only_a_few_have_more():
    budget = Budget(TOTAL, 500)
    first, second = budget.open(), budget.open()
    assert first.piece == second.piece == 250
    first.ask(500)
    assert not first.may_ask(1)
    assert second.may_ask(250)
    second.ask(250)
    first.arrive(400)
    assert second.may_ask(150)
    assert not second.may_ask(151)


def test_what_a_closed_download_had_under_way_is_forgotten():
    budget = Budget(TOTAL, 500)
    allowance = budget.open()
    allowance.ask(300)
    allowance.close()
    allowance.ask(300)
    allowance.arrive(300)
    assert budget.under_way == 0
    assert not allowance.may_ask(1)
