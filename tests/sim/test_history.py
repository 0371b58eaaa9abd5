"""The judge of histories: examples in which all can be true or not, and a law."""

from __future__ import annotations

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from tahoe.sim.history import Drop, History, Load, Put, See, SeeAny, Shift, Store, Take

A, B = ("a",), ("b",)


def history(*entries):
    """Entries given as (start, end, steps...)."""
    made = History()
    for start, end, *steps in entries:
        made.begin(start, *steps).end = end
    return made


def is_true(*entries) -> bool:
    return not history(*entries).flaw()


def test_what_was_acknowledged_is_seen_afterwards():
    assert is_true((0, 1, Put(A, 1)), (2, 3, See(A, 1)))
    assert not is_true((0, 1, Put(A, 1)), (2, 3, See(A, None)))
    assert not is_true((2, 3, See(A, 1)))


def test_of_two_at_the_same_moment_either_may_be_the_last():
    racing = (0, 5, Put(A, 1)), (1, 4, Put(A, 2))
    assert is_true(*racing, (6, 7, See(A, 1)))
    assert is_true(*racing, (6, 7, See(A, 2)))
    assert not is_true(*racing, (6, 7, See(A, 1)), (8, 9, See(A, 2)))


def test_an_older_one_does_not_come_back():
    assert not is_true((0, 1, Put(A, 1)), (2, 3, Put(A, 2)), (4, 5, See(A, 1)))


def test_what_nobody_knows_may_have_happened_at_any_time_or_never():
    assert is_true((0, 1, Put(A, 1)), (2, inf, Put(A, 2)), (8, 9, See(A, 1)))
    assert is_true((0, 1, Put(A, 1)), (2, inf, Put(A, 2)), (8, 9, See(A, 1)), (10, 11, See(A, 2)))
    assert not is_true((5, inf, Put(A, 2)), (1, 2, See(A, 2)))


def test_of_two_who_were_both_told_that_they_were_first_one_was_told_a_lie():
    assert not is_true((0, 5, Put(A, 1, only_new=True)), (1, 4, Put(A, 2, only_new=True)))
    assert is_true((0, 5, Put(A, 1, only_new=True)), (1, 4, SeeAny(A)))


def test_what_is_taken_out_was_there():
    assert not is_true((0, 1, Take(A)))
    assert is_true((0, 5, Put(A, 1)), (1, 4, Take(A)), (6, 7, See(A, None)))
    assert not is_true((0, 1, Put(A, 1)), (2, 9, Take(A)), (3, 8, Take(A)))


def test_a_rename_loses_nothing():
    renamed = (0, 1, Put(A, 1)), (2, 3, Shift(A, B, only_new=False))
    assert is_true(*renamed, (4, 5, See(B, 1)), (6, 7, See(A, None)))
    assert not is_true(*renamed, (4, 5, See(B, None)))
    assert not is_true(*renamed, (4, 5, See(A, 1)))


def test_a_move_is_seen_in_both_places_for_a_moment_and_leaves_what_came_in_between():
    move = (2, 9, Load(A), Store(B, only_new=False), Drop(A))
    assert is_true((0, 1, Put(A, 1)), move, (3, 4, See(A, 1)), (3, 4, See(B, 1)), (10, 11, See(A, None)))
    assert is_true((0, 1, Put(A, 1)), move, (3, 4, Put(A, 2)), (10, 11, See(A, 2)), (10, 11, See(B, 1)))
    assert not is_true((0, 1, Put(A, 1)), move, (10, 11, See(A, 1)))


def test_a_flaw_names_only_what_hangs_together():
    made = history((0, 1, Put(A, 1)), (0, 1, Put(B, 1)), (2, 3, See(B, 2)))
    assert [entry.steps[0].keys for entry in made.flaw()] == [(B,), (B,)]


DOINGS = st.tuples(
    st.floats(0, 10), st.floats(0, 3), st.floats(0, 3), st.sampled_from(["put", "new", "take", "shift"]), st.booleans()
)


@settings(max_examples=80, deadline=None)
@given(st.lists(DOINGS, max_size=8))
def test_what_really_happened_in_some_order_is_never_called_a_lie(doings):
    """Every doing happens at a moment between its beginning and its end; what it found is what it tells."""
    state: dict = {}
    made = History()
    for number, (moment, before, after, kind, known) in enumerate(sorted(doings)):
        step = {
            "put": Put(A, number),
            "new": Put(B, number, only_new=True),
            "take": Take(A),
            "shift": Shift(A, B, only_new=False),
        }[kind]
        happened = step.take(state, None)
        if happened is None:
            continue
        state = happened.state
        made.begin(moment - before, step).end = moment + after if known else inf
        for key in (A, B):
            made.saw(moment, moment + after, See(key, state.get(key)))
    assert not made.flaw()
