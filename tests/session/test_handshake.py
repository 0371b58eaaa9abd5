"""Handshakes: who gets through, who does not, and what a replayed one can do."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from tahoe.errors import Unanswered
from tahoe.protocol import PROTOCOL_VERSIONS, STORAGE, Announcement, SharesHeld
from tahoe.session import meeting
from tahoe.session.envelope import TELL, Envelope, encode
from tahoe.session.handshake import HELLO, WELCOME, Hello, PlainHandshakes, SealedHandshakes, Welcome
from tahoe.session.identity import Identity
from tahoe.session.sealing import Dropped
from tahoe.session.settings import GridAccess, Settings
from tahoe.session.statement import sign_announcement
from tests.session.pair import ACCESS, Pair

alice = Identity.from_seed(b"a" * 32)
bob = Identity.from_seed(b"b" * 32)
eve = Identity.from_seed(b"e" * 32)


def signed(identity, epoch=1, nickname=""):
    facts = Announcement(
        identity.node, identity.exchange_public, (STORAGE,), nickname, "", 0, 0, PROTOCOL_VERSIONS, "0", epoch, 1
    )
    return sign_announcement(identity, facts)


def hello(identity=alice, number=1):
    return Hello(PROTOCOL_VERSIONS, 11, number, 1000, signed(identity))


def handshakes(identity, access=ACCESS, kind=SealedHandshakes):
    return kind(identity, access, Random(identity.node))


WELCOMED = Welcome(1, PROTOCOL_VERSIONS, 22, 2000)


def shake(kind=SealedHandshakes):
    ours, theirs = handshakes(alice, kind=kind), handshakes(bob, kind=kind)
    opening = ours.begin(bob.node, bob.exchange_public, hello())
    knock = theirs.read_hello(alice.node, opening.packet)
    packet, _, responder = knock.welcome(WELCOMED)
    welcome, initiator = ours.read_welcome(opening, packet)
    return knock, welcome, initiator, responder


@pytest.mark.parametrize("kind", [SealedHandshakes, PlainHandshakes])
def test_both_sides_come_by_the_same_session(kind):
    knock, welcome, initiator, responder = shake(kind)
    assert knock.hello == hello()
    assert knock.announcement.node == alice.node
    assert welcome == WELCOMED
    assert initiator.id == responder.id
    for sender, receiver in ((initiator, responder), (responder, initiator)):
        envelope = Envelope(STORAGE, TELL, 0, 0, 1, 2, 3)
        text, size = sender.write(envelope)
        opened = receiver.open(0, sender.seal(0, text, size))
        assert opened.spent == 3


def test_packets_of_the_twin_have_the_size_of_the_real_ones():
    sizes = []
    for kind in (SealedHandshakes, PlainHandshakes):
        ours, theirs = handshakes(alice, kind=kind), handshakes(bob, kind=kind)
        opening = ours.begin(bob.node, bob.exchange_public, hello())
        label = theirs.label(opening.packet)
        assert label == (HELLO, opening.label)
        packet, size, _ = theirs.read_hello(alice.node, opening.packet).welcome(WELCOMED)
        assert theirs.label(packet) == (WELCOME, opening.label)
        sizes.append((opening.size, size))
        if kind is SealedHandshakes:
            assert sizes[0] == (len(opening.packet), len(packet))
    assert sizes[0] == sizes[1]


def test_every_handshake_has_new_keys():
    ours, theirs = handshakes(alice), handshakes(bob)
    sessions = set()
    packets = set()
    for _ in range(5):
        opening = ours.begin(bob.node, bob.exchange_public, hello())
        packet, _, session = theirs.read_hello(alice.node, opening.packet).welcome(WELCOMED)
        sessions.add(session.id)
        packets |= {opening.packet, packet}
    assert len(sessions) == 5
    assert len(packets) == 10


@pytest.mark.parametrize("kind", [SealedHandshakes, PlainHandshakes])
def test_without_the_join_secret_the_first_packet_is_a_strangers(kind):
    opening = handshakes(alice, GridAccess("grid", b"?" * 32), kind).begin(bob.node, bob.exchange_public, hello())
    with pytest.raises(Dropped, match="stranger"):
        handshakes(bob, kind=kind).read_hello(alice.node, opening.packet)


def test_the_join_secret_of_another_grid_does_not_help():
    opening = handshakes(alice, GridAccess("other", ACCESS.join_secret)).begin(bob.node, bob.exchange_public, hello())
    with pytest.raises(Dropped, match="stranger"):
        handshakes(bob).read_hello(alice.node, opening.packet)


def test_a_hello_opens_only_for_the_node_it_was_meant_for():
    opening = handshakes(alice).begin(bob.node, bob.exchange_public, hello())
    with pytest.raises(Dropped):
        handshakes(eve).read_hello(alice.node, opening.packet)
    wrong_key = handshakes(alice).begin(bob.node, eve.exchange_public, hello())
    with pytest.raises(Dropped):
        handshakes(bob).read_hello(alice.node, wrong_key.packet)


def test_nobody_can_say_hello_in_anothers_name():
    in_alices_name = handshakes(alice).begin(bob.node, bob.exchange_public, hello())
    with pytest.raises(Dropped):
        handshakes(bob).read_hello(eve.node, in_alices_name.packet)
    insider = handshakes(eve).begin(bob.node, bob.exchange_public, hello(alice))
    with pytest.raises(Dropped, match="misdirected"):
        handshakes(bob).read_hello(eve.node, insider.packet)


def test_an_announcement_with_another_exchange_key_is_no_introduction():
    liar = handshakes(eve)
    liar._identity = type(
        "Mixed", (), {"node": alice.node, "exchange_public": eve.exchange_public, "agree": eve.agree}
    )()
    opening = liar.begin(bob.node, bob.exchange_public, hello(alice))
    with pytest.raises(Dropped, match="bad-handshake"):
        handshakes(bob).read_hello(alice.node, opening.packet)


def test_any_changed_byte_spoils_a_handshake():
    ours, theirs = handshakes(alice), handshakes(bob)
    opening = ours.begin(bob.node, bob.exchange_public, hello())
    packet, _, _ = theirs.read_hello(alice.node, opening.packet).welcome(WELCOMED)
    for place in range(1, len(opening.packet)):
        changed = bytearray(opening.packet)
        changed[place] ^= 0x40
        with pytest.raises(Dropped):
            theirs.read_hello(alice.node, bytes(changed))
    for place in range(9, len(packet)):
        changed = bytearray(packet)
        changed[place] ^= 0x40
        with pytest.raises(Dropped):
            ours.read_welcome(opening, bytes(changed))
    assert ours.read_welcome(opening, packet)[0] == WELCOMED, "a forged welcome must not spoil the real one"


@pytest.mark.parametrize("length", [0, 1, 8, 9, 40, 112])
def test_a_packet_that_is_too_short_is_malformed(length):
    packet = bytes((HELLO,)) * length
    with pytest.raises(Dropped, match="malformed"):
        handshakes(bob).read_hello(alice.node, packet)
    if length < 9:
        with pytest.raises(Dropped, match="malformed"):
            handshakes(bob).label(packet)


# --- two endpoints -------------------------------------------------------------------------------------------


def held(wire, first):
    return [item for item in wire if item[3][0] == first]


def test_a_replayed_first_packet_does_not_displace_a_live_session():
    pair = Pair()
    pair.ask()
    first = pair.wire[0]
    pair.run_untimed()
    session = pair.right.endpoint._peers[pair.left.node].current
    for _ in range(3):
        pair.hand_over(first)
    pair.run_untimed()
    assert pair.right.endpoint._peers[pair.left.node].current is session
    assert pair.right.endpoint.counters["replayed"] == 3
    outcomes = pair.ask()
    pair.run_untimed()
    assert isinstance(outcomes[0], SharesHeld)


def test_first_packets_of_an_earlier_incarnation_are_dead():
    pair = Pair()
    pair.ask()
    old_hello = pair.wire[0]
    pair.run_untimed()
    pair.restart(pair.left)
    pair.connect()
    session = pair.right.endpoint._peers[pair.left.node].current
    pair.hand_over(old_hello)
    assert pair.right.endpoint.counters["replayed"] == 1
    assert pair.right.endpoint._peers[pair.left.node].current is session


def test_a_replay_to_a_restarted_node_brings_up_nothing_and_costs_nobody_an_answer():
    pair = Pair()
    pair.ask()
    old_hello = pair.wire[0]
    pair.run_untimed()
    right = pair.restart(pair.right)
    pair.hand_over(old_hello)
    assert right.endpoint._peers[pair.left.node].current is None
    pair.run(1.0)
    outcomes = pair.ask_back(timeout=30.0)
    pair.run(10.0)
    assert isinstance(outcomes[0], SharesHeld)


def test_when_two_hellos_cross_that_of_the_smaller_node_stands():
    pair = Pair()
    left_outcomes, right_outcomes = pair.ask(), pair.ask_back()
    assert len(held(pair.wire, HELLO)) == 2
    pair.run_untimed()
    assert isinstance(left_outcomes[0], SharesHeld)
    assert isinstance(right_outcomes[0], SharesHeld)
    smaller, larger = sorted((pair.left, pair.right), key=lambda side: side.node)
    assert smaller.endpoint.counters["crossed"] == 1
    assert larger.endpoint.counters["crossed"] == 0
    sessions = {side.endpoint._peers[pair.other(side).node].current.id for side in (pair.left, pair.right)}
    assert len(sessions) == 1


def test_a_lost_hello_or_welcome_is_repeated():
    for lost in (HELLO, WELCOME):
        pair = Pair()
        outcomes = pair.ask()
        pair.run(4.0, losing=lambda item, lost=lost: item[3][0] == lost)
        assert not outcomes
        pair.run(5.0)
        assert isinstance(outcomes[0], SharesHeld)


def test_the_first_packet_introduces_the_initiator():
    pair = Pair()
    pair.connect()
    assert pair.right.shown == [pair.left.endpoint.announcement]
    assert pair.left.shown == []


def test_a_flood_of_strangers_leaves_nothing_behind():
    pair = Pair()
    stranger = GridAccess("grid", b"?" * 32)
    for number in range(50):
        identity = Identity.from_seed(b"%032d" % number)
        opening = SealedHandshakes(identity, stranger, Random(number)).begin(
            pair.right.node, pair.right.identity.exchange_public, hello(identity)
        )
        pair.right.endpoint.receive(0.0, identity.node, "in", opening.packet)
        pair.right.endpoint.receive(0.0, identity.node, "in", b"\x01" + bytes(100))
        pair.right.endpoint.receive(0.0, identity.node, "in", bytes((WELCOME,)) + bytes(100))
    assert not pair.right.endpoint._peers
    assert not pair.right.endpoint._desk.half_open
    assert not pair.wire
    assert pair.right.endpoint.counters == {"stranger": 50, "no-session": 50, "late-welcome": 50}


def test_members_who_never_confirm_take_bounded_room():
    pair = Pair(Settings(half_open=4))
    for number in range(20):
        identity = Identity.from_seed(b"%032d" % number)
        opening = SealedHandshakes(identity, ACCESS, Random(number)).begin(
            pair.right.node, pair.right.identity.exchange_public, hello(identity)
        )
        pair.right.endpoint.receive(0.0, identity.node, "in", opening.packet)
    assert len(pair.right.endpoint._peers) == 4
    pair.wire.clear()
    pair.connect()
    assert len(pair.right.endpoint._peers) <= 5


@pytest.mark.parametrize("sealed", [True, False])
def test_nodes_without_a_common_version_say_who_is_to_be_upgraded(monkeypatch, sealed):
    pair = Pair(Settings(sealed=sealed))
    outcomes = pair.ask()
    monkeypatch.setattr(meeting, "PROTOCOL_VERSIONS", (2, 3))
    pair.hand_over(pair.wire.popleft())
    monkeypatch.setattr(meeting, "PROTOCOL_VERSIONS", (1, 1))
    pair.run_untimed()
    assert isinstance(outcomes[0], Unanswered)
    assert "upgrade this node" in outcomes[0].reason
    assert "2 to 3" in outcomes[0].reason
    assert pair.right.endpoint._peers[pair.left.node].current is None


def test_the_highest_common_version_is_spoken():
    assert meeting._common((1, 9)) == 1
    assert meeting._common((2, 9)) == 0
    assert meeting._common((0, 0)) == 0
    assert meeting._common((0, 1)) == 1


def test_a_handshake_may_grow():
    ours, theirs = handshakes(alice), handshakes(bob)

    class GrownHello(Hello, frozen=True, array_like=True):
        more: str = "more"

    grown = GrownHello(*(getattr(hello(), name) for name in hello().__struct_fields__))
    opening = ours.begin(bob.node, bob.exchange_public, grown)
    assert theirs.read_hello(alice.node, opening.packet).hello == hello()
    assert msgspec.msgpack.decode(encode(grown))[-1] == "more"


def test_an_unknown_key_is_waited_for_and_named_in_the_end():
    pair = Pair()
    pair.left.known.clear()
    outcomes, late = pair.ask(timeout=3.0), pair.ask(timeout=30.0)
    pair.run(5.0)
    assert outcomes[0].reason == "its key is not known"
    pair.introduce()
    pair.run(20.0)
    assert isinstance(late[0], SharesHeld)


def test_ephemeral_keys_come_from_the_given_randomness():
    def packets():
        pair = Pair()
        pair.ask()
        sent = []
        while pair.wire:
            sent.append(pair.wire[0][3])
            pair.hand_over(pair.wire.popleft())
        return sent

    assert packets() == packets()
