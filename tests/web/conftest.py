"""A gateway on a free port, in a thread: over a client that keeps files in memory, or over a whole grid."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import json
import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tahoe.actors.directories import Directories
from tahoe.codec.capability import Capability, ImmutableRead, Literal
from tahoe.net.logs import NodeLog
from tahoe.web.app import Gateway
from tahoe.web.guard import Guard
from tahoe.web.jobs import JobBoard
from tahoe.web.serve import URL_FILE, GatewayServer, listen
from tahoe.web.services import Keeping, Services
from tests.web.grid import Grid

PIECE = 128 * 1024
SECRET = b"c" * 32
TOKEN = "a-token-for-tests"  # of this gateway only
ANNOUNCED_NAME = "grid.example"


class Uploaded(NamedTuple):
    capability: Capability
    pushed: int


@dataclass
class MemoryClient:
    """Stands in for the client actor: reads as uploads do, writes as downloads do, remembers what happened."""

    files: dict[bytes, bytes] = field(default_factory=dict)
    failure: Exception | None = None
    fails_after: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    read: int = 0
    pulled: int = 0
    uploads_ended: list[BaseException | None] = field(default_factory=list)
    downloads_ended: threading.Event = field(default_factory=threading.Event)
    seen_while_uploading: list[str] = field(default_factory=list)
    directory: Path = Path()
    directories: Directories = field(default_factory=lambda: Directories(None, None, None))

    def __post_init__(self) -> None:
        self.gate.set()

    async def upload(self, source, convergence: bytes | None, progress=None, encoding=None) -> Uploaded:
        try:
            uploaded = await self._upload(source, convergence)
        except BaseException as error:
            self.uploads_ended.append(error)
            raise
        self.uploads_ended.append(None)
        return uploaded

    async def _upload(self, source, convergence: bytes | None) -> Uploaded:
        if self.failure is not None:
            raise self.failure
        key = hashlib.sha256(convergence or bytes([len(self.files)]))
        if convergence is not None:
            while piece := await source.read(PIECE):
                key.update(piece)
            await source.rewind()
        self.seen_while_uploading = sorted(path.name for path in self.directory.iterdir())
        content = bytearray()
        while piece := await source.read(PIECE):
            content += piece
            self.read = len(content)
            await self.gate.wait()
        assert len(content) == source.size
        return self.keep(bytes(content), key.digest()[:16])

    def keep(self, content: bytes, key: bytes) -> Uploaded:
        if len(content) <= 55:
            return Uploaded(Literal(content), 0)
        pushed = 0 if key in self.files else 10
        self.files[key] = content
        return Uploaded(ImmutableRead(key, hashlib.sha256(content).digest(), 3, 10, len(content)), pushed)

    @contextlib.asynccontextmanager
    async def download(self, cap: ImmutableRead, offset: int = 0, length: int | None = None):
        end = cap.size if length is None else offset + length
        try:
            yield self._pieces(cap, offset, end)
        finally:
            self.downloads_ended.set()

    async def _pieces(self, cap: ImmutableRead, offset: int, end: int) -> AsyncIterator[bytes]:
        for start in range(offset, end, PIECE):
            if self.failure is not None and start - offset >= self.fails_after:
                raise self.failure
            await asyncio.sleep(0)
            stop = min(start + PIECE, end)
            piece = self.files[cap.key][start:stop] if cap.key in self.files else bytes(stop - start)
            self.pulled += len(piece)
            yield piece


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode().strip()


@dataclass
class Running:
    """A running gateway and what tests do to it."""

    client: MemoryClient
    directory: Path
    loop: asyncio.AbstractEventLoop
    server: GatewayServer
    port: int
    services: Services
    app: Gateway

    def request(self, method: str, path: str, body=None, *, token: str | None = TOKEN, **headers: str) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def put(self, content: bytes, query: str = "") -> str:
        reply = self.request("PUT", "/uri" + query, content)
        assert reply.status in {200, 201}, reply
        return reply.text

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        return connection

    def raw(self, request: bytes) -> bytes:
        """Send bytes, return everything that comes until the other side closes."""
        with self.connect() as connection:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def call(self, function, *args: object) -> None:
        self.loop.call_soon_threadsafe(function, *args)


async def status() -> dict[str, object]:
    return {"nickname": "tests", "servers": [], "brokers": [], "introducers": []}


async def start(client, directory: Path) -> Running:
    log = NodeLog(logging.getLogger("gateway"))
    services = Services(client, Keeping(SECRET, directory), Guard(TOKEN, [ANNOUNCED_NAME]), status, JobBoard(log))
    app = Gateway(services, log)
    server = GatewayServer(app, listen("127.0.0.1", 0), directory / URL_FILE)
    await server.start()
    port = int(server.url.rstrip("/").rpartition(":")[2])
    return Running(client, directory, asyncio.get_running_loop(), server, port, services, app)


@contextlib.contextmanager
def loop_in_a_thread() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Running]:
    with loop_in_a_thread() as loop:

        async def begin() -> Running:
            return await start(MemoryClient(directory=tmp_path), tmp_path)

        running = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
        try:
            yield running
        finally:
            running.call(running.client.gate.set)
            asyncio.run_coroutine_threadsafe(running.server.stop(), loop).result(10)


@dataclass
class RunningGrid(Running):
    """A gateway over a grid."""

    grid: Grid

    def run(self, story):
        """Run a story where the grid lives."""
        return asyncio.run_coroutine_threadsafe(story, self.loop).result(30)

    def ask(self, method: str, path: str, body=None, status: int = 200, **headers: str) -> str:
        """Make a request that has to end with this status; the body as text."""
        reply = self.request(method, path, body, **headers)
        assert reply.status == status, (method, path, reply)
        return reply.text

    def json(self, method: str, path: str, body=None, status: int = 200, **headers: str):
        """The same, of JSON."""
        return json.loads(self.ask(method, path, body, status, **headers))


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[RunningGrid]:
    """A gateway over a grid of real actors."""
    with running_drive(tmp_path) as running:
        yield running


@contextlib.contextmanager
def running_drive(directory: Path, *shape: Any) -> Iterator[RunningGrid]:
    """Run a gateway over a grid of real actors; ``shape`` is how many servers there are, and the encoding."""
    with loop_in_a_thread() as loop:

        async def begin() -> RunningGrid:
            grid = Grid(*shape)
            running = await start(grid.client, directory)
            return RunningGrid(**vars(running), grid=grid)

        async def end() -> None:
            await running.server.stop()
            await running.services.jobs.stop()
            await running.grid.stop()

        running = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
        try:
            yield running
        finally:
            asyncio.run_coroutine_threadsafe(end(), loop).result(10)
            assert running.grid.failures == []
