"""The classical approximations for RAID: rows C9 and C10."""

import pytest

from tahoe.theory.markov import MEAN_TIME_WARNING, mean_time_to_loss
from tahoe.theory.raid import expected_losses, raid5_mean_time_to_loss, raid_mean_time_to_loss
from tahoe.theory.stripes import serial, share_chain
from tests.theory.printed import Printed

HOURS_A_YEAR = 8760


def test_c9_raid5_by_the_usual_formula_and_by_the_exact_chain():
    # exact: the formula of Patterson, Gibson and Katz for one group, and the chain that it approximates
    usual = raid5_mean_time_to_loss(8, 461_386, 12).in_units_of(HOURS_A_YEAR)
    assert usual.duration == Printed("36162.25")
    assert expected_losses(usual, 1000, 10) == Printed(".27653")
    exact = mean_time_to_loss(share_chain(7, 8, 1 / 461_386, serial(1 / 12))).in_units_of(HOURS_A_YEAR)
    assert exact.duration == Printed("36176.36")


@pytest.mark.parametrize(("group", "expected"), [((1, 1), "4500000"), ((10, 1), "818182"), ((25, 1), "346154")])
def test_c10_raid_of_1988(group, expected):
    # Patterson, Gibson and Katz, SIGMOD 1988: prints 4,500,000 and 820,000 h for 100 data disks in groups of 1 and 10
    hours = raid_mean_time_to_loss(100, group, 30_000, 1)
    assert hours.duration == Printed(expected)
    assert hours.warning == MEAN_TIME_WARNING


def test_impossible_groups_are_refused():
    with pytest.raises(ValueError, match="at least two disks"):
        raid5_mean_time_to_loss(1, 1, 1)
    with pytest.raises(ValueError, match="check disks of a group must be positive"):
        raid_mean_time_to_loss(10, (10, 0), 1, 1)
    with pytest.raises(ValueError, match="mean time to repair must be positive"):
        raid_mean_time_to_loss(10, (10, 1), 1, 0)
