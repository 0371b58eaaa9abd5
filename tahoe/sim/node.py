"""A simulated node: a machine that can crash, and its incarnations one after the other.

::

    Node          what outlives a crash: name, disk, clock, and the recipe for its actors
    Incarnation   one run of it: the fence, the actors, the wire; what ``crash`` takes away
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tahoe.context import Actor, Task
from tahoe.errors import Refused, TahoeError, Unanswered
from tahoe.protocol import Address, Answer, Message, NodeId, Request, Role
from tahoe.sim.context import SimContext
from tahoe.sim.story import Cancelled, Life, Promise, Story
from tahoe.sim.world import World

EPOCH = 1_800_000_000.0
"""The wall time at which every world begins."""

Recipe = Callable[[SimContext], Sequence[Actor]]
"""Makes a node's actors anew for each incarnation."""


class Post:
    """Carries messages between nodes after a fixed delay, without sessions or faults."""

    def __init__(self, world: World, delay: float = 0.01) -> None:
        self.world = world
        self.delay = delay
        self.nodes: dict[NodeId, Node] = {}


class Exchange:
    """A request under way without a session: ``Asking`` for who asks, ``Reply`` for who answers."""

    def __init__(self, world: World, delay: float, done: Callable[[Any], None]) -> None:
        self._world = world
        self._delay = delay
        self._done: Callable[[Any], None] | None = done
        self.on_cancel: Callable[[], None] | None = None
        self.cancelled = False

    def answer(self, message: Answer) -> None:
        """The handler returned this."""
        self._world.after(self._delay, self.finish, message)

    def refuse(self, refused: Refused) -> None:
        """The handler refused."""
        self._world.after(self._delay, self.finish, refused)

    def finish(self, outcome: Answer | Refused | Unanswered) -> None:
        """Hand over the first outcome there is."""
        done, self._done = self._done, None
        if done is not None:
            done(outcome)

    def expire(self, unanswered: Unanswered) -> None:
        """The time is over: the asker hears so, and the handler stops."""
        if self._done is not None:
            self.finish(unanswered)
            self._stop()

    def cancel(self) -> None:
        """Drop the outcome and stop the handler."""
        self._done = None
        self._world.after(self._delay, self._stop)

    def _stop(self) -> None:
        self.cancelled = True
        if self.on_cancel is not None:
            self.on_cancel()


class Handling(Story):
    """One message in its handler; the end of it is the reply."""

    __slots__ = ("_reply",)

    def __init__(self, actor: Actor, sender: NodeId, message: Message, reply: Exchange | None, life: Life) -> None:
        super().__init__(actor.receive(sender, message), life)
        self._reply = reply
        if reply is not None:
            reply.on_cancel = self.cancel

    def ended(self, value: Any) -> None:
        """Answer."""
        if self._reply is not None:
            self._reply.answer(value)

    def failed(self, error: BaseException) -> None:
        """Refuse; what is no refusal is a bug, which the asker and the world both hear of."""
        refused = error if isinstance(error, Refused) else Refused(type(error).__name__, str(error))
        if self._reply is not None:
            self._reply.refuse(refused)
        if not isinstance(error, TahoeError):
            self._life.failed(error)

    def cancelled(self, error: Cancelled) -> None:
        """Nobody waits for the answer any more."""


class Incarnation:
    """One run of a node between boot and crash. Implements ``sim.context.Machine``."""

    def __init__(self, node: Node, post: Post) -> None:
        self.node = node
        self.name = node.name
        self.world = node.world
        self.state = node.state
        self.phantoms = False
        self.life = node.world.life()
        self._post = post
        self._busy_until = 0.0
        self._early: list[Handling] | None = []
        self.context = SimContext(self, node.world.random(f"{node.name}/{node.boots}"))
        self.actors: dict[Role, Actor] = {actor.role: actor for actor in node.recipe(self.context)}
        self.world.spawn(self._start(), self.life)

    async def _start(self) -> None:
        for actor in self.actors.values():
            await actor.start()
        early, self._early = self._early, None
        self.world.ready.extend(early or ())

    def deliver(self, sender: NodeId, role: Role, message: Message, reply: Exchange | None) -> None:
        """Start the handler of a message that arrived."""
        if not self.life.alive:
            return
        actor = self.actors.get(role)
        if actor is None:
            if reply is not None:
                reply.refuse(Refused("no-such-role", f"this node is no {role}"))
            return
        handling = Handling(actor, sender, message, reply, self.life)
        if self._early is None:
            self.world.ready.append(handling)
        else:
            self._early.append(handling)

    # --- what the context asks for -------------------------------------------------------------------

    def ask(self, to: Address, request: Request[Any], timeout: float, done: Callable[[Any], None]) -> Task:
        """Send a request."""
        delay = 0.0 if to.node == self.name else self._post.delay
        exchange = Exchange(self.world, delay, done)
        self.world.after(timeout, exchange.expire, Unanswered(to.node, timeout))
        self.world.after(delay, self._arrive, to, request, exchange)
        return exchange

    def tell(self, to: Address, message: Message) -> None:
        """Send a message."""
        self.world.after(0.0 if to.node == self.name else self._post.delay, self._arrive, to, message, None)

    def _arrive(self, to: Address, message: Message, reply: Exchange | None) -> None:
        node = self._post.nodes.get(to.node)
        if node is not None and node.incarnation is not None:
            node.incarnation.deliver(self.name, to.role, message, reply)

    def wall_time(self) -> float:
        """What the node's clock shows."""
        return EPOCH + self.world.now()

    def busy(self, seconds: float) -> float:
        """Occupy the processor after whatever occupies it now."""
        self._busy_until = max(self._busy_until, self.world.now()) + seconds
        return self._busy_until

    def meet(self, node: NodeId, exchange_key: bytes) -> None:
        """Remember a node's exchange key."""
        self.node.contacts[node] = exchange_key

    def presence(self, node: NodeId) -> bool | None:
        """Whether a node is up."""
        other = self._post.nodes.get(node)
        return None if other is None else other.incarnation is not None

    def announcement(self) -> bytes:
        """Nothing to announce without an identity."""
        return b""


class Node:
    """A machine in the world."""

    def __init__(self, world: World, post: Post, name: NodeId, recipe: Recipe) -> None:
        self.world = world
        self.name = name
        self.recipe = recipe
        self.boots = 0
        self.state: dict[str, bytes] = {}
        self.contacts: dict[NodeId, bytes] = {}
        self.incarnation: Incarnation | None = None
        self._post = post
        post.nodes[name] = self

    def boot(self) -> None:
        """Begin an incarnation."""
        assert self.incarnation is None, f"{self.name} runs already"
        self.boots += 1
        self.incarnation = Incarnation(self, self._post)

    def crash(self) -> None:
        """End the incarnation, in the middle of whatever it does."""
        incarnation, self.incarnation = self.incarnation, None
        if incarnation is not None:
            self.world.end(incarnation.life)

    def actor(self, role: Role) -> Any:
        """The actor of a role in the present incarnation."""
        assert self.incarnation is not None, f"{self.name} is down"
        return self.incarnation.actors[role]

    def observe(self, story: Any) -> Promise[Any]:
        """Run a story as one of this node's own; the promise breaks when the node crashes."""
        assert self.incarnation is not None, f"{self.name} is down"
        return self.world.observe(story, self.incarnation.life)
