"""Nodes brought to life: what they keep across restarts, how they end, and what the wire sees of them."""

import asyncio
import signal
import sys
import time
from contextlib import AsyncExitStack

import aiomqtt
import pytest

from tahoe.actors.introducer import Introducer
from tahoe.context import Actor, handles
from tahoe.errors import BadConfiguration, Refused, Unanswered
from tahoe.net.broker import BrokerPlan, start_broker
from tahoe.net.card import GridCard
from tahoe.net.config import NodeConfig, NodeSection, StorageSection
from tahoe.net.crew import Crew
from tahoe.net.directory import NewGrid, NodeDirectory, create_introducer, create_node
from tahoe.net.herald import Herald, Profile
from tahoe.net.keys import load_secret
from tahoe.net.node import Node, begin_epoch
from tahoe.net.quantities import ByteSize
from tahoe.net.roles import build_crew
from tahoe.protocol import INTRODUCER, MEMBER, STORAGE, Address, HaveShares, ReadShare, ShareBytes, Space
from tahoe.session.statement import open_announcement
from tests.net.support import PATIENCE, Mosquitto, identity, until

INDEX = b"i" * 16
SECRET_CONTENT = b"attack at dawn, by the old mill "


class Keeper(Actor):
    """Answers every read with the same secret."""

    role = STORAGE

    @handles(ReadShare)
    async def read_share(self, _sender, request):
        match request.number:
            case 0:
                return ShareBytes((SECRET_CONTENT * request.length)[: request.length])
            case 1:
                raise ZeroDivisionError("a bug of ours")
        await self.ctx.sleep(1000)
        return None


def keeper(quarters):
    return Crew((Keeper(quarters.context(STORAGE)),))


def nobody(_quarters):
    return Crew(())


class Grid:
    """An introducer's directory, and nodes made with its card."""

    def __init__(self, directory, *brokers):
        self.path = directory
        self.introducer = create_introducer(directory / "introducer", NewGrid(brokers=brokers))
        self.card = GridCard.load(self.introducer.card)

    def node(self, name, recipe, *, roles=(STORAGE,)):
        config = NodeConfig(
            node=NodeSection(roles=roles, nickname=name), storage=StorageSection(reserved_space=ByteSize(0))
        )
        return Node(create_node(self.path / name, self.card, config).path, recipe)


async def acquainted(*nodes):
    """Start nodes, let everybody meet everybody, and wait until all are connected."""
    for node in nodes:
        await node.start()
    for node in nodes:
        for other in nodes:
            node.running.meet(other.running.name, other.running.papers.identity.exchange_public)
    async with asyncio.timeout(PATIENCE):
        for node in nodes:
            await node.running.transport.wait_connected()


def ask(asker, other, number=0, length=10, timeout=PATIENCE):
    context = asker.running.context("client")
    return context.ask(Address(other.running.name, STORAGE), ReadShare(INDEX, number, 0, length), timeout=timeout)


@pytest.fixture
def mosquitto(tmp_path):
    broker = Mosquitto(tmp_path)
    yield broker
    broker.kill()


# --- talking -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["embedded", "mosquitto"])
async def test_two_nodes_talk_over_either_broker(tmp_path, engine):
    broker = await start_broker(BrokerPlan(tmp_path / "broker", engine))
    grid = Grid(tmp_path, broker.entry)
    alice, bob = grid.node("alice", nobody), grid.node("bob", keeper)
    await acquainted(alice, bob)
    assert (await ask(alice, bob)).data == SECRET_CONTENT[:10]
    assert len((await ask(alice, bob, length=400_000)).data) == 400_000
    await alice.stop()
    await bob.stop()
    await broker.stop()


async def test_a_bug_in_a_handler_is_a_refusal_to_the_asker_and_loud_where_it_is(tmp_path, mosquitto):
    grid = Grid(tmp_path, mosquitto.entry())
    alice, bob = grid.node("alice", nobody), grid.node("bob", keeper)
    await acquainted(alice, bob)
    with pytest.raises(Refused) as caught:
        await ask(alice, bob, number=1)
    assert caught.value.code == "bug"
    assert "a bug of ours" not in caught.value.reason
    assert isinstance(bob.running.failures[0], ZeroDivisionError)
    assert "ZeroDivisionError: a bug of ours" in bob.directory.log.read_text()
    await alice.stop()
    await bob.stop()


