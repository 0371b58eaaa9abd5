"""``tahoe drain`` marks a node as leaving, and a node that is marked says so."""

from __future__ import annotations

import json
import time

import pytest
from click.testing import CliRunner

from tahoe.cli.drain import drain
from tahoe.net.directory import NodeDirectory
from tahoe.net.herald import Herald, Profile
from tahoe.session.identity import Identity
from tahoe.session.statement import open_announcement


def call(*arguments):
    return CliRunner().invoke(drain, [str(argument) for argument in arguments])


def test_the_mark_comes_and_goes(tmp_path):
    (tmp_path / "format").touch()
    done = call(tmp_path)
    assert done.exit_code == 0
    assert "It is leaving" in done.output
    assert "does not run" in done.output
    assert (tmp_path / "leaving").exists()
    assert json.loads(call(tmp_path, "--json").output) == {"leaving": True, "running": False, "drain": None}
    assert "It stays" in call(tmp_path, "--undo").output
    assert not (tmp_path / "leaving").exists()


def test_a_mark_stays_as_it_is_until_there_is_another_patience(tmp_path):
    (tmp_path / "format").touch()
    mark = tmp_path / "leaving"
    call(tmp_path, "--patience", "2h")
    first = float(mark.read_text())
    assert 7000 < first - time.time() < 7300
    call(tmp_path)
    assert float(mark.read_text()) == first
    call(tmp_path, "--patience", "0s")
    assert NodeDirectory(tmp_path).leave_notice() <= time.time() + 1
    assert call(tmp_path, "--patience", "soon").exit_code == 2


def test_to_look_how_far_it_is_changes_nothing(tmp_path):
    (tmp_path / "format").touch()
    done = call(tmp_path, "--status")
    assert (done.exit_code, done.output) == (0, "It stays.\n")
    assert not (tmp_path / "leaving").exists()
    call(tmp_path)
    assert call(tmp_path, "--status").exit_code == 1


@pytest.mark.parametrize(
    ("facts", "words", "status"),
    [
        ({"done": True, "shares": 5}, "Nothing is left here that isn't elsewhere", 0),
        ({"left": 2, "shares": 5, "trouble": "full"}, "2 of 5 shares are nowhere else yet.\nTrouble: full", 1),
        ({"ended": 0.0}, "It is looking", 1),
        ({"left": 1, "copied": 3, "bytes": 2000}, "copied 3 shares, 2.0 kB", 1),
    ],
)
def test_it_says_how_far_it_is(tmp_path, monkeypatch, facts, words, status):
    (tmp_path / "format").touch()
    call(tmp_path)
    usual = dict.fromkeys(("shares", "elsewhere", "left", "spoilt", "copied", "bytes", "copies_from"), 0)
    told = usual | {"trouble": "", "ended": 1.0, "done": False, "under_way": None} | facts
    monkeypatch.setattr("tahoe.cli.drain.runner", lambda _: 1)
    monkeypatch.setattr("tahoe.cli.drain.ask_for_report", lambda *_: {"drain": told})
    found = call(tmp_path, "--status")
    assert words in found.output
    assert found.exit_code == status


def test_where_there_is_no_node_nothing_is_marked(tmp_path):
    done = call(tmp_path)
    assert done.exit_code == 1
    assert not (tmp_path / "leaving").exists()


def test_an_announcement_says_it_at_once():
    leaving = []
    herald = Herald(Identity.from_seed(bytes(32)), Profile(("storage",), "n", "", 1), leaves=lambda: bool(leaving))
    first = open_announcement(herald.announcement())
    leaving.append(True)
    second = open_announcement(herald.announcement())
    assert (first.leaving, second.leaving) == (False, True)
    assert second.age > first.age
