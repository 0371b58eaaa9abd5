"""A simulated node: a machine that can crash, and its incarnations one after the other.

::

    Node          what outlives a crash: identity, disk, clock, and the recipe for its actors
    Incarnation   one run of it: the fence, the session endpoint, the actors; what a crash takes away

An incarnation is to the session endpoint what the MQTT client is on the grid (its ``Host``), and to the
actors' Context what lies below it (``sim.context.Machine``).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, TypeVar

import msgspec

import tahoe
from tahoe.actors.membership import Membership
from tahoe.actors.storage import StorageServer
from tahoe.context import Actor, Task
from tahoe.errors import Refused, TahoeError, Unanswered
from tahoe.protocol import (
    MEMBER,
    PROTOCOL_VERSIONS,
    STORAGE,
    Address,
    Announcement,
    Message,
    NodeId,
    Request,
    Role,
    Space,
)
from tahoe.session.endpoint import Endpoint
from tahoe.session.identity import Identity
from tahoe.session.settings import GridAccess, Settings
from tahoe.session.statement import sign_announcement
from tahoe.sim.context import SimContext
from tahoe.sim.labour import Clerk
from tahoe.sim.lies import Liar
from tahoe.sim.local import LocalAsk, Reply
from tahoe.sim.network import Network, Receiver
from tahoe.sim.prices import price_of
from tahoe.sim.story import Life, Promise, Story
from tahoe.sim.world import World

T = TypeVar("T")

Contexts = Callable[[Role], SimContext]
"""Gives the actor of each role its Context."""

Recipe = Callable[[Contexts], Sequence[Actor]]
"""Makes a node's actors anew for each incarnation; they are started in this order."""

EPOCH = 1_800_000_000.0
"""The wall time at which every world begins."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a node is, in all its incarnations.

    Args:
        nickname: what people and faults call it.
        identity: its keys.
        access: the grid it belongs to.
        settings: of its sessions.
        location: ``site/rack/host``, its failure domain.
    """

    nickname: str
    identity: Identity
    access: GridAccess
    settings: Settings
    location: str = ""


