"""What lies between the MQTT library and its socket: packets of ours take a shorter way.

::

    node  ◄── publishes ──┐            node  ── publish ──┐
                          ├◄── Wire ◄── socket            ├──► Wire ──► socket
    paho  ◄── the rest ───┘            paho  ── the rest ─┘

paho takes a packet apart byte by byte (four reads of the socket, three copies) and puts one together by way of four
objects (two copies more). For a storage server that was a third of the work of a small request. But nearly all packets
are publishes of QoS 0, and those are easy: a length, a topic, a payload. So the wire reads as much as has come, hands
publishes on as they stand there, and leaves all else (connecting, subscribing, keeping alive, leaving) to paho, for which
it is a socket that carries nothing else. It writes whole packets only, so that the two never mix theirs.

MQTT 3.1.1, 2.2 and 3.3; MQTT 5, 3.3.2.3 (properties, which we neither send nor read).
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Final

FIRST_ROOM: Final = 64 * 1024
"""Bytes that are read at once, unless a packet is larger."""

_PUBLISH: Final = 0x30
_RETAIN: Final = 0x01
_KIND_AND_QOS: Final = 0xF6
_LENGTH_BYTES: Final = 4
_MOST_PARTS: Final = 64
_MORE: Final = 0x80
_ROUND: Final = 4096
_MOST_BYTES: Final = 64 * 1024 * 1024
_BLOCKED: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire:
    """A connected, non-blocking socket, shared by a node and paho.

    Attributes:
        unsent: bytes that wait for the socket.

    Args:
        connected: the socket, plain or TLS.
        has_properties: whether MQTT 5 is spoken.
    """

    def __init__(self, connected: socket.socket, *, has_properties: bool) -> None:
        self.unsent = 0
        self._socket = connected
        self._is_plain = not isinstance(connected, ssl.SSLSocket)
        self._has_properties = has_properties
        self._waiting: deque[memoryview] = deque()
        self._is_half_sent = False
        self._inbox = bytearray(FIRST_ROOM)
        self._start = self._end = 0
        self._words = bytearray()
        self._ending: OSError | None = None
        self._has_ended = False

    @property
    def has_words(self) -> bool:
        """Whether something has come for paho, be it the news that the connection has ended."""
        return bool(self._words) or self._has_ended

    # --- the node's side: sending -----------------------------------------------------------------------------

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> int:
        """Send a message at QoS 0, now or behind what waits; how many bytes that takes."""
        field = _topic_field(topic, self._has_properties)
        first = _PUBLISH | _RETAIN if retain else _PUBLISH
        head = b"".join((bytes((first,)), _length(len(field) + len(payload)), field))
        size = len(head) + len(payload)
        self._waiting.append(memoryview(head))
        self._waiting.append(memoryview(payload))
        self.unsent += size
        if self.unsent == size:
            self.flush()
        return size

    def flush(self) -> None:
        """Write what waits, as far as the socket takes it."""
        while self._waiting:
            try:
                sent = self._write()
            except _BLOCKED:
                return
            except OSError as error:
                self._end_with(error)
                return
            self.unsent -= sent
            self._drop(sent)

    def forget_unsent(self) -> None:
        """Send no more than the rest of a packet that is half sent."""
        rest = list(islice(self._waiting, 2 if len(self._waiting) % 2 == 0 else 1)) if self._is_half_sent else []
        self._waiting = deque(rest)
        self.unsent = sum(map(len, rest))

    def _write(self) -> int:
        if self._is_plain:
            return self._socket.sendmsg(list(islice(self._waiting, _MOST_PARTS)))
        return self._socket.send(b"".join(islice(self._waiting, 2)))

    def _drop(self, sent: int) -> None:
        """Take what was sent off what waits: a packet is two parts, the second of which may be empty."""
        waiting = self._waiting
        while waiting and sent >= len(waiting[0]):
            sent -= len(waiting.popleft())
        if sent:
            waiting[0] = waiting[0][sent:]
        self._is_half_sent = bool(sent) or len(waiting) % 2 == 1

    # --- the node's side: receiving ---------------------------------------------------------------------------

    def fill(self) -> bool:
        """Read what has come, as far as there is room for it; whether there may be more."""
        room = self._room()
        assert room, "packets were not taken"
        try:
            count = self._socket.recv_into(room)
        except _BLOCKED:
            return False
        except OSError as error:
            self._end_with(error)
            return False
        if not count:
            self._end_with(None)
            return False
        self._end += count
        return count == len(room) or not self._is_plain

    def packets(self) -> Iterator[tuple[str, bytes] | None]:
        """All packets that have come whole, in order: topic and payload of a publish, None for one that paho may read now."""
        view = memoryview(self._inbox)
        while size := self._size_of_next():
            start, stop = self._start, self._start + size
            if stop > self._end:
                break
            self._start = stop
            if self._inbox[start] & _KIND_AND_QOS == _PUBLISH:
                yield self._parse(view, start, stop)
            else:
                self._words += view[start:stop]
                yield None
        if self._start == self._end:
            self._start = self._end = 0

    def _size_of_next(self) -> int:
        """Bytes of the packet that begins at the start; 0 if not enough of it has come to tell."""
        length, at = 0, self._start + 1
        for place in range(_LENGTH_BYTES):
            if at >= self._end:
                return 0
            byte = self._inbox[at]
            at += 1
            length |= (byte & ~_MORE) << 7 * place
            if byte < _MORE:
                break
        else:
            length = _MOST_BYTES + 1
        if length > _MOST_BYTES:
            self._end_with(ConnectionError("the broker sent what is no packet, or one that is far too large"))
            return 0
        return at - self._start + length

    def _parse(self, view: memoryview, start: int, stop: int) -> tuple[str, bytes]:
        """Topic and payload of a publish; both empty if it is cut short."""
        at = start + 2
        while view[at - 1] >= _MORE:
            at += 1
        body = view[at:stop]
        if len(body) < 2:
            return "", b""
        topic_end = 2 + (body[0] << 8 | body[1])
        payload = topic_end + (_properties_size(body[topic_end:]) if self._has_properties else 0)
        return _topic(bytes(body[2:topic_end])), bytes(body[payload:])

    def _room(self) -> memoryview:
        """Where to read to: all that is free, but no more than the rest of a packet that is large.

        So a large packet ends where the reading does, and nothing of the next one has to be moved.
        """
        size = self._size_of_next()
        if self._start and self._start + max(size, _ROUND) > len(self._inbox):
            self._inbox[: self._end - self._start] = self._inbox[self._start : self._end]
            self._start, self._end = 0, self._end - self._start
        if size > len(self._inbox):
            larger = bytearray(size + -size % _ROUND)
            larger[: self._end] = self._inbox[: self._end]
            self._inbox = larger
        stop = self._start + size if size > _ROUND else len(self._inbox)
        return memoryview(self._inbox)[self._end : stop]

    def _end_with(self, error: OSError | None) -> None:
        self._has_ended, self._ending = True, error

    # --- paho's side --------------------------------------------------------------------------------------------

    def recv(self, buffer_size: int) -> bytes:
        """What came for paho; then, that the connection has ended, if it has."""
        if self._words:
            found = bytes(self._words[:buffer_size])
            del self._words[:buffer_size]
            return found
        if not self._has_ended:
            raise BlockingIOError
        if self._ending is not None:
            raise self._ending
        return b""

    def send(self, buffer: bytes | bytearray) -> int:
        """Take a packet of paho's whole, unless others wait."""
        if self.unsent:
            raise BlockingIOError
        self._waiting.extend((memoryview(bytes(buffer)), memoryview(b"")))
        self.unsent = len(buffer)
        self.flush()
        if self._ending is not None:
            raise self._ending
        return len(buffer)

    def close(self) -> None:
        """Hang up."""
        self._waiting.clear()
        self._socket.close()

    def fileno(self) -> int:
        """Of the socket."""
        return self._socket.fileno()

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001  # as sockets have it
        """Never called once the wire lies there, but part of what paho calls a socket."""
        self._socket.setblocking(flag)


@lru_cache(maxsize=4096)
def _topic_field(topic: str, has_properties: bool) -> bytes:  # noqa: FBT001  # a key of the cache
    name = topic.encode()
    return len(name).to_bytes(2) + name + (b"\0" if has_properties else b"")


@lru_cache(maxsize=4096)
def _topic(name: bytes) -> str:
    return name.decode(errors="replace")


def _length(count: int) -> bytes:
    """A length as MQTT writes it: seven bits a byte, the lowest first."""
    found = bytearray()
    while count >= _MORE:
        found.append(count & ~_MORE & 0xFF | _MORE)
        count >>= 7
    found.append(count)
    return bytes(found)


def _properties_size(content: memoryview) -> int:
    """Bytes of the properties that stand first, their length included."""
    length = 0
    for place, byte in enumerate(content[:_LENGTH_BYTES]):
        length |= (byte & ~_MORE) << 7 * place
        if byte < _MORE:
            return place + 1 + length
    return len(content)
