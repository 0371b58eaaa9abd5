"""What this machine allows: the arithmetic of an upload, and raw MQTT through the same broker.

Both are measured again before every large upload, and medians compared, because a machine that does something else
beside is not equally quick for a whole run.
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import sys
import time
from urllib.parse import urlsplit

import aiomqtt

from tahoe.codec.file import FileEncoder, crypt
from tahoe.codec.keys import ConvergenceHasher
from tahoe.codec.parameters import EncodingParameters
from tahoe.net.card import BrokerEntry

MEGABYTE = 1_000_000
NEEDED, TOTAL = 3, 10
PAYLOAD = 2**20 // NEEDED
MESSAGES = 600
NODELAY = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
TOPIC = "bench/raw"


class Bounds:
    """Measures both bounds, as often as it is told to.

    Args:
        broker: of the grid that is measured.
    """

    def __init__(self, broker: BrokerEntry) -> None:
        self._broker = broker
        self._arithmetic: list[float] = []
        self._transport: list[float] = []

    def measure(self) -> None:
        """Measure each once more."""
        self._arithmetic.append(arithmetic())
        self._transport.append(asyncio.run(transport(self._broker)))

    def figures(self) -> dict[str, float]:
        """The medians, in MB/s of file."""
        return {
            "arithmetic, MB/s": statistics.median(self._arithmetic),
            "transport, MB/s": statistics.median(self._transport),
        }


def arithmetic() -> float:
    """MB/s of one core that hashes for the key, encrypts, codes and hashes 3-of-10, in megabyte segments."""
    data = os.urandom(32 * 2**20)
    parameters = EncodingParameters.of(len(data), NEEDED, TOTAL)
    began = time.perf_counter()
    hasher = ConvergenceHasher(NEEDED, TOTAL, parameters.segment_size, b"secret")
    hasher.update(data)
    key = hasher.key()
    encoder = FileEncoder(parameters)
    for start in range(0, len(data), parameters.segment_size):
        encoder.encode_segment(crypt(key, data[start : start + parameters.segment_size], start))
    encoder.finish()
    return len(data) / MEGABYTE / (time.perf_counter() - began)


async def transport(broker: BrokerEntry) -> float:
    """MB/s of file: raw aiomqtt, one publisher, one subscriber in a process of its own, N/k bytes for each byte."""
    url = urlsplit(broker.url)
    assert url.hostname is not None
    assert url.port is not None
    subscriber = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "experiments.bench.bounds",
        url.hostname,
        str(url.port),
        stdout=asyncio.subprocess.PIPE,
    )
    assert subscriber.stdout is not None
    await subscriber.stdout.readline()
    payload = os.urandom(PAYLOAD)
    async with aiomqtt.Client(url.hostname, url.port, socket_options=NODELAY) as client:
        began = time.perf_counter()
        for _ in range(MESSAGES):
            await client.publish(TOPIC, payload)
        received = int(await subscriber.stdout.readline())
        seconds = time.perf_counter() - began
    await subscriber.wait()
    return received * PAYLOAD / MEGABYTE / seconds * NEEDED / TOTAL


async def _subscribe(host: str, port: int) -> None:
    """Count what comes; say so when all is here, or when nothing has come for a while."""
    async with aiomqtt.Client(host, port, socket_options=NODELAY) as client:
        await client.subscribe(TOPIC)
        print("ready", flush=True)
        count = 0
        messages = aiter(client.messages)
        while count < MESSAGES:
            try:
                await asyncio.wait_for(anext(messages), 10)
            except TimeoutError:
                break
            count += 1
        print(count, flush=True)


if __name__ == "__main__":
    asyncio.run(_subscribe(sys.argv[1], int(sys.argv[2])))
