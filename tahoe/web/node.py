"""The gateway as part of a client node: what it is given, where it listens, and when it lives."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tahoe.actors.caretaker import Caretaker
from tahoe.actors.client import Client
from tahoe.net.config import ClientSection
from tahoe.net.directory import NodeDirectory
from tahoe.net.incarnation import Incarnation
from tahoe.net.keys import load_private_text, load_secret, save_private_text
from tahoe.protocol import CARETAKER, CLIENT
from tahoe.web.app import Gateway
from tahoe.web.guard import Guard
from tahoe.web.jobs import JobBoard
from tahoe.web.pages import page_routes
from tahoe.web.serve import URL_FILE, GatewayServer, Tls, listen
from tahoe.web.services import Keeping, Services
from tahoe.web.sessions import Sessions, new_host_name
from tahoe.web.status import StatusOf
from tahoe.web.usage import UsageOf

LOOPBACK = "127.0.0.1"
HOST_FILE = "web_host"
"""In ``private/``: the host name of the node's own, so that what a browser has bookmarked goes on working."""


class GatewayCompanion:
    """The gateway of a running node: its application, on one address or two."""

    def __init__(self, services: Services, servers: Sequence[GatewayServer]) -> None:
        self._services = services
        self._servers = servers

    @property
    def url(self) -> str:
        """Where it listens for this machine."""
        return self._servers[0].url

    async def start(self) -> None:
        """Serve."""
        for server in self._servers:
            await server.start()

    async def stop(self) -> None:
        """Cancel jobs, take no more requests, close."""
        await self._services.jobs.stop()
        for server in self._servers:
            await server.stop()


async def start_gateway(running: Incarnation) -> GatewayCompanion:
    """Start the gateway of a node that is a client.

    Raises:
        BadConfiguration: a port is taken, or a secret of the node can't be read.
    """
    client = running.actors[CLIENT]
    assert isinstance(client, Client)
    papers = running.papers
    guard = await asyncio.to_thread(_guard, papers.directory, papers.config.client)
    convergence = await asyncio.to_thread(load_secret, papers.directory.convergence)
    keeping = Keeping(convergence, papers.directory.path)
    caretaker = running.actors.get(CARETAKER)
    assert caretaker is None or isinstance(caretaker, Caretaker)
    jobs = JobBoard(running.log)
    books = UsageOf(running)
    services = Services(client, keeping, guard, StatusOf(running), jobs, caretaker=caretaker, books=books)
    gateway = Gateway(services, running.log, page_routes(services))
    companion = GatewayCompanion(services, _servers(gateway, papers.directory, papers.config.client))
    await companion.start()
    running.log.info("the gateway listens", url=companion.url)
    return companion


def _guard(directory: NodeDirectory, section: ClientSection) -> Guard:
    token = load_private_text(directory.api_token).strip()
    host = directory.private / HOST_FILE
    if not host.exists():
        save_private_text(host, new_host_name() + "\n")
    return Guard(token, section.https_names, Sessions(load_private_text(host).strip()))


def _servers(gateway: Gateway, directory: NodeDirectory, section: ClientSection) -> list[GatewayServer]:
    servers = [GatewayServer(gateway, listen(LOOPBACK, section.web_port), directory.path / URL_FILE)]
    if section.https_address:
        address, _, port = section.https_address.rpartition(":")
        tls = Tls(directory.path / section.https_certificate, directory.path / section.https_key)
        servers.append(GatewayServer(gateway, listen(address.strip("[]"), int(port)), None, tls))
    return servers
