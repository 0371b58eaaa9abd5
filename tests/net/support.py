"""What tests of the network need: brokers that can be ill-treated, and somebody who listens."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from tahoe.net.card import BrokerEntry
from tahoe.net.logs import NodeLog
from tahoe.net.mosquitto import _end_with_parent, find_mosquitto
from tahoe.net.transport import Limits, Station, Transport
from tahoe.session.identity import Identity

GRID = "g" * 26
PATIENCE = 30.0
"""Seconds after which a test gives up; nothing should come near."""


class Mosquitto:
    """A mosquitto with any configuration, which can be killed, paused and started again at its port."""

    def __init__(self, directory, *lines):
        self._config = Path(directory) / "test-mosquitto.conf"
        self._lines = lines
        self._child = None
        self.port = 0
        self.start()

    @staticmethod
    def nowhere():
        """A broker that is down for ever."""
        return BrokerEntry("mqtt://127.0.0.1:1")

    def start(self):
        """Start it; it takes connections on return. A port that somebody else takes first is given up."""
        fixed = self.port
        for _ in range(5):
            self.port = fixed or _free_port()
            lines = [f"listener {self.port} 127.0.0.1", "set_tcp_nodelay true", "persistence false", "log_type none"]
            lines += self._lines or ("allow_anonymous true",)
            self._config.write_text("\n".join([*lines, f"user {os.environ.get('USER', 'root')}", ""]))
            self._child = subprocess.Popen(
                [find_mosquitto(), "-c", str(self._config)],
                stderr=subprocess.DEVNULL,
                preexec_fn=_end_with_parent(),  # noqa: PLW1509  # one system call, no lock
            )
            if self._listens():
                return
        raise AssertionError("mosquitto does not start")

    def _listens(self):
        while self._child.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return True
            time.sleep(0.01)
        return False

    def set(self, *lines):
        """Give it another configuration, before it starts again."""
        self._lines = lines

    def kill(self):
        """End it as a power cut would."""
        self._child.kill()
        self._child.wait()

    def pause(self):
        """Let it stand still."""
        self._child.send_signal(signal.SIGSTOP)

    def resume(self):
        """Let it go on."""
        self._child.send_signal(signal.SIGCONT)

    def entry(self, **more):
        """How to get in."""
        return BrokerEntry(f"mqtt://127.0.0.1:{self.port}", **more)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Listener:
    """A receiver that remembers what it was told, and can be waited for."""

    def __init__(self):
        self.packets = []
        self.presences = []
        self.limits = []
        self.log_lines = []
        self.connections = 0
        self.losses = 0
        self.changed = asyncio.Event()

    def packet_came(self, sender, channel, packet):
        self.packets.append((sender, channel, packet))
        self.changed.set()

    def presence_came(self, node, signed):
        self.presences.append((node, signed))
        self.changed.set()

    def connected(self):
        self.connections += 1
        self.changed.set()

    def disconnected(self):
        self.losses += 1
        self.changed.set()

    def limit_fell(self, packet_bytes):
        self.limits.append(packet_bytes)
        self.changed.set()

    async def until(self, condition):
        """Wait until a condition on this listener holds."""
        async with asyncio.timeout(PATIENCE):
            while not condition(self):
                self.changed.clear()
                await self.changed.wait()


class _Told(logging.Handler):
    def __init__(self, lines, changed):
        super().__init__()
        self._lines = lines
        self._changed = changed

    def emit(self, record):
        self._lines.append(record.getMessage())
        self._changed.set()


def log_of(listener):
    """A log whose lines a listener hears."""
    logger = logging.Logger("test")  # noqa: LOG001  # of this test alone
    logger.addHandler(_Told(listener.log_lines, listener.changed))
    return NodeLog(logger)


def identity(name):
    """The keys of a node with this name."""
    return Identity.from_seed(name.encode().ljust(32, b"."))


class End:
    """One node's transport with its listener."""

    def __init__(self, name, *brokers, epoch=1, **limits):
        self.identity = identity(name)
        self.node = self.identity.node
        self.listener = Listener()
        self.station = Station.of(GRID, self.identity, epoch)
        limits = Limits(**({"packet_bytes": 1024 * 1024} | limits))
        self.transport = Transport(self.station, brokers, limits, self.listener, log_of(self.listener))

    async def __aenter__(self):
        self.transport.start()
        return self

    async def __aexit__(self, *_):
        await self.transport.stop()

    async def connected(self):
        """Wait until it is connected."""
        async with asyncio.timeout(PATIENCE):
            await self.transport.wait_connected()
        return self


async def until(condition):
    """Wait for something that nobody tells of."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  # (that is why)
            await asyncio.sleep(0.01)
