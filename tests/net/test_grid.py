"""A whole grid in one process: introducer, servers and a client, real files over a real broker."""

import asyncio
import os
from contextlib import asynccontextmanager

import pytest

from tahoe.actors.storage import StorageServer
from tahoe.codec.capability import parse
from tahoe.net.card import GridCard
from tahoe.net.config import NodeConfig, NodeSection, StorageSection
from tahoe.net.directory import NewGrid, create_introducer, create_node
from tahoe.net.node import Node
from tahoe.net.quantities import ByteSize
from tahoe.net.roles import build_crew
from tahoe.protocol import CLIENT, MEMBER, STORAGE, Encoding
from tests.net.support import Mosquitto, until

SERVERS = 4


class Content:
    """A source of given bytes."""

    def __init__(self, content):
        self._content = content
        self._position = 0
        self.size = len(content)

    async def read(self, length):
        piece = self._content[self._position : self._position + length]
        self._position += len(piece)
        return piece

    async def rewind(self):
        self._position = 0


@asynccontextmanager
async def grid(directory, broker):
    """A client that sees all servers, and the servers."""
    founded = create_introducer(directory / "introducer", NewGrid((broker.entry(),), Encoding(2, 3, 4)))
    card = GridCard.load(founded.card)
    servers = [_node(directory / f"server-{number}", card, STORAGE) for number in range(SERVERS)]
    client = _node(directory / "client", card, CLIENT)
    nodes = [Node(founded.path, build_crew), *servers, client]
    try:
        for node in nodes:
            await node.start()
        member = client.running.actors[MEMBER]
        await until(lambda: sum(client.running.presence(server.node) is True for server in member.servers()) == SERVERS)
        yield client, servers
    finally:
        for node in reversed(nodes):
            await node.stop()


def _node(path, card, role):
    config = NodeConfig(
        node=NodeSection(roles=(role,), nickname=path.name), storage=StorageSection(reserved_space=ByteSize(0))
    )
    return Node(create_node(path, card, config).path, build_crew)


async def fetched(client, capability):
    async with client.running.actors[CLIENT].download(capability) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_a_file_goes_in_and_comes_back_identical(tmp_path):
    broker = Mosquitto(tmp_path)
    async with grid(tmp_path, broker) as (client, servers):
        for size in (10_000, 3_000_000):
            content = os.urandom(size)
            result = await client.running.actors[CLIENT].upload(Content(content), b"convergence")
            assert await fetched(client, parse(str(result.capability))) == content
        for server in servers:
            storage = server.running.actors[STORAGE]
            assert isinstance(storage, StorageServer)
            assert storage.store.space().shares == 2
        assert client.running.actors[MEMBER].encoding() == Encoding(2, 3, 4)
        assert not client.running.failures
    broker.kill()


@pytest.mark.parametrize("option", ["max_packet_size", "message_size_limit"], ids=["hangs up", "drops"])
async def test_a_broker_that_refuses_large_packets_carries_files_in_smaller_ones(option, tmp_path):
    broker = Mosquitto(tmp_path, "allow_anonymous true", f"{option} 100000")
    content = os.urandom(2_000_000)
    async with grid(tmp_path, broker) as (client, _), asyncio.timeout(100):
        result = await client.running.actors[CLIENT].upload(Content(content), None)
        assert client.running.transport.packet_bytes <= 100_000
        assert await fetched(client, result.capability) == content
        learned = client.running.transport.packet_bytes
        await client.stop()
        await client.start()
        assert client.running.transport.packet_bytes == learned
        assert client.running.actors[CLIENT].terms.limits.message == learned
        assert not client.running.failures
    broker.kill()
