"""What each experiment claims holds in a small one of it, and its figure can be drawn."""

from dataclasses import replace

import numpy as np
import pytest

from experiments import correlated, fairness, growth, latency, parameters, repair_delay, tail, traffic, validation
from experiments.framework.experiment import load, shelf
from experiments.framework.plotting import style
from experiments.targets import all_targets
from tahoe.theory.groups import Home, loss_of_placement
from tahoe.theory.markov import loss_within
from tahoe.theory.stripes import jump, share_chain


def rows_of(module, configuration, seed=1):
    rows = [row for point in module.points(configuration) for row in module.run(point, seed)]
    with style():
        figure = module.plot(rows, configuration)
    assert all(
        axes.get_xlabel() or axes.get_title()
        for axes in figure.axes
        if axes.has_data() and axes.get_label() != "<colorbar>"
    )
    figure.savefig("/dev/null", format="png", dpi=20)
    return rows


def test_every_experiment_asks_a_question_and_its_quick_mode_is_a_change_of_its_configuration():
    for entry in shelf():
        assert entry.question.endswith("?"), entry
        experiment = load(entry.name)
        assert experiment.points(experiment.configure(quick=True))
        assert experiment.configure(quick=True) != experiment.configure() or not hasattr(experiment.module, "QUICK")


def test_codes_agree_with_the_chain_and_the_front_holds_the_best():
    rows = rows_of(parameters, parameters.Configuration(most_shares=5, cycles=8000))
    assert len(rows) == 10
    assert all(row.low <= row.mean_time <= row.high for row in rows)
    (three_of_five,) = (row for row in rows if (row.needed, row.total) == (3, 5))
    assert three_of_five.loss == loss_within(share_chain(3, 5, 0.25, jump(12)), 10)
    front = parameters.pareto(rows)
    for row in rows:
        assert any(best.loss <= row.loss and best.total / best.needed <= row.total / row.needed for best in front), row


def test_repair_traffic_is_what_renewal_theory_says():
    # 1-of-1 files whose server fails once a year and that are checked all the time: one repair a year, read and written
    assert parameters.traffic(1, 1, 1.0, 1e9) == pytest.approx(2.0)
    assert parameters.traffic(3, 10, 0.25, 1e-9) == pytest.approx(1e-9 * (1 + 10 / 3), rel=1e-6)


def test_waiting_longer_loses_more_and_moves_less_and_absences_cost_the_eager():
    small = repair_delay.Configuration(margins=(1.0, 0.0), days=(30.0, 240.0), files=25, runs=5, servers=25)
    rows = {(row.margin, row.days, row.outages): row for row in rows_of(repair_delay, small)}
    assert [rows[1.0, 30.0, False].threshold, rows[0.0, 30.0, False].threshold] == [10, 4]
    for row in rows.values():
        if not row.outages:
            assert row.low <= row.exact <= row.high
    assert rows[0.0, 240.0, False].lost > rows[0.0, 30.0, False].lost
    assert rows[1.0, 30.0, False].traffic > rows[1.0, 240.0, False].traffic
    assert rows[1.0, 30.0, True].traffic > 1.5 * rows[1.0, 30.0, False].traffic


def test_only_random_choice_doubles_shares_up_and_only_domains_keep_sites_safe():
    rows = rows_of(fairness, fairness.Configuration(files=150, more=150))
    spreads = [row for row in rows if row.server < 0]
    assert {row.policy for row in spreads if row.servers < 10} == {"random"}
    assert max(row.most_at_site for row in spreads if row.policy == "domains") <= 7
    assert max(row.most_at_site for row in spreads if row.policy == "happiness") > 7
    for policy in fairness.policies(fairness.Configuration()):
        mine = [row for row in rows if row.policy == policy and row.server >= 0]
        assert sum(row.shares for row in mine) == sum(row.more for row in mine) == 1500
        assert mine[-1].shares == 0 < mine[-1].more


def test_ginis_coefficient_is_that_of_the_textbook():
    assert fairness.gini([5, 5, 5, 5]) == pytest.approx(0.0)
    assert fairness.gini([0, 0, 0, 8]) == pytest.approx(0.75)
    assert fairness.gini([1, 2, 3, 4]) == pytest.approx(0.25)


