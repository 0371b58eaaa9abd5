"""Progress tells what is done and how long the rest takes."""

import io

from experiments.framework.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_time_left_is_that_of_the_points_left():
    clock = Clock()
    progress = Progress("toy", 10, stream=io.StringIO(), clock=clock)
    clock.now = 30
    progress.step()
    assert progress.text() == "toy 1/10 points, 0:30 gone, about 4:30 left"


def test_points_of_an_earlier_run_do_not_make_the_rest_look_quick():
    clock = Clock()
    progress = Progress("toy", 10, before=8, stream=io.StringIO(), clock=clock)
    clock.now = 3600
    progress.step()
    assert progress.text() == "toy 9/10 points, 1:00:00 gone, about 1:00:00 left"


def test_a_log_gets_a_line_now_and_then_and_the_last():
    clock, log = Clock(), io.StringIO()
    progress = Progress("toy", 100, stream=log, clock=clock)
    for _ in range(100):
        clock.now += 0.1
        progress.step()
    progress.close()
    lines = log.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[-1] == "toy 100/100 points, 0:10 gone"


def test_a_terminal_has_one_line_written_over_and_over():
    terminal = Terminal()
    progress = Progress("toy", 2, stream=terminal, clock=Clock())
    progress.step()
    progress.step()
    progress.close()
    assert terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().count("\r") == 2
