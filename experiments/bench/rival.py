"""The rival: Tahoe-LAFS 1.20.0 from PyPI in an environment of its own; ten storage nodes, an introducer, a client."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from experiments.bench.load import Ask, share_files

VERSION = "1.20.0"
LOOPBACK = "127.0.0.1"
PATIENCE = 90.0


def install(environment: Path) -> None:
    """Make the environment, unless it is there."""
    if (environment / "bin" / "tahoe").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)  # noqa: S603  # our own interpreter
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"tahoe-lafs=={VERSION}", "setuptools<81"], check=True)  # noqa: S603  # pkg_resources is needed


class RivalGrid:
    """Runs as long as the context lasts.

    Args:
        root: an empty directory.
        environment: where it is installed.
    """

    name = f"Tahoe-LAFS {VERSION}"
    mutable = "MDMF"

    def __init__(self, root: Path, environment: Path) -> None:
        self._root = root
        self._tahoe = str(environment / "bin" / "tahoe")
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._web_port = _free_port()

    def __enter__(self) -> Self:
        try:
            self._come_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            child.wait(30)

    _servers = tuple(f"server-{number}" for number in range(10))

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the gateway."""
        return LOOPBACK, self._web_port

    @property
    def headers(self) -> dict[str, str]:
        """Nothing: whoever reaches the gateway may store."""
        return {}

    def processes(self) -> dict[str, list[int]]:
        """Process ids of client and servers."""
        return {
            "client": [self._children["client"].pid],
            "servers": [self._children[name].pid for name in self._servers],
        }

    def stored_bytes(self) -> int:
        """Bytes of share files on all servers' disks."""
        return sum(path.stat().st_size for root in self._share_roots() for path in root.rglob("*") if path.is_file())

    def share_files(self, index: str) -> list[Path]:
        """Files of one object's shares on all servers' disks, by number."""
        return share_files(self._share_roots(), index)

    def _share_roots(self) -> list[Path]:
        return [self._root / name / "storage" / "shares" for name in self._servers]

    def keep(self, ask: Ask, action: str, cap: str) -> dict[str, Any]:
        """One request; the answer comes when it is done."""
        option = "" if action == "check" else f"&{action}=true"
        found: dict[str, Any] = json.loads(ask("POST", f"/uri/{cap}?t=check&output=JSON{option}"))
        return found

    def check_tree(self, ask: Ask, cap: str) -> int:
        """One request, and a line for every object."""
        lines = ask("POST", f"/uri/{cap}?t=stream-deep-check").decode().splitlines()
        units = [json.loads(line) for line in lines]
        return sum(unit["type"] != "stats" and unit["check-results"]["results"]["healthy"] for unit in units)

    def command(self) -> tuple[str, ...]:
        """``tahoe list-aliases`` of the client."""
        return self.tool("list-aliases")

    def tool(self, *arguments: str) -> tuple[str, ...]:
        """``tahoe`` with the client's node."""
        return (self._tahoe, "-d", str(self._root / "client"), *arguments)

    def _come_up(self) -> None:
        self._root.mkdir(exist_ok=True)
        self._make("create-introducer", "introducer", *_listening())
        self._start("introducer")
        furl_file = self._root / "introducer" / "private" / "introducer.furl"
        _until(furl_file.exists, "the introducer's furl")
        furl = furl_file.read_text(encoding="ascii").strip()
        shares = ("--shares-needed=3", "--shares-happy=7", "--shares-total=10")
        web = f"--webport=tcp:{self._web_port}:interface={LOOPBACK}"
        self._make("create-client", "client", f"--introducer={furl}", web, *shares)
        for name in self._servers:
            self._make("create-node", name, f"--introducer={furl}", "--webport=none", *_listening())
        for name in (*self._servers, "client"):
            self._start(name)
        _until(lambda: self._servers_seen() == len(self._servers), "the client to see all servers")

    def _make(self, command: str, name: str, *options: str) -> None:
        made = [self._tahoe, "--quiet", command, *options, str(self._root / name)]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  # the rival's program

    def _start(self, name: str) -> None:
        with (self._root / f"{name}.log").open("wb") as log:
            command = [self._tahoe, "run", "--allow-stdin-close", str(self._root / name)]
            self._children[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603

    def _servers_seen(self) -> int:
        try:
            connection = http.client.HTTPConnection(*self.address, timeout=10)
            connection.request("GET", "/?t=json")
            text = connection.getresponse().read().decode()
            connection.close()
        except OSError:
            return 0
        return text.count('"connection_status": "connected"')


def _listening() -> tuple[str, ...]:
    port = _free_port()
    return "--listen=tcp", f"--port=tcp:{port}:interface={LOOPBACK}", f"--location=tcp:{LOOPBACK}:{port}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _until(reached: object, what: str) -> None:
    assert callable(reached)
    deadline = time.monotonic() + PATIENCE
    while not reached():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {PATIENCE:.0f} s in vain for {what}")
        time.sleep(0.2)
