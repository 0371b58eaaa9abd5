"""What broker to run, and what one is that runs: the words that both engines share."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from tahoe.errors import TahoeError
from tahoe.net.card import BrokerEntry

Engine = Literal["auto", "embedded", "mosquitto"]

LOOPBACK: Final = "127.0.0.1"


class BrokerFailed(TahoeError):
    """The broker could not be started, or ended by itself. The message holds its last words."""


class PortTaken(Exception):  # says what happened
    """Somebody else took the free port first."""


@dataclass(frozen=True, slots=True)
class BrokerPlan:
    """What broker to run.

    Args:
        directory: where its files are kept: authority, password, log.
        engine: ``auto`` takes mosquitto where there is one.
        listen: address to listen on.
        port: 0 for any free one.
        tls: speak TLS, with a certificate of our own authority.
    """

    directory: Path
    engine: Engine = "auto"
    listen: str = LOOPBACK
    port: int = 0
    tls: bool = False

    @property
    def public(self) -> bool:
        """Whether other machines can dial it."""
        try:
            return not ipaddress.ip_address(self.listen).is_loopback
        except ValueError:
            return self.listen != "localhost"

    def url(self, port: int) -> str:
        """Where clients dial."""
        host = f"[{self.listen}]" if ":" in self.listen else self.listen
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{port}"


class RunningBroker(Protocol):
    """A broker that takes connections."""

    entry: BrokerEntry
    engine: Engine

    async def wait(self) -> None:
        """Wait until it ends by itself.

        Raises:
            BrokerFailed: it did.
        """

    async def stop(self) -> None:
        """End it. Idempotent."""
