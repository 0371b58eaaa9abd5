"""The Context of an actor in the simulated world.

Every hand that an actor has on the world is here, and every one of them ends at the fence of its
incarnation: after a crash, calls that return at once do nothing, and calls that would wait raise
``Crashed`` - also from ``finally`` blocks and from coroutines that are unwound only now.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Protocol, TypeVar

from tahoe.context import Durable, Failure, Queue, Task
from tahoe.errors import Refused, Unanswered
from tahoe.protocol import Address, Answer, Message, NodeId, Request
from tahoe.sim.prices import FREE, Price
from tahoe.sim.queue import SimQueue
from tahoe.sim.story import Crashed, Life
from tahoe.sim.twins import twin_of
from tahoe.sim.world import World

T = TypeVar("T")
R = TypeVar("R", bound=Answer)

STATE_WRITE_SECONDS = 0.001
"""A small file written durably: two fsyncs."""


class Machine(Protocol):
    """What a Context reaches of the node below it: the wire, the clock on the wall, the disk."""

    name: NodeId
    world: World
    life: Life
    state: dict[str, bytes]
    phantoms: bool

    def ask(self, to: Address, request: Request[Any], timeout: float, done: Callable[[Any], None]) -> Task:
        """Send a request; ``done`` is called once with the outcome, unless the returned task is cancelled."""

    def tell(self, to: Address, message: Message) -> None:
        """Send a message."""

    def wall_time(self) -> float:
        """What the node's own clock shows."""

    def price_of(self, function: Callable[..., Any], /) -> Price:
        """What it costs this node to call a function."""

    def work(self, seconds: float, wait: float, done: Callable[[Any], None]) -> None:
        """Occupy the node's processor, and let ``wait`` pass beside; then ``done(None)`` is called."""

    def meet(self, node: NodeId, exchange_key: bytes) -> None:
        """Remember a node's exchange key."""

    def presence(self, node: NodeId) -> bool | None:
        """Whether a node is connected."""

    def announcement(self) -> bytes:
        """The node's signed announcement."""


class SimContext:
    """What an actor may do, in a simulated node. Implements ``tahoe.context.Context``.

    Args:
        machine: the node's present incarnation.
        rng: the node's randomness.
        role: of the actor; its durable values are kept apart from those of other roles.
    """

    def __init__(self, machine: Machine, rng: Random, role: str = "") -> None:
        self.name = machine.name
        self.rng = rng
        self.state: Durable = SimDurable(machine, role)
        self.presence = machine.presence  # asked a thousand times per upload, so it is no method that calls a method
        self._machine = machine
        self._world = machine.world
        self._life = machine.life
        self._price_of = machine.price_of

    # --- time and stories ---------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since the world began."""
        return self._world.time

    def wall_time(self) -> float:
        """What this node's clock shows."""
        return self._machine.wall_time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        _check(self._life)
        promise = self._world.promise()
        self._world.after(seconds, promise.resolve, None)
        await promise

    def spawn(self, story: Coroutine[Any, Any, None]) -> Task:
        """Start a story; the dead start none."""
        if not self._life.alive:
            story.close()
            return _Nothing()
        return self._world.spawn(story, self._life)

    def queue(self, bound: int = 0) -> Queue[Any]:
        """A new queue."""
        return SimQueue(self._world, bound)

    # --- messages -----------------------------------------------------------------------------------

    def tell(self, to: Address, message: Message) -> None:
        """Send without expecting an answer."""
        if self._life.alive:
            self._machine.tell(to, message)

    async def ask(self, to: Address, request: Request[R], *, timeout: float) -> R:
        """Ask and wait for the answer.

        Raises:
            Refused: the other side says it did not do it.
            Unanswered: no answer in time; it may have been done.
        """
        _check(self._life)
        promise = self._world.promise()
        asking = self._machine.ask(to, request, timeout, promise.resolve)
        try:
            outcome = await promise
        except BaseException:
            asking.cancel()
            raise
        if isinstance(outcome, (Refused, Unanswered)):
            raise outcome
        return outcome  # type: ignore[no-any-return]  # the session pairs answers with requests

    def ask_into(self, queue: Queue[Any], key: Any, to: Address, request: Request[Any], *, timeout: float) -> Task:
        """Ask; ``(key, outcome)`` is put into ``queue`` once."""
        if not self._life.alive:
            return _Nothing()

        def done(outcome: Answer | Failure) -> None:
            queue.put_nowait((key, outcome))

        return self._machine.ask(to, request, timeout, done)

    # --- work ---------------------------------------------------------------------------------------

    async def compute(self, function: Callable[..., T], *args: Any) -> T:
        """Run a function once the node's processor, and what it waits for, have had the time that it costs."""
        if not self._life.alive:
            raise Crashed
        price = self._price_of(function)
        if price is not FREE:
            promise = self._world.promise()
            self._machine.work(price.work(args), price.wait, promise.resolve)
            await promise
            _check(self._life)
        result = twin_of(function)(*args) if self._machine.phantoms else function(*args)
        if self._world.stalled:
            stalled, self._world.stalled = self._world.stalled, 0.0
            await self._until(self._world.time + stalled)
        return result

    async def _until(self, when: float) -> None:
        promise = self._world.promise()
        self._world.at(when, promise.resolve, None)
        await promise
        _check(self._life)

    # --- the grid -----------------------------------------------------------------------------------

    def meet(self, node: NodeId, exchange_key: bytes) -> None:
        """Remember a node's exchange key."""
        if self._life.alive:
            self._machine.meet(node, exchange_key)

    def announcement(self) -> bytes:
        """This node's signed announcement as of now."""
        return self._machine.announcement()


class SimDurable:
    """Named values on the node's simulated disk, which outlives its incarnations."""

    def __init__(self, machine: Machine, role: str) -> None:
        self._machine = machine
        self._role = role

    async def get(self, name: str) -> bytes | None:
        """The value last put, or None."""
        _check(self._machine.life)
        return self._machine.state.get(f"{self._role}/{name}")

    async def put(self, name: str, value: bytes) -> None:
        """Replace the value. A crash before the disk is done leaves the old one."""
        _check(self._machine.life)
        world = self._machine.world
        promise = world.promise()
        world.after(STATE_WRITE_SECONDS, promise.resolve, None)
        await promise
        _check(self._machine.life)
        self._machine.state[f"{self._role}/{name}"] = bytes(value)


class _Nothing:
    """A task of the dead: nothing is under way."""

    def cancel(self) -> None:
        """Nothing to stop."""


def _check(life: Life) -> None:
    if not life.alive:
        raise Crashed
