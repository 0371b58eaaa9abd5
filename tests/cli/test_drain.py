"""``tahoe drain`` marks a node as leaving, and a node that is marked says so."""

from __future__ import annotations

import json

from click.testing import CliRunner

from tahoe.cli.drain import drain
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
    assert json.loads(call(tmp_path, "--json").output) == {"leaving": True, "running": False, "storage": None}
    assert "It stays" in call(tmp_path, "--undo").output
    assert not (tmp_path / "leaving").exists()


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
