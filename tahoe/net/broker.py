"""A broker to start with: the embedded one (amqtt, loopback only), or a mosquitto of our own.

The embedded broker needs nothing installed and carries about a fifth of what mosquitto does. It stays on
loopback: it has weaknesses with strangers (a wrong password with a known client id disconnects the real
client), so whoever wants to be reached from elsewhere needs mosquitto, with TLS, a user and a password.
Everything a client needs to get in is in the ``BrokerEntry`` that a started broker returns, which is
what a grid card holds.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from amqtt.broker import Broker as AmqttBroker
from amqtt.contexts import BrokerConfig as AmqttConfig
from amqtt.contexts import ListenerConfig as AmqttListener
from amqtt.errors import BrokerError

from tahoe.errors import BadConfiguration
from tahoe.net.brokerplan import LOOPBACK, BrokerFailed, BrokerPlan, Engine, PortTaken, RunningBroker
from tahoe.net.card import BrokerEntry
from tahoe.net.mosquitto import find_mosquitto, start_mosquitto

__all__ = ["LOOPBACK", "BrokerFailed", "BrokerPlan", "RunningBroker", "find_mosquitto", "start_broker"]

PORT_ATTEMPTS: Final = 5


async def start_broker(plan: BrokerPlan) -> RunningBroker:
    """Start a broker; it takes connections when this returns.

    Raises:
        BadConfiguration: the plan can't be followed on this machine; says what would help.
        BrokerFailed: it did not start.
    """
    start = _starter(plan)
    plan.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for _ in range(PORT_ATTEMPTS):
        try:
            return await start(plan, _free_port(plan.listen, plan.port))
        except PortTaken as error:
            if plan.port:
                raise BrokerFailed(f"port {plan.port} on {plan.listen} is taken; choose another") from error
    raise BrokerFailed(f"no free port was found on {plan.listen}")


def _starter(plan: BrokerPlan) -> Callable[[BrokerPlan, int], Awaitable[RunningBroker]]:
    engine = plan.engine
    if engine == "auto":
        engine = "mosquitto" if find_mosquitto() else "embedded"
    if engine == "mosquitto":
        if find_mosquitto() is None:
            raise BadConfiguration("mosquitto is not installed (apt install mosquitto); or use the embedded broker")
        return start_mosquitto
    if plan.public or plan.tls:
        raise BadConfiguration("the embedded broker stays on loopback; install mosquitto to be reached from elsewhere")
    return _start_embedded


def _free_port(address: str, port: int) -> int:
    """The port asked for, or any free one for 0; another program's listener must not pass for ours."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that ended are no hindrance
            probe.bind((address, port))
            return int(probe.getsockname()[1])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken from error
        raise BadConfiguration(f"{address}: can't listen there ({error.strerror})") from error


# --- embedded ------------------------------------------------------------------------------------------


class _Subscriptions(dict[str, Any]):
    """amqtt's table of subscriptions, whose iteration others may not disturb.

    amqtt 0.12.1 walks over the table for every client that connects and waits on the way; when another one
    subscribes meanwhile, the walk fails and the first client is left connected, but unheard, for ever.
    """

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(super().keys()))

    def items(self) -> list[tuple[str, Any]]:  # type: ignore[override]  # amqtt only iterates over it
        return list(super().items())


class _Embedded:
    """amqtt in this process and event loop."""

    engine: Engine = "embedded"

    def __init__(self, broker: AmqttBroker, entry: BrokerEntry) -> None:
        self.entry = entry
        self._broker = broker
        self._stopped = asyncio.Event()

    async def wait(self) -> None:
        """It lives as long as the process."""
        await self._stopped.wait()

    async def stop(self) -> None:
        """End it. Idempotent."""
        if not self._stopped.is_set():
            self._stopped.set()
            await self._broker.shutdown()


async def _start_embedded(plan: BrokerPlan, port: int) -> RunningBroker:
    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.ERROR)  # tells every connection otherwise
    config = AmqttConfig(
        listeners={"default": AmqttListener(bind=f"{plan.listen}:{port}")},
        plugins={"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    )
    broker = AmqttBroker(config)
    broker._subscriptions = _Subscriptions()  # noqa: SLF001  # see there
    try:
        await broker.start()
    except (BrokerError, OSError) as error:
        raise PortTaken from error
    return _Embedded(broker, BrokerEntry(plan.url(port)))