async def test_a_broker_killed_and_restarted_in_the_middle_of_many_asks_loses_none(tmp_path, mosquitto):
    grid = Grid(tmp_path, mosquitto.entry())
    alice, bob = grid.node("alice", nobody), grid.node("bob", keeper)
    await acquainted(alice, bob)
    await ask(alice, bob)
    asks = [asyncio.create_task(ask(alice, bob, length=200_000)) for _ in range(60)]
    await asks[0]
    mosquitto.kill()
    mosquitto.start()
    answers = await asyncio.gather(*asks)
    assert {len(answer.data) for answer in answers} == {200_000}
    await alice.stop()
    await bob.stop()


async def test_a_node_that_is_killed_is_found_gone_long_before_the_asks_time_is_over(tmp_path, mosquitto):
    grid = Grid(tmp_path, mosquitto.entry())
    alice, bob = grid.node("alice", nobody), grid.node("bob", keeper)
    bob_name = bob.directory.load_identity()
    await alice.start()
    alice.running.meet(bob_name.node, bob_name.exchange_public)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", BOB_ALONE, str(bob.directory.path))
    context = alice.running.context("client")
    address = Address(bob_name.node, STORAGE)
    await context.ask(address, ReadShare(INDEX, 0, 0, 10), timeout=PATIENCE)
    assert alice.running.presence(bob_name.node) is True
    open_ask = asyncio.create_task(context.ask(address, ReadShare(INDEX, 2, 0, 10), timeout=1000))
    await context.ask(address, ReadShare(INDEX, 0, 0, 10), timeout=PATIENCE)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(Unanswered):
            await open_ask
    assert alice.running.presence(bob_name.node) is False
    await alice.stop()


