"""The owner's commands about named roots, and what they leave in everybody's power.

The key of the grid in these tests is 32 zero bytes.
"""

from __future__ import annotations

import json

import pytest

from tahoe.net.keys import save_secret


@pytest.fixture
def key(shell):
    path = shell.here / "grid-key"
    save_secret(path, bytes(32))
    return path


def test_a_new_root_is_published_and_used(shell, key):
    shell.ok("vdrive", "publish", "global", "--grid-key", key)
    shell.ok("put", "-", "global:a/b", given=b"x")
    assert shell.ok("ls", "global:a") == "b"
    assert shell.ok("vdrive", "list").split("\n") == [
        "global:  everybody reads and writes",
        "private:  this node's own, seen by nobody else",
    ]


def test_a_directory_that_is_there_becomes_a_root_for_reading(shell, key):
    shell.ok("put", "-", "photos/one", given=b"x")
    shell.ok("vdrive", "publish", "photos", "private:photos", "--read-only", "--grid-key", key)
    assert shell.ok("ls", "photos:") == "one"
    assert "reads" in shell.fails("put", "-", "photos:two", given=b"x")
    assert json.loads(shell.ok("vdrive", "list", "--json"))["roots"]["photos"]["writable"] is False
    shell.ok("put", "-", "photos/two", given=b"x")
    assert "two" in shell.ok("ls", "photos:")


def test_the_publisher_of_a_read_only_root_gets_what_writes(shell, key):
    cap = shell.ok("vdrive", "publish", "news", "--read-only", "--grid-key", key).split("\n")[-1]
    shell.ok("put", "-", f"{cap}/today", given=b"x")
    assert shell.ok("ls", "news:") == "today"


def test_a_root_is_replaced_and_retracted(shell, key):
    shell.ok("vdrive", "publish", "global", "--grid-key", key)
    shell.ok("put", "-", "global:old", given=b"x")
    shell.ok("vdrive", "publish", "global", "--grid-key", key)
    assert shell.ok("ls", "global:") == ""
    shell.ok("vdrive", "retract", "global", "--grid-key", key)
    assert "no alias or root" in shell.fails("ls", "global:")
    assert "vdrive list" in shell.fails("vdrive", "retract", "global", "--grid-key", key)


def test_nobody_but_the_owner_publishes(shell):
    save_secret(shell.here / "other", b"o" * 32)
    shell.fails("vdrive", "publish", "global", "--grid-key", shell.here / "other")
    assert "global" not in shell.ok("vdrive", "list")


@pytest.mark.parametrize("name", ["private", "a/b", "a:", ""])
def test_a_name_that_nobody_could_write_is_no_root(shell, key, name):
    shell.fails("vdrive", "publish", name, "--grid-key", key, status=2)


def test_a_file_is_no_root(shell, key):
    shell.ok("put", "-", "file", given=b"x")
    assert "tahoe mkdir" in shell.fails("vdrive", "publish", "global", "private:file", "--grid-key", key)