def test_snapshots_find_the_unavailability_that_theory_gives_each_file():
    up = [0.9, 0.8, 0.7, 0.6, 0.5, 0.95]
    homes = np.array([[0, 1, 2], [3, 4, 5], [0, 0, 5]], np.int32)
    alive = tail.snapshots([""] * 6, up, 0.0, 40_000, seed=3)
    for row, count in zip(homes, tail.unavailable(homes, alive, 2), strict=True):
        held = {server: tuple(np.nonzero(row == server)[0].tolist()) for server in set(row.tolist())}
        exact = loss_of_placement(2, [Home(shares, up[server]) for server, shares in held.items()])
        assert count / 40_000 == pytest.approx(exact, abs=4 * (exact / 40_000) ** 0.5)


def test_sites_go_dark_as_a_whole():
    alive = tail.snapshots(["a/1", "a/2", "b/1"], [1.0, 1.0, 1.0], 0.3, 5000, seed=1)
    assert (alive[:, 0] == alive[:, 1]).all()
    assert alive[:, 0].mean() == pytest.approx(0.7, abs=0.03)


def test_random_choice_has_the_worst_tail():
    rows = rows_of(tail, tail.Configuration(files=120, snapshots=1500))
    means = {
        name: sum(row.unavailable * row.files for row in rows if row.policy == name)
        for name in tail.policies(tail.Configuration())
    }
    assert max(means, key=means.get) == "random"
    assert means["random"] > 1.2 * means["happiness"]


def test_fewer_copysets_lose_more_rarely_and_more_at_a_time():
    small = correlated.Configuration(
        servers=60, failed=6, files=600, widths=(2, 8, 0), outages=1500, sites=(11, 3, 2, 1), burnt_files=300
    )
    rows = rows_of(correlated, small)
    few, more, scattered = (row for row in rows if row.runs)
    assert few.copysets == 20 < more.copysets < scattered.copysets
    assert few.losing < more.losing < scattered.losing
    assert few.lost / few.losing > more.lost / more.losing > scattered.lost / scattered.losing
    fire = {rule: max(row.part for row in rows if row.rule == rule) for rule in ("happiness", "domains")}
    assert fire["domains"] == 0.0 < fire["happiness"]


def test_a_budget_flattens_the_storm_and_moves_no_more():
    small = traffic.Configuration(servers=25, files=60, budgets=(0.0, 12.0), years=1.6)
    rows = rows_of(traffic, small)
    peaks = {}
    for budget in small.budgets:
        weeks = {}
        for row in rows:
            if row.budget == budget and row.week >= 0:
                weeks[row.week] = weeks.get(row.week, 0.0) + row.megabytes
        peaks[budget] = max(weeks.values())
    assert peaks[12.0] < peaks[0.0]
    assert peaks[12.0] <= 7 * (12.0 + 10 / 3 * 10)
    assert {"disk", "outage", "batch", "reading"} <= {row.cause for row in rows}


def test_hedging_helps_a_newcomer_among_slow_servers():
    small = latency.Configuration(slow=(3,), downloads=12)
    rows = rows_of(latency, small)
    times = {way: sorted(row.seconds for row in rows if row.way == way) for way in latency.WAYS}
    assert all(len(one) == 12 for one in times.values())
    assert times["newcomer, hedges"][-1] < times["newcomer, waits"][-1]
    assert times["knows its servers, hedges"][6] < times["newcomer, waits"][6]


def test_an_operation_costs_nearly_the_same_on_a_larger_grid():
    rows = rows_of(growth, growth.Configuration(servers=(10, 40), files=3, clients=1))
    costs = {(row.operation, row.servers): row for row in rows}
    assert costs["download", 40].bytes_sent < 1.1 * costs["download", 10].bytes_sent
    assert costs["upload", 40].bytes_sent < 1.1 * costs["upload", 10].bytes_sent
    assert costs["upload", 10].bytes_sent > 100_000 * 10 / 3


@pytest.mark.parametrize("key", all_targets())
def test_every_formula_agrees_with_what_was_published(key):
    target = all_targets()[key]
    assert abs(target.theory() - target.value) <= target.within * target.value


def test_simulations_contain_the_formulas_and_the_page_says_so():
    keys = ("A3", "A12 3+3+2+2", "B12", "C2 parallel", "C4 jump", "D6", "F1 simulated", "F3 1")
    rows = rows_of(validation, validation.Configuration(effort=0.02, keys=keys))
    assert all(row.runs and row.contains and row.agrees for row in rows)
    page = validation.page(rows)
    assert "agree with 8 of 8" in page
    assert "contains the formula's value in 8 cases" in page
    wrong = validation.page([replace(rows[0], agrees=False, contains=False), *rows[1:]])
    assert "not with A3" in wrong
    assert "not in A3" in wrong
