"""How much of raw aiomqtt's throughput the transport keeps, measured in one run."""

import asyncio
import os
import socket
import sys
import time

import aiomqtt
import pytest

from tahoe.net.allocator import keep_message_blocks
from tests.net.support import PATIENCE, End, Mosquitto

PAYLOAD = 350_000
COUNT = 400
WINDOW = 2_000_000
ROUNDS = 3
ENOUGH = 0.4
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
            await until_at_most(WINDOW, alice.transport)
        await until_at_most(0, alice.transport)


async def until_at_most(size, transport):
    """Wait while more bytes than this are unsent."""
    while transport.unsent() > size:  # noqa: ASYNC110  # sessions have their credit, this has nothing else
        await asyncio.sleep(0.0005)


async def seconds_between(how, entry, arrivals):
    """Run a publisher in a process of its own. Returns the time between the first and the last arrival."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PUBLISHER, how, entry.url)
    async with asyncio.timeout(PATIENCE):
        begun = ended = await anext(arrivals)
        for _ in range(COUNT - 1):
            ended = await anext(arrivals)
        await process.wait()
    return ended - begun


async def raw_seconds(entry):
    """What aiomqtt alone takes."""
    async with aiomqtt.Client(entry.host, entry.port, socket_options=NO_DELAY) as client:
        await client.subscribe("raw")

        async def arrivals():
            async for _ in client.messages:
                yield time.perf_counter()

        return await seconds_between("raw", entry, arrivals())


async def our_seconds(entry):
    """What two transports take."""
    times = asyncio.Queue()

    async with End("bob", entry) as bob:
        bob.listener.packet_came = lambda *_: times.put_nowait(time.perf_counter())
        await bob.connected()

        async def arrivals():
            while True:
                yield await times.get()

        return await seconds_between("ours", entry, arrivals())


@pytest.mark.timeout(180)
async def test_the_transport_keeps_most_of_raw_aiomqtts_throughput(tmp_path):
    keep_message_blocks()
    broker = Mosquitto(tmp_path)
    ratios = []
    while len(ratios) < ROUNDS and max(ratios, default=0) < ENOUGH:  # others may use the machine in one of them
        raw = await raw_seconds(broker.entry())
        ours = await our_seconds(broker.entry())
        ratios.append(raw / ours)
        megabytes = (COUNT - 1) * PAYLOAD / 1e6
        print(f"{megabytes / ours:.0f} MB/s, raw aiomqtt {megabytes / raw:.0f} MB/s")  # noqa: T201  # of interest to people
    broker.kill()
    assert max(ratios) >= ENOUGH
