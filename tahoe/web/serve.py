"""Running the gateway inside a node's event loop, and telling others where it is."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import uvicorn

from tahoe.errors import BadConfiguration
from tahoe.web.app import Gateway
from tahoe.web.wire import StrictProtocol

URL_FILE: Final = "node.url"
"""In the node directory, while the gateway runs: its address, for the command line."""

GRACE: Final = 2
"""Seconds that running transfers get to end when the node stops."""


MOST_CONNECTIONS: Final = 1000
"""More are told to come back later."""

SEND_BUFFER: Final = 512 * 1024
"""Bytes that the system may hold of an answer. Left to itself it takes up to 4 MB of each, so a hundred slow readers would
have the gateway fetch several hundred megabytes at once, for nobody, while everybody else waits."""


class Tls(NamedTuple):
    """Files in PEM: a certificate with its chain, and its key."""

    certificate: Path
    key: Path


def listen(address: str, port: int) -> socket.socket:
    """Open the gateway's listening socket; port 0 takes a free one.

    Raises:
        BadConfiguration: that can't be done.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # With the protocol spelled out, or asyncio leaves Nagle's algorithm on: 40 ms more for every small answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # of whoever is accepted, too
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        raise BadConfiguration(
            f"the gateway can't listen on {address} port {port}: {error.strerror}; choose another port in tahoe.toml"
        ) from error
    return listener


class GatewayServer:
    """A gateway that runs until it is stopped.

    Args:
        gateway: the application.
        listener: an open socket, of which this takes possession.
        url_file: where its address goes, for the command line; None: nowhere.
        tls: speak TLS only.

    Raises:
        BadConfiguration: certificate or key can't be used.
    """

    def __init__(
        self, gateway: Gateway, listener: socket.socket, url_file: Path | None, tls: Tls | None = None
    ) -> None:
        self._listener = listener
        self._url_file = url_file
        self._scheme = "http" if tls is None else "https"
        self._server = _Server(_configured(gateway, tls))
        self._running: asyncio.Task[None] | None = None
        for name in ("uvicorn.access", "uvicorn.error"):  # they know paths, which hold capabilities; the gateway
            logging.getLogger(name).disabled = True  # tells what happens itself

    @property
    def url(self) -> str:
        """Where it listens, with a slash at the end."""
        address, port = self._listener.getsockname()[:2]
        return f"{self._scheme}://[{address}]:{port}/" if ":" in address else f"{self._scheme}://{address}:{port}/"

    async def start(self) -> None:
        """Serve; requests are taken when this returns."""
        url = self.url
        self._running = asyncio.create_task(self._server.serve([self._listener]))
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait((ready, self._running), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await self._running
        if self._url_file is not None:
            _write_whole(self._url_file, url + "\n")

    async def stop(self) -> None:
        """Take no more requests, let running ones end for a moment, close."""
        if self._url_file is not None:
            self._url_file.unlink(missing_ok=True)
        self._server.leave.set()
        if self._running is not None:
            await self._running


def _configured(gateway: Gateway, tls: Tls | None) -> uvicorn.Config:
    """Return uvicorn's configuration, all files read."""
    config = uvicorn.Config(
        gateway,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,  # uvicorn's needs a clock that ticks
        http=StrictProtocol,
        ws="none",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=GRACE,
        ssl_certfile=None if tls is None else tls.certificate,
        ssl_keyfile=None if tls is None else tls.key,
    )
    try:
        config.load()
    except OSError as error:  # ssl's errors are such, too
        raise BadConfiguration(f"the gateway can't use its certificate or key: {error}") from error
    return config


class _Server(uvicorn.Server):
    """uvicorn's server as a part of a larger process: signals are the node's business, and nothing ticks."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.leave = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    async def main_loop(self) -> None:
        """Wait for the end."""
        self.ready.set()
        await self.leave.wait()


def _write_whole(path: Path, text: str) -> None:
    """Write a file that nobody sees half written."""
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.replace(path)
