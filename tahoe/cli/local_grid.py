"""A whole grid on this machine, of separate processes that can be killed: for the demo, and whoever wants to try things.

::

    broker   introducer   client   server-0  server-1  ...      a process each, in ROOT/NAME

However the process that holds this ends, its children end, too: their standard input is a pipe of ours.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import click

from tahoe.actors.roots import GLOBAL_ROOT
from tahoe.cli.claim import is_ready
from tahoe.cli.gateway import Gateway
from tahoe.cli.report import ask_for_report
from tahoe.cli.vdrive import load_grid_key, publish_root
from tahoe.net.card import BrokerEntry, GridCard
from tahoe.net.config import ClientSection, NodeConfig, NodeSection, StorageSection
from tahoe.net.directory import NewGrid, NodeDirectory, create_introducer, create_node
from tahoe.net.quantities import ByteSize
from tahoe.net.toml import read
from tahoe.protocol import CLIENT, STORAGE, Encoding, NodeId, Role

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.02
LAST_LINES: Final = 12

BROKER: Final = "broker"
INTRODUCER: Final = "introducer"
CLIENT_NAME: Final = "client"


@dataclass(frozen=True, slots=True)
class GridPlan:
    """What grid to make.

    Args:
        root: an empty directory.
        servers: how many storage servers.
        encoding: of new files.
        engine: of the broker: embedded, mosquitto or auto.
        web_port: of the client's gateway; 0: any free one.
    """

    root: Path
    servers: int
    encoding: Encoding
    engine: str = "auto"
    web_port: int = 0


class LocalGrid:
    """A grid that runs as long as the context lasts."""

    def __init__(self, plan: GridPlan) -> None:
        self.plan = plan
        self.server_names = tuple(f"server-{number}" for number in range(plan.servers))
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def client(self) -> Path:
        """The client's node directory."""
        return self.plan.root / CLIENT_NAME

    def start_broker(self) -> BrokerEntry:
        """Start a broker; returns what it takes to get in."""
        directory = self.plan.root / BROKER
        entry = directory / "broker.toml"
        options = ("--port", "0", "--engine", self.plan.engine, "--directory", str(directory))
        self._start(BROKER, "broker", "run", *options)
        self._await([BROKER], entry.exists)
        return read(entry, BrokerEntry)

    def make_nodes(self, broker: BrokerEntry) -> None:
        """Make all node directories."""
        root = self.plan.root
        founded = create_introducer(root / INTRODUCER, NewGrid((broker,), self.plan.encoding, "local"), INTRODUCER)
        card = GridCard.load(founded.card)
        create_node(self.client, card, self._config(CLIENT_NAME, CLIENT))
        for name in self.server_names:
            create_node(root / name, card, self._config(name, STORAGE))

    def add_servers(self, count: int) -> None:
        """Let new servers join, and wait until the client sees them."""
        card = GridCard.load(self.plan.root / INTRODUCER / "grid.toml")
        names = [f"server-{len(self.server_names) + number}" for number in range(count)]
        for name in names:
            create_node(self.plan.root / name, card, self._config(name, STORAGE))
        self.server_names += tuple(names)
        self.start_nodes(names)

    def start_nodes(self, names: Iterable[str] | None = None) -> None:
        """Start nodes (by default all) and wait until the client sees all servers that run."""
        names = [INTRODUCER, CLIENT_NAME, *self.server_names] if names is None else list(names)
        for name in names:
            self._start(name, "run", "--quiet", str(self.plan.root / name))
        self._await(names, lambda: all(is_ready(self.plan.root / name) for name in names))
        self._await(names, lambda: self.servers_seen() >= len(set(self.server_names) & set(self._children)))

    def publish_global(self) -> None:
        """Publish the root that all share, as a grid's owner does."""
        publish_root(Gateway(self.client), load_grid_key(self.plan.root / f"{INTRODUCER}.grid-key"), GLOBAL_ROOT)

    def kill(self, names: Iterable[str]) -> None:
        """End processes as a power cut would: SIGKILL, without a word."""
        for name in names:
            child = self._children.pop(name)
            child.kill()
            child.wait()
            _close(child)

    def stop(self) -> None:
        """End everything."""
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            _close(child)
        self._children.clear()

    def node_id(self, name: str) -> NodeId:
        """Of a node."""
        return NodeDirectory(self.plan.root / name).load_identity().node

    def process_id(self, name: str) -> int:
        """Of a process that runs."""
        return self._children[name].pid

    def report(self) -> dict[str, Any]:
        """What the client says of itself; empty if it does not answer."""
        return ask_for_report(self.client) or {}

    def servers_seen(self) -> int:
        """How many servers the client knows to be connected."""
        return sum(server["online"] is True for server in self.report().get("servers", ()))

    def _config(self, name: str, role: Role) -> NodeConfig:
        return NodeConfig(
            node=NodeSection(roles=(role,), nickname=name),
            storage=StorageSection(reserved_space=ByteSize(0)),
            client=ClientSection(web_port=self.plan.web_port if role == CLIENT else 0),
        )

    def _start(self, name: str, *command: str) -> None:
        with self._log(name).open("ab") as output:
            self._children[name] = subprocess.Popen(  # noqa: S603  # our own program
                [sys.executable, "-m", "tahoe.cli.main", *command, "--while-stdin"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
            )

    def _await(self, names: Iterable[str], reached: Callable[[], bool]) -> None:
        """Wait for something that these processes are to bring about.

        Raises:
            ClickException: one of them ended, or it took too long.
        """
        deadline = time.monotonic() + START_SECONDS
        while not reached():
            for name in names:
                if self._children[name].poll() is not None:
                    raise click.ClickException(f"{name} ended by itself:\n{self._last_words(name)}")
            if time.monotonic() > deadline:
                words = "\n".join(f"{name}:\n{self._last_words(name)}" for name in names)
                raise click.ClickException(f"the grid did not come up within {START_SECONDS:.0f} s.\n{words}")
            time.sleep(POLL_SECONDS)

    def _log(self, name: str) -> Path:
        return self.plan.root / f"{name}.log"

    def _last_words(self, name: str) -> str:
        lines = self._log(name).read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join("  " + line for line in lines[-LAST_LINES:]) or "  (nothing)"


def _close(child: subprocess.Popen[bytes]) -> None:
    if child.stdin is not None:
        child.stdin.close()
