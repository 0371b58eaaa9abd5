"""The wire between a node, paho and their socket: whole packets, in order, to whom they belong."""

import socket

import paho.mqtt.client as paho
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahoe.net.wire import FIRST_ROOM, Wire

PINGRESP = b"\xd0\x00"
SUBACK = b"\x90\x03\x00\x01\x00"


@pytest.fixture
def ends():
    near, far = socket.socketpair()
    near.setblocking(False)
    yield near, far
    near.close()
    far.close()


def length(count):
    found = b""
    while count > 127:
        found += bytes([count & 127 | 128])
        count >>= 7
    return found + bytes([count])


def publish(topic, payload, properties=b"", first=0x30):
    """A publish as MQTT 3.1.1, 3.3 writes it."""
    body = len(topic.encode()).to_bytes(2) + topic.encode() + properties + payload
    return bytes([first]) + length(len(body)) + body


def taken(wire):
    """What has come: publishes, and None where paho has read; paho's packets are returned after them."""
    found, more, words = [], True, b""
    while more:
        more = wire.fill()
        for packet in wire.packets():
            found.append(packet)
            if packet is None:
                while wire._words:
                    words += wire.recv(1)
    return found, words


packets = st.one_of(
    st.just(None),
    st.tuples(st.text(min_size=1, max_size=200), st.binary(max_size=300)),
    st.tuples(st.just("large"), st.integers(3000, 3 * FIRST_ROOM).map(bytes)),
)


@settings(max_examples=60)
@given(st.lists(packets, max_size=12), st.lists(st.integers(1, 2 * FIRST_ROOM), max_size=30), st.booleans())
def test_whatever_pieces_packets_come_in_they_are_whole_and_in_order(sent, cuts, five):
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        wire = Wire(near, has_properties=five)
        extra = b"\x02\x01\x00" if five else b""
        stream = b"".join(PINGRESP if each is None else publish(*each, properties=extra) for each in sent)
        found, words = [], b""
        for cut in [*cuts, *([FIRST_ROOM] * (len(stream) // FIRST_ROOM + 1))]:
            piece, stream = stream[:cut], stream[cut:]
            far.sendall(piece)
            some, more = taken(wire)
            found += some
            words += more
        assert not stream
        assert found == sent
        assert words == PINGRESP * sent.count(None)


@pytest.mark.parametrize("version", [paho.MQTTv311, paho.MQTTv5])
@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_000, 2_097_152])
def test_a_packet_is_written_as_paho_writes_it(ends, version, size):
    near, _ = ends
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=version)
    client.on_socket_register_write = lambda *_: None
    client._sock = near
    client.publish("some/töpic", bytes(size), retain=bool(size))
    theirs = bytes(client._out_packet[0]["packet"])
    wire = Wire(near, has_properties=version == paho.MQTTv5)
    near.close()
    wire._waiting.clear()
    wire.unsent = 1  # something waits, so all of this does
    assert wire.publish("some/töpic", bytes(size), retain=bool(size)) == len(theirs)
    assert b"".join(wire._waiting) == theirs


def test_what_a_full_socket_does_not_take_waits_and_goes_later_in_order(ends):
    near, far = ends
    wire = Wire(near, has_properties=False)
    expected = b""
    for number in range(60):
        wire.publish("topic", bytes([number]) * 50_000, retain=False)
        expected += publish("topic", bytes([number]) * 50_000)
    assert wire.unsent > 0
    with pytest.raises(BlockingIOError):
        wire.send(b"\xc0\x00")  # paho must not write into the middle of a packet
    received = bytearray()
    while len(received) < len(expected):
        received += far.recv(2**20)
        wire.flush()
    assert received == expected
    assert wire.unsent == 0
    assert wire.send(b"\xc0\x00") == 2
    assert far.recv(100) == b"\xc0\x00"


def test_of_what_waits_when_a_node_leaves_only_the_rest_of_a_packet_goes(ends):
    near, far = ends
    wire = Wire(near, has_properties=False)
    for _ in range(60):
        wire.publish("topic", bytes(50_000), retain=False)
    wire.forget_unsent()
    size = len(publish("topic", bytes(50_000)))
    far.setblocking(False)
    received = b""
    while True:
        try:
            received += far.recv(2**20)
        except BlockingIOError:
            if not wire.unsent:
                break
        wire.flush()
    assert len(received) % size == 0
    assert wire.send(b"\xe0\x00") == 2


def test_the_end_of_a_connection_is_for_paho_to_find_after_what_came_before(ends):
    near, far = ends
    wire = Wire(near, has_properties=False)
    far.sendall(SUBACK)
    far.close()
    wire.fill()
    assert list(wire.packets()) == [None]
    wire.fill()
    assert wire.recv(100) == SUBACK
    assert wire.has_words
    assert wire.recv(1) == b""


def test_a_broken_connection_is_told_to_paho_and_to_nobody_else(ends):
    near, far = ends
    wire = Wire(near, has_properties=False)
    far.close()
    for _ in range(3):
        wire.publish("topic", bytes(1000), retain=False)
    assert wire.has_words
    with pytest.raises(OSError, match=r"."):
        wire.recv(1)


@pytest.mark.parametrize("junk", [b"\x30\xff\xff\xff\xff\xff", b"\x30\xff\xff\xff\x7f"])
def test_a_broker_that_sends_junk_is_hung_up_on(ends, junk):
    near, far = ends
    wire = Wire(near, has_properties=False)
    far.sendall(junk)
    found, _ = taken(wire)
    assert found == []
    with pytest.raises(ConnectionError, match="no packet"):
        wire.recv(1)


@pytest.mark.parametrize("body", [b"", b"\x00", b"\xff\xffabc", b"\x00\x03abc"])
def test_a_publish_that_is_cut_short_does_no_harm(ends, body):
    near, far = ends
    wire = Wire(near, has_properties=True)
    far.sendall(b"\x30" + length(len(body)) + body + publish("next", b"x", b"\x00"))
    found, _ = taken(wire)
    assert len(found) == 2
    assert found[1] == ("next", b"x")
