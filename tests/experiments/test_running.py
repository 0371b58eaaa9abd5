"""Experiments run from the command line: configuration, results, interruption, reproduction."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

import experiments

ROOT = Path(__file__).parents[2]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def table(folder):
    with (folder / "data.csv").open() as lines:
        return list(csv.DictReader(lines))


def test_the_list_names_every_experiment_with_its_question(command):
    lines = command("list").output.splitlines()
    names = {line.split()[0] for line in lines}
    assert "availability" in names
    assert not names & {"framework", "bench", "__main__"}
    assert all(line.endswith("?") for line in lines)


def test_the_example_of_the_documentation_is_short(toy):
    assert len([line for line in toy.read_text().splitlines() if line.strip()]) < 40


def test_a_run_leaves_data_figures_and_a_manifest(run_toy, tmp_path):
    run_toy(tmp_path / "out")
    assert set(contents(tmp_path / "out")) == {"data.csv", "heads.png", "heads.svg", "manifest.json", "rows.jsonl"}
    assert [row["needed"] for row in table(tmp_path / "out")] == ["1", "2", "3", "4"]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["question"] == "How often do at least k of n coins show heads?"
    assert manifest["configuration"] == {"coins": 4, "runs": 200, "confidence": 0.999}
    assert (manifest["seed"], manifest["runs"], manifest["confidence"]) == (1, 800, 0.999)
    assert manifest["code"] == ["v1"]
    assert {"python", "numpy", "matplotlib", "simpy"} <= set(manifest["libraries"])


def test_a_manifest_reproduces_its_folder_bit_for_bit(run_toy, command, toy, tmp_path):
    run_toy(tmp_path / "first", "--seed", 5)
    for again in ("second", "third"):
        manifest = tmp_path / "first" / "manifest.json"
        result = command("run", toy, "--from", manifest, "--out", tmp_path / again, "--workers", 1)
        assert "reproduced bit for bit" in result.output
        assert contents(tmp_path / again) == contents(tmp_path / "first")


def test_a_result_that_does_not_come_out_again_is_reported(run_toy, command, toy, tmp_path):
    run_toy(tmp_path / "first")
    toy.write_text(toy.read_text().replace("Random(seed)", "Random(seed + 1)"))
    manifest = tmp_path / "first" / "manifest.json"
    result = command("run", toy, "--from", manifest, "--out", tmp_path / "second", "--workers", 1, code=1)
    assert "not the same: data.csv" in result.output


def test_a_manifest_of_another_experiment_is_refused(run_toy, command, tmp_path):
    run_toy(tmp_path / "out")
    result = command("run", "availability", "--from", tmp_path / "out" / "manifest.json", code=1)
    assert "the manifest is one of heads, not of availability" in result.output


def test_a_folder_is_not_compared_with_itself(run_toy, command, toy, tmp_path):
    run_toy(tmp_path / "out")
    result = command("run", toy, "--from", tmp_path / "out" / "manifest.json", "--out", tmp_path / "out", code=1)
    assert "nothing would be computed" in result.output


def test_options_beside_a_manifest_are_refused(run_toy, command, toy, tmp_path):
    run_toy(tmp_path / "out")
    result = command("run", toy, "--from", tmp_path / "out" / "manifest.json", "--seed", 2, code=1)
    assert "--from takes seed and configuration from the manifest" in result.output


def test_another_seed_gives_other_rows(run_toy, tmp_path):
    run_toy(tmp_path / "one", "--seed", 1)
    run_toy(tmp_path / "two", "--seed", 2)
    assert table(tmp_path / "one") != table(tmp_path / "two")


def test_the_rows_are_the_same_with_any_number_of_workers(run_toy, tmp_path):
    run_toy(tmp_path / "one")
    run_toy(tmp_path / "two", "--workers", 2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_point_keeps_its_rows_when_others_are_added(command, toy, tmp_path):
    toy.write_text(toy.read_text().replace("range(1, configuration.coins + 1)", "range(2, 4)"))
    command("run", toy, "--out", tmp_path / "few", "--workers", 1)
    toy.write_text(toy.read_text().replace("range(2, 4)", "range(1, 5)"))
    command("run", toy, "--out", tmp_path / "many", "--workers", 1)
    assert table(tmp_path / "many")[1:3] == table(tmp_path / "few")


def test_equal_points_are_refused_because_they_would_share_a_seed(command, toy, tmp_path):
    toy.write_text(toy.read_text().replace("range(1, configuration.coins + 1)", "(1, 1)"))
    assert "comes twice" in command("run", toy, "--out", tmp_path / "out", code=1).output


def test_a_file_and_then_the_command_line_change_the_configuration(command, toy, tmp_path):
    toy.write_text(toy.read_text() + "\n\nQUICK = {'runs': 10, 'coins': 2, 'confidence': 0.5}\n")
    (tmp_path / "my.toml").write_text("coins = 3\nconfidence = 0.9\n")
    out = tmp_path / "out"
    command("run", toy, "--out", out, "--quick", "--config", tmp_path / "my.toml", "--set", "confidence=0.99")
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["configuration"] == {"coins": 3, "runs": 10, "confidence": 0.99}


def test_an_unknown_key_is_refused_with_the_one_that_was_meant(run_toy, tmp_path):
    result = run_toy(tmp_path / "out", "--set", "coin=3", code=1)
    assert "unknown key 'coin'. Did you mean coins? This experiment knows: coins, runs, confidence" in result.output


def test_a_value_of_the_wrong_type_is_refused_with_its_place(run_toy, tmp_path):
    result = run_toy(tmp_path / "out", "--set", "coins=many", code=1)
    assert "coins: Expected `int`, got `str`. Defaults are: coins=10, runs=10000" in result.output


def test_a_setting_without_a_value_is_refused(run_toy, tmp_path):
    assert "write it as key=value" in run_toy(tmp_path / "out", "--set", "coins", code=1).output


def test_a_file_that_is_no_toml_is_refused_by_name(run_toy, tmp_path):
    (tmp_path / "my.toml").write_text("coins: 3")
    assert "my.toml" in run_toy(tmp_path / "out", "--config", tmp_path / "my.toml", code=1).output


def test_an_unknown_experiment_is_refused_with_those_there_are(command, tmp_path):
    assert "availability" in command("run", "availabilty", "--out", tmp_path, code=1).output
    assert "there is no such file" in command("run", tmp_path / "nothing.py", code=1).output


def test_a_file_that_is_no_experiment_is_told_what_it_lacks(command, toy):
    toy.write_text('"""Nothing."""\n\ndef plot(rows, configuration): ...\n')
    assert "it does not define Configuration, Row, points, run" in command("run", toy, code=1).output


@pytest.fixture
def interrupted(run_toy, monkeypatch, tmp_path):
    """A folder in which two of four points are done, and a list of the keys that are computed from then on."""
    from experiments.framework import sweep  # noqa: PLC0415  # patched below

    computed = []
    genuine = sweep.compute

    def compute(task):
        computed.append(task.key)
        if len(computed) == 3:
            raise KeyboardInterrupt
        return genuine(task)

    monkeypatch.setattr(sweep, "compute", compute)
    result = run_toy(tmp_path / "out", code=130)
    assert "the same command goes on" in result.output
    del computed[:2]
    return computed


def test_an_interrupted_run_goes_on_where_it_stopped(run_toy, interrupted, tmp_path):
    assert not (tmp_path / "out" / "data.csv").exists()
    interrupted[:] = [None] * 3
    run_toy(tmp_path / "out")
    assert len(interrupted[3:]) == 2
    run_toy(tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_line_that_was_torn_off_is_computed_again(run_toy, tmp_path):
    run_toy(tmp_path / "out")
    whole = contents(tmp_path / "out")
    log = tmp_path / "out" / "rows.jsonl"
    log.write_bytes(log.read_bytes()[:-9])
    run_toy(tmp_path / "out")
    assert contents(tmp_path / "out") == whole


def test_a_finished_study_is_only_drawn_again(run_toy, tmp_path, monkeypatch):
    run_toy(tmp_path / "out")
    whole = contents(tmp_path / "out")
    monkeypatch.setattr("experiments.framework.sweep.compute", None)
    run_toy(tmp_path / "out")
    assert contents(tmp_path / "out") == whole


def test_a_folder_with_another_study_is_refused_and_kept(run_toy, tmp_path):
    run_toy(tmp_path / "out")
    whole = contents(tmp_path / "out")
    result = run_toy(tmp_path / "out", "--set", "runs=300", code=1)
    assert "runs: 200 there, 300 asked for" in result.output
    assert "--afresh" in result.output
    assert contents(tmp_path / "out") == whole
    run_toy(tmp_path / "out", "--set", "runs=300", "--afresh")
    assert {row["runs"] for row in table(tmp_path / "out")} == {"300"}


def test_rows_of_an_older_version_of_the_code_are_named_in_the_manifest(run_toy, tmp_path, monkeypatch):
    run_toy(tmp_path / "out")
    monkeypatch.setattr("experiments.framework.laboratory.code_version", lambda: "v2")
    run_toy(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["code"] == ["v1", "v2"]


def test_a_missing_package_is_named_with_the_remedy(run_toy, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run_toy(tmp_path / "out", code=1)
    assert "matplotlib" in result.output
    assert "pip install 'tahoe-grid[sim]'" in result.output


def test_all_experiments_run_each_into_a_folder_of_its_own(command, toy, tmp_path, monkeypatch):
    toy.write_text(toy.read_text() + "\n\nQUICK = {'runs': 10}\n")
    (tmp_path / "tails.py").write_text(toy.read_text().replace("heads?", "tails?"))
    (tmp_path / "helper.py").write_text('"""No experiment."""\n')
    monkeypatch.setattr("experiments.framework.experiment.SHELF", tmp_path)
    monkeypatch.setattr("experiments.__path__", [*experiments.__path__, str(tmp_path)])
    command("all", "--quick", "--out", tmp_path / "results", "--seed", 4, "--workers", 1)
    for name in ("heads", "tails"):
        manifest = json.loads((tmp_path / "results" / name / "manifest.json").read_text())
        assert (manifest["experiment"], manifest["seed"], manifest["configuration"]["runs"]) == (name, 4, 10)
    assert table(tmp_path / "results" / "heads") != table(tmp_path / "results" / "tails")
    assert not (tmp_path / "results" / "helper").exists()


@pytest.fixture
def three_with_a_lame_one(toy, tmp_path, monkeypatch):
    """A shelf on which the first experiment of three fails, and the folder for results."""
    toy.write_text(toy.read_text() + "\n\nQUICK = {'runs': 10, 'coins': 2}\n")
    (tmp_path / "tails.py").write_text(toy.read_text().replace("heads?", "tails?"))
    (tmp_path / "edges.py").write_text(toy.read_text().replace("rng, asked =", "rng, asked, nothing ="))
    monkeypatch.setattr("experiments.framework.experiment.SHELF", tmp_path)
    monkeypatch.setattr("experiments.__path__", [*experiments.__path__, str(tmp_path)])
    for name in ("edges", "heads", "tails"):
        monkeypatch.delitem(sys.modules, f"experiments.{name}", raising=False)
    return tmp_path / "results"


def test_an_experiment_that_fails_does_not_stop_the_others_and_is_told_at_the_end(command, three_with_a_lame_one):
    result = command("all", "--quick", "--out", three_with_a_lame_one, "--workers", 1, code=1)
    for sound in ("heads", "tails"):
        assert (three_with_a_lame_one / sound / "manifest.json").exists()
    assert "edges: not enough values to unpack" in result.output.partition("not all experiments came to an end")[2]
    assert "in run" in result.output.partition("not all experiments")[0], "whoever wrote it needs the place"


def test_a_folder_of_another_study_does_not_stop_the_other_experiments(command, three_with_a_lame_one):
    (three_with_a_lame_one.parent / "edges.py").unlink()
    command("all", "--quick", "--out", three_with_a_lame_one, "--workers", 1, "--seed", 1)
    command(
        "run", "tails", "--quick", "--out", three_with_a_lame_one / "tails", "--workers", 1, "--seed", 2, "--afresh"
    )
    result = command("all", "--quick", "--out", three_with_a_lame_one, "--workers", 1, "--seed", 1, code=1)
    assert "heads: 2 rows" in result.output
    assert "tails: " in result.output.partition("not all experiments came to an end")[2]
    assert "Traceback" not in result.output


def test_the_list_needs_no_optional_package():
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['matplotlib', 'joblib', 'scipy', 'polars']));"
        "from experiments.__main__ import main; main(['list'])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "availability" in shown.stdout


def test_a_column_that_a_clock_has_told_is_not_expected_to_come_again(command, toy, tmp_path):
    text = toy.read_text()
    timed = text.replace("    seen: int\n", "    seen: int\n    seconds: float\n").replace(
        "sum(count >= point.needed for count in heads))]",
        "sum(count >= point.needed for count in heads), time.perf_counter())]",
    )
    toy.write_text(timed.replace("from random", "import time\nfrom random", 1) + '\n\nMEASURED = ("seconds",)\n')
    small = ("--set", "coins=3", "--set", "runs=50")
    command("run", toy, "--out", tmp_path / "first", *small)
    manifest = tmp_path / "first" / "manifest.json"
    result = command("run", toy, "--from", manifest, "--out", tmp_path / "again")
    assert "reproduced, but for what a real clock has a part in: seconds" in result.output
    facts = json.loads(manifest.read_text())
    assert facts["measured"] == ["seconds"]
    facts["unmeasured"] = "0" * 64
    manifest.write_text(json.dumps(facts))
    result = command("run", toy, "--from", manifest, "--out", tmp_path / "third", code=1)
    assert "not the same: data.csv" in result.output
