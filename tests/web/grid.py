"""A whole grid in one event loop: the real client and storage actors, and a post that delivers at once.

No sessions and no broker are in the way; a server can be taken away (``down``) or made slow (``delay``).
"""

from __future__ import annotations

import asyncio
from hashlib import sha256

from tahoe.actors.client import Client, ClientTerms
from tahoe.actors.servers import Server
from tahoe.actors.storage import StorageServer, Upkeep
from tahoe.context import Actor
from tahoe.errors import NoSpace, Refused, Unanswered
from tahoe.net.context import AsyncioContext
from tahoe.net.story import Stories
from tahoe.net.work import Workshop
from tahoe.protocol import Encoding, NodeId
from tahoe.session.identity import GridKey
from tahoe.storage.memory import MemoryStore

KEY = GridKey.from_seed(bytes(32))


class Notebook:
    """Durable values that last as long as the test."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def get(self, name: str) -> bytes | None:
        return self.values.get(name)

    async def put(self, name: str, value: bytes) -> None:
        self.values[name] = value


class Asking:
    """A request under way."""

    def __init__(self, done, timeout: float, peer: NodeId) -> None:
        self._done = done
        self._handling = None
        self._timer = asyncio.get_running_loop().call_later(timeout, self.finish, Unanswered(peer, timeout))

    def begin(self, handling) -> None:
        self._handling = handling

    def finish(self, outcome) -> None:
        done, self._done = self._done, None
        self._timer.cancel()
        if done is not None:
            done(outcome)

    def cancel(self) -> None:
        self._done = None
        self._timer.cancel()
        if self._handling is not None:
            self._handling.cancel()


class Machine:
    """One node: what an ``AsyncioContext`` stands on."""

    def __init__(self, grid: Grid, name: str) -> None:
        self.grid = grid
        self.name = NodeId(name)
        self.workshop = Workshop()
        self.stories = Stories(grid.failures.append)
        self.context = AsyncioContext(self, Notebook())
        self.actor: Actor | None = None
        self.down = False
        self.delay = 0.0
        self.heard = []

    def ask(self, to, request, timeout, done):
        asking = Asking(done, timeout, to.node)
        peer = self.grid.machines[to.node]
        asking.begin(self.stories.spawn(peer.answer(self.name, request, asking)))
        return asking

    async def answer(self, sender, request, asking) -> None:
        await asyncio.sleep(self.delay)
        if self.down:
            asking.finish(Unanswered(self.name, 0.0, "is gone"))
            return
        self.heard.append(request)
        try:
            asking.finish(await self.actor.receive(sender, request))
        except Refused as refused:
            asking.finish(refused)
        except NoSpace as full:
            asking.finish(Refused("no-space", str(full)))

    def tell(self, to, message) -> None:
        self.stories.spawn(self.grid.machines[to.node].take(self.name, message))

    async def take(self, sender, message) -> None:
        if not self.down:
            await self.actor.receive(sender, message)

    def spawn(self, story):
        return self.stories.spawn(story)

    def meet(self, node, exchange_key) -> None:
        raise AssertionError("stories meet nobody")

    def presence(self, node):
        return None

    def announcement(self) -> bytes:
        return b""


class Ledger:
    """Statements of the grid key, kept."""

    grid_public_key = KEY.public_key

    def __init__(self) -> None:
        self.statements: dict[int, tuple[None, bytes]] = {}

    async def learn(self, _announcements, statements) -> None:
        for signed in statements:
            self.statements[len(self.statements)] = (None, signed)


class Roster:
    """Who is in the grid: everybody, from the beginning."""

    def __init__(self, servers: list[Server], encoding: Encoding) -> None:
        self._servers = tuple(servers)
        self._encoding = encoding
        self.ledger = Ledger()

    def servers(self) -> tuple[Server, ...]:
        return self._servers

    def encoding(self) -> Encoding:
        return self._encoding

    def announcements(self) -> tuple[()]:
        return ()


class Grid:
    """A client and its servers. To be made inside a running loop."""

    def __init__(self, servers: int = 4, encoding: Encoding = Encoding(2, 3, 4)) -> None:  # noqa: B008  # immutable
        self.failures: list[BaseException] = []
        self.servers = [Machine(self, f"v0-server{number}") for number in range(servers)]
        self._client = Machine(self, "v0-client")
        self.machines = {machine.name: machine for machine in (self._client, *self.servers)}
        for machine in self.servers:
            store = MemoryStore()
            machine.actor = StorageServer(machine.context, store, store.slots, Upkeep(0, 0, 0))
        self.roster = Roster([_server(machine) for machine in self.servers], encoding)
        self.client = Client(self._client.context, self.roster, ClientTerms(b"lease master"))
        self._client.actor = self.client

    async def stop(self) -> None:
        for machine in self.machines.values():
            await machine.stories.stop()


def _server(machine: Machine) -> Server:
    seed = sha256(machine.name.encode()).digest()
    return Server(machine.name, machine.name[3:], seed, seed[:20])
