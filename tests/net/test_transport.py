"""The transport over real brokers: what it carries, how it comes back, what it tells about its troubles."""

import asyncio
import gc
import os
import signal
import sys

import aiomqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tahoe.net import certificates, topics
from tahoe.net.broker import BrokerPlan, start_broker
from tahoe.net.card import BrokerEntry
from tahoe.net.certificates import certify
from tahoe.net.connection import Connection
from tahoe.net.packets import PACKET_OVERHEAD
from tahoe.session.statement import open_presence
from tests.net.support import GRID, PATIENCE, End, Mosquitto

NOBODY = Mosquitto.nowhere()


@pytest.fixture
def mosquitto(tmp_path):
    broker = Mosquitto(tmp_path)
    yield broker
    broker.resume()
    broker.kill()


async def reaches(sender, receiver, packet=b"ping", channel="in"):
    """Send until something comes: what was sent before both were subscribed is lost, as it may be."""
    before = len(receiver.listener.packets)
    async with asyncio.timeout(PATIENCE):
        while len(receiver.listener.packets) == before:
            sender.transport.send(receiver.node, channel, packet)
            await asyncio.sleep(0.02)
    assert (sender.node, channel, packet) in receiver.listener.packets


# --- carrying --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["embedded", "mosquitto"])
async def test_packets_arrive_with_their_sender_and_channel_in_order(tmp_path, engine):
    broker = await start_broker(BrokerPlan(tmp_path, engine))
    async with End("alice", broker.entry) as alice, End("bob", broker.entry) as bob:
        await alice.connected()
        await bob.connected()
        sent = {
            "in": [b"small %d" % number for number in range(200)],
            "bulk": [bytes([number]) * 200_000 for number in range(40)],
        }
        for channel, packets in sent.items():
            for packet in packets:
                alice.transport.send(bob.node, channel, packet)
        await bob.listener.until(lambda listener: len(listener.packets) == 240)
        for channel, packets in sent.items():
            assert [packet for _, by, packet in bob.listener.packets if by == channel] == packets
        assert {sender for sender, _, _ in bob.listener.packets} == {alice.node}
        assert alice.transport.unsent() == 0
        assert not alice.listener.packets
    await broker.stop()


async def test_large_packets_without_a_broker_are_dropped_and_counted():
    async with End("alice", NOBODY) as alice:
        alice.transport.send(alice.node, "bulk", b"into the void")
        assert alice.transport.dropped["disconnected"] == 1


async def test_small_packets_sent_before_the_broker_is_there_go_when_it_is(mosquitto):
    async with End("bob", mosquitto.entry()) as bob:
        await bob.connected()
        async with End("alice", mosquitto.entry()) as alice:
            for number in range(3):
                alice.transport.send(bob.node, "in", b"early %d" % number)
            await bob.listener.until(lambda listener: len(listener.packets) == 3)
        assert [packet for _, _, packet in bob.listener.packets] == [b"early 0", b"early 1", b"early 2"]


async def test_what_waits_for_a_broker_that_stands_still_is_bounded(mosquitto):
    async with End("alice", mosquitto.entry(), unsent_bytes=2_000_000) as alice, End("bob", mosquitto.entry()) as bob:
        await alice.connected()
        await bob.connected()
        mosquitto.pause()
        packet = os.urandom(500_000)
        for _ in range(100):
            alice.transport.send(bob.node, "bulk", packet)
        assert 2_000_000 < alice.transport.unsent() <= 3_000_000
        assert alice.transport.dropped["congested"] > 50
        mosquitto.resume()
        carried = 100 - alice.transport.dropped["congested"]
        await bob.listener.until(lambda listener: len(listener.packets) == carried)
        assert alice.transport.unsent() == 0


async def test_topics_that_are_none_of_ours_are_counted(mosquitto):
    async with End("alice", mosquitto.entry()) as alice:
        await alice.connected()
        alice.transport._came("some/other/topic", b"")
        assert alice.transport.dropped["unknown-topic"] == 1


# --- coming back -----------------------------------------------------------------------------------------


async def test_a_killed_broker_that_comes_back_finds_everybody_connected_and_subscribed_again(mosquitto):
    async with End("alice", mosquitto.entry()) as alice, End("bob", mosquitto.entry()) as bob:
        await alice.connected()
        await bob.connected()
        mosquitto.kill()
        for end in (alice, bob):
            await end.listener.until(lambda listener: listener.losses == 1)
            assert not end.transport.state.connected
            assert "127.0.0.1" in end.transport.state.problem
        mosquitto.start()
        await alice.connected()
        await bob.connected()
        await reaches(alice, bob)
        await reaches(bob, alice, b"bulk" * 50_000, "bulk")
        assert alice.transport.state.connected
        assert alice.transport.state.problem == ""
        assert not alice.listener.limits


