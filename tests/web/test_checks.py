"""Checking, verifying and repairing through the gateway, and the commands that ask for it."""

from __future__ import annotations

import json
import time
from functools import partial
from random import Random

import pytest

from tahoe.actors.children import NewChild
from tahoe.codec.capability import parse
from tests.commands import run_tahoe

CONTENT = Random(1).randbytes(40_000)


def finished(drive, target):
    """Start a job and wait for its end."""
    job = json.loads(drive.ask("POST", target, b"", 202))["job"]
    while (facts := json.loads(drive.ask("GET", f"/jobs/{job}")))["state"] == "running":
        time.sleep(0.01)
    assert facts["state"] == "done", facts
    return facts["result"]


def lose(drive, cap, *places):
    """Servers lose what they have of an object."""
    index = parse(cap).storage_index
    for place in places:
        store = drive.grid.servers[place].actor.store
        for number in list(store.shares(index)):
            store.lose(index, number)


def plant(drive):
    """A directory with two files; its cap and the files'."""
    caps = [drive.put(CONTENT + bytes([number])) for number in range(2)]
    children = {f"file {number}": NewChild(parse(cap)) for number, cap in enumerate(caps)}
    return str(drive.run(drive.client.directories.create(children))), caps


def test_a_check_tells_who_has_what(drive):
    cap = drive.put(CONTENT)
    found = finished(drive, f"/uri/{cap}?t=start-check")
    assert found["summary"] == "Healthy"
    assert found["results"]["count-shares-good"] == 4
    assert sorted(found["results"]["sharemap"]) == ["0", "1", "2", "3"]
    assert set(found["servers"]) >= set(found["results"]["servers-responding"])


def test_the_verify_cap_is_enough_and_no_answer_has_more(drive):
    cap = parse(drive.put(CONTENT))
    lose(drive, str(cap), 0)
    found = finished(drive, f"/uri/{cap.verifier()}?t=start-repair")
    assert found["repair-successful"]
    assert "URI:CHK:" not in json.dumps(found)


def test_whoever_has_no_token_starts_nothing(drive):
    cap = drive.put(CONTENT)
    assert drive.request("POST", f"/uri/{cap}?t=start-check", b"", token=None).status == 401


def test_what_can_t_be_lost_is_healthy(drive):
    cap = drive.put(b"short")
    assert finished(drive, f"/uri/{cap}?t=start-verify")["results"] == {"healthy": True}


def test_a_tree_is_repaired_and_counted(drive):
    top, caps = plant(drive)
    lose(drive, caps[1], 0, 1)
    found = finished(drive, f"/uri/{top}?t=start-deep-repair&verify=true&add-lease=true")
    assert found["count-objects-checked"] == 3
    assert found["count-objects-unhealthy-pre-repair"] == 1
    assert found["count-objects-unhealthy-post-repair"] == 0
    assert [problem["path"] for problem in found["problems"]] == [["file 1"]]


@pytest.fixture
def tahoe(drive):
    private = drive.directory / "private"
    private.mkdir()
    (private / "api_token").write_text("a-token-for-tests\n")
    (drive.directory / "tahoe.toml").touch()

    return partial(run_tahoe, drive.directory)


def test_the_commands_tell_in_words_and_by_their_exit_status(drive, tahoe):
    cap = drive.put(CONTENT)
    done = tahoe("check", cap)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Healthy\n  4 of 4 shares on 4 servers, any 2 suffice; happiness 4\n")
    lose(drive, cap, 2)
    done = tahoe("verify", cap)
    assert done.returncode == 1
    assert done.stdout.startswith("Not Healthy: 3 shares (enc 2-of-4)\n")
    done = tahoe("repair", cap)
    assert done.returncode == 0
    assert "\nRepaired: Healthy\n" in done.stdout
    assert tahoe("check", cap).returncode == 0


def test_the_commands_go_through_trees(drive, tahoe):
    top, caps = plant(drive)
    lose(drive, caps[0], 0, 1, 2)
    done = tahoe("check", "--deep", top)
    assert done.returncode == 1
    assert done.stdout == (
        "file 0: Not Healthy: 1 shares (enc 2-of-4), LOST\n3 objects checked: 2 healthy, 1 not, 1 of these lost\n"
    )
    lose(drive, caps[1], 3)
    done = tahoe("repair", "--deep", "--json", top)
    assert done.returncode == 1
    facts = json.loads(done.stdout)
    assert facts["count-repairs-successful"] == 1
    assert facts["count-objects-unhealthy-post-repair"] == 1


def test_a_path_that_leads_nowhere_is_an_error(drive, tahoe):
    top, _ = plant(drive)
    done = tahoe("check", f"{top}/nothing")
    assert done.returncode == 1
    assert "nothing" in done.stderr


def test_directories_are_checked_and_repaired_by_their_verify_caps(drive):
    top, _ = plant(drive)
    mutable = parse(top).verifier()
    cap = parse(drive.put(CONTENT))
    frozen = drive.run(drive.client.directories.create_immutable({"long name " * 10: NewChild(cap)}, None)).verifier()
    assert str(mutable).startswith("URI:DIR3-Verifier:")
    assert str(frozen).startswith("URI:DIR2-CHK-Verifier:")
    for verifier in (mutable, frozen):
        assert finished(drive, f"/uri/{verifier}?t=start-verify")["results"]["healthy"]
    lose(drive, str(frozen), 1)
    assert finished(drive, f"/uri/{frozen}?t=start-repair")["repair-successful"]
    index = mutable.storage_index
    server = drive.grid.servers[0].actor
    for number in list(server.slots.numbers(index)):
        server.slots._slots[index].pop(number)
    found = finished(drive, f"/uri/{mutable}?t=start-repair")
    assert found["repair-successful"]
    assert found["post-repair-results"]["count-shares-good"] == 4
