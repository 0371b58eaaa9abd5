"""The caretaker through the gateway, and the commands that speak of it."""

from __future__ import annotations

import json
from random import Random

import pytest

from tahoe.actors.caretaker import Caretaker, CareTerms
from tahoe.codec.capability import parse
from tahoe.session.delegation import Delegation, delegation_text, sign_delegation
from tahoe.session.identity import Identity
from tests.web.test_checks import lose, plant, tahoe  # noqa: F401  # a fixture

CONTENT = Random(1).randbytes(40_000)


@pytest.fixture
def cared(drive):
    """A gateway whose node has a caretaker that works only when it is told to."""

    async def employ():
        caretaker = Caretaker(drive.client.ctx, drive.client, CareTerms(own_roots=False))
        await caretaker.care.load()
        return caretaker

    object.__setattr__(drive.services, "caretaker", drive.run(employ()))
    return drive


def test_a_node_without_a_caretaker_says_how_to_get_one(drive):
    assert "[care]" in drive.ask("GET", "/health", status=404)


def test_a_loss_turns_health_yellow_and_a_round_turns_it_green(cared, tahoe):  # noqa: F811  # the fixture
    top, caps = plant(cared)
    assert tahoe("care", "add", "mine", top).returncode == 0
    done = tahoe("care", "now")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("GREEN: All is safe.\n  mine: all of it seen alive 0 s ago; 3 safe\n")
    lose(cared, caps[0], 0)
    lose(cared, caps[0], 1)
    lose(cared, caps[1], 0, 1, 2)
    done = tahoe("care", "now")
    assert done.returncode == 2
    assert done.stdout.startswith("RED:")
    assert "mine: 1 object can't be recovered from the servers that are known to live" in done.stdout
    assert tahoe("check", caps[0]).returncode == 0
    cared.put(CONTENT + bytes([1]))
    assert tahoe("care", "now").returncode == 0
    assert tahoe("health").returncode == 0


def test_what_is_in_danger_is_named_by_its_path_where_that_is_known(cared, tahoe):  # noqa: F811  # the fixture
    top, caps = plant(cared)
    verifier = str(parse(caps[1]).verifier())
    assert tahoe("care", "add", "mine", top).returncode == 0
    assert tahoe("care", "now").returncode == 0
    lose(cared, caps[1], 0, 1, 2)
    done = tahoe("care", "now")
    assert "  lost  mine: file 1 (1 of 4 shares in reach, needs 2)\n" in done.stdout
    assert verifier not in done.stdout
    (named,) = json.loads(tahoe("health", "--json").stdout)["in-danger"]
    assert (named["root"], named["path"], named["safety"], named["verify-cap"]) == ("mine", "file 1", "lost", verifier)
    assert "file 1" not in json.dumps(cared.services.caretaker.report().as_json()), (
        "whoever hears of changes gets counts"
    )
    assert tahoe("care", "remove", "mine").returncode == 0
    assert tahoe("care", "add", "blind", verifier).returncode == 0
    assert (
        f"  lost  blind: itself (1 of 4 shares in reach, needs 2)\n          {verifier}\n"
        in tahoe("care", "now").stdout
    )


def test_what_is_looked_after_is_listed_published_and_removed(cared, tahoe):  # noqa: F811  # the fixture
    top, _ = plant(cared)
    assert tahoe("care", "add", "mine", top).returncode == 0
    assert tahoe("care", "now").returncode == 0
    published = tahoe("care", "publish", "mine")
    assert published.stdout.startswith("URI:SLOT-RO:")
    manifest = cared.ask("GET", f"/uri/{published.stdout.strip()}")
    assert manifest.splitlines()[0] == "tahoe manifest 1"
    assert "URI:CHK:" not in manifest
    assert tahoe("care", "list").stdout == "mine: 3 objects (published)\n"
    assert tahoe("care", "remove", "mine").returncode == 0
    assert tahoe("care", "list").stdout == ""
    assert tahoe("care", "remove", "mine").returncode == 1


def test_a_caretaker_may_be_given_nothing_but_verify_caps(cared, tahoe):  # noqa: F811  # the fixture
    cap = parse(cared.put(CONTENT))
    assert tahoe("care", "add", "one", str(cap.verifier())).returncode == 0
    lose(cared, str(cap), 2)
    assert tahoe("care", "now").returncode == 0
    assert json.loads(tahoe("check", "--json", str(cap)).stdout)["results"]["healthy"]


def test_what_is_told_of_unknown_servers_is_an_error(cared):
    assert cared.request("POST", "/care?t=server-gone&node=v0-nobody", b"").status == 404


def test_metrics_tell_how_it_stands(cared, tahoe):  # noqa: F811  # the fixture
    top, caps = plant(cared)
    tahoe("care", "add", "mine", top)
    assert 'tahoe_care_verified_age_seconds{root="mine"} nan' in cared.ask("GET", "/metrics")
    lose(cared, caps[1], 0, 1, 2)
    tahoe("care", "now")
    lines = cared.ask("GET", "/metrics").splitlines()
    assert "tahoe_care_state 2" in lines
    assert 'tahoe_care_objects{safety="safe"} 2' in lines
    assert 'tahoe_care_objects{safety="lost"} 1' in lines


def test_what_is_looked_after_for_a_friend_is_leased_by_his_delegation(cared, tahoe):  # noqa: F811  # the fixture
    cap = parse(cared.put(CONTENT))
    owner, me = Identity.from_seed(bytes([7]) * 32), cared.client.ctx.name
    given = delegation_text(sign_delegation(owner, Delegation(owner.node, me, 4_000_000_000)))
    done = tahoe("care", "add", "friend", str(cap.verifier()), "--delegation", given)
    assert done.returncode == 0, done.stderr
    (root,) = json.loads(tahoe("care", "list", "--json").stdout)
    assert root["delegated-until"] == 4_000_000_000
    assert cared.services.caretaker.care.roots["friend"].mandate.account == owner.node
    other = delegation_text(sign_delegation(owner, Delegation(owner.node, owner.node, 4_000_000_000)))
    refused = tahoe("care", "add", "friend", str(cap.verifier()), "--delegation", other)
    assert refused.returncode == 1
    assert "was given to" in refused.stderr