async def test_a_lost_broker_leaves_nothing_for_asyncio_to_complain_of(mosquitto, caplog):
    async with End("alice", mosquitto.entry()) as alice:
        await alice.connected()
        mosquitto.kill()
        await alice.listener.until(lambda listener: listener.losses == 1)
    del alice
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]


async def test_the_next_broker_is_used_when_the_first_is_down(mosquitto):
    async with End("alice", NOBODY, mosquitto.entry()) as alice, End("bob", mosquitto.entry()) as bob:
        await alice.connected()
        await bob.connected()
        assert alice.transport.state.url == mosquitto.entry().url
        await reaches(alice, bob)


async def test_a_loss_of_either_connection_is_followed_by_two_new_ones(mosquitto):
    async with End("alice", mosquitto.entry()) as alice, End("bob", mosquitto.entry()) as bob:
        await alice.connected()
        await bob.connected()
        for number, channel in enumerate(topics.CHANNELS, start=1):
            alice.transport._connections[channel]._socket.shutdown(2)
            await alice.listener.until(lambda listener, number=number: listener.losses == number)
            await alice.connected()
            await reaches(alice, bob, channel="in")
            await reaches(alice, bob, channel="bulk")


@pytest.mark.parametrize("heard", [b"", b"MQTT"])
async def test_a_broker_that_takes_calls_and_keeps_silent_is_hung_up_on_at_the_end(heard):
    callers = asyncio.Queue()
    silent = await asyncio.start_server(lambda reader, writer: callers.put_nowait((reader, writer)), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with asyncio.timeout(PATIENCE):
        async with End("alice", BrokerEntry(f"mqtt://127.0.0.1:{port}")):
            reader, writer = await callers.get()
            if heard:
                await reader.readuntil(heard)
        await reader.read()
        assert reader.at_eof()
    writer.close()
    silent.close()


# --- who gets in -----------------------------------------------------------------------------------------


async def refusal(*brokers):
    """What a transport says of its broker when it has tried."""
    async with End("alice", *brokers) as alice:
        await alice.listener.until(lambda listener: listener.log_lines)
        assert not alice.transport.state.connected
        return alice.transport.state.problem


async def test_a_wrong_password_is_told_with_the_remedy(tmp_path):
    broker = await start_broker(BrokerPlan(tmp_path, "mosquitto", tls=True))
    right = broker.entry
    wrong = BrokerEntry(right.url, user="grid", password="wrong", ca=right.ca)
    problem = await refusal(wrong)
    assert "does not let in user 'grid' with this password" in problem
    assert "grid card" in problem
    assert "wrong" not in problem.replace("with this password", "")
    assert "somebody without a user name" in await refusal(BrokerEntry(right.url, ca=right.ca))
    async with End("alice", wrong, right) as alice:
        await alice.connected()
    await broker.stop()


async def test_tls_with_the_cards_authority_in_the_card_or_in_a_file(tmp_path):
    broker = await start_broker(BrokerPlan(tmp_path / "broker", "mosquitto", tls=True))
    entry = broker.entry
    in_a_file = tmp_path / "authority.pem"
    in_a_file.write_text(entry.ca)
    by_file = BrokerEntry(entry.url, entry.user, entry.password, ca=str(in_a_file))
    async with End("alice", entry) as alice, End("bob", by_file) as bob:
        await alice.connected()
        await bob.connected()
        await reaches(alice, bob, os.urandom(900_000), "bulk")
        await reaches(bob, alice)
    await broker.stop()


async def test_a_certificate_that_the_card_does_not_vouch_for_is_told(tmp_path):
    broker = await start_broker(BrokerPlan(tmp_path / "broker", "mosquitto", tls=True))
    stranger = certify(_made(tmp_path / "stranger"), "127.0.0.1").authority_pem
    problem = await refusal(BrokerEntry(broker.entry.url, broker.entry.user, broker.entry.password, ca=stranger))
    assert "certificate that the grid card does not vouch for" in problem
    await broker.stop()


async def test_a_broker_without_tls_at_a_tls_address_is_told(mosquitto):
    problem = await refusal(BrokerEntry(f"mqtts://127.0.0.1:{mosquitto.port}"))
    assert "does this port speak TLS?" in problem or "connection" in problem.lower()


async def test_certificates_that_cannot_be_used_are_told(mosquitto):
    entry = BrokerEntry(f"mqtts://127.0.0.1:{mosquitto.port}", ca="/nowhere/ca.pem")
    assert "certificates of the grid card can't be used" in await refusal(entry)


async def test_a_broker_that_wants_a_certificate_of_ours_gets_it(tmp_path):
    files = certify(_made(tmp_path / "authority"), "127.0.0.1")
    authority = tmp_path / "ca.pem"
    authority.write_text(files.authority_pem)
    ours = certify_client(tmp_path / "authority")
    broker = Mosquitto(
        tmp_path,
        "allow_anonymous true",
        f"cafile {authority}",
        f"certfile {files.certificate}",
        f"keyfile {files.key}",
        "require_certificate true",
    )
    url = f"mqtts://127.0.0.1:{broker.port}"
    entry = BrokerEntry(url, ca=files.authority_pem, certificate=ours[0], key=ours[1])
    async with End("alice", entry) as alice:
        await alice.connected()
    assert await refusal(BrokerEntry(url, ca=files.authority_pem))
    broker.kill()


# --- packets too large ---------------------------------------------------------------------------------


async def test_a_broker_of_mqtt_5_tells_its_packet_limit(tmp_path):
    broker = Mosquitto(tmp_path, "allow_anonymous true", "max_packet_size 100000")
    async with End("alice", broker.entry(mqtt="5")) as alice:
        await alice.connected()
        assert alice.listener.limits == [100_000 - PACKET_OVERHEAD]
        assert alice.transport.packet_bytes == 100_000 - PACKET_OVERHEAD
        alice.transport.send(alice.node, "bulk", bytes(200_000))
        assert alice.transport.dropped["too-large"] == 1
        await reaches(alice, alice, bytes(90_000), "bulk")
        assert alice.listener.losses == 0
    broker.kill()


@pytest.mark.parametrize("option", ["max_packet_size", "message_size_limit"], ids=["hangs up", "drops"])
async def test_a_broker_that_refuses_large_packets_without_a_word_gets_smaller_ones(option, tmp_path):
    broker = Mosquitto(tmp_path, "allow_anonymous true", f"{option} 100000")
    async with End("alice", broker.entry(), packet_bytes=512 * 1024) as alice:
        await alice.connected()
        assert alice.listener.limits == [128 * 1024, 32 * 1024]
        assert alice.transport.packet_bytes == 32 * 1024
        assert (alice.listener.connections, alice.listener.losses) == (1, 0)
        await reaches(alice, alice, bytes(32 * 1024), "bulk")
        assert len(alice.listener.packets) == 1
    broker.kill()


async def test_a_broker_that_comes_back_with_a_lower_limit_is_measured_anew(mosquitto):
    async with End("alice", mosquitto.entry(), packet_bytes=512 * 1024) as alice:
        await alice.connected()
        assert alice.transport.packet_bytes == 512 * 1024
        mosquitto.kill()
        mosquitto.set("allow_anonymous true", "message_size_limit 200000")
        await alice.listener.until(lambda listener: listener.losses == 1)
        mosquitto.start()
        await alice.listener.until(lambda listener: listener.connections == 2)
        assert alice.transport.packet_bytes == 128 * 1024


async def test_a_line_too_slow_for_the_question_does_not_keep_a_node_from_its_work(mosquitto, monkeypatch):
    monkeypatch.setattr("tahoe.net.transport.GAUGE_SECONDS", 0.0)
    async with End("alice", mosquitto.entry()) as alice:
        await alice.connected()
        await reaches(alice, alice, bytes(500_000), "bulk")
        assert alice.listener.limits == []


# --- presence --------------------------------------------------------------------------------------------


async def test_the_goodbye_of_a_node_is_its_last_word_even_when_its_echo_comes_at_once(mosquitto):
    async with End("alice", mosquitto.entry()) as alice, End("bob", mosquitto.entry()) as bob:
        await alice.connected()
        await bob.connected()
        leaving = asyncio.create_task(alice.transport.stop())
        await asyncio.sleep(0)
        alice.transport._came(topics.presence(GRID, alice.node), alice.station.offline)
        await leaving
        await says(bob, alice, online=False)
        await reaches(bob, bob)  # whatever alice said after that would have come by now
        assert [signed for node, signed in bob.listener.presences if node == alice.node][-1] == alice.station.offline


async def says(watcher, end, *, online):
    """Wait until the broker tells this presence of a node."""
    expected = (end.node, end.station.online if online else end.station.offline)
    await watcher.listener.until(lambda listener: expected in listener.presences)


async def test_a_node_is_seen_to_come_and_to_go(mosquitto):
    async with End("watcher", mosquitto.entry()) as watcher:
        await watcher.connected()
        async with End("alice", mosquitto.entry()) as alice:
            await says(watcher, alice, online=True)
        await says(watcher, alice, online=False)


async def test_whoever_comes_later_hears_who_is_there(mosquitto):
    async with End("alice", mosquitto.entry()) as alice:
        await alice.connected()
        async with End("watcher", mosquitto.entry()) as watcher:
            await says(watcher, alice, online=True)


ALICE_ALONE = """
import asyncio, sys
from tahoe.net.card import BrokerEntry
from tests.net.support import End

async def main():
    async with End("alice", BrokerEntry(sys.argv[1])) as alice:
        await alice.connected()
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("engine", ["embedded", "mosquitto"])
async def test_the_will_of_a_killed_process_says_that_it_is_gone(tmp_path, engine):
    broker = await start_broker(BrokerPlan(tmp_path, engine))
    async with End("watcher", broker.entry) as watcher:
        await watcher.connected()
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", ALICE_ALONE, broker.entry.url)
        alice = End("alice", broker.entry)
        await says(watcher, alice, online=True)
        process.send_signal(signal.SIGKILL)
        await says(watcher, alice, online=False)
        await process.wait()
    await broker.stop()


async def test_a_late_will_does_not_stay_the_last_word(mosquitto):
    earlier = End("alice", mosquitto.entry(), epoch=1)
    async with End("alice", mosquitto.entry(), epoch=2) as alice, End("watcher", mosquitto.entry()) as watcher:
        await says(watcher, alice, online=True)
        watcher.listener.presences.clear()
        topic = topics.presence(GRID, alice.node)
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as somebody:
            for signed in (earlier.station.offline, alice.station.offline, b"nonsense"):
                await somebody.publish(topic, signed, retain=True)
                await says(watcher, alice, online=True)
                watcher.listener.presences.clear()


async def test_of_two_processes_with_one_key_the_older_does_not_argue(mosquitto):
    async with End("alice", mosquitto.entry(), epoch=1) as older, End("watcher", mosquitto.entry()) as watcher:
        await says(watcher, older, online=True)
        async with End("alice", mosquitto.entry(), epoch=2) as newer:
            await says(watcher, newer, online=True)
            await reaches(watcher, watcher)  # whatever the older one says would have come by now
            assert open_presence(newer.node, watcher.listener.presences[-1][1]) == (2, True)


def _made(directory):
    directory.mkdir()
    return directory


def certify_client(directory):
    """A certificate and its key (PEM) for a client, by the authority in a directory."""
    authority_key, _ = certificates._authority(directory)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "alice")])
    certificate = certificates._builder(name, key.public_key()).sign(authority_key, hashes.SHA256())
    return certificates._pem(certificate), certificates._private_pem(key).decode()


async def test_a_node_that_is_told_to_stop_while_it_connects_stops_though_that_word_is_swallowed(tmp_path):
    """As ``asyncio.wait_for`` does when what it waits for comes at the same moment."""
    broker = Mosquitto(tmp_path)
    end = End("ann", broker.entry())
    begun, join = asyncio.Event(), end.transport._join

    async def deaf(connection, channel):
        joining = asyncio.ensure_future(join(connection, channel))
        begun.set()
        try:
            await asyncio.shield(joining)
        except asyncio.CancelledError:
            await joining

    end.transport._join = deaf
    try:
        end.transport.start()
        await begun.wait()
        async with asyncio.timeout(PATIENCE):
            await end.transport.stop()
    finally:
        broker.kill()


async def test_a_broker_that_dies_the_moment_it_has_let_us_in_is_tried_again(mosquitto, monkeypatch):
    enter, entered = Connection._enter, []

    async def enter_and_lose(connection):
        await enter(connection)
        entered.append(connection)
        if len(entered) == 1:
            connection._paho._sock_close()

    monkeypatch.setattr(Connection, "_enter", enter_and_lose)
    async with End("alice", mosquitto.entry()) as alice:
        await alice.connected()
    assert len(entered) == 3, "once in vain, then for both channels"
