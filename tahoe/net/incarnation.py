"""One run of a node between start and stop: actors, session machine and transport, and what flows between.

::

      actors ── ask, tell ──►  Endpoint  ── transmit ──►  Transport ──► broker
        ▲      (AsyncioContext)   │  ▲                        │
        └──────── deliver ────────┘  └──── packet_came ───────┘

The endpoint is a machine without input or output of its own: it is told what came and what time it is,
and says what to send and when to wake it. This module does its bidding in the event loop. The twin is
``sim/node.py``.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from tahoe.actors.membership import Membership
from tahoe.actors.roots import PRIVATE_STATE, STATE_NAME
from tahoe.context import Actor, Task
from tahoe.errors import TahoeError
from tahoe.net.config import NodeConfig
from tahoe.net.context import AsyncioContext
from tahoe.net.crew import Papers, Recipe
from tahoe.net.dispatch import Delivery, Dispatch, Replying
from tahoe.net.herald import Herald, Profile
from tahoe.net.inward import InwardAsk
from tahoe.net.learned import LearnedLimit
from tahoe.net.logs import NodeLog
from tahoe.net.presence import Presences
from tahoe.net.state import DirectoryState
from tahoe.net.story import Stories
from tahoe.net.transport import Limits, Station, Transport
from tahoe.net.work import Workshop
from tahoe.protocol import CLIENT, MEMBER, ROLES, Address, Message, NodeId, Request, Role, Space
from tahoe.session.endpoint import Endpoint
from tahoe.session.settings import GridAccess, Settings
from tahoe.session.statement import open_announcement

SPACE_SECONDS: Final = 30.0
GONE_SECONDS: Final = 1.0
"""A node that changes its connection is offline for a moment; its sessions survive that."""

FAILURES_KEPT: Final = 20


class Incarnation:
    """A running node. Implements what its context, its endpoint and its transport ask of it.

    Args:
        papers: of the node.
        recipe: for its actors.
        log: of the node.
    """

    def __init__(self, papers: Papers, recipe: Recipe, log: NodeLog) -> None:
        identity, card, config = papers.identity, papers.card, papers.config
        self.papers = papers
        self.name = identity.node
        self.log = log
        self.failures: deque[BaseException] = deque(maxlen=FAILURES_KEPT)
        self.workshop = Workshop()
        self._loop = asyncio.get_running_loop()
        self._stories = Stories(self._failed)
        self._contacts = {entry.node: bytes(entry.exchange_key) for entry in card.introducers}
        self._presences = Presences()
        self._timer: asyncio.TimerHandle | None = None
        self._space = Space(0, 0, 0)
        access = GridAccess(card.grid_id, card.join_secret)
        self.endpoint = Endpoint(identity, access, self, _settings(config), random.SystemRandom())
        urls = [broker.url for broker in card.brokers]
        self._learned = LearnedLimit(papers.directory.state / "packet-limit", int(config.network.message_size), urls)
        packet_bytes = self._learned.recall(time.time())
        limits = Limits(packet_bytes, config.network.keepalive)
        station = Station.of(card.grid_id, identity, papers.epoch)
        self.transport = Transport(station, card.brokers, limits, self, log)
        self._crew = recipe(self)
        if packet_bytes < config.network.message_size:
            self._refit(packet_bytes)
        self.actors: dict[Role, Actor] = {actor.role: actor for actor in self._crew.actors}
        self._dispatch = Dispatch(self.actors, self._stories)
        self._herald = Herald(identity, self._profile(), lambda: self._space, papers.directory.leaving.exists)

    def _profile(self) -> Profile:
        node = self.papers.config.node
        return Profile(
            tuple(role for role in self.actors if role in ROLES), node.nickname, node.location, self.papers.epoch
        )

    # --- life -----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the actors. Does not wait for a broker: a node may start before its broker does."""
        if self._crew.space is not None:
            self._space = await self.workshop.run(self._crew.space)
            self.spawn(self._watch_space(self._crew.space))
        self.announcement()
        self.transport.start()
        for actor in self._crew.actors:
            await actor.start()
        self._dispatch.open()

    async def stop(self) -> None:
        """End all stories, leave the broker with a word of goodbye, close what is open."""
        try:
            await self._stories.stop()
            await self.transport.stop()
            if self._timer is not None:
                self._timer.cancel()
            if self._crew.leave is not None:
                await self.workshop.run(self._crew.leave)
        finally:
            self.workshop.close()

    def context(self, role: Role) -> AsyncioContext:
        """A context for the actor of one role, with durable values of its own."""
        directory = self.papers.directory
        apart = {STATE_NAME: directory.roots, PRIVATE_STATE: directory.private_root} if role == CLIENT else {}
        return AsyncioContext(self, DirectoryState(directory.state / role, self.workshop.hands, apart))

    def spawn(self, story: Coroutine[Any, Any, None]) -> Task:
        """Start a story."""
        return self._stories.spawn(story)

    def _failed(self, error: BaseException) -> None:
        """A story died of an error that nobody waits for: a bug, or a fault that its author forgot."""
        self.failures.append(error)
        self.log.failure("a story failed", error)

    # --- what actors ask for ----------------------------------------------------------------------------

    def ask(self, to: Address, request: Request[Any], timeout: float, done: Callable[[Any], None]) -> Task:
        """Ask another node, or an actor of this one."""
        if to.node != self.name:
            return self.endpoint.ask(self._loop.time(), to, request, timeout, done)
        asking = InwardAsk(self.name, timeout, done)
        self._loop.call_soon(self.deliver, self.name, to.role, request, asking)
        return asking

    def tell(self, to: Address, message: Message) -> None:
        """Tell another node, or an actor of this one."""
        if to.node != self.name:
            self.endpoint.tell(self._loop.time(), to, message)
        else:
            self._loop.call_soon(self.deliver, self.name, to.role, message, None)

    def meet(self, node: NodeId, exchange_key: bytes) -> None:
        """Remember how to reach a node."""
        self._contacts[node] = exchange_key

    def presence(self, node: NodeId) -> bool | None:
        """Whether a node is connected."""
        if node == self.name:
            return self.transport.state.connected
        return self._presences.of(node)

    def announcement(self) -> bytes:
        """What this node says of itself now."""
        self.endpoint.announcement = self._herald.announcement()
        return self.endpoint.announcement

    async def _watch_space(self, space: Callable[[], Space]) -> None:
        while True:
            await asyncio.sleep(SPACE_SECONDS)
            try:
                self._space = await self.workshop.run(space)
            except TahoeError as error:
                self.log.warning("the disk does not tell its space", problem=str(error))
            self.announcement()

    # --- what the endpoint asks for (session.endpoint.Host) ------------------------------------------------

    def transmit(self, to: NodeId, channel: str, packet: Any, size: int) -> None:
        """Send a packet."""
        self.transport.send(to, channel, packet)

    def unsent(self, node: NodeId) -> int:
        """Bytes for a node that have not left this machine; what waits there need not be repeated."""
        return self.transport.unsent_for(node)

    def wake_at(self, when: float) -> None:
        """Poll the endpoint at this time; of several wishes the earliest counts."""
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.endpoint.poll(self._loop.time())

    def exchange_key(self, node: NodeId) -> bytes | None:
        """The key for a first handshake."""
        return self._contacts.get(node)

    def introduced(self, announcement: bytes) -> None:
        """A node that shook hands with us showed who it is."""
        said = open_announcement(announcement)
        self._contacts[said.node] = said.exchange_key
        member = self.actors.get(MEMBER)
        if isinstance(member, Membership):
            self.spawn(member.introduced(announcement))

    def deliver(self, sender: NodeId, role: Role, message: Message, reply: Replying | None) -> None:
        """Hand a message to its actor."""
        self._dispatch.deliver(Delivery(sender, role, message, reply))

    # --- what the transport brings (transport.Receiver) ----------------------------------------------------

    def packet_came(self, sender: NodeId, channel: str, packet: bytes) -> None:
        """A packet for the endpoint, which believes nothing of it but what it can check."""
        try:
            self.endpoint.receive(self._loop.time(), sender, channel, packet)
        except Exception as error:  # noqa: BLE001  # a bug must not take the connection with it
            self._failed(error)

    def presence_came(self, node: NodeId, signed: bytes) -> None:
        """Somebody came or went.

        What was under way with an earlier run of a node is over when a later one shows itself, or when the
        node has gone and does not come back at once.
        """
        if node not in self._contacts:
            self._presences.hear(node, signed)
            return
        before = self._presences.epoch(node)
        self._presences.hear(node, signed)
        if 0 < before < self._presences.epoch(node):
            self.endpoint.forget(self._loop.time(), node)
        elif self._presences.of(node) is False:
            self.endpoint.mislaid(node)
            self._loop.call_later(GONE_SECONDS, self._forget_if_gone, node)

    def _forget_if_gone(self, node: NodeId) -> None:
        if self._presences.of(node) is False:
            self.endpoint.forget(self._loop.time(), node)

    def connected(self) -> None:
        """Whatever waits for its turn may go now."""
        self.endpoint.poll(self._loop.time())

    def disconnected(self) -> None:
        """Nothing is known of anybody."""
        self._presences.forget_all()
        self.endpoint.mislaid()

    def limit_fell(self, packet_bytes: int) -> None:
        """The broker refuses packets of the size so far.

        What is begun from now on keeps to smaller ones. What is under way was made for larger ones and would
        never arrive, so it ends now rather than when its time is over.
        """
        self._refit(packet_bytes)
        self.spawn(self._keep_limit(packet_bytes))
        for node in tuple(self._contacts):
            self.endpoint.forget(self._loop.time(), node)

    def _refit(self, packet_bytes: int) -> None:
        if self._crew.refit is not None:
            self._crew.refit(packet_bytes)

    async def _keep_limit(self, packet_bytes: int) -> None:
        try:
            await self.workshop.run(self._learned.keep, packet_bytes, time.time())
        except OSError as error:
            self.log.warning("what was learned of the broker could not be kept", problem=str(error))


def _settings(config: NodeConfig) -> Settings:
    network = config.network
    return Settings(
        message_bytes=network.message_size,
        receive_budget=max(network.receive_memory, 2 * network.message_size),
        upload_rate=network.upload_rate,
        download_rate=network.download_rate,
    )
