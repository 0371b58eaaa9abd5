"""The Context of the grid: asyncio, threads, files and the real clock; its twin is ``sim/context.py``."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from tahoe.context import Durable, Failure, Queue, Task
from tahoe.errors import Refused, Unanswered
from tahoe.net import watching
from tahoe.net.queue import AsyncioQueue
from tahoe.net.work import Workshop
from tahoe.protocol import Address, Answer, Message, NodeId, Request

T = TypeVar("T")
R = TypeVar("R", bound=Answer)

Outcome = Answer | Refused | Unanswered


class Machine(Protocol):
    """What a context needs of its node."""

    name: NodeId
    workshop: Workshop

    def ask(self, to: Address, request: Request[Any], timeout: float, done: Callable[[Any], None]) -> Task:
        """Ask; ``done`` is called once with the outcome, later, unless the ask is cancelled."""

    def tell(self, to: Address, message: Message) -> None:
        """Send a message."""

    def spawn(self, story: Coroutine[Any, Any, None]) -> Task:
        """Start a story."""

    def meet(self, node: NodeId, exchange_key: bytes) -> None:
        """Remember how to reach a node."""

    def presence(self, node: NodeId) -> bool | None:
        """Whether a node is connected."""

    def announcement(self) -> bytes:
        """What this node says of itself now."""


class AsyncioContext:
    """Implements ``Context`` for one actor.

    Args:
        machine: its node.
        state: its own durable values.
    """

    def __init__(self, machine: Machine, state: Durable) -> None:
        self.name = machine.name
        self.rng: random.Random = random.SystemRandom()
        self.state: Durable = state
        self._machine = machine
        self._loop = asyncio.get_running_loop()

    # --- time and stories ---------------------------------------------------------------------------

    def now(self) -> float:
        """Monotonic seconds."""
        return self._loop.time()

    def wall_time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def spawn(self, story: Coroutine[Any, Any, None]) -> Task:
        """Start a story of its own; the node logs its failure loudly."""
        return self._machine.spawn(story)

    def queue(self, bound: int = 0) -> Queue[Any]:
        """A new queue."""
        return AsyncioQueue(bound)

    # --- messages -----------------------------------------------------------------------------------

    def tell(self, to: Address, message: Message) -> None:
        """Send without expecting an answer."""
        self._machine.tell(to, message)

    async def ask(self, to: Address, request: Request[R], *, timeout: float) -> R:
        """Ask and wait for the answer.

        Raises:
            Refused: the other side says it did not do it.
            Unanswered: no answer in time; it may have been done.
        """
        answer: asyncio.Future[Outcome] = self._loop.create_future()

        def done(outcome: Outcome) -> None:
            if not answer.done():
                answer.set_result(outcome)

        asking = watching.ask(self._machine, to, request, timeout, done)
        try:
            outcome = await answer
        except asyncio.CancelledError:
            asking.cancel()
            raise
        if isinstance(outcome, (Refused, Unanswered)):
            raise outcome
        return outcome  # type: ignore[return-value]  # the session pairs answers with requests

    def ask_into(self, queue: Queue[Any], key: Any, to: Address, request: Request[Any], *, timeout: float) -> Task:
        """Ask; ``(key, outcome)`` is put into ``queue`` once."""

        def done(outcome: Answer | Failure) -> None:
            queue.put_nowait((key, outcome))

        return watching.ask(self._machine, to, request, timeout, done)

    # --- work and the grid --------------------------------------------------------------------------

    async def compute(self, function: Callable[..., T], *args: Any) -> T:
        """Run a function: little pure ones at once, others in a thread."""
        return await self._machine.workshop.run(function, *args)

    def meet(self, node: NodeId, exchange_key: bytes) -> None:
        """Remember a node's exchange key."""
        self._machine.meet(node, exchange_key)

    def presence(self, node: NodeId) -> bool | None:
        """Whether a node is connected, as far as the broker told."""
        return self._machine.presence(node)

    def announcement(self) -> bytes:
        """This node's signed announcement as of now."""
        return self._machine.announcement()
