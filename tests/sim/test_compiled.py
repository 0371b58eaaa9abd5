"""The compiled Monte Carlo is the plain one, share for share, and says what it can't do."""

import subprocess
import sys
from pathlib import Path

import pytest

from tahoe.errors import BadConfiguration
from tahoe.policy.placement import SPREAD
from tahoe.sim.compiled import run_compiled
from tahoe.sim.estimates import judge
from tahoe.sim.laws import Exponential, Fixed
from tahoe.sim.lifetimes import Weibull
from tahoe.sim.montecarlo import Below, Checks, Code, Rules, Study, place, run, unplaced
from tahoe.sim.weather import DAY, YEAR, Losses, Outages

STUDY = Study(unplaced(60), 200, (Losses(Exponential(YEAR)),), 4 * YEAR)


@pytest.mark.parametrize("threshold", [0, 5, 7, 10])
@pytest.mark.parametrize("cohorts", [1, 4])
def test_both_lose_the_same_files_at_the_same_times_and_make_the_same_shares(threshold, cohorts):
    rules = Rules(repair=Below(threshold), checks=Checks(90 * DAY, cohorts))
    plain = run(STUDY, rules, 3)
    quick = run_compiled(STUDY, rules, 3, place(STUDY, SPREAD, 3))
    assert quick.lost_at.tolist() == plain.lost_at.tolist()
    assert quick.repairs == len(plain.repairs)
    assert quick.made == sum(sum(repair.made.values()) for repair in plain.repairs)
    assert plain.lost > 0


@pytest.mark.parametrize("law", [Exponential(YEAR), Weibull(YEAR, 0.7)], ids=repr)
def test_with_placements_of_their_own_both_estimate_the_same_probability(law):
    study = Study(unplaced(60), 200, (Losses(law),), 2 * YEAR, Code(2, 5))
    rules = Rules(repair=Below(4), checks=Checks(60 * DAY))
    plain = judge([run(study, rules, seed).lost for seed in range(15)], study.files).per_file
    quick = judge([run_compiled(study, rules, seed).lost for seed in range(100)], study.files).per_file
    assert plain.low < quick.high
    assert quick.low < plain.high
    assert quick.low > 0


@pytest.mark.parametrize(
    ("study", "rules"),
    [
        (Study(unplaced(60), 5, (Outages(Exponential(1.0), Exponential(1.0)),), YEAR), Rules()),
        (Study(unplaced(60), 5, (Losses(Exponential(YEAR), away=Fixed(1.0)),), YEAR), Rules()),
        (STUDY, Rules(checks=Checks(budget=1.0))),
        (Study(unplaced(9), 5, (Losses(Exponential(YEAR)),), YEAR), Rules()),
    ],
    ids=["outages", "slow replacement", "budget", "few servers"],
)
def test_a_study_that_is_more_than_it_can_do_is_refused(study, rules):
    with pytest.raises(BadConfiguration, match="compiled Monte Carlo"):
        run_compiled(study, rules)


def test_without_numba_the_remedy_is_named():
    program = (
        "import sys; sys.modules['numba'] = None\n"
        "from tahoe.sim.compiled import run_compiled\n"
        "from tahoe.sim.montecarlo import Rules, Study, unplaced\n"
        "run_compiled(Study(unplaced(20), 1, (), 1.0), Rules())"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[2]
    )
    assert "pip install 'tahoe-grid[fast]'" in ended.stderr
