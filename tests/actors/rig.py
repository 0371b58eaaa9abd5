"""A small grid for stories: one client, storage servers on stores in memory, and a post that delivers at once.

No sessions and no broker are in the way here; what a server does with a message can be bent by a test::

    rig = Rig(servers=10)
    rig.servers[3].down = True                            # hears nothing
    rig.servers[4].delay = 2.0                            # answers late
    rig.servers[4].service = 0.5                          # answers one after the other, each takes so long
    rig.servers[4].line = rig.client                      # and so do all with the same line together
    rig.servers[5].bend = lambda message, answer: ...     # lies
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from random import Random

from tahoe.actors.download import Download, ReadingRoom, Span
from tahoe.actors.servers import Server
from tahoe.actors.storage import StorageServer, Upkeep
from tahoe.actors.terms import Limits, Patience, UploadOrder
from tahoe.actors.upload import BytesSource, upload
from tahoe.errors import Refused, Unanswered
from tahoe.protocol import Encoding, NodeId
from tahoe.sim.context import SimContext
from tahoe.sim.prices import price_of
from tahoe.sim.world import World
from tahoe.storage.memory import MemoryStore

DELAY = 0.005
MASTER = b"lease master secret"


class Asking:
    """A request under way."""

    def __init__(self, world: World, done: Callable) -> None:
        self._world = world
        self._done = done
        self.handling = None
        self.cancelled = False

    def finish(self, outcome) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(outcome)

    def expire(self, unanswered) -> None:
        if self._done is not None:
            self.finish(unanswered)
            self._stop()

    def cancel(self) -> None:
        self._done = None
        self.cancelled = True
        self._world.after(DELAY, self._stop)

    def _stop(self) -> None:
        if self.handling is not None:
            self.handling.cancel()


class Machine:
    """A node: what a SimContext stands on."""

    phantoms = False

    def __init__(self, rig: Rig, name: str) -> None:
        self.rig = rig
        self.price_of = price_of
        self.name = NodeId(name)
        self.world = rig.world
        self.life = rig.world.life()
        self.state = {}
        self.context = SimContext(self, Random(f"{rig.world.seed}/{name}"))
        self.actor = None
        self.down = False
        self.delay = DELAY
        self.service = 0.0
        self.free_at = 0.0
        self.line = None
        self.bend = None
        self.heard = []

    # --- as a client --------------------------------------------------------------------------------

    def ask(self, to, request, timeout, done):
        asking = Asking(self.world, done)
        self.world.after(timeout, asking.expire, Unanswered(to.node, timeout))
        self.world.after(DELAY, self.rig.machines[to.node].deliver, self.name, request, asking)
        return asking

    def tell(self, to, message):
        self.world.after(DELAY, self.rig.machines[to.node].deliver, self.name, message, None)

    # --- as a server --------------------------------------------------------------------------------

    def deliver(self, sender, message, asking):
        if not self.down:
            self.heard.append(message)
            handling = self.world.spawn(self._handle(sender, message, asking), self.life)
            if asking is not None:
                asking.handling = handling

    async def _handle(self, sender, message, asking):
        try:
            outcome = await self.actor.receive(sender, message)
        except Refused as refused:
            outcome = refused
        if self.bend is not None:
            outcome = self.bend(message, outcome)
        if asking is not None and outcome is not None:
            line = self if self.line is None else self.line
            line.free_at = max(line.free_at, self.world.now()) + self.service
            self.world.at(line.free_at + self.delay, self._answer, asking, outcome)

    def _answer(self, asking, outcome):
        if not self.down:
            asking.finish(outcome)

    def count(self, kind) -> int:
        return sum(isinstance(message, kind) for message in self.heard)

    # --- the rest of what a machine is ----------------------------------------------------------------

    def wall_time(self):
        return 1_800_000_000.0 + self.world.now()

    def work(self, seconds, wait, done):
        self.world.after(seconds + wait, done, None)

    def meet(self, node, exchange_key):
        raise AssertionError("stories meet nobody")

    def presence(self, node):
        return None if node not in self.rig.gone else False

    def announcement(self):
        return b""


class Rig:
    """A world with one client and some servers."""

    def __init__(self, servers: int = 10, seed: int | str = 1) -> None:
        self.world = World(seed)
        self.gone = {}
        self.client = Machine(self, "client")
        self.servers = [Machine(self, f"v0-server{number}") for number in range(servers)]
        self.machines = {machine.name: machine for machine in (self.client, *self.servers)}
        self.stores = [MemoryStore() for _ in self.servers]
        for machine, store in zip(self.servers, self.stores, strict=True):
            machine.actor = StorageServer(machine.context, store, store.slots, Upkeep(0, 0, 0))
        self.roster = [
            Server(machine.name, f"s{number}", sha256(machine.name.encode()).digest(), sha256(b"l").digest()[:20])
            for number, machine in enumerate(self.servers)
        ]

    def give_store(self, machine: Machine, store: MemoryStore) -> None:
        self.stores[self.servers.index(machine)] = machine.actor.store = store
        machine.actor.slots = store.slots

    @property
    def ctx(self):
        return self.client.context

    def run(self, story):
        return self.world.run(self.world.observe(story, self.client.life))

    def start(self, story):
        """Start a story to be cancelled later; failures in it are loud."""
        return self.world.spawn(story, self.client.life)

    def wait(self, seconds: float) -> None:
        self.world.run(seconds)

    def machine(self, node) -> Machine:
        return self.machines[node]

    def store(self, node) -> MemoryStore:
        return self.stores[self.servers.index(self.machines[node])]

    def put(self, data: bytes, order: UploadOrder | None = None):
        return self.run(upload(self.ctx, self.roster, order or terms(), BytesSource(data)))

    def get(self, capability, span=None, room=None) -> bytes:
        return self.run(read_all(self.ctx, self.roster, capability, span, room))

    def holdings(self, storage_index: bytes) -> dict[int, list[NodeId]]:
        """Complete shares, as the stores know them."""
        found = {}
        for machine, store in zip(self.servers, self.stores, strict=True):
            for number in store.shares(storage_index):
                found.setdefault(number, []).append(machine.name)
        return dict(sorted(found.items()))

    def no_upload_is_left(self) -> bool:
        return not any(store._uploads for store in self.stores)


STANDARD = Encoding(3, 7, 10)


def terms(
    encoding: Encoding = STANDARD,
    convergence: bytes | None = b"convergence",
    *,
    small: bool = True,
    segment: int = 2**20,
) -> UploadOrder:
    """An order; ``small=False`` makes every file take the way of large ones."""
    limits = Limits(segment=segment, small=8 * 2**20 if small else 0)
    return UploadOrder(encoding, convergence, MASTER, limits, Patience(question=5.0, offer=5.0, silence=5.0))


def content(size: int, seed: int = 0) -> bytes:
    return Random(f"content {seed}").randbytes(size)


async def read_all(ctx, roster, capability, span=None, room=None) -> bytes:
    async with Download(ctx, roster, capability, span or Span(), room or ReadingRoom()) as chunks:
        return b"".join([chunk async for chunk in chunks])
