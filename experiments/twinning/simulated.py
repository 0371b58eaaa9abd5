"""Simulated: the twin in simpy, with the same keys, the same files and the laws of a machine."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from dataclasses import replace
from typing import Any

from experiments.twinning.laws import NOWHERE, Laws
from experiments.twinning.plan import FROZEN, KILLED, PUT, Operation, Outcome, contents, secret_of
from tahoe.actors.client import Client
from tahoe.actors.upload import BytesSource
from tahoe.errors import BadCapability, TahoeError
from tahoe.protocol import CLIENT, Encoding
from tahoe.sim.blueprint import GridOptions
from tahoe.sim.grid import SimGrid
from tahoe.sim.labour import Account
from tahoe.sim.network import Terms
from tahoe.sim.story import Cancelled, Promise
from tahoe.sim.wire import Access, Link

RESTART_SECONDS = 3.0


class SimulatedTwin:
    """A plan's simulated half.

    Args:
        laws: of the machine.
        seed: of the twins.
        servers: how many.
    """

    def __init__(self, laws: Laws, seed: int, servers: int) -> None:
        wires = Access(Link(laws.hop_law()), Link(NOWHERE))
        options = GridOptions(
            fidelity="wire", labour=laws.labour(), access=lambda _: wires, terms=Terms(farewell=laws.farewell)
        )
        self.grid = SimGrid(seed, servers, options=options)
        self.capabilities: dict[str, str] = {}
        self._laws = laws
        self._seed = seed

    # --- what a plan asks for -----------------------------------------------------------------------------------------

    def perform(self, operation: Operation, encoding: Encoding) -> Outcome:
        """One operation."""
        return self.grid.run(self._begin(operation, encoding))

    def perform_at_once(self, operations: list[Operation], encoding: Encoding) -> list[Outcome]:
        """Several, by as many stories."""
        rest = iter(operations)
        turns = [self._client.observe(self._in_turn(rest, encoding)) for _ in range(operations[0].at_once)]
        return [outcome for turn in turns for outcome in self.grid.run(turn)]

    def harm(self, kind: str, servers: list[str]) -> None:
        """Crash processes, or stop them."""
        if kind == KILLED:
            self.grid.crash(*servers)
        for name in servers if kind == FROZEN else ():
            self.grid.node(name).running.pause()

    def mend(self, kind: str, servers: list[str]) -> None:
        """Start them anew, or let them go on."""
        if kind == KILLED:
            self.grid.restart(*servers)
            self.grid.run(RESTART_SECONDS)
        for name in servers if kind == FROZEN else ():
            self.grid.node(name).running.resume()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.grid.run(seconds)

    def accounts(self) -> dict[str, Account]:
        """What each kind of node has handled so far."""
        assert self.grid.network.workplace is not None, "twins have laws of labour"
        return {kind: replace(account) for kind, account in self.grid.network.workplace.accounts.items()}

    # --- stories ------------------------------------------------------------------------------------------------------

    @property
    def _client(self) -> Any:
        return self.grid.clients[0]

    async def _in_turn(self, rest: Iterator[Operation], encoding: Encoding) -> list[Outcome]:
        return [await self._begin(operation, encoding) for operation in rest]

    async def _begin(self, operation: Operation, encoding: Encoding) -> Outcome:
        """An operation and its deadline: whoever waited for it in vain breaks it off."""
        world = self.grid.world
        began = world.now()
        over: Promise[bool] = world.promise()
        story = world.spawn(self._finish(operation, encoding, over), self._client.running.life)
        world.after(operation.deadline, over.resolve, False)  # what it is resolved to
        succeeded = await over
        story.cancel()
        return Outcome(operation, world.now() - began, succeeded)

    async def _finish(self, operation: Operation, encoding: Encoding, over: Promise[bool]) -> None:
        work = self._put if operation.kind == PUT else self._get
        try:
            await self._gateway(operation)
            await work(operation, contents(operation, self._seed), encoding)
            await self._gateway(operation)
            over.resolve(True)  # what it is resolved to
        except Cancelled:
            raise
        except TahoeError:
            over.resolve(False)  # what it is resolved to

    def _gateway(self, operation: Operation) -> Awaitable[None]:
        """Half of what the gateway does for a request."""
        done = self.grid.world.promise()
        self._client.running.work(
            self._laws.request_seconds(operation.kind, operation.size) / 2, self._laws.request_wait / 2, done.resolve
        )
        return done

    async def _put(self, operation: Operation, data: bytes, encoding: Encoding) -> None:
        client: Client = self._client.actor(CLIENT)
        result = await client.upload(BytesSource(data), secret_of(self._seed), encoding=encoding)
        self.capabilities[operation.name] = str(result.capability)

    async def _get(self, operation: Operation, data: bytes, encoding: Encoding) -> None:
        if operation.name not in self.capabilities:
            raise BadCapability("it could not be stored")
        assert await self.grid.fetch(self.capabilities[operation.name]) == data, "the grid gave wrong bytes"
