"""How much of raw aiomqtt's throughput the transport keeps, measured in one run."""

import asyncio
import os
import socket
import sys
import time

import aiomqtt
import pytest

from tests.net.support import PATIENCE, End, Mosquitto

PAYLOAD = 350_000
COUNT = 400
WINDOW = 2_000_000
NO_DELAY = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]

PUBLISHER = """
import asyncio, sys
from tahoe.net.card import BrokerEntry
from tahoe.net.allocator import keep_message_blocks
from tests.net import test_throughput

keep_message_blocks()
asyncio.run(getattr(test_throughput, "publish_" + sys.argv[1])(BrokerEntry(sys.argv[2])))
"""


async def publish_raw(entry):
    """Publish by aiomqtt as its documentation says."""
    packet = os.urandom(PAYLOAD)
    async with aiomqtt.Client(entry.host, entry.port, socket_options=NO_DELAY) as client:
        for _ in range(COUNT):
            await client.publish("raw", packet)


async def publish_ours(entry):
    """Send by a transport, never more than a window ahead of the socket."""
    packet = os.urandom(PAYLOAD)
    async with End("alice", entry) as alice:
        await alice.connected()
        for _ in range(COUNT):
            alice.transport.send(End("bob", entry).node, "bulk", packet)
            while alice.transport.unsent() > WINDOW:
                await asyncio.sleep(0.0005)
        while alice.transport.unsent():
            await asyncio.sleep(0.0005)


async def timed(how, entry, arrivals):
    """Run a publisher in a process of its own. Returns bytes per second between first and last arrival."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PUBLISHER, how, entry.url)
    async with asyncio.timeout(PATIENCE):
        begun = ended = await anext(arrivals)
        for _ in range(COUNT - 1):
            ended = await anext(arrivals)
        await process.wait()
    return (COUNT - 1) * PAYLOAD / (ended - begun)


async def raw_rate(entry):
    """Bytes per second by aiomqtt alone."""
    async with aiomqtt.Client(entry.host, entry.port, socket_options=NO_DELAY) as client:
        await client.subscribe("raw")

        async def arrivals():
            async for _ in client.messages:
                yield time.perf_counter()

        return await timed("raw", entry, arrivals())


async def our_rate(entry):
    """Bytes per second by two transports."""
    async with End("bob", entry) as bob:
        await bob.connected()

        async def arrivals():
            for number in range(COUNT):
                await bob.listener.until(lambda listener, number=number: len(listener.packets) > number)
                yield time.perf_counter()

        return await timed("ours", entry, arrivals())


@pytest.mark.timeout(180)
async def test_the_transport_keeps_most_of_raw_aiomqtts_throughput(tmp_path):
    broker = Mosquitto(tmp_path)
    raw = await raw_rate(broker.entry())
    ours = await our_rate(broker.entry())
    print(f"{ours / 1e6:.0f} MB/s, raw aiomqtt {raw / 1e6:.0f} MB/s")  # noqa: T201  # the figure is of interest
    broker.kill()
    assert ours >= 0.4 * raw
