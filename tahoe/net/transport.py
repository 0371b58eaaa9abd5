"""A node's way to everybody else: two connections to one broker of several, kept up for ever.

::

    send ──► control connection ──►┐            ┌──► control ──► receiver.packet_came
             (will, presence)      │   broker   │
    send ──► bulk connection ─────►┘            └──► bulk ─────► receiver.packet_came

Control and bulk have connections of their own because a small packet waits for every byte before it on
the same socket, here and in the broker. Measured through mosquitto beside a stream of 350 kB packets at full
speed (550-650 MB/s either way): a small packet takes 9 ms (95 %: 17) on the same connection with 1 MB
waiting, 25 ms (95 %: 50) with 8 MB waiting, and 1.2 ms (95 %: 5) on one of its own.

QoS 0, clean sessions, nothing retained but presence: whatever is on its way when a connection ends is
lost, and the sessions above send it again. Small packets sent while there is no broker wait a little. Both
connections come and go together; a loss of either is followed by a new attempt at the same broker, then at the next,
with growing pauses that differ from node to node, so that a broker which comes back is not trampled down.

Before a node takes up its work it finds out how large a packet the broker carries, so that no transfer has to.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from tahoe.errors import BadMessage
from tahoe.net import topics
from tahoe.net.admission import BrokerUnavailable
from tahoe.net.card import BrokerEntry
from tahoe.net.connection import Connection, Farewell, Loss, new_client_id
from tahoe.net.logs import NodeLog
from tahoe.net.outbox import Letter, Outbox
from tahoe.net.packets import SMALLEST_LIMIT, PacketLimit
from tahoe.net.probe import Gauge
from tahoe.net.topics import BULK, CHANNELS, CONTROL
from tahoe.protocol import NodeId
from tahoe.session.identity import Identity
from tahoe.session.statement import open_presence, sign_presence

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 30.0
STEADY_SECONDS: Final = 10.0
"""A connection that stood for so long makes the next pause a short one again."""

GAUGE_SECONDS: Final = 2.0
"""How long everything else waits until it is known how large a packet the broker carries; on a slow line work begins."""

CANCEL_SECONDS: Final = 1.0
"""After which a keeper that has not heard that it is over is told again."""

MOST_UNSENT: Final = 64 * 1024 * 1024
"""Bytes that may wait for a connection's socket; packets beyond are dropped, and sent again by sessions."""


class Receiver(Protocol):
    """Who takes what the broker delivers. Called in the event loop; must not raise or block."""

    def packet_came(self, sender: NodeId, channel: str, packet: bytes) -> None:
        """A packet for this node, from whoever the topic names."""

    def presence_came(self, node: NodeId, signed: bytes) -> None:
        """A node's presence changed, or so it is claimed."""

    def connected(self) -> None:
        """The broker can be used."""

    def disconnected(self) -> None:
        """Nothing can be sent or heard."""

    def limit_fell(self, packet_bytes: int) -> None:
        """From now on packets must not be larger than this."""


