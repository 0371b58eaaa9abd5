"""The window of bytes under way, that grows with the pace seen."""

from tahoe.policy.window import Window

STRETCH = 100


def widen(window, times, seconds=0.01):
    for _ in range(times):
        window.learn_stretch(seconds, STRETCH)


def size_of(window):
    """How many stretches may be held."""
    held = 0
    while window.admits(held * STRETCH, STRETCH):
        held += 1
    return held


def test_two_stretches_are_always_admitted():
    assert size_of(Window(1000)) == 2


def test_every_quick_stretch_makes_room_for_two():
    window = Window(100_000)
    widen(window, 10)
    assert size_of(window) == 20


def test_the_window_never_grows_beyond_its_bound():
    window = Window(1000)
    widen(window, 1000)
    assert size_of(window) == 10


def test_a_window_smaller_than_a_stretch_admits_none():
    assert not Window(50).admits(0, STRETCH)


def test_stretches_that_wait_for_one_another_make_it_narrower():
    window = Window(100_000)
    window.learn_answer(0.01)
    widen(window, 10)
    widen(window, 5, seconds=2.0)
    assert size_of(window) == 15
    widen(window, 100, seconds=2.0)
    assert size_of(window) == 2
    widen(window, 3)
    assert size_of(window) == 6


def test_what_takes_a_little_longer_leaves_it_as_it_is():
    window = Window(100_000)
    window.learn_answer(0.01)
    widen(window, 10)
    widen(window, 10, seconds=0.5)
    assert size_of(window) == 20


def test_a_server_far_away_is_no_queue():
    window = Window(100_000)
    window.learn_answer(3.0)
    widen(window, 10, seconds=6.0)
    assert size_of(window) == 20
