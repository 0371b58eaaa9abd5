"""One connection to a broker, made by aiomqtt and then driven through the paho client behind it.

aiomqtt knows how to connect, authenticate, speak TLS, subscribe, keep alive and leave. For packets it
costs too much: a task and an event for every message each way, and paho's own way costs half of that. So once
connected, packets go past both by way of a ``Wire``, which shares the socket with paho:

* received: every message goes straight to the node; there is no queue to run through (and none that could grow);
* sent: a packet is in the kernel when ``send`` returns unless earlier ones still wait.

CPU per message in microseconds, measured through mosquitto on two busy cores, publisher and subscriber in processes of
their own:

=============  ================  ================  =====================
payload        aiomqtt alone     paho's callbacks  this module
=============  ================  ================  =====================
500 bytes      101-157, 59-102   14-22, 19         5-8 sending, 5 taking
350 kB         240-270, 200-290  120-145, 140-150  65 sending, 95 taking
=============  ================  ================  =====================

The figures for 350 kB need ``allocator.py``: without it the taker spends six times as much.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import ssl
import struct
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode

from tahoe.net.admission import BrokerUnavailable, explain, tls_context
from tahoe.net.card import BrokerEntry
from tahoe.net.wire import Wire

try:
    import fcntl
    import termios
except ImportError:  # Windows
    fcntl = termios = None  # type: ignore[assignment]  # its absence is checked where it is used

CONNECT_SECONDS: Final = 10.0
LAST_WORDS_SECONDS: Final = 0.2
BYTES_AT_ONCE: Final = 1024 * 1024
SMALL_PACKET_COST: Final = 16 * 1024
"""What a packet costs beside its content, in bytes of content."""

_NO_DELAY: Final = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
_PACKET_TOO_LARGE: Final = 149
_PROTOCOLS: Final = {"3.1.1": aiomqtt.ProtocolVersion.V311, "5": aiomqtt.ProtocolVersion.V5}


def new_client_id() -> str:
    """A random client id, in the length and letters that every broker takes."""
    return f"tahoe{secrets.token_hex(8)}"


Received = Callable[[str, bytes], None]
"""Takes a message's topic and payload. Must not raise."""


class Farewell(NamedTuple):
    """What the broker publishes, retained, when the connection dies."""

    topic: str
    payload: bytes


class Loss(NamedTuple):
    """Why a connection ended. ``too_large``: the broker said that a packet was."""

    reason: str
    too_large: bool = False


