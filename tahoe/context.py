"""What an actor may do: the Context, and the few tools written once on top of it.

An actor never touches a clock, a socket, a thread or a disk. It is handed a ``Context``, and there are
two of those: ``net/context.py`` on asyncio and MQTT, ``sim/context.py`` on simpy. An actor can't tell
which one it lives in::

        actors (stories, handlers)
      ───────────────────────────────  Context
        net: asyncio, threads,           sim: simpy, seeded,
        MQTT, wall clock                 faults and fences

Stories are straight-line ``async def``; handlers are short methods marked with ``@handles(Request)``.
The only things a story may await are a Context's methods and what they return.

Peers fail, so in a gathering (``AskEach``) their failures are values; a lone ``ask`` raises the same
objects. ``Refused``: the server says it did not do it. ``Unanswered``: it may have.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from random import Random
from types import TracebackType
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, Self, TypeAlias, TypeVar

from tahoe.errors import Refused, TahoeError, Unanswered
from tahoe.protocol import Address, Answer, Message, NodeId, Request, Role

T = TypeVar("T")
R = TypeVar("R", bound=Answer)
K = TypeVar("K")
A = TypeVar("A", bound="Actor")

Failure: TypeAlias = Refused | Unanswered


class TimedOut(TahoeError):
    """Nothing was put into the queue in time."""


class Task(Protocol):
    """Something under way that can be stopped."""

    def cancel(self) -> None:
        """Stop it where it waits. Idempotent; what has ended stays ended."""


class Queue(Protocol[T]):
    """First in, first out, between stories of one node; bounded if made so."""

    async def put(self, item: T) -> None:
        """Wait for room, then put."""

    def put_nowait(self, item: T) -> None:
        """Put beyond any bound: for outcomes whose number the asker already bounds."""

    async def get(self, timeout: float | None = None) -> T:
        """Wait for an item.

        Raises:
            TimedOut: nothing came within ``timeout`` seconds.
        """

    def __len__(self) -> int: ...


class Durable(Protocol):
    """Named values (bytes) that survive a restart; durable when ``put`` returns. Names are file names."""

    async def get(self, name: str) -> bytes | None:
        """The value last put, or None."""

    async def put(self, name: str, value: bytes) -> None:
        """Replace the value, whole or not at all."""


class Context(Protocol):
    """Everything an actor may do to the world."""

    name: NodeId
    rng: Random
    state: Durable

    def now(self) -> float:
        """Monotonic seconds: for time-outs and retries."""

    def wall_time(self) -> float:
        """Seconds since the epoch. May jump: only for leases, metadata and people."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    def spawn(self, story: Coroutine[Any, Any, None]) -> Task:
        """Start a story of its own. A failure in it that nobody waits for is loud."""

    def queue(self, bound: int = 0) -> Queue[Any]:
        """A new queue; ``put`` waits while it holds ``bound`` items (0: no bound)."""

    def tell(self, to: Address, message: Message) -> None:
        """Send without expecting an answer. Best effort."""

    async def ask(self, to: Address, request: Request[R], *, timeout: float) -> R:
        """Ask and wait for the answer.

        Raises:
            Refused: the other side says it did not do it.
            Unanswered: no answer within ``timeout`` seconds; it may have been done.
        """

    def ask_into(self, queue: Queue[Any], key: Any, to: Address, request: Request[Any], *, timeout: float) -> Task:
        """Ask without waiting: ``(key, answer | Refused | Unanswered)`` is put into ``queue`` once.

        Cancelling the returned task drops the answer and tells the other side to stop working on it.
        """

    async def compute(self, function: Callable[..., T], *args: Any) -> T:
        """Run a pure or blocking function: in a thread on the grid, as a priced step in the simulator.

        Pass module-level functions or bound methods, never lambdas: the simulator looks up prices and
        phantom twins by them.
        """

    def meet(self, node: NodeId, exchange_key: bytes) -> None:
        """Remember a node's X25519 key (from a verified announcement), so that it can be asked things."""

    def presence(self, node: NodeId) -> bool | None:
        """Whether a node is connected, as far as the network tells; None: not known."""

    def announcement(self) -> bytes:
        """This node's own signed announcement as of now."""


# --- asking many -----------------------------------------------------------------------------------------


