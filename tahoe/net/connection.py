"""One connection to a broker, made by aiomqtt and then driven through the paho client behind it.

aiomqtt knows how to connect, authenticate, speak TLS, subscribe, keep alive and leave. For packets it
costs too much: a task and an event for every message each way. So packets go around it, by paho's own
public callbacks and calls:

* received: ``on_message`` hands every message straight to the node; there is no queue to run through
  (and none that could grow);
* sent: ``publish`` and at once ``loop_write``, so that a packet is in the kernel when ``send`` returns
  unless earlier ones still wait. ``on_publish`` stays unset, paho would build two objects for it.

Measured through mosquitto on two shared cores, publisher and subscriber in processes of their own:

=============  ====================  ====================  ================================
payload        aiomqtt alone         this module           CPU per message, sending; taking
=============  ====================  ====================  ================================
500 bytes      5,000-9,000 a second  28,000-44,000         101-157 and 59-102; 12 and 16 µs
350 kB         450-650 MB/s          560-670 MB/s          240-270 and 200-290; 180 and 160 µs
=============  ====================  ====================  ================================

The figures for 350 kB need ``allocator.py``: without it 330-380 MB/s and six times the CPU in the taker.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.reasoncodes import ReasonCode

from tahoe.net.admission import BrokerUnavailable, explain, tls_context
from tahoe.net.card import BrokerEntry

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


class _Packet(NamedTuple):
    topic: str
    payload: bytes
    retain: bool


class Connection:
    """One MQTT connection, from ``connect`` to its loss.

    Attributes:
        accepted: bytes that ``send`` has taken.
        unsent: how many of them wait for the socket.
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
        self.unsent = 0
        self.packet_limit: int | None = None
        self._received = received
        self._keepalive = keepalive
        self._farewell = farewell
        self._client: aiomqtt.Client
        self._paho: paho.Client
        self._connected = False
        self._socket: Any = None
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Packet] = deque()
        self._arrived: tuple[str, bytes] | None = None
        self._half_sent = 0
        self._writer_wanted = False
        self._writing = False
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
        try:
            await anext(self._client.messages)  # none ever comes this way; it ends when the connection does
        except aiomqtt.MqttError as error:
            return Loss(str(error.__cause__ or error), self._too_large)
        raise AssertionError("a message took the slow way")

    async def close(self) -> None:
        """Leave. Never raises, whatever state the connection is in."""
        self._waiting.clear()
        self.unsent = 0
        if not self._connected:
            return
        self._connected = False
        with contextlib.suppress(aiomqtt.MqttError):
            await self._client.__aexit__(None, None, None)
        await self.lost()  # somebody must have asked for the reason, or asyncio complains that nobody did

    def _will(self) -> aiomqtt.Will | None:
        if self._farewell is None:
            return None
        return aiomqtt.Will(self._farewell.topic, self._farewell.payload, qos=0, retain=True)

    # --- sending ------------------------------------------------------------------------------------------

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send now, or after what still waits. What is unsent when the connection is lost is lost."""
        self.accepted += len(payload)
        if self._waiting or self._paho.want_write():
            self._waiting.append(_Packet(topic, payload, retain))
            self.unsent += len(payload)
        else:
            self._write(_Packet(topic, payload, retain))

    def gone(self) -> int:
        """How many of the ``accepted`` bytes have left this machine, as far as the system tells."""
        return self.accepted - self.unsent - _unsent_by_system(self._socket)

    def _write(self, packet: _Packet) -> None:
        """Hand a packet to paho and the socket; what the socket does not take goes when it is writable."""
        self._writing = True
        self._paho.publish(packet.topic, packet.payload, qos=0, retain=packet.retain)
        self._paho.loop_write()
        self._writing = False
        if self._writer_wanted:
            self._half_sent = len(packet.payload)
            self.unsent += self._half_sent
            self._loop.add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        self._paho.loop_write()
        if self._paho.want_write():
            return
        self.unsent -= self._half_sent
        self._half_sent = 0
        while self._waiting and not self._writer_wanted:
            packet = self._waiting.popleft()
            self.unsent -= len(packet.payload)
            self._write(packet)

    def _want_writer(self, _client: Any, _data: Any, connected: Any) -> None:
        self._writer_wanted = True
        if not self._writing:
            self._loop.add_writer(connected, self._writable)

    def _want_no_writer(self, _client: Any, _data: Any, connected: Any) -> None:
        self._writer_wanted = False
        if not self._writing:
            self._loop.remove_writer(connected)

    # --- receiving ----------------------------------------------------------------------------------------

    def _readable(self) -> None:
        """Take what has come, about a megabyte at most so that others get their turn.

        Packets are handed on only when paho has returned: in the middle of its callback the node's
        answer could meet a lock that paho holds.
        """
        taken = 0
        while taken < BYTES_AT_ONCE:
            self._paho.loop_read()
            if self._arrived is None:
                break
            (topic, payload), self._arrived = self._arrived, None
            taken += SMALL_PACKET_COST + len(payload)
            self._received(topic, payload)
        self._read_what_tls_holds()

    def _read_what_tls_holds(self) -> None:
        """Bytes that TLS has decrypted already make no socket readable."""
        connected = self._paho.socket()
        if isinstance(connected, ssl.SSLSocket) and connected.pending():
            self._loop.call_soon(self._readable)

    # --- around aiomqtt -----------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Hear from paho before aiomqtt does: of packets, of the broker's limit, of the reason for an end."""
        client = self._paho
        client.disable_logger()  # it formats two lines a packet for a logger that drops them
        client.on_message = self._note_message
        client.on_publish = None
        client.on_connect = _both(self._note_limit, client.on_connect)
        client.on_disconnect = _both(self._note_reason, client.on_disconnect)

    def _take_socket_over(self) -> None:
        """From here on the socket's events come to us."""
        client = self._paho
        client.on_socket_register_write = self._want_writer
        client.on_socket_unregister_write = self._want_no_writer
        self._socket = client.socket()
        self._loop.add_reader(self._socket, self._readable)

    def _note_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self._arrived = message.topic, bytes(message.payload)  # paho made bytes of it: no copy

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
