"""Years of a friendnet: what has enough living shares is never lost with a caretaker, and is without one."""

from __future__ import annotations

from dataclasses import replace

from tahoe.actors.caretaker import CareTerms
from tahoe.policy.allowance import Budget
from tahoe.sim.years import DAY, YEAR, Misfortune, Month, Outcome, Years, YearsPlan, draw_events, live
from tests.sim.long_years import complaints

HARSH = Misfortune(life=1.1 * YEAR, rot=20 * DAY, liar=0.3 * YEAR, flapping=0.2 * YEAR)
SHORT = YearsPlan(1, servers=14, files=30, directories=4, years=1.0, misfortune=HARSH)


def test_the_misfortunes_of_a_life_follow_from_its_seed_and_from_nothing_else():
    assert draw_events(SHORT) == draw_events(replace(SHORT, care=None))
    assert draw_events(SHORT) != draw_events(replace(SHORT, seed=2))
    kinds = {event.kind for event in draw_events(YearsPlan(1))}
    assert kinds == {"down", "up", "death", "replaced", "rot", "lie"}


def test_with_a_caretaker_nothing_is_lost():
    years = Years(SHORT)
    outcome = years.run()
    assert outcome.lost == 0
    assert outcome.unreadable == 0
    assert outcome.distrusted == ["server-0"]
    assert min(month.fewest for month in outcome.months) > 3
    assert outcome.months[-1].mean > 6
    for file in years.files[:3]:
        assert len(years.grid.download(str(file))) == SHORT.file_size


def test_without_one_the_same_misfortunes_lose_files():
    outcome = live(replace(SHORT, care=None))
    assert outcome.lost > 0


def test_an_outage_of_a_third_of_the_servers_starts_no_storm():
    never = 1e6 * YEAR
    misfortune = Misfortune(never, 1.0, never, 1.0, never, outages=40 * DAY, liar=0.0, flapping=0.0)
    outcome = live(replace(SHORT, years=0.5, misfortune=misfortune))
    assert outcome.tidings["checked"] > 500
    assert "repairs" not in outcome.tidings


def test_a_share_that_is_collected_while_it_is_still_reached_is_counted():
    years = Years(replace(SHORT, files=2, directories=1, years=1 / 12))
    assert years.run().months[-1].strays == 0
    index = years.files[0].storage_index
    name = next(name for name in years.grid.fleet.disks if years._platter(name).shares(index))
    (number,) = years._platter(name).shares(index)
    (lease,) = years._platter(name).leases(index, number)
    years._platter(name).discard(index, number, lease.expires, lease.expires)
    assert years._look(0.0).strays == 1


def test_what_should_not_happen_with_a_caretaker_is_complained_of():
    plan = replace(SHORT, care=CareTerms(budget=Budget(bytes_per_day=1e6)))
    fine = Month(at=YEAR / 12, lost=0, fewest=7, mean=9.0, moved=3e7, deaths=3)
    assert not [*complaints(plan, Outcome([fine]))]
    for wrong in (fine._replace(lost=1), fine._replace(strays=1), fine._replace(moved=9e7)):
        assert len([*complaints(plan, Outcome([wrong, fine._replace(lost=wrong.lost)]))]) == 1
    assert [*complaints(plan, Outcome([fine], unreadable=1))]
