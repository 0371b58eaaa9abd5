"""Ping: how long a small message takes through the broker and back, and how much of that no processor accounts for.

Two processes without any of our code between them and the broker: what is left of a round trip when the processor time of
all three is taken off is waiting, mostly for a process to be woken. It is what wires are on one machine.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from urllib.parse import urlsplit

import aiomqtt

from experiments.twinning.processes import processor_seconds
from tahoe.net.card import BrokerEntry

NODELAY = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
PING, PONG = "twin/ping", "twin/pong"
PAYLOAD = b"x" * 200
WARM_UP = 50


async def hops(broker: BrokerEntry, broker_processes: list[int], count: int) -> list[float]:
    """Seconds of waiting from a node to another, processor time of all who handle the message taken off, ascending."""
    url = urlsplit(broker.url)
    host, port = url.hostname or "", url.port or 0
    echo = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "experiments.twinning.ping", host, str(port), str(count + WARM_UP),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert echo.stdout is not None
    await echo.stdout.readline()
    times: list[float] = []
    async with aiomqtt.Client(host, port, socket_options=NODELAY) as client:
        await client.subscribe(PONG)
        messages = aiter(client.messages)
        for number in range(count + WARM_UP):
            if number == WARM_UP:
                spent = time.process_time() + processor_seconds([*broker_processes, echo.pid])
            began = time.perf_counter()
            await client.publish(PING, PAYLOAD)
            await anext(messages)
            times.append(time.perf_counter() - began)
        spent = time.process_time() + processor_seconds([*broker_processes, echo.pid]) - spent
    await echo.wait()
    return sorted(max(0.0, seconds - spent / count) / 2 for seconds in times[WARM_UP:])


async def _echo(host: str, port: int, count: int) -> None:
    async with aiomqtt.Client(host, port, socket_options=NODELAY) as client:
        await client.subscribe(PING)
        print("ready", flush=True)
        messages = aiter(client.messages)
        for _ in range(count):
            await anext(messages)
            await client.publish(PONG, PAYLOAD)


if __name__ == "__main__":
    asyncio.run(_echo(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
