"""Monte Carlo agrees with the closed forms wherever there is one, and keeps its own promises where there is none."""

from math import exp

import numpy as np
import pytest

from tahoe.policy.placement import SPREAD
from tahoe.policy.repair import FillGaps, RepairRule
from tahoe.sim.chronicle import Chronicle
from tahoe.sim.compiled import run_compiled
from tahoe.sim.estimates import estimate, judge
from tahoe.sim.laws import Exponential, Fixed, LogNormal
from tahoe.sim.lifetimes import Gamma, Weibull, survival
from tahoe.sim.montecarlo import Below, Caretaker, Checks, Code, Rules, Study, place, run, unplaced
from tahoe.sim.weather import DAY, YEAR, Incident, Losses, Outages, Replay, Rot, forecast, rough
from tahoe.theory.availability import loss
from tahoe.theory.confidence import mean_interval
from tahoe.theory.epochs import loss_with_sweeps

LAWS = [
    Exponential(2 * YEAR),
    Weibull(2 * YEAR, 0.7),
    Weibull(2 * YEAR, 2.5),
    LogNormal(2 * YEAR, 1.0),
    Gamma(YEAR, 2.0),
]


@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize(("needed", "total"), [(1, 3), (3, 10), (7, 10)])
def test_without_repair_files_are_lost_as_the_binomial_law_says_for_any_law(law, needed, total):
    years = YEAR if needed > 1 and total / needed < 2 else 3 * YEAR
    study = Study(unplaced(60), 60, (Losses(law, away=Fixed(100 * YEAR)),), years, Code(needed, total))
    losses = [run(study, seed=seed).lost for seed in range(40)]
    exact = loss(needed, total, survival(law, years))
    assert exact in judge(losses, study.files).per_file
    assert 0 < sum(losses) < 40 * study.files


