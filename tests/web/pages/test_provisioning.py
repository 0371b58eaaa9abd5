"""The provisioning page's numbers: against the theory, against one another, and against nonsense typed in."""

from __future__ import annotations

import re
import time
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahoe.theory.availability import loss
from tahoe.theory.epochs import loss_with_sweeps
from tahoe.web.pages.charts import HEIGHT, WIDTH, decades, linear, logarithmic, round_values
from tahoe.web.pages.plan import FIELDS, parse_plan
from tahoe.web.pages.provisioning import (
    DAYS_IN_YEAR,
    answers,
    daily_bytes,
    drawings,
    share_survival,
    survivors,
    unavailability,
    yearly_loss,
)


def plan_of(**query: object):
    plan, problems = parse_plan({name: str(value) for name, value in query.items()})
    assert problems == {}
    return plan


def test_the_usual_plan_has_no_problems():
    plan, problems = parse_plan({})
    assert problems == {}
    assert (plan.code.needed, plan.code.happy, plan.code.total) == (3, 7, 10)
    assert plan.servers.up == 0.95


def test_a_file_is_away_as_often_as_the_theory_says():
    assert unavailability(plan_of()) == loss(3, 10, 0.95)
    assert float(survivors(plan_of()).fewer_than(3)) == unavailability(plan_of())


def test_shares_that_share_a_server_fall_together():
    alone = unavailability(plan_of(servers=10))
    crowded = unavailability(plan_of(servers=5))
    assert crowded > 100 * alone
    assert plan_of(servers=4).shares_on_servers() == [3, 3, 2, 2]


def test_a_years_loss_is_what_sweeps_leave():
    plan = plan_of(sweep=30, threshold=7)
    survival = exp(-30 / DAYS_IN_YEAR / 5)
    assert yearly_loss(plan) == pytest.approx(loss_with_sweeps(3, 10, 7, [survival] * 12))
    assert yearly_loss(plan_of(sweep=30)) == pytest.approx(loss_with_sweeps(3, 10, 10, [survival] * 12), rel=0.02)


def test_looking_more_often_loses_less():
    losses = [yearly_loss(plan_of(sweep=days)) for days in (3, 30, 90, 365)]
    assert losses == sorted(losses)
    assert losses[0] < 1e-6 * losses[-1]


def test_a_disk_that_wears_out_is_gone_at_the_end_of_its_life():
    worn = plan_of(life=1, wear="yes")
    assert share_survival(worn, DAYS_IN_YEAR) == 0.0
    assert share_survival(worn, DAYS_IN_YEAR / 2) == 0.5
    assert share_survival(plan_of(life=1), DAYS_IN_YEAR) == pytest.approx(exp(-1))


def test_bytes_follow_from_the_code():
    uploads, downloads, repair = daily_bytes(plan_of(users=10, stored=300, read=100))
    assert uploads == 10 * 300e6 * 10 / 3
    assert downloads == 10 * 100e6
    assert repair > 0
    lazy = daily_bytes(plan_of(users=10, threshold=5))[2]
    assert lazy < daily_bytes(plan_of(users=10))[2], "reading k shares once for six lost ones is cheaper than for one"


def test_every_number_has_its_formula():
    for group in answers(plan_of()):
        for answer in group.answers:
            assert answer.title
            assert answer.value
            assert answer.formula


def test_uploads_that_can_never_succeed_are_called_so():
    told = [answer for group in answers(plan_of(servers=5)) for answer in group.answers]
    assert any(answer.level == "bad" and "wants 7 servers" in answer.detail for answer in told)


@pytest.mark.parametrize(
    "extreme",
    [
        {"up": 100},
        {"up": 0.1},
        {"total": 1, "needed": 1, "happy": 1, "threshold": 1, "servers": 1},
        {"stored": 0, "read": 0, "disk_price": 0, "traffic_price": 0},
        {"sweep": 3652},
        {"life": 0.1, "wear": "yes"},
    ],
)
def test_extreme_plans_can_be_drawn(extreme):
    plan, _ = parse_plan({name: str(value) for name, value in extreme.items()})
    for group in answers(plan):
        for answer in group.answers:
            assert "nan" not in answer.value
    for chart in vars_of(drawings(plan)):
        assert chart.axes.up


def vars_of(drawn):
    return [getattr(drawn, name) for name in drawn.__slots__]


def test_nonsense_is_answered_with_what_to_do():
    plan, problems = parse_plan(
        {"users": "many", "up": "140", "needed": "20", "happy": "2", "life": "nan", "files": "1.5"}
    )
    assert set(problems) == {"users", "up", "needed", "happy", "life", "files"}
    assert all("is used" in problem for problem in problems.values())
    assert plan.code.needed <= plan.code.happy <= plan.code.total
    assert plan.servers.up == 0.95


@given(st.dictionaries(st.sampled_from([field.name for field in FIELDS]), st.text(max_size=12)))
def test_whatever_is_typed_makes_a_plan_in_order(query):
    plan, _ = parse_plan(query)
    code = plan.code
    assert 1 <= code.needed <= code.happy <= code.total
    assert code.needed <= plan.upkeep.threshold <= code.total
    assert 0 < plan.servers.up <= 1


def test_the_largest_plan_is_computed_in_a_moment():
    plan = plan_of(total=100, needed=33, happy=60, threshold=34, servers=200, sweep=1)
    began = time.process_time()
    answers(plan)
    drawings(plan)
    assert time.process_time() - began < 5.0


def test_curves_stay_inside_their_frame():
    for query in ({}, {"up": 50}, {"total": 30, "needed": 10, "threshold": 20, "servers": 40}):
        for chart in vars_of(drawings(parse_plan({name: str(value) for name, value in query.items()})[0])):
            for line in chart.lines:
                for x, y in re.findall(r"([\d.]+),([\d.-]+)", line.points):
                    assert 0 <= float(x) <= WIDTH
                    assert 0 <= float(y) <= HEIGHT


@given(st.floats(1e-6, 1e9))
def test_ticks_are_few_and_inside(high):
    ticks = round_values(high)
    assert 1 <= len(ticks) <= 7
    assert ticks[0] == 0
    assert ticks[-1] <= high * 1.0001


def test_scales_lead_from_one_end_to_the_other():
    scale = linear(10, 20, 0, 100)
    assert (scale(10), scale(15), scale(20)) == (0, 50, 100)
    powers = logarithmic(1e-4, 1, 0, 100)
    assert (powers(1e-4), powers(1e-2), powers(1), powers(0)) == (0, 50, 100, 0)
    assert decades(1e-4, 1) == [1.0, 0.1, 0.01, 0.001, 0.0001]
