"""Sealed packets: tampered, replayed, misdirected and reflected ones."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoe.protocol import (
    PROTOCOL_VERSIONS,
    STORAGE,
    HaveShares,
    Lease,
    ShareToStore,
    StoreShares,
    Write,
    message_types,
)
from tahoe.session.envelope import ASK, BULK, CONTROL, UNKNOWN, Envelope, Reader, Ruler, encode
from tahoe.session.sealing import MOST_PACKETS, Dropped, Parties, PlainSession, ReplayWindow, SealedSession, SessionKeys
from tests.session.pair import NodeId

ALICE, BOB, EVE = NodeId("v0-alice"), NodeId("v0-bob"), NodeId("v0-eve")
READER = Reader()


def session(local=ALICE, remote=BOB, keys=b"12", grid="grid", name=7, version=1):
    return SealedSession(SessionKeys(name, keys[:1] * 32, keys[1:] * 32), Parties(grid, local, remote), version, READER)


def pair():
    return session(), session(BOB, ALICE, b"21")


def envelope(body=None, ticket=1):
    return Envelope(STORAGE, ASK, ticket, 15000, 1, 65536, 0, body)


def packet(sender, channel=CONTROL, body=None):
    return sender.seal(channel, *sender.write(envelope(body)))


def refused(receiver, channel, sealed):
    with pytest.raises(Dropped) as drop:
        receiver.open(channel, sealed)
    return drop.value.args[0]


def test_an_envelope_comes_out_as_it_went_in():
    alice, bob = pair()
    question = HaveShares((b"i" * 16,))
    opened = bob.open(CONTROL, packet(alice, body=question))
    assert opened.body == question
    assert (opened.ticket, opened.remaining, opened.limit) == (1, 15000, 65536)


def test_nothing_is_readable_from_outside_but_version_session_and_counter():
    alice, _ = pair()
    sealed = packet(alice, body=HaveShares((b"secret index 123",)))
    assert sealed[:17] == b"\x01" + (7).to_bytes(8) + (1).to_bytes(8)
    for readable in (b"secret", b"storage", b"have-shares"):
        assert readable not in sealed


def test_any_changed_bit_is_tampering():
    alice, bob = pair()
    sealed = packet(alice, body=HaveShares((b"i" * 16,)))
    for place in range(9, len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 0x80
        assert refused(bob, CONTROL, bytes(changed)) == "tampered"
    assert bob.open(CONTROL, sealed)


def test_a_packet_opens_once():
    alice, bob = pair()
    sealed = packet(alice)
    bob.open(CONTROL, sealed)
    assert refused(bob, CONTROL, sealed) == "replayed"


def test_a_packet_opens_only_where_it_was_meant_to():
    alice, bob = pair()
    sealed = packet(alice)
    assert refused(bob, BULK, sealed) == "misdirected"
    assert refused(alice, CONTROL, sealed) == "misdirected"
    others = (
        session(EVE, ALICE, b"21"),
        session(BOB, EVE, b"21"),
        session(BOB, ALICE, b"21", grid="another"),
        session(BOB, ALICE, b"21", name=8),
        session(BOB, ALICE, b"21", version=2),
    )
    for other in others:
        assert refused(other, CONTROL, sealed) == "tampered"
    assert bob.open(CONTROL, sealed)


def test_the_channels_have_counters_of_their_own():
    alice, bob = pair()
    for channel in (CONTROL, BULK, CONTROL, BULK):
        bob.open(channel, packet(alice, channel))
    assert packet(alice, CONTROL)[9:17] == packet(alice, BULK)[9:17] == (3).to_bytes(8)


def test_a_session_that_has_used_up_its_counters_seals_nothing():
    for spent in (session(), PlainSession(SessionKeys(7), 1, Ruler())):
        spent._sent[BULK] = MOST_PACKETS - 1
        packet(spent, BULK)
        with pytest.raises(OverflowError):
            packet(spent, BULK)
        packet(spent, CONTROL)


@pytest.mark.parametrize("length", [0, 9, 17, 32])
def test_what_is_too_short_is_malformed(length):
    assert refused(session(), CONTROL, bytes(length)) == "malformed"


def test_an_authentic_packet_that_does_not_parse_is_malformed():
    alice, bob = pair()
    for text in (b"", b"\xc1", encode([1, 2]), encode(["storage", "x", 0, 0, 0, 0, 0, None])):
        assert refused(bob, CONTROL, alice.seal(CONTROL, text, len(text) + 33)) == "malformed"


def test_an_unknown_body_is_told_from_garbage():
    assert READER.read(encode(envelope(["of-the-future", 1]))).body is UNKNOWN
    assert READER.read(encode(envelope(["have-shares", 1]))).body is UNKNOWN
    assert READER.read(encode(envelope())).body is None


def test_an_envelope_may_grow():
    fields = ["storage", 0, 1, 15000, 1, 65536, 0, None, "new", 5]
    assert READER.read(encode(fields)) == READER.read(encode(envelope()))


# --- replay window -----------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 3000), max_size=200))
def test_every_counter_is_accepted_at_most_once_and_recent_ones_exactly_once(counters):
    window, seen, highest = ReplayWindow(), set(), 0
    for counter in counters:
        new = counter not in seen and counter > highest - 1024
        try:
            window.refuse_replay(counter)
        except Dropped:
            assert not new
        else:
            assert new
            window.accept(counter)
            seen.add(counter)
            highest = max(highest, counter)


# --- sizes -----------------------------------------------------------------------------------------------------


class Phantom:
    """Stands for bytes by its length only."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size


SIZES = st.one_of(st.integers(0, 300), st.sampled_from((255, 256, 257, 65535, 65536, 65537, 350_000)))


def write(data):
    return Write(b"i" * 16, b"s" * 32, 3, 70000, data)


@settings(max_examples=50)
@given(size=SIZES, ticket=st.integers(0, 2**40), remaining=st.integers(0, 10**8), limit=st.integers(0, 2**50))
def test_the_twins_packets_have_the_size_of_the_sealed_ones(size, ticket, remaining, limit):
    real, twin = session(), PlainSession(SessionKeys(7), 1, Ruler())
    sizes = []
    for one, data in ((real, bytes(size)), (twin, bytes(size)), (twin, Phantom(size))):
        text, announced = one.write(Envelope(STORAGE, ASK, ticket, remaining, 1, limit, 0, write(data)))
        one.seal(BULK, text, announced)
        sizes.append(announced)
    text, announced = real.write(Envelope(STORAGE, ASK, ticket, remaining, 1, limit, 0, write(bytes(size))))
    assert sizes == [len(real.seal(BULK, text, announced))] * 3


@given(st.lists(SIZES, min_size=1, max_size=5))
def test_several_phantoms_in_one_message_are_all_measured(sizes):
    def store(make):
        shares = tuple(ShareToStore(number, make(size)) for number, size in enumerate(sizes))
        return StoreShares(b"i" * 16, b"s" * 32, Lease(b"r" * 32, b"c" * 32), shares)

    ruler = Ruler()
    assert ruler.measure(store(Phantom)) == ruler.measure(store(bytes)) == len(encode(store(bytes)))


def test_there_are_messages_and_a_version():
    assert len(message_types()) > 20
    assert PROTOCOL_VERSIONS[0] <= PROTOCOL_VERSIONS[1] < 0xF1