class Node:
    """A machine in the world.

    Args:
        world: in which it stands.
        network: to which it is connected.
        profile: who it is.
        recipe: makes its actors anew for each incarnation.
        phantoms: its actors compute with the twins of ``sim.twins``.

    Attributes:
        state: the durable values of its actors.
        liar: bends what its actors say, if it is dishonest (``sim/lies.py``).
        notice: from when on its server, which is about to leave, copies what it has by itself, in seconds since the epoch;
            None: it is going to stay.
        incarnation: its present run, or None while it is down.
    """

    def __init__(self, world: World, network: Network, profile: Profile, recipe: Recipe, *, phantoms: bool) -> None:
        self.world = world
        self.network = network
        self.profile = profile
        self.recipe = recipe
        self.phantoms = phantoms
        self.name = profile.identity.node
        self.state: dict[str, bytes] = {}
        self.liar: Liar | None = None
        self.notice: float | None = None
        self.incarnation: Incarnation | None = None
        self.boots = 0
        self.epoch = 0
        self.clock = Clock(0.0, EPOCH, 1.0)

    @property
    def running(self) -> Incarnation:
        """The present incarnation of a node that is certainly up."""
        assert self.incarnation is not None, f"{self.profile.nickname} is down"
        return self.incarnation

    def boot(self) -> None:
        """Begin an incarnation. Its boot number is greater than any before, whatever the clock shows."""
        assert self.incarnation is None, f"{self.profile.nickname} runs already"
        self.boots += 1
        self.epoch = max(self.epoch + 1, int(self.wall_time()))
        self.incarnation = Incarnation(self)

    def crash(self) -> None:
        """End the incarnation, in the middle of whatever it does."""
        incarnation, self.incarnation = self.incarnation, None
        if incarnation is not None:
            incarnation.plug.pull()
            self.world.end(incarnation.life)

    def wall_time(self) -> float:
        """What its clock shows."""
        return self.clock.read(self.world.time)

    def set_clock(self, offset: float, rate: float) -> None:
        """Let the clock jump, and from now on gain ``rate`` seconds a second."""
        now = self.world.time
        self.clock = Clock(now, self.clock.read(now) + offset, 1.0 + rate)

    def actor(self, role: Role) -> Any:
        """The actor of a role in the present incarnation."""
        return self.running.actors[role]

    def observe(self, story: Coroutine[Any, Any, T]) -> Promise[T]:
        """Run a story as one of this node's own; the promise breaks with ``Crashed`` when the node does."""
        return self.world.observe(story, self.running.life)


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock that showed ``shown`` at ``since`` and has gone at ``rate`` seconds a second from then on."""

    since: float
    shown: float
    rate: float

    def read(self, now: float) -> float:
        """What it shows."""
        return self.shown + (now - self.since) * self.rate


class Incarnation:
    """One run of a node between boot and crash. Implements ``session.Host`` and ``sim.context.Machine``."""

    def __init__(self, node: Node) -> None:
        world, profile = node.world, node.profile
        self.node = node
        self.name: NodeId = node.name
        self.world = world
        self.state = node.state
        self.phantoms = node.phantoms
        self.life = world.life()
        self.wall_time = node.wall_time
        self.presence = node.network.online
        self._contacts: dict[NodeId, bytes] = {}
        self._wake = inf
        self._busy_until = 0.0
        self._sequence = 0
        self._announced: tuple[Announcement, bytes] | None = None
        self._early: list[Handling] | None = []
        self.plug = node.network.attach(self.name, self)
        workplace = node.network.workplace
        self.price_of = price_of if workplace is None else workplace.labour.price_of
        self.transmit = self.plug.transmit
        self._clerk: Clerk | None = None
        if workplace is not None:
            kind = profile.nickname.split("-", maxsplit=1)[0]
            self._clerk = Clerk(workplace, kind, self.plug.transmit, self._handled)
            self.transmit = self._clerk.transmit
        random = world.random(f"{profile.nickname}/{node.boots}")
        self.endpoint = Endpoint(profile.identity, profile.access, self, profile.settings, random)
        self.random = random
        self.actors: dict[Role, Actor] = {actor.role: actor for actor in node.recipe(self.context)}
        self.endpoint.announcement = self.announcement()
        self._door: Receiver = self.endpoint if self._clerk is None else self
        self.plug.redirect(self._door)
        world.spawn(self._start(), self.life)

    def context(self, role: Role) -> SimContext:
        """The Context of an actor: all share the node's randomness, each has durable values of its own."""
        return SimContext(self, self.random, role)

    async def _start(self) -> None:
        for actor in self.actors.values():
            await actor.start()
        early, self._early = self._early, None
        self.world.ready.extend(early or ())

    # --- standing still -------------------------------------------------------------------------

    def pause(self) -> None:
        """Stand still, as a process does that was sent SIGSTOP; what comes in waits."""
        self.life.pause()
        self.plug.redirect(self)

    def resume(self) -> None:
        """Take up what has become due meanwhile."""
        self.plug.redirect(self._door)
        self.life.resume()

    def receive(self, now: float, sender: NodeId, channel: str, packet: Any) -> None:
        """A packet has come while we stand still, or that somebody has to handle first."""
        if self._clerk is not None and self.life.running:
            self._clerk.receive(sender, channel, packet)
        else:
            self.life.park(Later(self._receive_late, sender, channel, packet))

    def _handled(self, sender: NodeId, channel: str, packet: Any) -> None:
        if self.life.running:
            self.endpoint.receive(self.world.time, sender, channel, packet)
        else:
            self.life.park(Later(self.endpoint.receive, self.world.time, sender, channel, packet))

    def forget(self, now: float, node: NodeId) -> None:
        """A node has gone, maybe while we stand still."""
        if self.life.running:
            self.endpoint.forget(now, node)
        else:
            self.life.park(Later(self._forget_late, node))

    def _receive_late(self, sender: NodeId, channel: str, packet: Any) -> None:
        self._door.receive(self.world.time, sender, channel, packet)

    def _forget_late(self, node: NodeId) -> None:
        self.endpoint.forget(self.world.time, node)

    # --- what the endpoint asks for (session.Host) ---------------------------------------------

    def unsent(self, node: NodeId) -> int:  # all of a node's packets take the one line it has
        """Bytes that wait in this node for its line."""
        return self.node.network.unsent(self.name) + (0 if self._clerk is None else self._clerk.unsent)

    def wake_at(self, when: float) -> None:
        """Poll the endpoint then, unless it is polled before."""
        if when < self._wake:
            self._wake = when
            self.world.at(when, self._poll, when)

    def _poll(self, when: float) -> None:
        if not self.life.running:
            self.life.park(Later(self._poll, when))
        elif when == self._wake:
            self._wake = inf
            self.endpoint.poll(self.world.time)

    def exchange_key(self, node: NodeId) -> bytes | None:
        """A node's X25519 key, if it was ever heard of."""
        return self._contacts.get(node)

    def introduced(self, announcement: bytes) -> None:
        """A valid announcement came with a handshake."""
        member = self.actors.get(MEMBER)
        if isinstance(member, Membership):
            self.world.spawn(member.introduced(announcement), self.life)

    def deliver(self, sender: NodeId, role: Role, message: Message, reply: Reply | None) -> None:
        """Start the handler of a message; it takes its first step when what runs now has come to rest."""
        actor = self.actors.get(role)
        if actor is None:
            if reply is not None:
                reply.refuse(Refused("no-such-role", f"this node is no {role}"))
            return
        if self.world.trace is not None:
            nickname = self.node.profile.nickname
            self.world.trace.record("deliver", self.world.trace.name(sender), ">", nickname, type(message).__name__)
        liar = self.node.liar
        coroutine = actor.receive(sender, message) if liar is None else liar.receive(actor, sender, message)
        handling = Handling(coroutine, self.life, reply)
        if self._early is None:
            self.world.ready.append(handling)
        else:
            self._early.append(handling)
            self.life.adopt(handling)

    # --- what the context asks for (sim.context.Machine) -----------------------------------------

    def ask(self, to: Address, request: Request[Any], timeout: float, done: Callable[[Any], None]) -> Task:
        """Send a request to another node, or hand it to an actor of this one."""
        if to.node != self.name:
            return self.endpoint.ask(self.world.time, to, request, timeout, done)
        asking = LocalAsk(done)
        self.world.after(timeout, asking.expire, Unanswered(to.node, timeout))
        self.world.ready.append(Later(self.deliver, self.name, to.role, request, asking))
        return asking

    def tell(self, to: Address, message: Message) -> None:
        """Send a message to another node, or hand it to an actor of this one."""
        if to.node != self.name:
            self.endpoint.tell(self.world.time, to, message)
        else:
            self.world.ready.append(Later(self.deliver, self.name, to.role, message, None))

    def work(self, seconds: float, wait: float, done: Callable[[Any], None]) -> None:
        """Occupy the processor after whatever occupies it now, and let ``wait`` pass beside; then call ``done(None)``."""
        if self._clerk is not None:
            self._clerk.compute(seconds, wait, done)
        else:
            self._busy_until = max(self._busy_until, self.world.time) + seconds
            self.world.at(self._busy_until + wait, done, None)

    def meet(self, node: NodeId, exchange_key: bytes) -> None:
        """Remember a node's exchange key."""
        self._contacts[node] = exchange_key

    def announcement(self) -> bytes:
        """The signed announcement; a new one when the facts have changed."""
        facts = self._facts()
        if self._announced is None or self._announced[0] != facts:
            self._sequence += 1
            numbered = msgspec.structs.replace(facts, sequence=self._sequence)
            self._announced = facts, sign_announcement(self.node.profile.identity, numbered)
            self.endpoint.announcement = self._announced[1]
        return self._announced[1]

    def _facts(self) -> Announcement:
        profile = self.node.profile
        server = self.actors.get(STORAGE)
        space = server.store.space() if isinstance(server, StorageServer) else Space(0, 0, 0)
        return Announcement(
            node=self.name,
            exchange_key=profile.identity.exchange_public,
            roles=tuple(role for role in self.actors if role != MEMBER),
            nickname=profile.nickname,
            location=profile.location,
            capacity=space.capacity,
            available=space.available,
            protocol_versions=PROTOCOL_VERSIONS,
            software=f"tahoe-grid {tahoe.__version__}",
            epoch=self.node.epoch,
            sequence=0,
            leaving=self.node.notice is not None,
        )


class Handling(Story):
    """One message in its handler; the end of it is the reply."""

    __slots__ = ("_reply",)

    def __init__(self, coroutine: Coroutine[Any, Any, Any], life: Life, reply: Reply | None) -> None:
        super().__init__(coroutine, life)
        self._reply = reply
        if reply is not None:
            reply.on_cancel = self.cancel

    def ended(self, value: Any) -> None:
        """Answer."""
        if self._reply is not None:
            self._reply.answer(value)

    def failed(self, error: BaseException) -> None:
        """Refuse; what is no error of the world is a bug, which the asker and the whole run hear of."""
        if self._reply is not None:
            self._reply.refuse(error if isinstance(error, Refused) else Refused(type(error).__name__, str(error)))
        if not isinstance(error, TahoeError):
            super().failed(error)


class Later:
    """A call that waits in a run queue."""

    __slots__ = ("_action", "_arguments")

    def __init__(self, action: Callable[..., None], *arguments: Any) -> None:
        self._action = action
        self._arguments = arguments

    def step(self) -> None:
        """Make the call."""
        self._action(*self._arguments)
