"""Weather strikes as often, as long and as jointly as its laws say, and means the same to the actors."""

from collections import Counter
from math import sqrt
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tahoe.protocol import Encoding
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.faults import Crash, Restart
from tahoe.sim.grid import SimGrid
from tahoe.sim.laws import Exponential, Fixed
from tahoe.sim.lifetimes import Beta
from tahoe.sim.montecarlo import unplaced
from tahoe.sim.weather import (
    BURST_WINDOW,
    DAY,
    YEAR,
    BadBatch,
    Bursts,
    Incident,
    Losses,
    Outages,
    Replay,
    Rot,
    Shocks,
    faults,
    forecast,
    mild,
    power_outages,
    rough,
)

RACKS = tuple(f"site-{site}/rack-{rack}/host-{host}" for site in range(2) for rack in range(3) for host in range(4))


def test_the_same_seed_draws_the_same_weather_and_another_one_does_not():
    weathers = (*mild(), *rough())
    assert forecast(weathers, RACKS, YEAR, 1) == forecast(weathers, RACKS, YEAR, 1)
    assert forecast(weathers, RACKS, YEAR, 1) != forecast(weathers, RACKS, YEAR, 2)


def test_one_more_weather_leaves_the_others_as_they_were():
    alone = forecast(mild(), RACKS, YEAR, 1)
    more = forecast((*mild(), Rot(Exponential(YEAR))), RACKS, YEAR, 1)
    assert tuple(one for one in more if one.harm != "rot") == alone


def test_incidents_come_in_order_of_time_and_within_the_time():
    incidents = forecast(rough(), RACKS, YEAR, 3)
    assert [one.at for one in incidents] == sorted(one.at for one in incidents)
    assert all(0 <= one.at < YEAR for one in incidents)
    assert {one.harm for one in incidents} == {"away", "lost", "rot"}


def test_disks_die_at_their_rate():
    seen = len(forecast((Losses(Exponential(YEAR)),), unplaced(200), 10 * YEAR, 1))
    assert abs(seen - 2000) < 4 * sqrt(2000)


def test_servers_are_away_for_the_part_of_time_that_renewal_theory_says():
    incidents = forecast((Outages(Exponential(9.0), Exponential(1.0)),), unplaced(50), 4000.0, 1)
    assert abs(sum(one.seconds for one in incidents) / (50 * 4000.0) - 0.1) < 0.004


def test_a_shared_shock_takes_a_whole_site_and_no_other_server():
    incidents = forecast((Shocks(Exponential(YEAR), level=1),), RACKS, YEAR, 4)
    together = Counter(one.at for one in incidents)
    assert set(together.values()) == {12}
    for at in together:
        assert len({RACKS[one.server].split("/")[0] for one in incidents if one.at == at}) == 1


def test_the_victims_of_a_beta_shock_vary_more_than_coins_would():
    weather = Shocks(Fixed(1.0), level=0, hits=Beta(1.0, 3.0))
    counts = list(Counter(one.at for one in forecast((weather,), unplaced(40), 2000.0, 5)).values())
    counts += [0] * (1999 - len(counts))
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / len(counts)
    assert abs(mean - 10) < 1
    beta_binomial = 40 * 0.25 * 0.75 * (4 + 40) / (4 + 1)
    assert 0.8 * beta_binomial < variance < 1.2 * beta_binomial


def test_after_a_power_outage_a_fraction_never_returns():
    incidents = forecast((power_outages(Fixed(1.0), Fixed(0.1), never_return=0.01),), unplaced(1000), 20.5, 6)
    assert len(incidents) == 20_000
    lost = sum(one.harm == "lost" for one in incidents)
    assert abs(lost - 200) < 4 * sqrt(200)


def test_a_burst_comes_within_its_window_and_mostly_in_one_rack():
    weather = Bursts(Fixed(DAY), Fixed(4.0), affinity=1.0, level=2)
    incidents = forecast((weather,), RACKS, 100 * DAY, 7)
    by_day = {}
    for one in incidents:
        by_day.setdefault(int(one.at // DAY), []).append(one)
    assert len(by_day) == 99
    for burst in by_day.values():
        assert len({one.server for one in burst}) == 4
        assert len({RACKS[one.server].rsplit("/", 1)[0] for one in burst}) == 1
        assert max(one.at for one in burst) - min(one.at for one in burst) <= BURST_WINDOW


def test_a_bad_batch_fails_after_its_flaw_shows_and_the_others_do_not():
    incidents = forecast((BadBatch(0.3, Fixed(100.0), Exponential(10.0)),), unplaced(1000), 1e6, 8)
    assert 230 < len(incidents) < 370
    assert all(one.at > 100 and one.harm == "lost" for one in incidents)


def test_rot_is_found_at_the_end_of_the_scrub_period():
    incidents = forecast((Rot(Exponential(DAY), scrub=30 * DAY),), unplaced(3), YEAR, 9)
    assert incidents
    assert all((one.at + one.seconds) / (30 * DAY) == round((one.at + one.seconds) / (30 * DAY)) for one in incidents)


def test_what_was_recorded_is_replayed_and_servers_that_are_not_there_are_left_out():
    known = (Incident(1.0, 0), Incident(2.0, 99), Incident(50.0, 1))
    assert forecast((Replay(known),), unplaced(10), 40.0, 1) == known[:1]


@given(
    st.lists(
        st.builds(
            Incident,
            at=st.integers(0, 20).map(float),
            server=st.integers(0, 2),
            harm=st.sampled_from(["away", "lost"]),
            seconds=st.integers(0, 8).map(float),
        ),
        max_size=12,
    )
)
@settings(max_examples=150, deadline=None)
def test_actors_servers_are_down_just_while_some_incident_keeps_them_away(incidents):
    schedule = faults(incidents)
    for server in range(3):
        mine = [one for one in incidents if one.server == server]
        entries = [entry for entry in schedule if entry.fault.node == f"server-{server}"]
        for moment in (step + 0.5 for step in range(30)):
            away = any(one.at <= moment < one.at + one.seconds for one in mine)
            last = [entry.fault for entry in entries if entry.at <= moment][-1:]
            assert away == any(isinstance(fault, Crash) for fault in last)
        emptied = sum(isinstance(entry.fault, Restart) and entry.fault.empty_disk for entry in entries)
        assert (emptied > 0) == any(one.harm == "lost" for one in mine)


def test_incidents_strike_the_real_actors():
    grid = SimGrid(1, servers=4, options=GridOptions(fidelity="message", encoding=Encoding(1, 4, 4)))
    capability = grid.upload(b"kept by four" * 10)
    incidents = [Incident(grid.world.now() + 10 + number, number, "lost", 5.0) for number in range(3)]
    grid.apply(faults(incidents))
    grid.run(12.5)
    assert [node.incarnation is None for node in grid.servers] == [True, True, True, False]
    grid.run(10.0)
    assert all(node.incarnation is not None for node in grid.servers)
    assert grid.download(capability) == b"kept by four" * 10
    assert [len(list(grid.fleet.disks[f"server-{number}"].mount()[0].storage_indexes())) for number in range(4)] == [
        0,
        0,
        0,
        1,
    ]


def test_a_weather_of_ones_own_takes_a_few_lines():
    class EveryMonday:
        def draw(self, locations, seconds, rng):
            return (Incident(week * 7 * DAY, 0) for week in range(int(seconds / (7 * DAY))))

    assert len(forecast((EveryMonday(),), unplaced(2), 70 * DAY, Random(1).random())) == 10
