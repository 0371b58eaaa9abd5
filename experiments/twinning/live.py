"""Live: the twin that is made of processes: servers, a client with its gateway, and mosquitto between them."""

from __future__ import annotations

import http.client
import os
import signal
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from experiments.twinning.plan import FROZEN, KILLED, PUT, Operation, Outcome, contents, secret_of
from tahoe.cli.local_grid import BROKER, CLIENT_NAME, INTRODUCER, GridPlan, LocalGrid
from tahoe.codec import base32
from tahoe.net.card import BrokerEntry, GridCard
from tahoe.net.directory import NewGrid, create_introducer, create_node
from tahoe.protocol import CLIENT, STORAGE, Encoding
from tahoe.sim.blueprint import Blueprint, GridOptions
from tahoe.sim.world import World

POLL_SECONDS = 0.01
MEND_SECONDS = 60.0
STARTED_AT_ONCE = 4


class TwinGrid(LocalGrid):
    """A local grid whose nodes have the keys of the simulated ones, so that each file has the same homes in both."""

    def make_twins(self, broker: BrokerEntry, seeds: dict[str, bytes], convergence: bytes) -> None:
        """Make all node directories.

        Args:
            broker: to which they connect.
            seeds: of the identities of servers, by name.
            convergence: the client's secret.
        """
        root = self.plan.root
        founded = create_introducer(root / "introducer", NewGrid((broker,), self.plan.encoding, "local"), "introducer")
        card = GridCard.load(founded.card)
        secret = {Path("private") / "convergence": _line(convergence)}
        create_node(self.client, card, self._config(CLIENT_NAME, CLIENT), secret)
        for name in self.server_names:
            create_node(root / name, card, self._config(name, STORAGE), {Path("node.key"): _line(seeds[name])})

    def process_ids(self) -> dict[str, list[int]]:
        """Of running processes by kind; mosquitto is a child of the command that runs it."""
        parent = self.process_id(BROKER)
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
        running = [name for name in self.server_names if name in self._children]
        return {
            "client": [self.process_id(CLIENT_NAME)],
            "server": [self.process_id(name) for name in running],
            "broker": [int(child) for child in children] or [parent],
        }


def _line(secret: bytes) -> bytes:
    return (base32.encode(secret) + "\n").encode()


def identity_seeds(seed: int, servers: int) -> dict[str, bytes]:
    """Of the servers that a simulated grid of this seed will have."""
    names = ["introducer-0", *(f"server-{number}" for number in range(servers)), "client-0"]
    profiles = Blueprint(World(seed), names, GridOptions()).profiles
    return {name: profile.identity.seed for name, profile in profiles.items()}


class LiveTwin:
    """A plan's live half, up as long as the context lasts.

    Args:
        root: an empty directory.
        seed: of the twins.
        servers: how many.
    """

    def __init__(self, root: Path, seed: int, servers: int) -> None:
        self.grid = TwinGrid(GridPlan(root, servers, Encoding(), engine="mosquitto"))
        self.capabilities: dict[str, str] = {}
        self._seed = seed
        self._servers = servers

    def __enter__(self) -> Self:
        try:
            self.broker = self.grid.start_broker()
            self.grid.make_twins(self.broker, identity_seeds(self._seed, self._servers), secret_of(self._seed))
            self._start([INTRODUCER, CLIENT_NAME, *self.grid.server_names])
        except BaseException:
            self.grid.stop()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        self.grid.stop()

    # --- what a plan asks for -----------------------------------------------------------------------------------------

    def perform(self, operation: Operation, encoding: Encoding) -> Outcome:
        """One operation, by the gateway."""
        data = contents(operation, self._seed)
        began = time.perf_counter()
        try:
            succeeded = self._put(operation, data, encoding) if operation.kind == PUT else self._get(operation, data)
        except OSError:  # time-outs among them
            succeeded = False
        return Outcome(operation, time.perf_counter() - began, succeeded)

    def perform_at_once(self, operations: list[Operation], encoding: Encoding) -> list[Outcome]:
        """Several, from as many threads."""
        with ThreadPoolExecutor(operations[0].at_once) as pool:
            return list(pool.map(lambda operation: self.perform(operation, encoding), operations))

    def harm(self, kind: str, servers: list[str]) -> None:
        """SIGKILL, or SIGSTOP."""
        if kind == KILLED:
            self.grid.kill(servers)
        self._signal(kind, signal.SIGSTOP, servers)

    def mend(self, kind: str, servers: list[str]) -> None:
        """Start them, or SIGCONT; wait until the client sees all of them."""
        if kind == KILLED:
            self._start(servers)
        self._signal(kind, signal.SIGCONT, servers)
        until = time.monotonic() + MEND_SECONDS
        while self.grid.servers_seen() < self._servers:
            if time.monotonic() > until:
                raise RuntimeError(f"the client does not see all servers {MEND_SECONDS:.0f} s after they came back")
            time.sleep(POLL_SECONDS)

    def wait(self, seconds: float) -> None:
        """Do nothing."""
        time.sleep(seconds)

    def _start(self, names: list[str]) -> None:
        """Start nodes, a few at a time: a busy machine would not have a dozen ready within a grid's patience."""
        for first in range(0, len(names), STARTED_AT_ONCE):
            self.grid.start_nodes(names[first : first + STARTED_AT_ONCE])

    def _signal(self, kind: str, number: signal.Signals, servers: Iterable[str]) -> None:
        if kind == FROZEN:
            for name in servers:
                os.kill(self.grid.process_id(name), number)

    # --- requests -----------------------------------------------------------------------------------------------------

    def _put(self, operation: Operation, data: bytes, encoding: Encoding) -> bool:
        query = f"?encoding={encoding.needed}/{encoding.happy}/{encoding.total}"
        status, body = self._ask(operation, f"/uri{query}", data)
        if status in (200, 201):
            self.capabilities[operation.name] = body.decode().strip()
        return status in (200, 201)

    def _get(self, operation: Operation, data: bytes) -> bool:
        if operation.name not in self.capabilities:
            return False  # it could not be stored
        status, body = self._ask(operation, f"/uri/{self.capabilities[operation.name]}")
        assert status != 200 or body == data, "the grid gave wrong bytes"
        return status == 200

    def _ask(self, operation: Operation, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body."""
        url = urlsplit((self.grid.client / "node.url").read_text(encoding="ascii").strip())
        token = (self.grid.client / "private" / "api_token").read_text(encoding="ascii").strip()
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=operation.deadline)
        try:
            connection.request(operation.kind.upper(), path, body, {"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException:
            return 0, b""  # it broke off
        finally:
            connection.close()