@pytest.mark.parametrize("threshold", [3, 5, 6])
@pytest.mark.parametrize("months", [3, 6])
def test_with_sweeps_files_are_lost_as_the_chain_of_epochs_says(threshold, months):
    study = Study(unplaced(80), 150, (Losses(Exponential(YEAR)),), 2 * YEAR, Code(2, 6))
    rules = Rules(repair=Below(threshold), checks=Checks(every=months * YEAR / 12))
    exact = loss_with_sweeps(2, 6, threshold, [exp(-months / 12)] * (24 // months))
    assert exact in judge([run(study, rules, seed).lost for seed in range(12)], study.files).per_file
    quick = judge([run_compiled(study, rules, seed).lost for seed in range(700)], study.files)
    assert exact in quick.per_file
    assert quick.per_file.half_width() < 0.15 * exact


def test_an_estimate_goes_on_until_it_is_precise_enough_and_contains_the_truth():
    study = Study(unplaced(100), 400, (Losses(Exponential(YEAR)),), YEAR, Code(3, 6))
    found = estimate(study, Rules(), precision=0.05)
    assert found.is_enough(0.05)
    assert loss(3, 6, exp(-1)) in found.per_file
    assert found.runs < 1000


def test_no_loss_is_reported_as_a_bound_and_never_as_zero():
    study = Study(unplaced(20), 10, (Losses(Exponential(1000 * YEAR)),), YEAR)
    found = estimate(study, Rules(), most_runs=16)
    assert str(found).startswith("no file lost in 16 runs: below")
    assert found.per_file.high > 0.1
    assert not found.is_enough(0.5)


def test_files_that_are_lost_together_prove_less_than_files_that_are_not():
    together = judge([0, 0, 0, 100, 0, 0, 100, 0], 100)
    apart = judge([25, 24, 26, 25, 27, 23, 25, 25], 100)
    assert together.per_file.estimate == apart.per_file.estimate == 0.25
    assert together.per_file.half_width() > 5 * apart.per_file.half_width()


def test_one_run_alone_gives_no_interval():
    with pytest.raises(ValueError, match="at least two runs"):
        judge([3], 10)


# --- what happens in detail ------------------------------------------------------------------------------------------

HOUR_STUDY = Study(unplaced(5), 1, (), 1000.0, Code(1, 2))


def scripted(*incidents, rules, study=HOUR_STUDY):
    """A run in which just these things happen, to the servers that hold the file's two shares (numbers 0 and 1)."""
    homes = place(study, SPREAD, 1).homes[0].tolist()
    known = tuple(Incident(at, homes[which], harm, seconds, "test") for at, which, harm, seconds in incidents)
    return run(Study(study.locations, 1, (Replay(known),), study.seconds, study.code), rules, 1)


EAGER = Rules(repair=Below(2), checks=Checks(every=100.0))


def test_a_file_dies_with_its_last_share_and_the_time_is_kept():
    outcome = scripted((10.0, 0, "lost", 0.0), (20.0, 1, "lost", 0.0), rules=Rules())
    assert outcome.lost_at.tolist() == [20.0]
    assert outcome.lost == 1


def test_a_check_in_between_saves_it():
    outcome = scripted((10.0, 0, "lost", 0.0), (120.0, 1, "lost", 0.0), rules=EAGER)
    assert outcome.lost == 0
    assert [(repair.at, repair.living, repair.made) for repair in outcome.repairs] == [
        (100.0, 1, {"test": 1}),
        (200.0, 1, {"test": 1}),
    ]


def test_absent_servers_cost_a_repair_but_no_file():
    outcome = scripted((10.0, 0, "away", 150.0), (220.0, 1, "away", 5.0), rules=EAGER)
    assert outcome.lost == 0
    assert [repair.at for repair in outcome.repairs] == [100.0]


def test_the_copy_that_comes_back_counts_again():
    # share 0 is made anew at 100, its first home returns at 160: now there are three, and share 0 survives one more loss
    outcome = scripted((10.0, 0, "away", 150.0), (250.0, 1, "lost", 0.0), rules=EAGER)
    assert outcome.lost == 0
    assert [repair.at for repair in outcome.repairs] == [100.0, 300.0]


def test_nothing_is_repaired_while_too_few_shares_are_in_reach_but_nothing_is_lost_either():
    outcome = scripted((10.0, 0, "away", 300.0), (20.0, 1, "away", 300.0), rules=EAGER)
    assert outcome.lost == 0
    assert outcome.repairs == ()
    assert outcome.unreadable == 3
    assert outcome.checked == 10


def test_overlapping_absences_last_until_the_longest_is_over():
    outcome = scripted(
        (10.0, 0, "away", 500.0),
        (20.0, 0, "away", 10.0),
        rules=Rules(checks=Checks(100.0)),
        study=Study(unplaced(5), 1, (), 1000.0, Code(2, 2)),
    )
    assert outcome.unreadable == 5


def test_rot_is_not_seen_before_the_scrub_and_kills_nevertheless():
    hidden = scripted((10.0, 0, "rot", 150.0), rules=EAGER)
    assert [repair.at for repair in hidden.repairs] == [200.0]
    deadly = scripted((10.0, 0, "rot", 150.0), (20.0, 1, "lost", 0.0), rules=EAGER)
    assert deadly.lost_at.tolist() == [20.0]


def test_a_repair_moves_k_shares_in_and_what_is_made_out():
    study = Study(unplaced(8), 1, (), 1000.0, Code(3, 6, size=3e6))
    outcome = scripted(
        (10.0, 0, "lost", 0.0), (11.0, 1, "lost", 0.0), rules=Rules(repair=Below(6), checks=Checks(100.0)), study=study
    )
    assert outcome.moved == (3 + 2) * 1e6


def test_a_budget_mends_the_thinnest_first_and_the_rest_later():
    study = Study(unplaced(30), 40, (Losses(Exponential(2 * YEAR)),), YEAR, Code(2, 6, size=2e6))
    free = run(study, Rules(repair=Below(6), checks=Checks(30 * DAY)), 1)
    tight = run(study, Rules(repair=Below(6), checks=Checks(30 * DAY, budget=10e6 / (30 * DAY))), 1)
    busiest = max(
        sum(repair.moved for repair in tight.repairs if repair.at == at) for at in {r.at for r in tight.repairs}
    )
    assert busiest <= 10e6 + 6e6
    assert len(tight.repairs) < len(free.repairs)
    first = [repair.living for repair in tight.repairs if repair.at == tight.repairs[0].at]
    assert first == sorted(first)


def test_cohorts_are_checked_in_turn_and_all_of_them():
    study = Study(unplaced(10), 7, (), 1000.0)
    assert run(study, Rules(checks=Checks(100.0, cohorts=1))).checked == 70
    assert run(study, Rules(checks=Checks(100.0, cohorts=4))).checked == pytest.approx(65, abs=3)


def test_the_seed_alone_determines_a_run_and_rules_do_not_change_the_weather():
    study = Study(unplaced(30), 50, rough(), YEAR)
    eager, lazy = Rules(repair=Below(10)), Rules(repair=Below(5))
    assert run(study, eager, 1).repairs == run(study, eager, 1).repairs
    assert run(study, eager, 1).incidents == run(study, lazy, 1).incidents
    assert len(run(study, lazy, 1).repairs) < len(run(study, eager, 1).repairs)


def test_choosing_among_a_random_part_of_the_servers_changes_nothing_for_the_standard_rule():
    study = Study(unplaced(120), 400, (), YEAR)
    loads = [
        np.bincount(place(study, SPREAD, seed, reach).homes.ravel(), minlength=120)
        for reach in (30, 120)
        for seed in range(3)
    ]
    # 4,000 shares on 120 servers: the variance of the load is that of dealing 10 of 120 to each of 400 files
    exact = 400 * (10 / 120) * (1 - 10 / 120)
    variances = [load.var() for load in loads]
    assert all(0.6 * exact < variance < 1.5 * exact for variance in variances)


def test_a_rule_of_ones_own_is_asked_for_placement_and_for_repair():
    class FirstServers:
        def shortlist(self, servers, storage_index, total):
            return sorted(servers, key=lambda server: server.nickname)[: 2 * total]

        def assign(self, total, candidates):
            return {number: candidates[number % len(candidates)].node for number in range(total)}

    class OddOnly:
        def decide(self, living):
            return living % 2 == 1

    study = Study(unplaced(20), 5, (Losses(Exponential(YEAR)),), YEAR, Code(3, 4))
    rules = Rules(FirstServers(), OddOnly(), Checks(30 * DAY), mend=lambda _missing: FirstServers())
    outcome = run(study, rules, 1, reach=20)
    assert place(study, FirstServers(), 1, reach=20).homes.tolist() == [[0, 1, 10, 11]] * 5
    assert outcome.repairs
    assert all(repair.living == 3 for repair in outcome.repairs)


@pytest.mark.parametrize(("margin", "threshold"), [(1.0, 10), (0.5, 7), (0.0, 4)])
def test_the_caretakers_own_rule_decides_as_it_says(margin, threshold):
    rule = RepairRule(margin)
    assert rule.threshold(3, 10) == threshold
    decisions = [Caretaker(rule, 3, 10).decide(living) for living in range(11)]
    assert decisions == [3 <= living < threshold for living in range(11)]
    study = Study(unplaced(30), 50, (Losses(Exponential(YEAR)),), YEAR)
    assert run(study, Rules(repair=Caretaker(rule))).repairs == run(study, Rules(repair=Below(threshold))).repairs


def test_what_is_missing_goes_to_sites_that_have_fewest_shares():
    locations = tuple(f"site-{number % 4}" for number in range(24))
    study = Study(locations, 60, (Losses(Exponential(YEAR)),), 2 * YEAR, Code(2, 4))
    crowds = {}
    for name, mend in (("gaps", FillGaps), ("standard", lambda _missing: SPREAD)):
        history = Chronicle(study, Rules(repair=Below(4), mend=mend), place(study, SPREAD, 1), None)
        history.unfold(forecast(study.weathers, locations, study.seconds, 1))
        homes = history._inventory.homes[history._lost_at == np.inf][:, :4]
        crowds[name] = np.mean([np.bincount(row[row >= 0] % 4).max() for row in homes])
    assert crowds["gaps"] < crowds["standard"] - 0.2


def test_transient_outages_lower_what_a_reader_gets_as_the_binomial_law_says():
    study = Study(unplaced(40), 200, (Outages(Exponential(8.0), Exponential(2.0)),), 2000.0, Code(3, 5))
    outcomes = [run(study, Rules(checks=Checks(20.0)), seed) for seed in range(16)]
    seen = mean_interval([one.unreadable / one.checked for one in outcomes])
    assert loss(3, 5, 0.8) in seen
    assert seen.half_width() < 0.01


def test_rot_without_scrub_ends_like_a_loss():
    study = Study(unplaced(30), 100, (Rot(Exponential(10 * DAY), scrub=YEAR),), 2 * YEAR, Code(3, 4))
    assert run(study, Rules(), 1).lost > 0