BOB_ALONE = """
import asyncio, sys
from pathlib import Path
from tahoe.net.node import Node
from tests.net.test_node import keeper

async def main():
    await Node(Path(sys.argv[1]), keeper).start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_restarted_node_is_talked_to_anew(tmp_path, mosquitto):
    grid = Grid(tmp_path, mosquitto.entry())
    alice, bob = grid.node("alice", nobody), grid.node("bob", keeper)
    await acquainted(alice, bob)
    await ask(alice, bob)
    await bob.stop()
    await bob.start()
    await until(lambda: alice.running._presences.epoch(bob.running.name) == bob.running.papers.epoch)
    assert (await ask(alice, bob)).data == SECRET_CONTENT[:10]
    await alice.stop()
    await bob.stop()


async def test_strangers_without_the_join_secret_get_no_answer(tmp_path, mosquitto):
    grid = Grid(tmp_path / "grid", mosquitto.entry())
    bob = grid.node("bob", keeper)
    stranger = grid.node("stranger", nobody)
    text = stranger.directory.card.read_text()
    line = next(line for line in text.splitlines() if line.startswith("join_secret"))
    stranger.directory.card.write_text(text.replace(line, f'join_secret = "{"a" * 52}"'))
    await acquainted(stranger, bob)
    with pytest.raises(Unanswered):
        await ask(stranger, bob, timeout=2.0)
    assert sum(bob.running.endpoint.counters.values()) > 0
    await stranger.stop()
    await bob.stop()


# --- the wire ------------------------------------------------------------------------------------------


async def test_a_listener_to_everything_sees_no_content_and_no_secret(tmp_path, mosquitto):
    grid = Grid(tmp_path, mosquitto.entry())
    alice, bob = grid.node("alice", nobody), grid.node("bob", keeper)
    seen = bytearray()
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as wire:
        await wire.subscribe("#")

        async def listen():
            async for message in wire.messages:
                seen.extend(str(message.topic).encode() + b" " + message.payload + b"\n")

        listening = asyncio.create_task(listen())
        await acquainted(alice, bob)
        await ask(alice, bob, length=100_000)
        await asyncio.gather(alice.stop(), bob.stop())
        marker = b"and that was all"
        await wire.publish("marker", marker)
        await until(lambda: marker in seen)
        listening.cancel()
    assert len(seen) > 100_000
    assert alice.directory.load_identity().node.encode() in seen
    secrets = [SECRET_CONTENT, INDEX, grid.card.join_secret, b"ReadShare", b"read-share"]
    for directory in (alice.directory, bob.directory):
        secrets += [load_secret(directory.key), directory.key.read_bytes().strip()]
    for secret in secrets:
        assert secret not in seen


# --- roles ---------------------------------------------------------------------------------------------


async def test_a_grid_of_real_roles_finds_itself(tmp_path, mosquitto):
    grid = Grid(tmp_path, mosquitto.entry())
    introducer = Node(grid.introducer.path, build_crew)
    servers = [grid.node(f"server-{number}", build_crew) for number in range(3)]
    async with AsyncExitStack() as stack:
        for node in (introducer, *servers):
            await node.start()
            stack.push_async_callback(node.stop)
        member = servers[0].running.actors[MEMBER]
        await until(lambda: len(member.servers()) == 2)
        other = member.servers()[0]
        answer = await servers[0].running.context("client").ask(other.address, HaveShares((INDEX,)), timeout=PATIENCE)
        assert answer.held == ()
        assert answer.space.capacity > 0
        assert isinstance(introducer.running.actors[INTRODUCER], Introducer)
        said = [announcement for announcement in member.announcements() if announcement.node == other.node]
        assert said[0].roles == (STORAGE,)
        assert said[0].capacity > 0
        assert member.encoding().total == 10
    assert (servers[0].directory.state / MEMBER / "roster").exists()


async def test_a_node_starts_and_stops_without_a_broker(tmp_path):
    grid = Grid(tmp_path, Mosquitto.nowhere())
    node = grid.node("lonely", build_crew)
    await node.start()
    with pytest.raises(Unanswered):
        await node.running.context("client").ask(
            Address(grid.card.introducers[0].node, INTRODUCER), HaveShares(()), timeout=0.2
        )
    begun = time.monotonic()
    await node.stop()
    assert time.monotonic() - begun < 10
    assert "stopped" in node.directory.log.read_text()


async def test_a_node_that_cannot_start_leaves_nothing_running(tmp_path):
    grid = Grid(tmp_path, Mosquitto.nowhere())
    node = grid.node("node", nobody)

    async def company(_running):
        raise BadConfiguration("the port is taken")

    node._company = (company,)
    with pytest.raises(BadConfiguration, match="the port is taken"):
        await node.start()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_a_directory_lacks_is_told_before_anything_starts(tmp_path):
    with pytest.raises(BadConfiguration, match="no node directory"):
        await Node(tmp_path, nobody).start()
    grid = Grid(tmp_path, Mosquitto.nowhere())
    node = grid.node("node", nobody)
    node.directory.config.write_text("[node]\nnicname = 'x'\n")
    with pytest.raises(BadConfiguration, match=r"tahoe\.toml: \[node\] nicname is unknown; did you mean nickname"):
        await node.start()


# --- epochs and announcements ----------------------------------------------------------------------------


def test_every_start_has_a_greater_epoch_even_when_the_clock_goes_back(tmp_path):
    directory = NodeDirectory(tmp_path)
    directory.state.mkdir()
    first = begin_epoch(directory)
    assert abs(first - time.time()) < 5
    (directory.state / "epoch").write_text(f"{first + 1000}\n")
    assert begin_epoch(directory) == first + 1001
    assert begin_epoch(directory) == first + 1002


def test_a_damaged_epoch_is_told_with_the_remedy(tmp_path):
    directory = NodeDirectory(tmp_path)
    directory.state.mkdir()
    (directory.state / "epoch").write_text("soon")
    with pytest.raises(BadConfiguration, match="remove the file"):
        begin_epoch(directory)


def test_an_announcement_is_made_anew_when_a_noticeable_fact_changes():
    room = [Space(1000, 500, 500)]
    herald = Herald(identity("alice"), Profile((STORAGE,), "alice", "here", 7), lambda: room[0])
    first = herald.announcement()
    room[0] = Space(1000, 495, 495)
    assert herald.announcement() == first
    for available in (400, 3, 0, 1):
        room[0] = Space(1000, available, available)
        said = open_announcement(herald.announcement())
        assert said.available == available
    assert said.age == (7, 5)
    assert open_announcement(first).age == (7, 1)
