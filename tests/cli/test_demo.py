"""The demo, as a newcomer calls it."""

from __future__ import annotations

from pathlib import Path

import pytest


def processes_in(directory: Path) -> list[str]:
    """Commands of processes that name a directory."""
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands.append(path.read_bytes().decode().replace("\0", " "))
        except OSError:
            continue
    return [command for command in commands if str(directory) in command]


@pytest.mark.parametrize("engine", ["embedded", "mosquitto"])
def test_the_demo_ends_well_and_leaves_nothing(engine, tahoe, tmp_path):
    outcome = tahoe("demo", "--engine", engine, TMPDIR=str(tmp_path))
    assert outcome.status == 0, outcome.err
    assert "7 of 10 storage servers are killed" in outcome.text
    assert "global:letters/to-friends" in outcome.text
    assert outcome.text.count("identical") == 2
    assert outcome.text.index("RED") < outcome.text.index("new servers joined") < outcome.text.index("GREEN")
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []
