"""A vdrive as a node of its own, and slots with an encoding of their own, over a real broker in one process."""

import contextlib
import stat

from tahoe.actors.roots import publish_root, vdrives_of
from tahoe.net.card import GridCard
from tahoe.net.config import ClientSection, NodeConfig, NodeSection, StorageSection
from tahoe.net.directory import NewGrid, create_introducer, create_node
from tahoe.net.keys import load_secret
from tahoe.net.node import Node
from tahoe.net.quantities import ByteSize
from tahoe.net.roles import build_crew
from tahoe.protocol import CLIENT, INTRODUCER, MEMBER, STORAGE, VDRIVE, Address, Encoding, ResolvePath
from tahoe.session.identity import GridKey
from tests.net.support import Mosquitto, until


class Grid:
    """Nodes that run until the block ends."""

    def __init__(self, directory, broker, stack):
        self._directory = directory
        self._stack = stack
        self.founded = create_introducer(
            directory / "introducer", NewGrid((broker.entry(),), Encoding(2, 3, 4)), roles=(INTRODUCER,)
        )
        self.key = GridKey.from_seed(load_secret(directory / "introducer.grid-key"))

    async def start(self, path):
        node = Node(path, build_crew)
        await node.start()
        self._stack.push_async_callback(node.stop)
        return node

    async def add(self, name, role, client=ClientSection()):  # noqa: B008  # frozen
        config = NodeConfig(
            node=NodeSection((role,), name), storage=StorageSection(reserved_space=ByteSize(0)), client=client
        )
        return await self.start(create_node(self._directory / name, GridCard.load(self.founded.card), config).path)


async def test_a_vdrive_keeps_roots_finds_paths_and_needs_no_secret_of_a_client(tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        broker = Mosquitto(tmp_path)
        stack.callback(broker.kill)
        grid = Grid(tmp_path, broker, stack)
        await grid.start(grid.founded.path)
        vdrive = await grid.add("vdrive", VDRIVE)
        assert not vdrive.directory.lease_secret.exists()
        for number in range(4):
            await grid.add(f"server-{number}", STORAGE)
        node = await grid.add("ann", CLIENT, ClientSection(slots="1/2"))
        member, client = node.running.actors[MEMBER], node.running.actors[CLIENT]
        await until(lambda: len(member.servers()) == 4 and vdrives_of(member, ""))
        root = await client.directories.create()
        assert len(list(tmp_path.glob("server-*/storage/slots/*/*/*"))) == 2
        below = await client.directories.make_path(root, ("a", "b"))
        answered = await client.roots.publish(publish_root(grid.key, "global", 1, root))
        assert answered == (vdrive.running.name,)
        address = Address(vdrive.running.name, VDRIVE)
        found = await client.ctx.ask(address, ResolvePath("global", ("a", "b")), timeout=20)
        assert found.capability == str(below)
        bob = (await grid.add("bob", CLIENT)).running.actors
        await until(lambda: vdrives_of(bob[MEMBER], ""))
        assert await bob[CLIENT].roots.find("global") == root
        private = await client.roots.private()
        assert node.directory.private_root.read_text() == f"{private}\n"
        for path in (node.directory.private_root, node.directory.roots):
            assert path.parent.name == "private"
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
