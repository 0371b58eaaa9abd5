"""Scenarios are read, composed, saved and run again; what is wrong in one is named."""

import pytest

from tahoe.errors import BadConfiguration
from tahoe.sim import lawbook, scenarios
from tahoe.sim.laws import Exponential, Fixed, LogNormal
from tahoe.sim.lifetimes import Beta, Empirical, Weibull
from tahoe.sim.montecarlo import Below, Rules
from tahoe.sim.weather import DAY, YEAR, BadBatch, Bursts, Incident, Losses, Replay, Rot, Shocks, mild, rough

TEXT = """
servers = 20
files = 30
time = "3 years"

[code]
needed = 2
total = 6

[repair]
below = 5
every = "30 days"
cohorts = 3

[[weather]]
kind = "Losses"
life = {kind = "Weibull", scale = "1.5 years", shape = 1.2}
away = {kind = "Fixed", seconds = "3 days"}

[[incident]]
at = "1 year"
server = 3
harm = "lost"
seconds = "2 weeks"
"""


@pytest.fixture
def write(tmp_path):
    def store(text, name="scenario.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return store


def test_a_scenario_says_times_in_words_and_means_seconds(write):
    scenario = scenarios.load(write(TEXT))
    losses, known = scenario.study.weathers
    assert losses == Losses(Weibull(1.5 * YEAR, 1.2), Fixed(3 * DAY))
    assert known == Replay((Incident(YEAR, 3, "lost", 14 * DAY),))
    assert (scenario.rules.repair, scenario.rules.checks.every, scenario.rules.checks.cohorts) == (
        Below(5),
        30 * DAY,
        3,
    )
    assert scenario.run(1).incidents > 20


def test_weather_of_another_file_is_added(write):
    write('[[weather]]\nkind = "Rot"\nevery = {kind = "Exponential", mean = "10 days"}\n', "rot.toml")
    scenario = scenarios.load(write('include = ["rot.toml"]\n' + TEXT))
    assert scenario.study.weathers[-1] == Rot(Exponential(10 * DAY))


def test_what_was_saved_is_loaded_and_has_the_same_history(write, tmp_path):
    scenario = scenarios.load(write(TEXT)).with_weather(*mild(), *rough(), Bursts(Fixed(9 * DAY), Fixed(3.0)))
    scenarios.save(scenario, tmp_path / "again.toml")
    again = scenarios.load(tmp_path / "again.toml")
    assert again.rules == scenario.rules
    assert set(again.study.weathers) == set(scenario.study.weathers)
    scenarios.save(again, tmp_path / "third.toml")
    third = scenarios.load(tmp_path / "third.toml")
    assert third == again
    assert third.run(5).repairs == again.run(5).repairs


def test_a_world_gives_the_servers_their_places(write):
    scenario = scenarios.load(write('world = "datacentre"\nfiles = 1\ntime = "1 day"\n'))
    assert scenario.study.locations[0] == "hall/rack-0"
    assert len(scenario.study.locations) == 100


@pytest.mark.parametrize(
    "weather",
    [
        Shocks(Exponential(YEAR), 2, Beta(1.0, 4.0), 0.1, LogNormal(60.0, 2.0), "lightning"),
        BadBatch(0.2, Fixed(YEAR), Exponential(DAY)),
        Losses(Empirical((1.0, 2.0, 3.0))),
    ],
    ids=repr,
)
def test_every_weather_comes_back_from_its_table(weather):
    assert lawbook.build(lawbook.plain(weather)) == weather


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("files = 30", "file = 30", "unknown key file"),
        ("files = 30", "", "files is missing"),
        ('kind = "Losses"', 'kind = "Frogs"', "no law or weather of the kind 'Frogs'"),
        ("shape = 1.2", "shape = 1.2, size = 3", "Weibull has no size; it has scale, shape, floor"),
        ('harm = "lost"', 'harm = "eaten"', "eaten"),
        ("servers = 20", 'world = "moon"', "there is no world 'moon'"),
        ("servers = 20", "servers = ", "scenario.toml"),
        ('life = {kind = "Weibull", scale = "1.5 years", shape = 1.2}', "", "Losses: "),
        ("cohorts = 3", "cohort = 3", "cohort"),
    ],
)
def test_what_is_wrong_is_named(write, old, new, message):
    with pytest.raises(BadConfiguration, match=message):
        scenarios.load(write(TEXT.replace(old, new)))


def test_a_rule_that_no_file_can_tell_is_not_saved(write, tmp_path):
    class Moody:
        def decide(self, living):
            return living == 4

    scenario = scenarios.Scenario(scenarios.load(write(TEXT)).study, Rules(repair=Moody()))
    with pytest.raises(BadConfiguration, match="Moody can't be written down"):
        scenarios.save(scenario, tmp_path / "no.toml")
