"""Who is online: what is believed and what is not."""

import pytest

from tahoe.net import presence
from tahoe.net.presence import Presences
from tahoe.session.statement import sign_presence
from tests.net.support import identity

ALICE, BOB = identity("alice"), identity("bob")


@pytest.fixture
def presences():
    return Presences()


def test_nothing_is_known_of_whom_nothing_was_heard(presences):
    assert presences.of(ALICE.node) is None


def test_a_node_is_believed_about_itself(presences):
    presences.hear(ALICE.node, sign_presence(ALICE, 1, online=True))
    assert presences.of(ALICE.node) is True
    presences.hear(ALICE.node, sign_presence(ALICE, 1, online=False))
    assert presences.of(ALICE.node) is False


def test_nobody_is_believed_about_another(presences):
    presences.hear(ALICE.node, sign_presence(BOB, 1, online=True))
    assert presences.of(ALICE.node) is None


def test_the_will_of_an_earlier_run_does_not_end_a_later_one(presences):
    presences.hear(ALICE.node, sign_presence(ALICE, 2, online=True))
    assert presences.of(ALICE.node) is True
    presences.hear(ALICE.node, sign_presence(ALICE, 1, online=False))
    assert presences.of(ALICE.node) is True
    assert presences.epoch(ALICE.node) == 2


def test_nonsense_changes_nothing(presences):
    presences.hear(ALICE.node, sign_presence(ALICE, 1, online=True))
    assert presences.of(ALICE.node) is True
    for nonsense in (b"", b"nonsense", bytes(100_000)):
        presences.hear(ALICE.node, nonsense)
        assert presences.of(ALICE.node) is True


def test_without_a_broker_nothing_is_known(presences):
    presences.hear(ALICE.node, sign_presence(ALICE, 1, online=True))
    presences.forget_all()
    assert presences.of(ALICE.node) is None


def test_a_flood_of_topics_is_bounded(presences, monkeypatch):
    monkeypatch.setattr(presence, "MOST_NODES", 3)
    for number in range(10):
        presences.hear(f"v0-{number}", b"junk")
    assert len(presences._unchecked) == 3
