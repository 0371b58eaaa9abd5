"""Brokers of our own: they start, let in whom the card lets in, and end with us."""

import asyncio
import os
import select
import signal
import subprocess
import sys

import aiomqtt
import pytest

from tahoe.errors import BadConfiguration
from tahoe.net.broker import BrokerFailed, BrokerPlan, start_broker

ENGINES = ["embedded", "mosquitto"]


async def exchange(entry):
    """Send one message to oneself through a broker, with aiomqtt alone."""
    login = {"username": entry.user, "password": entry.password} if entry.user else {}
    async with aiomqtt.Client(entry.host, entry.port, **login) as client:
        await client.subscribe("a/b")
        await client.publish("a/b", b"hello")
        return (await anext(client.messages)).payload


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_started_broker_carries_messages_and_stops(tmp_path, engine):
    broker = await start_broker(BrokerPlan(tmp_path / "broker", engine))
    assert broker.engine == engine
    assert await exchange(broker.entry) == b"hello"
    await broker.stop()
    await broker.stop()
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await asyncio.open_connection(broker.entry.host, broker.entry.port)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_taken_port_is_told(tmp_path, engine):
    first = await start_broker(BrokerPlan(tmp_path / "first", engine))
    with pytest.raises(BrokerFailed, match=f"port {first.entry.port} .* is taken"):
        await start_broker(BrokerPlan(tmp_path / "second", engine, port=first.entry.port))
    await first.stop()


async def test_a_broker_that_dies_is_told_with_its_last_words(tmp_path):
    broker = await start_broker(BrokerPlan(tmp_path, "mosquitto"))
    broker.child.send_signal(signal.SIGKILL)
    with pytest.raises(BrokerFailed, match="ended with status -9"):
        await broker.wait()


async def test_the_embedded_broker_stays_on_loopback(tmp_path):
    with pytest.raises(BadConfiguration, match="stays on loopback"):
        await start_broker(BrokerPlan(tmp_path, "embedded", listen="0.0.0.0"))


async def test_an_address_that_is_not_ours_is_refused(tmp_path):
    with pytest.raises(BadConfiguration, match=r"192\.0\.2\.1: can't listen there"):
        await start_broker(BrokerPlan(tmp_path, "mosquitto", listen="192.0.2.1"))


async def test_a_broker_with_tls_lets_in_whom_its_entry_lets_in_and_nobody_else(tmp_path):
    broker = await start_broker(BrokerPlan(tmp_path, "mosquitto", tls=True))
    entry = broker.entry
    authority = tmp_path / "for-the-client.pem"
    authority.write_text(entry.ca)
    trusting = aiomqtt.TLSParameters(ca_certs=str(authority))
    async with aiomqtt.Client(
        entry.host, entry.port, username=entry.user, password=entry.password, tls_params=trusting
    ):
        pass
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client(entry.host, entry.port, username=entry.user, password="x", tls_params=trusting):
            pass
    await broker.stop()


async def test_a_restarted_broker_honours_old_cards(tmp_path):
    first = await start_broker(BrokerPlan(tmp_path, "mosquitto", tls=True))
    await first.stop()
    second = await start_broker(BrokerPlan(tmp_path, "mosquitto", tls=True, port=first.entry.port))
    assert second.entry == first.entry
    await second.stop()


async def test_its_secrets_are_for_their_owner_only(tmp_path):
    broker = await start_broker(BrokerPlan(tmp_path, "mosquitto", tls=True))
    for name in ("password", "passwords", "server.key", "authority.key"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert broker.entry.password not in (tmp_path / "passwords").read_text()
    await broker.stop()


PARENT = """
import asyncio, sys
from pathlib import Path
from tahoe.net.broker import BrokerPlan, start_broker

async def main():
    broker = await start_broker(BrokerPlan(Path(sys.argv[1]), "mosquitto"))
    print(broker.child.pid, flush=True)
    await broker.wait()

asyncio.run(main())
"""


def test_mosquitto_ends_even_when_its_parent_is_killed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        handle = os.pidfd_open(int(parent.stdout.readline()))
        assert not select.select([handle], [], [], 0)[0]
        parent.kill()
    ended, _, _ = select.select([handle], [], [], 20)
    assert ended
    os.close(handle)
