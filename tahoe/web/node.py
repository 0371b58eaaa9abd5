"""The gateway as part of a client node: what it is given, and when it lives."""

from __future__ import annotations

import asyncio

from tahoe.actors.client import Client
from tahoe.net.incarnation import Incarnation
from tahoe.net.keys import load_private_text, load_secret
from tahoe.protocol import CLIENT
from tahoe.web.app import Gateway
from tahoe.web.guard import Guard
from tahoe.web.jobs import JobBoard
from tahoe.web.serve import GatewayServer, listen
from tahoe.web.services import Keeping, Services
from tahoe.web.status import StatusOf

LOOPBACK = "127.0.0.1"


async def start_gateway(running: Incarnation) -> GatewayServer:
    """Start the gateway of a node that is a client.

    Raises:
        BadConfiguration: its port is taken, or a secret of the node can't be read.
    """
    client = running.actors[CLIENT]
    assert isinstance(client, Client)
    directory = running.papers.directory
    token = await asyncio.to_thread(load_private_text, directory.api_token)
    convergence = await asyncio.to_thread(load_secret, directory.convergence)
    services = Services(
        client, Keeping(convergence, directory.path), Guard(token.strip()), StatusOf(running), JobBoard(running.log)
    )
    gateway = Gateway(services, running.log)
    server = GatewayServer(gateway, listen(LOOPBACK, running.papers.config.client.web_port), directory.path)
    await server.start()
    running.log.info("the gateway listens", url=server.url)
    return server