@dataclass(frozen=True, slots=True)
class Station:
    """Whom a transport speaks for.

    Args:
        grid_id: of the grid.
        node: this node.
        epoch: its boot number.
        online: its signed presence for as long as it is connected.
        offline: its signed presence for when it is not.
    """

    grid_id: str
    node: NodeId
    epoch: int
    online: bytes
    offline: bytes

    @classmethod
    def of(cls, grid_id: str, identity: Identity, epoch: int) -> Station:
        """The station of a node in this incarnation."""
        online, offline = (sign_presence(identity, epoch, online) for online in (True, False))
        return cls(grid_id, identity.node, epoch, online, offline)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a transport may use.

    Args:
        packet_bytes: largest packet.
        keepalive: seconds.
        unsent_bytes: that may wait for each connection's socket.
    """

    packet_bytes: int
    keepalive: float = 30.0
    unsent_bytes: int = MOST_UNSENT


class BrokerState(NamedTuple):
    """How it stands with the broker. ``since`` is wall time; ``problem`` is empty while connected."""

    url: str
    connected: bool
    since: float
    problem: str


class Transport:
    """Keeps a node connected and carries its packets.

    Args:
        station: whom it speaks for.
        brokers: tried in turn, the first one first.
        limits: what it may use.
        receiver: takes what comes.
        log: hears of connections and losses.
    """

    def __init__(
        self, station: Station, brokers: tuple[BrokerEntry, ...], limits: Limits, receiver: Receiver, log: NodeLog
    ) -> None:
        assert brokers, "a grid card names at least one broker"
        self.station = station
        self.dropped: Counter[str] = Counter()
        self.state = BrokerState(brokers[0].url, connected=False, since=time.time(), problem="not tried yet")
        self._brokers = brokers
        self._limits = limits
        self._receiver = receiver
        self._log = log
        self._limit = PacketLimit(limits.packet_bytes)
        self._gauge: Gauge | None = None
        self._connections: dict[str, Connection] = {}
        self._client_ids = {channel: new_client_id() for channel in CHANNELS}
        self._sent_up_to: dict[tuple[NodeId, str], int] = {}
        self._outbox = Outbox()
        self._up = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def packet_bytes(self) -> int:
        """Largest packet that may be sent now."""
        return self._limit.bytes

    def start(self) -> None:
        """Begin to connect, and stay connected until ``stop``."""
        self._keeper = asyncio.create_task(self._keep_connected(), name="transport")

    async def wait_connected(self) -> None:
        """Wait until the broker can be used."""
        await self._up.wait()

    async def stop(self) -> None:
        """Say goodbye and leave."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        if self._connections:
            self._leave_presence(self.station.offline)
        while not keeper.done():
            keeper.cancel()  # Python 3.11 loses one that comes together with what is waited for
            await asyncio.wait((keeper,), timeout=CANCEL_SECONDS)

    # --- packets ------------------------------------------------------------------------------------------

    def send(self, to: NodeId, channel: str, packet: bytes) -> None:
        """Send, or drop where that is impossible now. Never waits. Small packets may go a little later."""
        connection = self._connections.get(channel)
        if connection is None:
            self._keep(to, channel, packet)
        elif len(packet) > self._limit.bytes:
            self.dropped["too-large"] += 1
        elif connection.unsent > self._limits.unsent_bytes:
            self.dropped["congested"] += 1
        else:
            self._note_size(connection, len(packet))
            connection.send(topics.packets(self.station.grid_id, to, channel, self.station.node), packet)
            self._sent_up_to[to, channel] = connection.accepted

    def _keep(self, to: NodeId, channel: str, packet: bytes) -> None:
        if channel == CONTROL and len(packet) <= SMALLEST_LIMIT:
            self.dropped["disconnected"] += self._outbox.put(Letter(time.monotonic(), to, packet))
        else:
            self.dropped["disconnected"] += 1

    def _note_size(self, connection: Connection, size: int) -> None:
        if size > SMALLEST_LIMIT:
            now = time.monotonic()
            if not connection.unsent:
                self._limit.prove(now)
            self._limit.sent(now, size)

    def unsent(self) -> int:
        """Bytes that wait for a socket."""
        return sum(connection.unsent for connection in self._connections.values())

    def unsent_for(self, node: NodeId) -> int:
        """Bytes up to the last one for a node that are still on this machine, in the system's buffers included."""
        waiting = 0
        for channel, connection in self._connections.items():
            up_to = self._sent_up_to.get((node, channel), 0)
            if up_to:
                waiting += max(0, up_to - connection.gone())
        return waiting

    def _came(self, topic: str, payload: bytes) -> None:
        match topics.parse(topic):
            case topics.Arrival(channel, sender):
                if sender != self.station.node or not self._gauge or not self._gauge.took(payload):
                    self._receiver.packet_came(sender, channel, payload)
            case None:
                self.dropped["unknown-topic"] += 1
            case node if node == self.station.node:
                self._own_presence_came(payload)
            case node:
                self._receiver.presence_came(node, payload)

    # --- presence -----------------------------------------------------------------------------------------

    def _leave_presence(self, signed: bytes) -> None:
        topic = topics.presence(self.station.grid_id, self.station.node)
        self._connections[CONTROL].send(topic, signed, retain=True)

    def _own_presence_came(self, signed: bytes) -> None:
        """A late will of an earlier connection, or a stranger's word, must not stay the last one; our goodbye must."""
        if signed == self.station.online or not self._connections or self._keeper is None:
            return
        try:
            epoch, _ = open_presence(self.station.node, signed)
        except BadMessage:
            epoch = 0
        if epoch > self.station.epoch:
            self._log.error("another process runs with the key of this node; stop one of them")
        else:
            self._leave_presence(self.station.online)

    # --- staying connected --------------------------------------------------------------------------------

    async def _keep_connected(self) -> None:
        pauses = Pauses()
        turn = 0
        while True:
            self._check_wanted()
            broker = self._brokers[turn % len(self._brokers)]
            try:
                since = await self._stay_with(broker)
            except BrokerUnavailable as error:
                turn += 1
                self._note(broker, connected=False, problem=str(error))
            else:
                if time.monotonic() - since > STEADY_SECONDS:
                    pauses = Pauses()
            await asyncio.sleep(pauses.next())

    def _check_wanted(self) -> None:
        """End if told to: ``asyncio.wait_for``, which aiomqtt uses, may swallow a cancellation (before Python 3.12).

        It does when what it waits for comes at the same moment; and who went on would keep the node from stopping.
        """
        if self._keeper is None:
            raise asyncio.CancelledError

    async def _stay_with(self, broker: BrokerEntry) -> float:
        """Connect, and stay until the connection is lost. Returns when it was made (monotonic)."""
        keepalive = self._limits.keepalive
        connections = {
            CONTROL: Connection(broker, self._came, keepalive, self._client_ids[CONTROL], self._farewell()),
            BULK: Connection(broker, self._came, keepalive, self._client_ids[BULK]),
        }
        try:
            for channel in CHANNELS:
                await self._join(connections[channel], channel)
                self._check_wanted()
            since = time.monotonic()
            loss = asyncio.create_task(_first_loss(connections))
            await self._measure(connections[BULK], loss)
            if not loss.done():
                self._joined(broker, connections)
            self._lost(broker, await loss)
            return since
        finally:
            self._connections = {}
            self._gauge = None
            self._up.clear()
            for connection in connections.values():
                await connection.close()

    def _farewell(self) -> Farewell:
        return Farewell(topics.presence(self.station.grid_id, self.station.node), self.station.offline)

    async def _join(self, connection: Connection, channel: str) -> None:
        await connection.connect()
        filters = [topics.packets_for(self.station.grid_id, self.station.node, channel)]
        if channel == CONTROL:
            filters.append(topics.presence_of_all(self.station.grid_id))
        await connection.subscribe(filters)

    async def _measure(self, bulk: Connection, loss: asyncio.Task[Loss]) -> None:
        """Find out how large a packet may be; for a while, or until the connection is lost."""
        self._limit.doubt()
        if bulk.packet_limit is not None and self._limit.told(bulk.packet_limit):
            self._tell_limit()
        node = self.station.node
        topic = topics.packets(self.station.grid_id, node, BULK, node)
        self._gauge = Gauge(self._limit, lambda packet: bulk.send(topic, packet), self._tell_limit)
        self._gauge.ask()
        done = asyncio.create_task(self._gauge.done.wait())
        try:
            await asyncio.wait((done, loss), timeout=GAUGE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            done.cancel()

    def _joined(self, broker: BrokerEntry, connections: dict[str, Connection]) -> None:
        self._connections = connections
        self._sent_up_to.clear()
        self._leave_presence(self.station.online)
        self._note(broker, connected=True, problem="")
        self._up.set()
        for letter in self._outbox.take(time.monotonic()):
            self.send(letter.to, CONTROL, letter.packet)
        self._receiver.connected()

    def _lost(self, broker: BrokerEntry, loss: Loss) -> None:
        was_up = self._up.is_set()
        if not self.unsent():
            self._limit.prove(time.monotonic())
        self._connections = {}
        self._note(broker, connected=False, problem=f"{broker.url}: connection lost ({loss.reason})")
        if self._limit.lost(too_large=loss.too_large):
            self._tell_limit()
        if was_up:
            self._receiver.disconnected()

    def _tell_limit(self) -> None:
        self._log.warning(
            "the broker refuses large packets; sending smaller ones. Set message_size in [network] to start with those",
            message_size=self._limit.bytes,
        )
        self._receiver.limit_fell(self._limit.bytes)

    def _note(self, broker: BrokerEntry, *, connected: bool, problem: str) -> None:
        before, self.state = self.state, BrokerState(broker.url, connected, time.time(), problem)
        if connected:
            self._log.info("connected", broker=broker.url)
        elif before.connected or before.problem != problem:
            self._log.warning("no broker", problem=problem)


async def _first_loss(connections: dict[str, Connection]) -> Loss:
    watches = [asyncio.create_task(connection.lost()) for connection in connections.values()]
    try:
        done, _ = await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for watch in watches:
            watch.cancel()


class Pauses:
    """Growing pauses between attempts, each cut by a random part."""

    def __init__(self) -> None:
        self._next = FIRST_PAUSE

    def next(self) -> float:
        """Seconds to wait before the next attempt."""
        pause = self._next
        self._next = min(2 * pause, LONGEST_PAUSE)
        return pause * random.uniform(0.5, 1.0)
