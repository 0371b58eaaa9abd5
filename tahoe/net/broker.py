"""A broker to start with: the embedded one (amqtt, loopback only), or a mosquitto of our own.

The embedded broker needs nothing installed and carries about a fifth of what mosquitto does. It stays on
loopback: it has weaknesses with strangers (a wrong password with a known client id disconnects the real
client), so whoever wants to be reached from elsewhere needs mosquitto, with TLS, a user and a password.
Everything a client needs to get in is in the ``BrokerEntry`` that a started broker returns, which is
what a grid card holds.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ctypes
import errno
import getpass
import hashlib
import ipaddress
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from amqtt.broker import Broker as AmqttBroker
from amqtt.contexts import BrokerConfig as AmqttConfig
from amqtt.contexts import ListenerConfig as AmqttListener
from amqtt.errors import BrokerError

from tahoe.errors import BadConfiguration, TahoeError
from tahoe.net.card import BrokerEntry
from tahoe.net.certificates import ServerCertificate, certify
from tahoe.net.keys import load_private_text, replace_file, save_private_text

Engine = Literal["auto", "embedded", "mosquitto"]

LOOPBACK: Final = "127.0.0.1"
START_SECONDS: Final = 10.0
STOP_SECONDS: Final = 5.0
PORT_ATTEMPTS: Final = 5
LARGEST_PACKET: Final = 16 * 1024 * 1024
"""More than any node sends; keeps a stray client from filling the broker's memory with one packet."""

MOST_WAITING_MESSAGES: Final = 4000
"""Messages mosquitto keeps for one slow subscriber before it drops; at QoS 0 it knows no limit in bytes. Credit
keeps a node's backlog far below."""

_USER: Final = "grid"
_PR_SET_PDEATHSIG: Final = 1
_PASSWORD_ROUNDS: Final = 10_000


class BrokerFailed(TahoeError):
    """The broker could not be started, or ended by itself. The message holds its last words."""


class _PortTaken(Exception):  # says what happened
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


def find_mosquitto() -> str | None:
    """Where a mosquitto is; Debian keeps it where ordinary users' PATH does not look."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")


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
        except _PortTaken as error:
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
        return _start_mosquitto
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
            raise _PortTaken from error
        raise BadConfiguration(f"{address}: can't listen there ({error.strerror})") from error


# --- embedded ------------------------------------------------------------------------------------------


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
    try:
        await broker.start()
    except (BrokerError, OSError) as error:
        raise _PortTaken from error
    return _Embedded(broker, BrokerEntry(_url(plan, port)))


# --- mosquitto -----------------------------------------------------------------------------------------


class _Mosquitto:
    """A child process that ends with us."""

    engine: Engine = "mosquitto"

    def __init__(self, child: asyncio.subprocess.Process, entry: BrokerEntry, log: Path) -> None:
        self.entry = entry
        self.child = child
        self._log = log
        self._stopping = False

    async def wait(self) -> None:
        status = await self.child.wait()
        if not self._stopping:
            raise BrokerFailed(f"mosquitto ended with status {status}: {_last_words(self._log)}")

    async def stop(self) -> None:
        self._stopping = True
        if self.child.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.child.terminate()
        try:
            await asyncio.wait_for(self.child.wait(), STOP_SECONDS)
        except TimeoutError:
            self.child.kill()
            await self.child.wait()


async def _start_mosquitto(plan: BrokerPlan, port: int) -> RunningBroker:
    program = find_mosquitto()
    assert program is not None
    entry, lines = _admission(plan, port)
    config, log = plan.directory / "mosquitto.conf", plan.directory / "mosquitto.log"
    replace_file(config, _mosquitto_config(plan, port, lines).encode())
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            program, "-c", str(config), stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
            preexec_fn=_end_with_parent(),
        )  # fmt: skip
    broker = _Mosquitto(child, entry, log)
    try:
        await asyncio.wait_for(_until_listening(plan.listen, port, child, log), START_SECONDS)
    except TimeoutError as error:
        await broker.stop()
        raise BrokerFailed(f"mosquitto did not start within {START_SECONDS:g} s: {_last_words(log)}") from error
    return broker


def _admission(plan: BrokerPlan, port: int) -> tuple[BrokerEntry, list[str]]:
    """Who gets in: on loopback anybody, elsewhere only who has the card's user and password."""
    lines: list[str] = []
    authority = ""
    if plan.tls:
        files: ServerCertificate = certify(plan.directory, plan.listen)
        authority = files.authority_pem
        lines += [f"certfile {files.certificate}", f"keyfile {files.key}"]
    if not (plan.public or plan.tls):
        return BrokerEntry(_url(plan, port)), [*lines, "allow_anonymous true"]
    password = _password(plan.directory)
    passwords = plan.directory / "passwords"
    replace_file(passwords, f"{_USER}:{_hash_password(password)}\n".encode())
    entry = BrokerEntry(_url(plan, port), user=_USER, password=password, ca=authority)
    return entry, [*lines, "allow_anonymous false", f"password_file {passwords}"]


def _password(directory: Path) -> str:
    path = directory / "password"
    if not path.exists():
        save_private_text(path, secrets.token_urlsafe(24) + "\n")
    return load_private_text(path).strip()


def _hash_password(password: str) -> str:
    """The form ``mosquitto_passwd`` writes: PBKDF2 with SHA-512, number of rounds, salt, hash."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _PASSWORD_ROUNDS)
    return f"$7${_PASSWORD_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _mosquitto_config(plan: BrokerPlan, port: int, admission: list[str]) -> str:
    lines = [
        "# written anew at every start",
        f"listener {port} {plan.listen}",
        *admission,
        "set_tcp_nodelay true",
        "persistence false",
        f"max_packet_size {LARGEST_PACKET}",
        f"max_queued_messages {MOST_WAITING_MESSAGES}",
        "connection_messages false",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        f"user {getpass.getuser()}",  # started by root, it would give up the right to read its own files
    ]
    return "\n".join(lines) + "\n"


async def _until_listening(address: str, port: int, child: asyncio.subprocess.Process, log: Path) -> None:
    while child.returncode is None:
        try:
            _, writer = await asyncio.open_connection(address, port)
        except OSError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        if child.returncode is None:
            return
    words = _last_words(log)
    if "in use" in words:
        raise _PortTaken
    raise BrokerFailed(f"mosquitto ended with status {child.returncode}: {words}")


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return " / ".join(line for line in lines[-6:] if line) or f"nothing in {log}"


def _end_with_parent() -> Callable[[], None] | None:
    """What the child does before it becomes mosquitto: ask Linux to be ended when we are, however we end.

    Elsewhere a killed parent leaves its broker behind; it is ended in ``stop`` only.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(0)

    return ask


def _url(plan: BrokerPlan, port: int) -> str:
    host = f"[{plan.listen}]" if ":" in plan.listen else plan.listen
    return f"{'mqtts' if plan.tls else 'mqtt'}://{host}:{port}"
