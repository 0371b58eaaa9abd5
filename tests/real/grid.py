"""A grid of real processes for tests: started, spoken to over HTTP, and ill-treated.

It is ``cli/local_grid.py``'s grid with what a test needs beside: requests to the gateway, shares on the servers' real
disks, and a broker that dies and comes back on its port.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tahoe.cli.claim import is_ready
from tahoe.cli.local_grid import BROKER, CLIENT_NAME, INTRODUCER, GridPlan, LocalGrid
from tahoe.net.card import BrokerEntry, GridCard
from tahoe.net.config import NodeConfig, NodeSection, StorageSection
from tahoe.net.directory import NodeDirectory, create_node
from tahoe.protocol import CLIENT, STORAGE, Encoding, Role
from tests.commands import run_tahoe

PATIENCE = 60.0
MEGABYTE = 1_000_000


def until(reached: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait until something is true; the one place where these tests wait."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain for: {what}"
        time.sleep(0.05)


@dataclass(frozen=True)
class Reply:
    """What the gateway answered."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


class Gateway:
    """A client node's gateway, asked by HTTP."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens now."""
        url = urlsplit((self.directory / "node.url").read_text().strip())
        assert url.hostname is not None
        assert url.port is not None
        return url.hostname, url.port

    @property
    def token(self) -> str:
        """What writing takes."""
        return (self.directory / "private" / "api_token").read_text().strip()

    def ask(self, method: str, path: str, body: object = None, timeout: float = 120.0, **headers: str) -> Reply:
        """One request."""
        connection = http.client.HTTPConnection(*self.address, timeout=timeout)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {self.token}", **headers})  # type: ignore[arg-type]
            answer = connection.getresponse()
            return Reply(answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()})
        finally:
            connection.close()

    def put(self, data: bytes, query: str = "") -> str:
        """Store a file; its capability."""
        reply = self.ask("PUT", f"/uri{query}", data)
        assert reply.status in (200, 201), reply.text
        return reply.text.strip()

    def get(self, capability: str, **headers: str) -> bytes:
        """Fetch a file."""
        reply = self.ask("GET", f"/uri/{capability}", **headers)
        assert reply.status in (200, 206), reply.text
        return reply.body


class RealGrid(LocalGrid):
    """Processes, and what a test does to them."""

    def __init__(
        self, root: Path, servers: int = 10, encoding: Encoding | None = None, engine: str = "mosquitto"
    ) -> None:
        root.mkdir(exist_ok=True)
        super().__init__(GridPlan(root, servers, encoding or Encoding(), engine))
        self.broker: BrokerEntry | None = None

    @property
    def gateway(self) -> Gateway:
        """Of the client."""
        return Gateway(self.client)

    def make(self) -> None:
        """Start the broker and make all node directories."""
        self.broker = self.start_broker()
        self.make_nodes(self.broker)

    def up(self) -> None:
        """Everything from nothing."""
        self.make()
        self.start_nodes()

    def configure(self, name: str, storage: StorageSection) -> None:
        """Give a server other options, before it starts."""
        directory = NodeDirectory(self.plan.root / name)
        config = NodeConfig(node=NodeSection(roles=(STORAGE,), nickname=name), storage=storage)
        directory.config.write_text(config.text())

    def tahoe(self, *arguments: object, node: str = CLIENT_NAME) -> subprocess.CompletedProcess[str]:
        """Run a command as the user of a node."""
        return run_tahoe(self.plan.root / node, *arguments)

    def ok(self, *arguments: object, node: str = CLIENT_NAME) -> str:
        """The same, of what has to succeed; what it prints."""
        done = self.tahoe(*arguments, node=node)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout.strip()

    def homes(self, path: str) -> dict[int, str]:
        """Which server has each share of an object, by its nickname; the first of several."""
        found = json.loads(self.ok("check", "--json", path))
        names = {node: label.partition("@")[0] for node, label in found["servers"].items()}
        sharemap = found["results"]["sharemap"]  # the number of a slot's share stands behind its version: seq2-ab12-sh0
        return {int(share.rpartition("sh")[2]): names[nodes[0]] for share, nodes in sharemap.items()}

    def add_client(self, name: str) -> Gateway:
        """Another client node."""
        self.add_node(name, CLIENT)
        return Gateway(self.plan.root / name)

    def add_node(self, name: str, role: Role) -> None:
        """Another node, which runs on return."""
        create_node(self.plan.root / name, self.card, self._config(name, role))
        self._start(name, "run", "--quiet", str(self.plan.root / name))
        until(lambda: is_ready(self.plan.root / name), f"{name} runs")

    @property
    def card(self) -> GridCard:
        """What it takes to join."""
        return GridCard.load(self.plan.root / INTRODUCER / "grid.toml")

    def restart(self, *names: str) -> None:
        """Start nodes that were killed."""
        self.start_nodes(names)

    def kill_broker(self) -> None:
        """SIGKILL; whoever was connected notices."""
        self.kill([BROKER])

    def restart_broker(self) -> None:
        """On the port it had."""
        assert self.broker is not None
        directory = self.plan.root / BROKER
        port = str(urlsplit(self.broker.url).port)
        self._start(
            BROKER, "broker", "run", "--port", port, "--engine", self.plan.engine, "--directory", str(directory)
        )

    def is_broker_up(self) -> bool:
        """Whether anybody listens on the broker's port."""
        assert self.broker is not None
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", urlsplit(self.broker.url).port or 0)) == 0

    def shares(self, name: str) -> list[Path]:
        """Files of complete shares on a server's disk."""
        root = self.plan.root / name / "storage" / "shares"
        return sorted(path for path in root.glob("*/*/*") if "incoming" not in path.parts and path.is_file())

    def uploads(self, name: str) -> list[Path]:
        """Files of uploads that a server has not seen the end of."""
        return sorted(
            path for path in (self.plan.root / name / "storage" / "shares" / "incoming").rglob("*") if path.is_file()
        )

    def running_servers(self) -> list[str]:
        """Servers that nobody has killed."""
        return [name for name in self.server_names if name in self._children]

    def holders(self) -> list[str]:
        """Servers that have any share."""
        return [name for name in self.server_names if self.shares(name)]

    def peak_memory(self, name: str) -> int:
        """Most bytes of memory that a process has had so far."""
        return peak_memory(self.process_id(name))

    def broker_memory(self) -> int:
        """Most bytes of memory that the broker has had so far: mosquitto is a child of the command that runs it."""
        parent = self.process_id(BROKER)
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return peak_memory(int(children[0]) if children else parent)

    def check_logs(self) -> None:
        """Look for what must never stand in any log: capabilities, and errors that nobody foresaw."""
        logs = [path for path in self.plan.root.rglob("*.log") if path.is_file()]
        assert len(logs) > len(self.server_names)
        for path in logs:
            text = path.read_bytes()
            assert b"URI:" not in text, f"{path} has a capability in it"
            assert b"Traceback" not in text, f"{path}: {text.decode()[-3000:]}"


def peak_memory(process_id: int) -> int:
    """Most bytes of memory that a process has had so far."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise AssertionError("this process tells nothing of its memory")


__all__ = [
    "BROKER",
    "CLIENT_NAME",
    "INTRODUCER",
    "MEGABYTE",
    "Gateway",
    "RealGrid",
    "Reply",
    "StorageSection",
    "peak_memory",
    "until",
]
