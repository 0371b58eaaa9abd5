"""Twins: a live grid and a simulated one go through the same plan, and the study says how far they are apart."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace

import msgspec
import pytest
from click.testing import CliRunner

from experiments import twin
from experiments.framework.plotting import style
from experiments.twinning.figure import gaps
from experiments.twinning.laws import Laws, laws_of
from experiments.twinning.measuring import least_squares
from experiments.twinning.plan import FROZEN, GET, KILLED, PUT, Operation, Scope, carry_out, order_of
from experiments.twinning.rows import LAW
from experiments.twinning.simulated import SimulatedTwin
from tahoe.protocol import Encoding

LAWS = Laws(
    hop=(1e-5, 2e-5), client_packet=3e-4, client_byte=4e-10, server_packet=4e-4, broker_packet=5e-5, broker_byte=4e-10,
    put=1e-3, get=1e-3, put_byte=5e-9, store=1e-3, sync=3e-3, pace=1.5, farewell=0.01,
)  # fmt: skip
SMALL = {
    "servers": 4, "needed": 1, "total": 3, "ill": (0, 3), "reads": 4, "writes": 1, "megabytes": (0.5,), "repeats": 1,
    "at_once": 2, "deadline": 5.0, "rounds": 1, "effort": 2,
}  # fmt: skip
PREDICTED = twin.Configuration(**SMALL, live=False, laws=LAWS)


def predicted(configuration, seed=1):
    return [row for point in twin.points(configuration) for row in twin.run(point, seed)]


def test_a_live_grid_and_its_simulated_twin_agree_on_which_reads_succeed(command, tmp_path):
    settings = [f"--set={key}={json.dumps(value)}" for key, value in SMALL.items()]
    command("run", "twin", "--out", tmp_path / "twin", "--seed", 3, *settings)
    (_, *lines) = (tmp_path / "twin" / "rows.jsonl").read_text().splitlines()
    rows = [msgspec.convert(row, twin.Row) for line in lines for row in json.loads(line)[1]]
    reads = [row for row in rows if row.act == KILLED and row.kind == GET]
    assert {row.ill for row in reads} == {0, 3}
    assert [row.live_succeeded for row in reads] == [row.simulated_succeeded for row in reads]
    assert all(row.live_succeeded for row in reads if row.ill == 0)
    laws = {row.name: row.value for row in rows if row.act == LAW}
    assert laws["server_packet"] > 0 < laws["client_packet"]
    assert {gap.name for gap in gaps(rows)} >= {"small get, servers killed", "small put, many at once", "large put"}
    assert all(1 / 50 < ratio < 50 for gap in gaps(rows) for ratio in gap.ratios)
    manifest = json.loads((tmp_path / "twin" / "manifest.json").read_text())
    assert "live" in manifest["measured"]
    assert len(manifest["unmeasured"]) == 64
    printed = CliRunner().invoke(twin.main, [str(tmp_path / "twin")], catch_exceptions=False).output
    assert tomllib.loads(printed)["laws"]["server_packet"] == laws["server_packet"]


def test_a_prediction_follows_from_the_laws_alone_and_can_be_drawn():
    rows = predicted(PREDICTED)
    assert predicted(PREDICTED) == rows
    assert all(row.live == 0.0 < row.simulated for row in rows if row.act != LAW)
    lived = [replace(row, live=row.simulated, live_succeeded=row.simulated_succeeded) for row in rows]
    with style():
        for drawn in (rows, lived):
            twin.plot(drawn, PREDICTED).savefig("/dev/null", format="png", dpi=20)
    assert {ratio for gap in gaps(lived) for ratio in gap.ratios} == {1.0}


def test_laws_come_back_from_their_rows():
    assert laws_of(dict(LAWS.rows())) == LAWS


def test_slower_processors_make_slower_predictions():
    def seconds(laws):
        rows = predicted(replace(PREDICTED, laws=laws))
        return sum(row.simulated for row in rows if row.act == "crowd")

    assert seconds(LAWS) < seconds(replace(LAWS, cores=1))
    assert seconds(LAWS) < seconds(replace(LAWS, server_packet=2 * LAWS.server_packet))
    assert 1.5 * seconds(LAWS) < seconds(replace(LAWS, stretch=2.0))


def test_a_frozen_server_costs_time_and_a_dead_one_does_not():
    simulated = SimulatedTwin(LAWS, 1, 4)
    simulated.wait(5.0)
    stored = Operation("preparation", PUT, 0, 10_000, "a file", deadline=3.0)
    simulated.perform(stored, Encoding(1, 1, 3))
    reading = replace(stored, kind=GET)
    healthy = simulated.perform(reading, Encoding(1, 1, 3))
    names = order_of(Scope(4, 1, 3, (), 1, 1, 10, (), 1, 1, 3.0), 1, FROZEN)
    simulated.harm(FROZEN, names)
    assert not simulated.perform(reading, Encoding(1, 1, 3)).succeeded
    simulated.mend(FROZEN, names)
    simulated.wait(1.0)
    assert simulated.perform(reading, Encoding(1, 1, 3)).succeeded
    simulated.harm(KILLED, names[:1])
    simulated.wait(1.0)
    assert simulated.perform(reading, Encoding(1, 1, 3)).seconds < 3 * healthy.seconds


def test_both_twins_are_asked_for_the_same_things_in_the_same_order():
    class Scribe:
        def __init__(self):
            self.seen = []

        def perform(self, operation, encoding):
            self.seen.append((operation, encoding))
            return operation

        def perform_at_once(self, operations, encoding):
            return [self.perform(operation, encoding) for operation in operations]

        def harm(self, kind, servers):
            self.seen.append((kind, tuple(servers)))

        mend = harm

        def wait(self, seconds):
            pass

    scope = Scope(5, 2, 4, (0, 2), 3, 2, 10, (1.0,), 1, 2, 3.0)
    once, again = Scribe(), Scribe()
    assert list(carry_out(scope, 7, once)) == list(carry_out(scope, 7, again))
    assert once.seen == again.seen
    harmed = [entry for entry in once.seen if entry[0] in (KILLED, FROZEN)]
    assert [len(servers) for _, servers in harmed] == [0, 0, 2, 2, 2, 2]


def test_costs_are_the_least_squares_that_are_not_negative():
    features = [[1.0, 0.0], [0.0, 1.0], [2.0, 3.0]]
    assert least_squares(features, [4.0, 5.0, 23.0]) == pytest.approx([4.0, 5.0])
    (alone, nothing) = least_squares([[1.0, 1.0], [2.0, 1.0]], [1.0, 3.0])
    assert nothing == 0.0 < alone


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [({"reads": 30}, "frozen"), ({"ill": (11,)}, "between"), ({"live": False}, "laws"), ({"needed": 7}, "needed")],
)
def test_configurations_that_make_no_sense_are_refused(wrong, reason):
    with pytest.raises(ValueError, match=reason):
        twin.Configuration(**wrong)
