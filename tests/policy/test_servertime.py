"""A server's own time is paced and never set: whatever clocks say, it stays monotonic and within bounds of its uptime."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tahoe.policy.servertime import MOST_GAIN, MOST_LOSS, MOST_SIGHTINGS, ServerTime

START = 1_700_000_000.0
YEAR = 365 * 86_400.0
PERIOD = 31 * 86_400.0


def heard(time: ServerTime, clock: float, uptime: float, voices: int = 3) -> None:
    for voice in range(voices):
        time.sight(f"friend {voice}", clock, uptime)


def test_without_sightings_it_runs_as_its_uptime_does():
    time = ServerTime(START, 50.0)
    assert time.now(50.0) == START
    assert time.now(150.0) == START + 100


def test_uptime_that_seems_to_run_backward_changes_nothing():
    time = ServerTime(START, 50.0)
    time.now(150.0)
    assert time.now(100.0) == START + 100
    assert time.now(160.0) == START + 110


def test_it_catches_up_at_twice_the_pace_and_then_agrees():
    time = ServerTime(START, 0.0)
    heard(time, START + 10_000, 0.0)
    assert time.now(1000.0) == START + 2000
    assert time.now(20_000.0) == START + 30_000


def test_ahead_of_the_others_it_runs_at_half_the_pace_until_they_have_caught_up():
    time = ServerTime(START, 0.0)
    heard(time, START - 10_000, 0.0)
    assert time.now(1000.0) == START + 500
    steps = [time.now(1000.0 * step) for step in range(1, 31)]
    assert steps == sorted(steps)
    assert steps[-1] == START + 20_000


def test_two_voices_or_a_split_crowd_are_not_believed():
    time = ServerTime(START, 0.0)
    heard(time, START + YEAR, 0.0, voices=2)
    assert time.now(100.0) == START + 100
    for voice, clock in enumerate((0.0, YEAR, 2 * YEAR, 3 * YEAR)):
        time.sight(f"friend {voice}", START + clock, 100.0)
    assert time.agreed(100.0) is None


def test_one_wrong_clock_among_many_is_outvoted():
    time = ServerTime(START, 0.0)
    heard(time, START, 0.0, voices=4)
    time.sight("a friend a year ahead", START + YEAR, 0.0)
    assert time.agreed(10.0) == START + 10


def test_only_the_latest_sighting_of_each_counts_and_the_oldest_are_forgotten():
    time = ServerTime(START, 0.0)
    heard(time, START + YEAR, 0.0)
    heard(time, START, 0.0)
    assert time.agreed(0.0) == START
    for voice in range(MOST_SIGHTINGS):
        time.sight(f"stranger {voice}", START + 7, 0.0)
    assert time.agreed(0.0) == START + 7


def test_a_server_that_keeps_nothing_leaps_forward_and_never_back():
    time = ServerTime(0.0, 0.0)
    assert time.leap(5.0) == 5.0
    heard(time, START, 5.0)
    assert time.leap(5.0) == START
    heard(time, START - YEAR, 5.0)
    assert time.leap(5.0) == START


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(-3 * YEAR, 3 * YEAR), st.floats(0, 100 * 86_400)), max_size=30))
def test_whatever_is_said_a_lease_lasts_half_its_period_of_uptime_and_at_most_twice(history):
    time, uptime, before = ServerTime(START, 0.0), 0.0, START
    for voice, clock, seconds in history:
        time.sight(f"voice {voice}", START + clock, uptime)
        uptime += seconds
        now = time.now(uptime)
        assert (1 - MOST_LOSS) * seconds - 1e-3 <= now - before <= (1 + MOST_GAIN) * seconds + 1e-3
        before = now
    assert before - START <= 2 * uptime + 1e-3
    assert PERIOD / (1 + MOST_GAIN) == PERIOD / 2