class Errand(NamedTuple, Generic[K, R]):
    """One ask of many.

    ``key`` is what the caller cares about (a share number, say), not the server: keyed by server, a
    share would be lost as soon as one server holds two.
    """

    key: K
    to: Address
    request: Request[R]


class AskEach(Generic[K, R]):
    """Ask many at once and take the outcomes as they come; leaving early cancels what is still out.

    ::

        async with AskEach(ctx, errands, timeout=15) as outcomes:
            async for key, outcome in outcomes:
                match outcome:
                    case Refused() | Unanswered(): ...
                    case answer: ...

    More errands may be added on the way (a hedge, a retry on another server). It is a class and not an
    async generator because generators are finalised by the garbage collector, whenever that is.
    """

    def __init__(self, ctx: Context, errands: Iterable[Errand[K, R]] = (), *, timeout: float) -> None:
        self._ctx = ctx
        self._timeout = timeout
        self._outcomes: Queue[tuple[int, R | Failure]] = ctx.queue()
        self._open: dict[int, tuple[K, Task]] = {}
        self._count = 0
        self._first = tuple(errands)

    async def __aenter__(self) -> Self:
        for errand in self._first:
            self.add(errand)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, task in self._open.values():
            task.cancel()
        self._open.clear()

    def add(self, errand: Errand[K, R], *, timeout: float | None = None) -> None:
        """Ask one more."""
        self._count += 1
        ticket = self._count
        patience = self._timeout if timeout is None else timeout
        task = self._ctx.ask_into(self._outcomes, ticket, errand.to, errand.request, timeout=patience)
        self._open[ticket] = (errand.key, task)

    def cancel(self, key: K) -> None:
        """Forget all open errands with this key."""
        for ticket in [ticket for ticket, (other, _) in self._open.items() if other == key]:
            self._open.pop(ticket)[1].cancel()

    def __len__(self) -> int:
        """How many are still out."""
        return len(self._open)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[K, R | Failure]:
        outcome = await self.next()
        if outcome is None:
            raise StopAsyncIteration
        return outcome

    async def next(self, timeout: float | None = None) -> tuple[K, R | Failure] | None:
        """The next outcome, or None when nothing is out any more.

        Raises:
            TimedOut: things are out, but nothing came within ``timeout`` seconds (time to hedge).
        """
        while self._open:
            ticket, outcome = await self._outcomes.get(timeout)
            if ticket in self._open:
                key, _ = self._open.pop(ticket)
                return key, outcome
        return None


# --- actors ----------------------------------------------------------------------------------------------

Handler: TypeAlias = Callable[[Any, NodeId, Any], Awaitable[Answer | None]]


def handles(kind: type[Message]) -> Callable[[Handler], Handler]:
    """Mark a method ``async def (self, sender, message)`` as the handler of one message type."""

    def mark(function: Handler) -> Handler:
        function.handles_message = kind  # type: ignore[attr-defined]  # read back by Actor.__init_subclass__
        return function

    return mark


class Actor:
    """One role in a node: handlers for messages, and stories it starts by itself.

    Subclasses set ``role``, mark handlers with ``@handles`` and may override ``start`` (spawn what runs
    for ever, load durable state; awaited before the first message is delivered).
    """

    role: ClassVar[Role]
    _handlers: ClassVar[dict[type[Message], Handler]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._handlers = dict(cls._handlers)
        for function in vars(cls).values():
            kind = getattr(function, "handles_message", None)
            if kind is not None:
                cls._handlers[kind] = function

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    async def start(self) -> None:
        """Called once per incarnation, before any message is delivered."""

    async def receive(self, sender: NodeId, message: Message) -> Answer | None:
        """Run the handler of one message.

        Returns:
            The answer of a request; None for a message that was told.

        Raises:
            Refused: the request was not executed. World errors of a handler become refusals named after them.
        """
        handler = self._handlers.get(type(message))
        if handler is None:
            raise Refused("unknown-message", f"a {self.role} does not understand {type(message).__name__}")
        try:
            return await handler(self, sender, message)
        except (Refused, Unanswered):
            raise
        except TahoeError as error:
            raise Refused(type(error).__name__, str(error)) from error


def expect(outcome: R | Failure) -> R:
    """The answer in an outcome; raises it where it is a failure."""
    if isinstance(outcome, (Refused, Unanswered)):
        raise outcome
    return outcome
