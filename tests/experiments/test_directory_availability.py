"""Directories on one server and in shares: what the actors do agrees with the closed form."""

from __future__ import annotations

import pytest

from experiments.directory_availability import CHANGE, READ, Configuration, Point, impossible, plot, run


@pytest.mark.parametrize(
    ("needed", "total", "deed", "down"),
    [(1, 1, READ, 0.4), (1, 1, CHANGE, 0.4), (3, 10, READ, 0.7), (3, 10, CHANGE, 0.3)],
)
def test_simulated_failures_contain_the_exact_probability(needed, total, deed, down):
    (row,) = run(Point(needed, total, deed, down, runs=25, depth=2, confidence=0.999), seed=1)
    assert 0 < row.failed < row.runs
    assert row.low <= row.exact <= row.high


def test_the_closed_form_counts_the_servers_that_it_takes():
    assert impossible(1, 1, READ, 0.1) == impossible(1, 1, CHANGE, 0.1) == pytest.approx(0.1)
    assert impossible(3, 10, READ, 0.1) == pytest.approx(3.736e-07, rel=1e-3)
    assert impossible(3, 10, CHANGE, 0.1) == pytest.approx(1.2795e-02, rel=1e-3)


def test_the_figure_shows_each_design():
    configuration = Configuration(codes=((1, 1), (2, 3)), down=(0.3,), runs=3)
    rows = [row for deed in (READ, CHANGE) for row in run(Point(2, 3, deed, 0.3, 3, 2, 0.999), seed=2)]
    labels = [text.get_text() for text in plot(rows, configuration).legends[0].get_texts()]
    assert [label.split(":")[0] for label in labels] == [
        "all on one server (v0.6)",
        "in 2-of-3 shares",
        "in 2-of-3 shares",
    ]


def test_codes_that_no_slot_has_are_refused():
    with pytest.raises(ValueError, match="2 k - 1"):
        Configuration(codes=((3, 4),))
