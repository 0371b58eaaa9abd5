"""Two machines on one: run in a network namespace of its own, this makes a second one and a wire between.

::

    first: broker (TLS), introducer, server  10.77.0.1 ════ 10.77.0.2  second: a client with the grid card

``python two_machines.py first DIR`` prints "identical" when the second machine, which was given nothing but
the card, has stored a file on the first and has got it back.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tahoe.codec.capability import parse
from tahoe.net.broker import BrokerPlan, start_broker
from tahoe.net.card import GridCard
from tahoe.net.config import NodeConfig, NodeSection, StorageSection
from tahoe.net.directory import NewGrid, create_introducer, create_node
from tahoe.net.node import Node
from tahoe.net.quantities import ByteSize
from tahoe.net.roles import build_crew
from tahoe.protocol import CLIENT, MEMBER, STORAGE, Encoding
from tests.net.support import until
from tests.net.test_grid import Content, fetched

FIRST, SECOND = "10.77.0.1", "10.77.0.2"


def ip(*words):
    """Configure the network."""
    subprocess.run(["ip", *words], check=True)


async def first(directory):
    """The machine that has everything."""
    ip("link", "set", "lo", "up")
    ip("link", "add", "near", "type", "veth", "peer", "name", "far")
    ip("addr", "add", f"{FIRST}/24", "dev", "near")
    ip("link", "set", "near", "up")
    broker = await start_broker(BrokerPlan(directory / "broker", "mosquitto", listen=FIRST, tls=True))
    founded = create_introducer(directory / "introducer", NewGrid((broker.entry,), Encoding(1, 1, 1)))
    config = NodeConfig(node=NodeSection(roles=(STORAGE,)), storage=StorageSection(reserved_space=ByteSize(0)))
    server = create_node(directory / "server", GridCard.load(founded.card), config)
    nodes = [Node(founded.path, build_crew), Node(server.path, build_crew)]
    for node in nodes:
        await node.start()
    second_machine = await asyncio.create_subprocess_exec(
        "unshare", "--net", sys.executable, __file__, "second", str(directory),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await second_machine.stdout.readline()
    ip("link", "set", "far", "netns", str(second_machine.pid))
    said, _ = await second_machine.communicate(founded.card.read_bytes())
    print(said.decode().strip())  # noqa: T201  # what this program is for
    for node in reversed(nodes):
        await node.stop()
    await broker.stop()


async def second(directory):
    """The machine that is handed the card."""
    print("ready", flush=True)  # noqa: T201  # tells the first machine
    card = directory / "copied.toml"
    card.touch(mode=0o600)
    card.write_bytes(await asyncio.to_thread(sys.stdin.buffer.read))
    ip("addr", "add", f"{SECOND}/24", "dev", "far")
    ip("link", "set", "far", "up")
    config = NodeConfig(node=NodeSection(roles=(CLIENT,)))
    client = Node(create_node(directory / "client", GridCard.load(card), config).path, build_crew)
    await client.start()
    member = client.running.actors[MEMBER]
    await until(lambda: any(client.running.presence(server.node) for server in member.servers()))
    content = os.urandom(300_000)
    result = await client.running.actors[CLIENT].upload(Content(content), None)
    same = await fetched(client, parse(str(result.capability))) == content
    await client.stop()
    print("identical" if same else "different")  # noqa: T201  # tells the first machine


if __name__ == "__main__":
    asyncio.run({"first": first, "second": second}[sys.argv[1]](Path(sys.argv[2])))
