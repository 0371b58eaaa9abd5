"""The question of maintenance: the same life with and without a caretaker, and the figure."""

from __future__ import annotations

import pytest

from experiments.framework.plotting import style
from experiments.maintenance import NOBODY, Configuration, Point, Row, plot, points, run

SMALL = Configuration(periods=(0.0, 7.0), margins=(0.5,), lives=1, servers=12, files=6, years=0.5, disk_years=0.5)


def test_every_period_and_every_margin_is_lived_once():
    found = [(point.period, point.margin) for point in points(SMALL)]
    assert found == [(0.0, 1.0), (7.0, 1.0), (7.0, 0.5)]


def test_a_life_follows_from_its_number_and_a_caretaker_makes_it_better():
    alone = run(Point(NOBODY, 1.0, 1, 12, 6, 0.5, 0.3), seed=1)
    kept = run(Point(7.0, 1.0, 1, 12, 6, 0.5, 0.3), seed=1)
    assert run(Point(NOBODY, 1.0, 1, 12, 6, 0.5, 0.3), seed=2) == alone
    assert kept[-1].shares > alone[-1].shares
    assert sum(row.moved for row in kept) > 0 == sum(row.moved for row in alone)


def test_the_figure_shows_loss_and_traffic_over_time_and_in_the_end():
    rows = [
        Row(point.period, point.margin, point.life, month, 6, month * (point.period == NOBODY), 9.0, 1e6 * point.period)
        for point in points(SMALL)
        for month in range(1, 7)
    ]
    with style():
        figure = plot(rows, SMALL)
    titles = [axes.get_title() for axes in figure.axes]
    assert "files lost" in titles
    assert "traffic of the caretaker" in titles
    lines = figure.axes[0].get_lines()
    assert [line.get_label() for line in lines] == ["no caretaker", "looking every 7 days"]
    assert list(lines[0].get_ydata())[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("wrong", [{"periods": (-1.0,)}, {"margins": (1.5,)}, {"lives": 0}, {"servers": 3}])
def test_configurations_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=r"period|margin|life"):
        Configuration(**wrong)
