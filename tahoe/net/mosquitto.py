"""A mosquitto of our own: a child process with a configuration made for a grid, that ends with us.

On loopback anybody gets in, because packets are sealed anyway. Elsewhere it wants user and password, and with
TLS it shows a certificate of a small authority of its own; all of that goes into the grid card.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ctypes
import getpass
import hashlib
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tahoe.net.allocator import CHILD_ENVIRONMENT
from tahoe.net.brokerplan import BrokerFailed, BrokerPlan, Engine, PortTaken
from tahoe.net.card import BrokerEntry
from tahoe.net.certificates import ServerCertificate, certify
from tahoe.net.keys import load_private_text, replace_file, save_private_text

START_SECONDS: Final = 10.0
STOP_SECONDS: Final = 5.0
LARGEST_PACKET: Final = 16 * 1024 * 1024
"""More than any node sends; keeps a stray client from filling the broker's memory with one packet."""

MOST_WAITING_MESSAGES: Final = 4000
"""Messages mosquitto keeps for one slow subscriber before it drops; at QoS 0 it knows no limit in bytes. Credit
keeps a node's backlog far below."""

_USER: Final = "grid"
_PR_SET_PDEATHSIG: Final = 1
_PASSWORD_ROUNDS: Final = 10_000


def find_mosquitto() -> str | None:
    """Where a mosquitto is; Debian keeps it where ordinary users' PATH does not look."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")


class Mosquitto:
    """A child process that ends with us."""

    engine: Engine = "mosquitto"

    def __init__(self, child: asyncio.subprocess.Process, entry: BrokerEntry, log: Path) -> None:
        self.entry = entry
        self.child = child
        self._log = log
        self._stopping = False

    async def wait(self) -> None:
        """Wait until it ends by itself.

        Raises:
            BrokerFailed: it did; with its last words.
        """
        status = await self.child.wait()
        if not self._stopping:
            raise BrokerFailed(f"mosquitto ended with status {status}: {_last_words(self._log)}")

    async def stop(self) -> None:
        """End it. Idempotent."""
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


async def start_mosquitto(plan: BrokerPlan, port: int) -> Mosquitto:
    """Start one; it takes connections when this returns.

    Raises:
        PortTaken: another program listens there.
        BrokerFailed: it did not start; with its last words.
    """
    program = find_mosquitto()
    assert program is not None
    entry, lines = _admission(plan, port)
    config, log = plan.directory / "mosquitto.conf", plan.directory / "mosquitto.log"
    replace_file(config, _mosquitto_config(plan, port, lines).encode())
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            program, "-c", str(config), stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
            preexec_fn=_end_with_parent(), env=os.environ | CHILD_ENVIRONMENT,
        )  # fmt: skip
    broker = Mosquitto(child, entry, log)
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
        return BrokerEntry(plan.url(port)), [*lines, "allow_anonymous true"]
    password = _password(plan.directory)
    passwords = plan.directory / "passwords"
    replace_file(passwords, f"{_USER}:{_hash_password(password)}\n".encode())
    entry = BrokerEntry(plan.url(port), user=_USER, password=password, ca=authority)
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
        raise PortTaken
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