class Connection:
    """One MQTT connection, from ``connect`` to its loss.

    Attributes:
        accepted: bytes of packets that ``send`` has taken.
        packet_limit: largest packet in bytes, where the broker has told.

    Args:
        broker: where to.
        received: takes messages.
        keepalive: seconds.
        client_id: nobody else may know it, because whoever connects with it takes our place; the same one
            for all connections of one run, so that a new connection ends one that the broker thinks alive.
        farewell: published by the broker when the connection dies.
    """

    def __init__(
        self,
        broker: BrokerEntry,
        received: Received,
        keepalive: float,
        client_id: str,
        farewell: Farewell | None = None,
    ) -> None:
        self.broker = broker
        self._client_id = client_id
        self.accepted = 0
        self.packet_limit: int | None = None
        self._received = received
        self._keepalive = keepalive
        self._farewell = farewell
        self._client: aiomqtt.Client
        self._paho: paho.Client
        self._wire: Wire
        self._ending: asyncio.Task[Loss]
        self._connected = False
        self._socket: Any = None
        self._loop = asyncio.get_running_loop()
        self._paho_waits = False
        self._is_writer = False
        self._too_large = False
        self._hung_up: asyncio.Future[None] = self._loop.create_future()

    # --- coming and going -------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect and authenticate.

        Raises:
            BrokerUnavailable: says why.
        """
        broker = self.broker
        tls = await asyncio.to_thread(tls_context, broker) if broker.secure else None
        self._client = aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.user or None,
            password=broker.password or None,
            identifier=self._client_id,
            protocol=_PROTOCOLS[broker.mqtt],
            will=self._will(),
            clean_session=None if broker.mqtt == "5" else True,
            timeout=CONNECT_SECONDS,
            keepalive=round(self._keepalive),
            tls_context=tls,
            socket_options=_NO_DELAY,
        )
        self._paho = self._client._client  # noqa: SLF001  # aiomqtt offers no other way to the client it drives
        self._watch()
        try:
            await self._enter()
        except aiomqtt.MqttError as error:
            raise BrokerUnavailable(explain(broker, error)) from error
        self._ending = asyncio.create_task(self._end())
        if self._paho.socket() is None:
            await self._leave()
            raise BrokerUnavailable(f"{broker.url}: the broker let us in and hung up")
        self._connected = True
        self._take_socket_over()

    async def _enter(self) -> None:
        """Connect, or leave nothing open."""
        entering = asyncio.ensure_future(self._client.__aenter__())
        try:
            await self._until_answered(entering)
        except BaseException:
            entering.cancel()
            self._abandon()
            raise

    async def _until_answered(self, entering: asyncio.Future[Any]) -> None:
        """Wait for the broker's answer; one that hangs up instead is not waited for."""
        await asyncio.wait((entering, self._hung_up), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((entering,), timeout=LAST_WORDS_SECONDS)  # a refusal may have come just before
        if not entering.done():
            raise aiomqtt.MqttError("the broker hung up; does it want TLS, or a certificate of ours?")
        entering.result()

    def _abandon(self) -> None:
        """Hang up on a broker that keeps silent, and on one that a thread is still dialling."""
        client = self._paho
        client.on_socket_open = lambda _client, _data, connected: connected.close()
        client.on_socket_register_write = _ignore
        client.on_socket_unregister_write = _ignore
        connected = client.socket()
        if connected is not None:
            self._loop.remove_writer(connected)
        client.disconnect()
        client.loop_write()

    async def subscribe(self, filters: Iterable[str]) -> None:
        """Subscribe; the broker has confirmed when this returns.

        Raises:
            BrokerUnavailable: it has not.
        """
        try:
            await self._client.subscribe([(topic, 0) for topic in filters])
        except aiomqtt.MqttError as error:
            raise BrokerUnavailable(f"{self.broker.url}: subscribing failed: {error}") from error

    async def lost(self) -> Loss:
        """Wait until the connection has ended, and tell why."""
        return await asyncio.shield(self._ending)

    async def _end(self) -> Loss:
        """Ask aiomqtt for the reason, for whoever wants to know: asyncio complains if nobody ever asks."""
        try:
            await anext(self._client.messages)  # none ever comes this way; it ends when the connection does
        except aiomqtt.MqttError as error:
            return Loss(str(error.__cause__ or error), self._too_large)
        raise AssertionError("a message took the slow way")

    async def close(self) -> None:
        """Leave. Never raises, whatever state the connection is in."""
        if not self._connected:
            return
        self._connected = False
        self._wire.forget_unsent()
        await self._leave()

    async def _leave(self) -> None:
        with contextlib.suppress(aiomqtt.MqttError):
            await self._client.__aexit__(None, None, None)
        await self.lost()

    def _will(self) -> aiomqtt.Will | None:
        if self._farewell is None:
            return None
        return aiomqtt.Will(self._farewell.topic, self._farewell.payload, qos=0, retain=True)

    # --- sending ------------------------------------------------------------------------------------------

    @property
    def unsent(self) -> int:
        """How many of the accepted bytes wait for the socket."""
        return self._wire.unsent if self._connected else 0

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send now, or after what still waits. What is unsent when the connection is lost is lost."""
        wire = self._wire
        self.accepted += wire.publish(topic, payload, retain=retain)
        if wire.unsent and not self._is_writer:
            self._wait_for_socket()
        if wire.has_words:
            self._loop.call_soon(self._let_paho_read)  # not now: who sends does not expect the connection to end

    def gone(self) -> int:
        """How many of the ``accepted`` bytes have left this machine, as far as the system tells."""
        return self.accepted - self.unsent - _unsent_by_system(self._socket)

    def _writable(self) -> None:
        self._wire.flush()
        if not self._wire.unsent and self._paho_waits:
            self._paho.loop_write()
        self._let_paho_read()
        self._wait_for_socket()

    def _wait_for_socket(self) -> None:
        """Be told when the socket takes more, as long as anything waits for it."""
        wanted = (self._wire.unsent > 0 or self._paho_waits) and self._socket.fileno() >= 0
        if wanted and not self._is_writer:
            self._loop.add_writer(self._socket, self._writable)
        elif self._is_writer and not wanted:
            self._loop.remove_writer(self._socket)
        self._is_writer = wanted

    def _want_writer(self, _client: Any, _data: Any, _wire: Any) -> None:
        self._paho_waits = True
        self._wait_for_socket()

    def _want_no_writer(self, _client: Any, _data: Any, _wire: Any) -> None:
        self._paho_waits = False
        self._wait_for_socket()

    def _stop_writing(self, _client: Any, _data: Any, _wire: Any) -> None:
        """The socket is about to be closed."""
        if self._is_writer:
            self._is_writer = False
            self._loop.remove_writer(self._socket)

    # --- receiving ----------------------------------------------------------------------------------------

    def _readable(self) -> None:
        """Take what has come, about a megabyte at most so that others get their turn."""
        taken, more = 0, True
        while more and taken < BYTES_AT_ONCE:
            more = self._wire.fill()
            for packet in self._wire.packets():
                taken += SMALL_PACKET_COST
                if packet is None:
                    self._let_paho_read()
                else:
                    taken += len(packet[1])
                    self._received(*packet)
        if taken:
            # It would hang up on a broker that, for all it sees, keeps silent.
            self._paho._last_bytes_received = self._loop.time()  # noqa: SLF001  # there is no other way to say so
        self._let_paho_read()
        self._read_what_tls_holds()

    def _let_paho_read(self) -> None:
        while self._wire.has_words and self._paho.socket() is not None:
            self._paho.loop_read()

    def _read_what_tls_holds(self) -> None:
        """Bytes that TLS has decrypted already make no socket readable."""
        connected = self._socket
        if isinstance(connected, ssl.SSLSocket) and connected.fileno() >= 0 and connected.pending():
            self._loop.call_soon(self._readable)

    # --- around aiomqtt -----------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Hear from paho before aiomqtt does: of packets, of the broker's limit, of the reason for an end."""
        client = self._paho
        client.disable_logger()  # it formats two lines a packet for a logger that drops them
        client.on_message = self._pass_on
        client.on_publish = None
        client.on_connect = _both(self._note_limit, client.on_connect)
        client.on_disconnect = _both(self._note_reason, client.on_disconnect)

    def _take_socket_over(self) -> None:
        """From here on the socket's events come to us."""
        client = self._paho
        client.on_socket_register_write = self._want_writer
        client.on_socket_unregister_write = self._want_no_writer
        client.on_socket_close = _both(self._stop_writing, client.on_socket_close)
        self._socket = client.socket()
        self._wire = Wire(self._socket, has_properties=self.broker.mqtt == "5")
        client._sock = self._wire  # noqa: SLF001  # paho takes anything like a socket, but has no call to give it one
        self._loop.add_reader(self._socket, self._readable)

    def _pass_on(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        """A broker sent a message at another quality than was asked for (amqtt does), so paho took it."""
        with contextlib.suppress(UnicodeDecodeError):
            self._received(message.topic, bytes(message.payload))

    def _note_limit(self, _client: Any, _data: Any, _flags: Any, _reason: Any, properties: Any) -> None:
        self.packet_limit = getattr(properties, "MaximumPacketSize", None)

    def _note_reason(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        self._too_large = reason.value == _PACKET_TOO_LARGE
        if not self._hung_up.done():
            self._hung_up.set_result(None)


def _unsent_by_system(connected: Any) -> int:
    """Bytes that the system has taken from us and the other side has not acknowledged; 0 where it does not tell."""
    if fcntl is None or connected is None or connected.fileno() < 0:
        return 0
    try:
        (waiting,) = struct.unpack("i", fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4)))
    except OSError:
        return 0
    return int(waiting)


def _ignore(_client: Any, _data: Any, _socket: Any) -> None:
    """Nobody is interested any more."""


def _both(first: Callable[..., None], then: Callable[..., None] | None) -> Callable[..., None]:
    def call(*arguments: Any) -> None:
        first(*arguments)
        if then is not None:
            then(*arguments)

    return call
